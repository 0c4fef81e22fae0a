"""The breaker of a project in service: what moves it, who is let through, and where it is seen (guarantees.md T26)."""

from pathlib import Path

import trio
import trio.testing
from faulty_vfs import Disk, faulty_disk
from open_projects import DEMO, Service, serving, stored_events
from pytest import raises
from trio.testing import MockClock

from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, Reserve
from intermute.core.breaker import BreakerState
from intermute.core.errors import ReservationConflict, StorageUnavailable

LETTER = SendMessage(sender="anna", to=["ben"])
RECOVERED = "project.storage_recovered"


async def open_breaker(service: Service, disk: Disk) -> None:
    """Register agents, let anna hold `a`, and fail five writes in a row."""
    await service.run(RegisterAgent(name="anna"))
    await service.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=3600))
    for _ in range(5):
        disk.fail(1, only="write")
        assert isinstance(await service.outcome(LETTER), StorageUnavailable)
    disk.heal()
    assert state(service) is BreakerState.OPEN


def state(service: Service) -> BreakerState:
    """Return the state of the project's breaker."""
    return service.project.breaker.state(trio.current_time())


async def test_breaker_is_not_moved_by_refusals(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A thousand conflicts in a row close nobody out, neither others of the project nor the one that asks (T26)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=3600))

        for _ in range(1000):
            assert isinstance(await service.outcome(Reserve(agent_id="ben", path_pattern="a")), ReservationConflict)
            assert state(service) is BreakerState.CLOSED

        assert (await service.run(LETTER)).cursor
        assert service.project.breaker.snapshot(trio.current_time()).openings == 0


async def test_breaker_conflict_does_not_end_a_row_of_faults(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Control: what is refused says nothing about the disk, in neither direction."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await service.run(RegisterAgent(name="anna"))
            await service.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=3600))
            for _ in range(5):
                disk.fail(1, only="write")
                assert isinstance(await service.outcome(LETTER), StorageUnavailable)
                disk.heal()
                refused = await service.outcome(Reserve(agent_id="ben", path_pattern="a"))
                assert isinstance(refused, ReservationConflict | StorageUnavailable)

            assert state(service) is BreakerState.OPEN


async def test_breaker_is_seen_in_report_log_and_events(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Opening and closing are told where operators and agents look: /health, the log, and the project's events."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)
            breaker = service.project.report()["breaker"]
            fault = "io: IOError: disk error: write"
            assert breaker == {"state": "open", "openings": 1, "last_fault": fault, "retry_after_s": 5.0}
            [opened] = service.logged("breaker.opened")
            assert opened == {"project": DEMO, "openings": 1, "rests_s": 5.0, "fault": fault}

            await trio.sleep(5)
            await service.run(LETTER)
            await service.run(LETTER)

            assert service.logged("breaker.closed") == [{"project": DEMO, "openings": 1}]
            events = await service.project.events_after(0, 100)
            [recovered] = [event.data for event in events if event.type == RECOVERED]
            assert recovered == {"openings": 1, "last_fault": fault}
            assert service.project.report()["breaker"] == {**breaker, "state": "closed", "retry_after_s": 0.0}


async def test_breaker_open_leaves_reads_and_heartbeats_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While writes are refused everything that needs no write is answered."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)

            assert isinstance(await service.outcome(LETTER), StorageUnavailable)
            assert (await service.run(Inbox(agent="ben"))).messages == []
            assert (await service.run(Heartbeat(agent="anna"))).agent_id
            assert len((await service.run(ListReservations())).reservations) == 1


async def test_breaker_half_open_lets_one_write_through(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Of many that come when it has rested one is the probe; the others are told when to come back, and then get in."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)
            await trio.sleep(5)
            service.gate.shut()
            outcomes: list[object] = []

            async def ask() -> None:
                outcomes.append(await service.outcome(LETTER))

            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                assert [type(each) for each in outcomes] == [StorageUnavailable] * 19
                service.gate.open()

            assert not isinstance(outcomes[-1], Exception)
            await service.run(LETTER)


async def test_breaker_probe_that_fails_opens_it_for_longer(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A disk that is still bad rests twice as long, which is logged, and no event says that it works."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)
            await trio.sleep(5)
            disk.fail(1, only="write")
            assert isinstance(await service.outcome(LETTER), StorageUnavailable)
            disk.heal()

            assert [each["rests_s"] for each in service.logged("breaker.opened")] == [5.0, 10.0]
            await trio.sleep(9.9)
            assert state(service) is BreakerState.OPEN
            assert RECOVERED not in stored_events(tmp_path)


async def test_breaker_probe_that_leaves_gives_its_place_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A client that hangs up while it is the probe neither opens the breaker nor keeps everybody out."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)
            await trio.sleep(5)
            service.gate.shut()
            with trio.move_on_after(1):
                await service.run(LETTER)

            assert service.project.breaker.allows(trio.current_time())
            service.gate.open()
            await trio.testing.wait_all_tasks_blocked()
            assert state(service) is not BreakerState.OPEN
            await service.run(LETTER)
            assert state(service) is BreakerState.CLOSED


async def test_breaker_probe_that_is_refused_tries_the_disk_all_the_same(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A conflict as the probe closes it, since the event of the recovery was stored; so refusals cannot keep it half-open."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await open_breaker(service, disk)
            await trio.sleep(5)

            with raises(ReservationConflict):
                await service.run(Reserve(agent_id="ben", path_pattern="a"))

            assert state(service) is BreakerState.CLOSED
            assert stored_events(tmp_path).count(RECOVERED) == 1
