"""The same request at the same time, through the actor: while it is flushed, while it waits, after a day (G4)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio.testing
from handler_bench import Keyed, keyed
from msgspec.structs import replace
from open_projects import Service, serving
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import (
    ListReservations,
    ListWaiting,
    ReleaseReservation,
    ReservationView,
    Reserve,
    Waiting,
)
from intermute.core.errors import OutcomeUnknown, ReplyNotKept
from intermute.core.once import Reply
from intermute.core.wishes import OnConflict

LETTER = SendMessage(sender="anna", to=["ben"])
WAIT = Reserve(agent_id="ben", paths=["a"], on_conflict=OnConflict.WAIT, wait_seconds=30)


async def sent(service: Service, nursery: trio.Nursery, times: int, asked: Keyed) -> list[Any]:  # Any: as `outcome`.
    """Send a request several times; return where the outcomes go once all of them are on their way."""
    outcomes: list[Any] = []  # Any: as `outcome`.

    async def one() -> None:
        outcomes.append(await service.outcome(*asked))

    for _ in range(times):
        nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
    return outcomes


def same(outcomes: Sequence[Any]) -> bytes:
    """Return the bytes that all outcomes have."""
    assert all(isinstance(each, Reply) for each in outcomes), outcomes
    [body] = {each.body for each in outcomes}
    assert isinstance(body, bytes)
    return body


async def test_repeats_at_any_moment_are_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Being flushed, gathered for the next batch, and later: one effect, one answer, given first to one of them."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        head = service.project.hub.head
        async with trio.open_nursery() as nursery:
            service.gate.shut()
            outcomes = await sent(service, nursery, 1, keyed(LETTER))
            service.gate.let_one_through()  # What is kept has been looked up; now it is stored.
            later = await sent(service, nursery, 3, keyed(LETTER))
            assert (outcomes, later) == ([], [])
            service.gate.open()
        outcomes += [*later, await service.run(*keyed(LETTER))]

        same(outcomes)
        assert sorted(each.is_repeat for each in outcomes) == [False, True, True, True, True]
        assert [event.type for event in await service.project.events_after(head, 10)] == ["message.created"]


async def test_repeat_of_what_nobody_waited_for_is_the_reply(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The first client has gone while its request was being stored: the second sending is told what came of it."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        head = service.project.hub.head
        async with trio.open_nursery() as nursery:
            service.gate.shut()
            await sent(service, nursery, 1, keyed(LETTER))
            service.gate.let_one_through()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        service.gate.open()

        again = await service.run(*keyed(LETTER))

        assert again.is_repeat
        assert service.project.hub.head == head + 1


async def test_callers_that_wait_under_one_key_get_one_answer(tmp_path: Path, autojump_clock: MockClock) -> None:
    """One place in the queue, one reservation, and the same bytes for all, and for whoever asks afterwards."""
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as nursery:
            outcomes = await sent(service, nursery, 3, keyed(WAIT))
            assert len((await service.run(ListWaiting())).waiting) == 1
            await service.run(ReleaseReservation(reservation_id=held.id))
        outcomes.append(await service.run(*keyed(WAIT)))

        body = msgspec.json.decode(same(outcomes))
        assert [each.id for each in (await service.run(ListReservations())).reservations] == [body["id"]]


async def test_client_that_hangs_up_leaves_the_place_to_its_repeat(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Of two calls in one place the first one goes: the other waits on and is granted."""
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as inner:
                await sent(service, inner, 1, keyed(WAIT))
                outcomes = await sent(service, outer, 1, keyed(WAIT))
                inner.cancel_scope.cancel()
            assert len((await service.run(ListWaiting())).waiting) == 1
            await service.run(ReleaseReservation(reservation_id=held.id))

        same(outcomes)


