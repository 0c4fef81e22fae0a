"""Calls that wait for their turn, in a whole project with a clock that leaps: who is answered what, and when."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from open_projects import Service, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from intermute.core import limits
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.reservations import (
    ListReservations,
    ListWaiting,
    ReleaseReservation,
    ReservationView,
    Reserve,
    Waiting,
)
from intermute.core.errors import DomainError, ReservationConflict, ReservationEnded
from intermute.core.wishes import OnConflict


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service in which anna holds `a` for an hour."""
    async with serving(tmp_path) as running:
        for name in ("anna", "ben", "carl"):
            await running.run(RegisterAgent(name=name))
        yield running


async def taken(service: Service, path: str = "a", ttl_s: int = 3600) -> ReservationView:
    """Let anna hold a path."""
    held = await service.run(Reserve(agent_id="anna", path_pattern=path, ttl_seconds=ttl_s))
    assert isinstance(held, ReservationView)
    return held


def wish(agent: str = "ben", seconds: float = 300, **more: Any) -> Reserve:  # Any: fields of Reserve.
    """Ask for `a` and wait."""
    return Reserve(agent_id=agent, path_pattern="a", on_conflict=OnConflict.WAIT, wait_seconds=seconds, **more)


class Call:
    """One call in a task of its own: its outcome, and when it came."""

    def __init__(self, nursery: trio.Nursery, service: Service, question: object) -> None:
        self.outcome: Any = None  # Any: a view or an error.
        self.at_s = 0.0
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run, service, question)

    async def _run(self, service: Service, question: object) -> None:
        with self.scope:
            self.outcome = await service.outcome(question)
            self.at_s = trio.current_time()


async def reservations(service: Service, agent: str) -> list[str]:
    """Return the ids of what an agent holds."""
    listed = await service.run(ListReservations(agent=agent, active=True))
    return [each.id for each in listed.reservations]


async def tickets(service: Service) -> list[str]:
    """Return the tickets in the queue."""
    return [each.ticket for each in (await service.run(ListWaiting())).waiting]


async def test_waiting_call_is_answered_when_the_holder_releases(service: Service, autojump_clock: MockClock) -> None:
    """The call returns the grant, under the id that was its ticket."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        [ticket] = await tickets(service)
        await service.run(ReleaseReservation(reservation_id=held.id))

    assert call.outcome.id == ticket
    assert await reservations(service, "ben") == [ticket]


async def test_waiting_call_is_told_what_its_grant_meets(service: Service, autojump_clock: MockClock) -> None:
    """As one that did not wait: somebody has declared to delete what is granted."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        await service.run(DeclareIntent(agent_id="carl", paths=["a"], operation="delete"))
        await service.run(ReleaseReservation(reservation_id=held.id))

    assert [(each.held_by, each.standing) for each in call.outcome.warnings] == [("carl", "declared")]


async def test_waiting_call_is_answered_when_the_lease_ends(service: Service, autojump_clock: MockClock) -> None:
    """It is granted at the deadline of what was in its way, not when somebody asks next."""
    await taken(service, ttl_s=20)
    start_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish())

    assert isinstance(call.outcome, ReservationView)
    assert call.at_s - start_s == pytest.approx(20, abs=0.1)


async def test_waiting_call_is_cut_with_a_ticket_that_resumes(service: Service, autojump_clock: MockClock) -> None:
    """After 55 s the answer is a ticket; the same request with it waits on, ahead of those who came meanwhile."""
    held = await taken(service)
    start_s = trio.current_time()
    cut = await service.run(wish())
    assert isinstance(cut, Waiting)
    assert trio.current_time() - start_s == pytest.approx(limits.WAIT_MAX_S, abs=0.1)
    assert cut.keeps_place_for_s == 300 - limits.WAIT_MAX_S

    async with trio.open_nursery() as nursery:
        later = Call(nursery, service, wish("carl"))
        await wait_all_tasks_blocked()
        resumed = Call(nursery, service, wish(ticket=cut.ticket))
        await wait_all_tasks_blocked()
        await service.run(ReleaseReservation(reservation_id=held.id))
        await wait_all_tasks_blocked()
        assert resumed.outcome.id == cut.ticket
        assert later.outcome is None
        await service.run(ReleaseReservation(reservation_id=cut.ticket))

    assert isinstance(later.outcome, ReservationView)


@pytest.mark.parametrize("has_targets", [True, False])
async def test_wait_that_is_over_is_refused(service: Service, autojump_clock: MockClock, has_targets: bool) -> None:
    """When `wait_seconds` are over the call hears what is in its way, or that its ticket is worth nothing any more."""
    await taken(service)
    cut = await service.run(wish())
    again = wish(seconds=30, ticket=cut.ticket)
    if not has_targets:
        again = Reserve(agent_id="ben", on_conflict=OnConflict.WAIT, wait_seconds=30, ticket=cut.ticket)

    outcome = await service.outcome(again)

    assert outcome.code == ("reservation_conflict" if has_targets else "unknown_ticket")
    assert await tickets(service) == []


