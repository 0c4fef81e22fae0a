"""The actor with its file: batches, crashes, and what survives them (design.md 3, guarantees.md G15 to G17)."""

from pathlib import Path

import trio
import trio.testing
from handler_bench import Bench
from open_projects import serving, stored_events, stored_row
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import GetAgent, Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, Reserve
from intermute.core.errors import (
    InternalError,
    Overloaded,
    ProjectParked,
    ReservationConflict,
    StorageStalled,
    TooSlow,
)
from supervisor import ChildState

POISON = SendMessage(sender="anna", to=["ben"], body="\ud800")
"""A text that no UTF-8 can hold; the border refuses it, so that behind the border it is a bug (style.md 25)."""


class Chance:
    """Random bits that can be told what to be next: two equal ids are the one way to a row that the schema refuses."""

    def __init__(self) -> None:
        self.next: list[int] = []
        self._count = 1_000_000

    def __call__(self, _count: int) -> int:
        """Return what was told, else a number that was not there before."""
        self._count += 1
        return self.next.pop(0) if self.next else self._count


async def test_actor_answers_after_the_commit(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While the flush runs nobody is answered, nothing is published, and a check shows what is stored (design.md 3.2)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        head = service.project.hub.head
        service.gate.shut()
        nursery.start_soon(service.run, Reserve(agent_id="anna", path_pattern="a"))
        await trio.testing.wait_all_tasks_blocked()

        before = await service.run(CheckReservations(pattern="a"))
        assert (service.project.hub.head, before.conflict) == (head, False)

        service.gate.open()
        await service.project.hub.wait_beyond(head)
        assert (await service.run(CheckReservations(pattern="a"))).conflict
        [event] = await service.project.events_after(head, 10)
        assert event.type == "reservation.created"


async def test_actor_publishes_a_batch_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A reader wakes to the whole batch, never to a part of it."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        head = service.project.hub.head
        service.gate.shut()
        for path in ("a", "b", "c"):
            nursery.start_soon(service.run, Reserve(agent_id="anna", path_pattern=path))
        await trio.testing.wait_all_tasks_blocked()
        seen: list[int] = []

        async def follow() -> None:
            await service.project.hub.wait_beyond(head)
            seen.extend([event.cursor for event in await service.project.events_after(head, 10)])

        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert seen[:1] == [head + 1]
        assert stored_row(tmp_path).head == head + 3


async def test_actor_gathers_while_it_flushes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What arrives during a flush goes into one batch after it: many commands, few commits."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        before = stored_row(tmp_path).batch
        service.gate.shut()
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(service.run, Reserve(agent_id="anna", path_pattern=f"a{number}"))
            await trio.testing.wait_all_tasks_blocked()
            service.gate.open()

        assert stored_row(tmp_path).batch <= before + 2
        assert len(service.project.known_state().leases) == 100


async def test_actor_reads_go_on_during_a_flush(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Neither reads nor heartbeats wait for a disk that hangs (design.md 3.5)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut()
        nursery.start_soon(service.run, SendMessage(sender="ben", to=["anna"]))
        await trio.testing.wait_all_tasks_blocked()

        with trio.fail_after(0.1):
            assert (await service.run(Inbox(agent="anna"))).messages == []
            assert (await service.run(Heartbeat(agent="anna"))).agent_id
            assert (await service.run(ListReservations())).reservations == []
        service.gate.open()


async def test_actor_writes_go_on_during_a_read(tmp_path: Path, autojump_clock: MockClock) -> None:
    """No read of a client delays a write, though writes have to look something up as well (design.md 3.5)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut_for_readers()
        nursery.start_soon(service.run, Inbox(agent="anna"))
        await trio.testing.wait_all_tasks_blocked()

        with trio.fail_after(0.1):
            assert (await service.run(SendMessage(sender="ben", to=["anna"], id="m1"))).cursor
        service.gate.open()


async def test_actor_late_answer_is_unknown(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A command that was taken and not answered in time may have been applied; one that was not taken was not (G14)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut()
        outcomes: dict[str, object] = {}

        async def ask(path: str) -> None:
            outcomes[path] = await service.outcome(Reserve(agent_id="anna", path_pattern=path))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "taken")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask, "waiting")
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert isinstance(outcomes["taken"], TooSlow)
        assert isinstance(outcomes["waiting"], StorageStalled)
        paths = [each.path_pattern for each in (await service.run(ListReservations())).reservations]
        assert paths == ["taken"]


async def test_actor_full_mailbox_refuses_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """One request of an agent more than half of the queue is refused without waiting; the others are served (G14)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut()
        outcomes: list[object] = []

        async def ask() -> None:
            outcomes.append(await service.outcome(SendMessage(sender="anna", to=["ben"])))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(limits.MAILBOX_MAX // 2):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            assert outcomes == []
            assert isinstance(await service.outcome(SendMessage(sender="anna", to=["ben"])), Overloaded)
            service.gate.open()

        assert not any(isinstance(each, Exception) for each in outcomes)


async def test_actor_crash_answers_the_culprit_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A request that brings the actor down is told so, is not run again, and leaves nothing behind."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))

        with raises(InternalError):
            await service.run(POISON)

        await trio.sleep(60)
        assert service.health().restarts == 1
        assert service.health().state is ChildState.RUNNING
        assert (await service.run(Inbox(agent="ben"))).messages == []


async def test_actor_crash_keeps_the_queue(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Commands decided before the culprit and waiting behind it are all served, in their order."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut()
        commands: list[object] = [
            SendMessage(sender="anna", to=["zoe"]),  # Keeps the actor busy while the others gather.
            Reserve(agent_id="anna", path_pattern="before"),
            POISON,
            Reserve(agent_id="ben", path_pattern="before"),
            Reserve(agent_id="ben", path_pattern="after"),
        ]
        outcomes: dict[int, object] = {}

        async def ask(at: int) -> None:
            outcomes[at] = await service.outcome(commands[at])

        async with trio.open_nursery() as nursery:
            for at in range(len(commands)):
                nursery.start_soon(ask, at)
                await trio.testing.wait_all_tasks_blocked()
            service.gate.open()

        assert [type(outcomes[at]).__name__ for at in range(len(commands))] == [
            "Sent",
            "ReservationView",
            "InternalError",
            "ReservationConflict",
            "ReservationView",
        ]
        assert stored_events(tmp_path).count("reservation.created") == 2


async def test_actor_crash_rebuilds_the_memory(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The next run knows what is stored, and the heartbeats that were not stored yet."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=3600))
        await trio.sleep(200)
        await service.run(Heartbeat(agent="anna"))
        old = service.project.known_state()

        await service.outcome(POISON)
        with raises(ReservationConflict):
            await service.run(Reserve(agent_id="ben", path_pattern="a"))

        assert service.project.known_state() is not old
        await trio.sleep(200)
        assert (await service.run(GetAgent(agent="anna"))).active


async def test_actor_crash_is_over_fast(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The first command after a crash is answered within 250 ms (G15)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.outcome(POISON)
        crashed_at_s = trio.current_time()

        await service.run(Reserve(agent_id="anna", path_pattern="a"))

        assert trio.current_time() - crashed_at_s <= 0.25


async def test_actor_that_crashes_too_often_is_parked_and_comes_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Past its restarts a project rests and says so; others never notice; then it comes back by itself (G16)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.run(RegisterAgent(name="anna"), project="other")
        for _ in range(4):  # With no request to blame; see test_poison_requests.py for those with one.
            service.supervisor.request_restart("project:demo", RuntimeError("bug"))
            await trio.sleep(0.5)

        assert service.health().state is ChildState.PARKED
        with raises(ProjectParked):
            await service.run(Reserve(agent_id="anna", path_pattern="a"))
        assert (await service.run(GetAgent(agent="anna"))).name == "anna"
        assert service.health("other").restarts == 0

        await trio.sleep(60)
        await service.run(Reserve(agent_id="anna", path_pattern="a"))


async def test_actor_stores_what_came_before_a_bug_in_the_rows(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the schema refuses a command's rows, those before it are stored, it and those behind it are not."""
    chance = Chance()
    async with serving(tmp_path, random_bits=chance) as service:
        await service.run(SendMessage(sender="x", to=["y"], id="m0"))
        chance.next = [111, 222, 222, 333]
        service.gate.shut()
        paths = ["first", "second", "same id as second", "behind"]
        outcomes: dict[str, object] = {}

        async def ask(path: str) -> None:
            outcomes[path] = await service.outcome(Reserve(agent_id=path, path_pattern=path))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.run, SendMessage(sender="x", to=["y"], id="m1"))
            await trio.testing.wait_all_tasks_blocked()
            for path in paths:
                nursery.start_soon(ask, path)
                await trio.testing.wait_all_tasks_blocked()
            service.gate.open()
        await trio.sleep(1)

        assert [type(outcomes[path]).__name__ for path in paths] == [
            "ReservationView",
            "ReservationView",
            "InternalError",
            "StorageUnavailable",
        ]
        held = [each.path_pattern for each in (await service.run(ListReservations())).reservations]
        assert held == ["second", "first"]
        assert service.health().restarts == 1


async def test_actor_head_has_no_gap_after_a_bug_in_the_rows(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The log's head is a cursor that exists, so that nobody waits beyond the last event in a circle."""
    chance = Chance()
    async with serving(tmp_path, random_bits=chance) as service:
        await service.run(SendMessage(sender="x", to=["y"], id="m0"))
        chance.next = [111, 111]
        await service.run(Reserve(agent_id="a", path_pattern="a"))
        assert isinstance(await service.outcome(Reserve(agent_id="b", path_pattern="b")), InternalError)
        await trio.sleep(1)

        events = await service.project.events_after(0, 100)

        assert events[-1].cursor == service.project.hub.head == stored_row(tmp_path).head


async def test_actor_skips_what_nobody_waits_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A command whose caller has left before it was taken is not run (G14)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        service.gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.run, SendMessage(sender="anna", to=["ben"]))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await service.run(Reserve(agent_id="anna", path_pattern="a"))
            service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert (await service.run(ListReservations())).reservations == []


async def test_actor_finishes_its_batch_when_it_is_stopped(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A project that is closed during a flush answers what was flushed (G20)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.run, Reserve(agent_id="anna", path_pattern="a"))
            await trio.testing.wait_all_tasks_blocked()
            await service.stop_project()

        assert [each.path_pattern for each in (await service.run(ListReservations())).reservations] == ["a"]


def test_poison_is_poison() -> None:
    """Control: the request that the tests above call poison does bring its handler down."""
    with raises(UnicodeEncodeError):
        Bench().run(POISON)