async def test_grant_that_nobody_heard_of_is_told_to_the_repeat(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Granted while being stored, the client gone, the project closed and opened: the repeat gets that reservation."""
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as releasing:
            async with trio.open_nursery() as nursery:
                await sent(service, nursery, 1, keyed(WAIT))
                ticket = (await service.run(ListWaiting())).waiting[0].ticket
                service.gate.shut()
                releasing.start_soon(service.run, ReleaseReservation(reservation_id=held.id))
                await trio.testing.wait_all_tasks_blocked()
                service.gate.let_one_through()
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            service.gate.open()
        await service.run(LETTER)
        await service.stop_project()

        again = await service.run(*keyed(WAIT))

        assert (msgspec.json.decode(again.body)["id"], again.is_repeat) == (ticket, True)


async def test_call_that_asks_again_by_itself_keeps_its_key(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Out of the queue and into it again, as after a restart: the grant is kept under the key all the same."""
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as nursery:
            outcomes = await sent(service, nursery, 2, keyed(WAIT))
            ticket = (await service.run(ListWaiting())).waiting[0].ticket
            await service.run(RegisterAgent(name="ben"))  # Who waits under a name that is taken now asks again.
            await trio.testing.wait_all_tasks_blocked()
            [again] = (await service.run(ListWaiting())).waiting
            assert again.ticket != ticket
            await service.run(ReleaseReservation(reservation_id=held.id))
        outcomes.append(await service.run(*keyed(WAIT)))

        assert msgspec.json.decode(same(outcomes))["id"] == again.ticket
        assert len((await service.run(ListReservations())).reservations) == 1


async def test_grant_that_cannot_be_read_is_not_called_lost(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the disk does not give the reply back the outcome is unknown, and the repeat finds it."""
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as nursery:
            outcomes = await sent(service, nursery, 1, keyed(WAIT))
            service.gate.reads_fail = True
            await service.run(ReleaseReservation(reservation_id=held.id))
        service.gate.reads_fail = False

        assert [type(each) for each in outcomes] == [OutcomeUnknown]
        assert (await service.run(*keyed(WAIT))).is_repeat


async def test_first_answer_is_given_although_it_is_too_long_to_keep(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who waited is told what it was granted; only the repeat is told that it was applied before."""
    command, caller, once = keyed(WAIT)
    asked = command, caller, replace(once, render=lambda _view: Reply(201, b"x" * 300_000))
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        async with trio.open_nursery() as nursery:
            found = await sent(service, nursery, 1, asked)
            await service.run(ReleaseReservation(reservation_id=held.id))

        assert [type(each) for each in found] == [ReservationView]
        assert isinstance(await service.outcome(*asked), ReplyNotKept)


async def test_place_in_the_queue_is_not_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After 55 s the answer is the ticket; the repeat waits on in that place, and its answer is the grant."""
    asked = keyed(msgspec.structs.replace(WAIT, wait_seconds=600))
    async with serving(tmp_path) as service:
        held = await service.run(Reserve(agent_id="anna", paths=["a"]))
        waiting = await service.run(*asked)
        assert isinstance(waiting, Waiting)
        async with trio.open_nursery() as nursery:
            outcomes = await sent(service, nursery, 1, asked)
            await service.run(ReleaseReservation(reservation_id=held.id))

        assert msgspec.json.decode(same(outcomes))["id"] == waiting.ticket


async def test_ticker_forgets_after_a_day(tmp_path: Path, autojump_clock: MockClock) -> None:
    """By itself, at most ten minutes late, also what a process before this one has kept."""
    async with serving(tmp_path) as service:
        await service.run(*keyed(LETTER))
        await service.stop_project()
        await trio.sleep(limits.REPLY_KEPT_S / 2)
        await service.run(*keyed(LETTER, "later"))
        await trio.sleep(limits.REPLY_KEPT_S / 2 - 1)
        assert len(service.project.known_state().kept) == 2

        await trio.sleep(limits.FORGET_EVERY_S + 2)

        assert len(service.project.known_state().kept) == 1
        assert not (await service.run(*keyed(LETTER))).is_repeat
        assert (await service.run(*keyed(LETTER, "later"))).is_repeat


async def test_ticker_wakes_for_what_was_kept_meanwhile(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Though nothing else happens: it slept without an end in sight when the reply came to be kept."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        await trio.testing.wait_all_tasks_blocked()
        await service.run(*keyed(LETTER))

        await trio.sleep(limits.REPLY_KEPT_S + limits.FORGET_EVERY_S + 1)

        assert len(service.project.known_state().kept) == 0