async def test_call_that_hangs_up_leaves_the_queue(service: Service, autojump_clock: MockClock) -> None:
    """Its place goes with it: the next in line is granted at the release."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        gone = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        next_one = Call(nursery, service, wish("carl"))
        await wait_all_tasks_blocked()
        gone.scope.cancel()
        await wait_all_tasks_blocked()
        await service.run(ReleaseReservation(reservation_id=held.id))

    assert isinstance(next_one.outcome, ReservationView)
    assert await reservations(service, "ben") == []


async def test_call_that_hangs_up_before_it_waits_leaves_no_ghost(service: Service, autojump_clock: MockClock) -> None:
    """Who goes while the request is still on its way to the disk is not in the queue afterwards."""
    await taken(service)
    service.gate.shut()
    async with trio.open_nursery() as nursery:
        gone = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        gone.scope.cancel()
        await wait_all_tasks_blocked()
        service.gate.open()
        await wait_all_tasks_blocked()

    assert await tickets(service) == []


async def test_call_that_hangs_up_at_the_very_decision_leaves_no_ghost(
    service: Service, autojump_clock: MockClock
) -> None:
    """Nor is who goes in the step in which it is answered that it waits: the actor takes it for there, and it never hears."""
    await taken(service)
    async with trio.open_nursery() as nursery:
        first = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        gone = Call(nursery, service, wish())  # Tells nobody anything new, so it is answered where it is decided.
        service.clock.at_reading = gone.scope.cancel
        await wait_all_tasks_blocked()
        service.clock.at_reading = None
        assert gone.scope.cancelled_caught
        assert len(await tickets(service)) == 1
        first.scope.cancel()

    assert await tickets(service) == []


async def test_place_is_kept_while_another_call_waits_for_it(service: Service, autojump_clock: MockClock) -> None:
    """A client that gives up and sends the same again, before we know, keeps its place in the queue."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        first = Call(nursery, service, wish(idempotency_key="k"))
        await wait_all_tasks_blocked()
        other = Call(nursery, service, wish("carl"))
        await wait_all_tasks_blocked()
        second = Call(nursery, service, wish(idempotency_key="k"))
        await wait_all_tasks_blocked()
        first.scope.cancel()
        await wait_all_tasks_blocked()
        await service.run(ReleaseReservation(reservation_id=held.id))
        await wait_all_tasks_blocked()
        assert isinstance(second.outcome, ReservationView)
        assert other.outcome is None
        other.scope.cancel()

    assert len(await reservations(service, "ben")) == 1


async def test_grant_at_the_end_of_the_wait_is_one_grant(service: Service, autojump_clock: MockClock) -> None:
    """Who is granted at the moment its time is up, while that is being stored, holds one reservation and knows it."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish(seconds=40))
        await wait_all_tasks_blocked()
        await trio.sleep(39)
        service.gate.shut()
        nursery.start_soon(service.run, ReleaseReservation(reservation_id=held.id))
        await trio.sleep(2)  # The call's time ends while its grant waits for the disk.
        service.gate.open()

    assert await reservations(service, "ben") == [call.outcome.id]


async def test_ticket_that_is_deleted_ends_its_call(service: Service, autojump_clock: MockClock) -> None:
    """A waiting call whose ticket is given up is told so; it does not stand at the end of the queue instead."""
    await taken(service)
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        [ticket] = await tickets(service)
        await service.run(ReleaseReservation(reservation_id=ticket, agent_id="ben"))
        await wait_all_tasks_blocked()

    assert isinstance(call.outcome, ReservationEnded)
    assert await tickets(service) == []


async def test_second_call_under_a_key_gets_the_same_grant(service: Service, autojump_clock: MockClock) -> None:
    """Two calls with one idempotency key wait in one place and get one reservation."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        calls = [Call(nursery, service, wish(idempotency_key="k")) for _ in range(2)]
        await wait_all_tasks_blocked()
        assert len(await tickets(service)) == 1
        await service.run(ReleaseReservation(reservation_id=held.id))

    assert {call.outcome.id for call in calls} == set(await reservations(service, "ben"))


async def test_agent_that_is_silent_while_its_ticket_waits_loses_its_place(
    service: Service, autojump_clock: MockClock
) -> None:
    """S16 for the queue: a heartbeat that does not come costs the place, and the others go on."""
    await service.run(Reserve(agent_id="dora", path_pattern="a", ttl_seconds=3600))
    await service.run(wish(seconds=3600))
    assert len(await tickets(service)) == 1

    for _ in range(6):
        await service.run(Heartbeat(agent="carl"))
        await trio.sleep(60)

    assert await tickets(service) == []


async def test_restart_of_the_actor_lets_waiters_ask_again(service: Service, autojump_clock: MockClock) -> None:
    """The queue is lost with the actor; the calls stand in the new one and get what they wait for, once."""
    held = await taken(service)
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, wish())
        await wait_all_tasks_blocked()
        [before] = await tickets(service)
        await service.supervisor.restart("project:demo")
        await wait_all_tasks_blocked()
        await service.run(ReleaseReservation(reservation_id=held.id))

    assert before
    assert await reservations(service, "ben") == [call.outcome.id]


async def test_refusal_after_the_wait_names_the_holder(service: Service, autojump_clock: MockClock) -> None:
    """Who has waited in vain is told by whom and how to go on."""
    await taken(service)

    outcome = await service.outcome(wish(seconds=10))

    assert isinstance(outcome, ReservationConflict)
    assert isinstance(outcome, DomainError)
    assert outcome.holders == ("anna",)
