"""A disk that fails at any moment: no acknowledged write is lost, nothing is stored by half, every answer is true (G3, G19)."""

import json
from pathlib import Path
from typing import Any, TypeVar

import trio
import trio.testing
from disk_walk import crash_image
from faulty_vfs import Disk, Failure, faulty_disk
from open_projects import DEMO, Service, serving, stored_events, stored_row
from pytest import raises
from trio.testing import MockClock

from intermute.core.api.agents import RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, Reserve
from intermute.core.breaker import BreakerState
from intermute.core.errors import OutcomeUnknown, StorageFull, StorageUnavailable
from intermute.store.writer import WAL_PAGES_MAX

Result = TypeVar("Result")
LETTER = SendMessage(sender="anna", to=["ben"], id="m1")


async def opened(service: Service) -> None:
    """Bring the project into being, with agents."""
    for name in ("anna", "ben"):
        await service.run(RegisterAgent(name=name))


def log_pages(service: Service) -> int:
    """Return how many pages the project's write-ahead log has."""
    log = service.project.path.with_name(f"{service.project.path.name}-wal")
    return int(log.stat().st_size) // 4120  # bytes: a page and its header


async def fill_log(service: Service) -> None:
    """Bring the log close to where a commit moves it into the file."""
    number = 0
    while log_pages(service) < WAL_PAGES_MAX - 120:
        await service.run(SendMessage(sender="anna", to=["ben"], id=f"filler{number}", body="x" * 200_000))
        number += 1


async def reserve_until_a_fault(service: Service, disk: Disk) -> Any:  # Any: the view of the reservation.
    """Reserve until the checkpoint after a commit fails, and return that grant; it has the nearest deadline of all."""
    for number in range(100):
        disk.fail(2, only="sync")  # The first one is the commit's, the second one the checkpoint's.
        wish = Reserve(agent_id="zoe", path_pattern=f"a{number}", ttl_seconds=10_000 - number)
        granted = await service.run(wish)
        if disk.failures:
            return granted
    raise AssertionError("no checkpoint came")


async def test_fault_after_the_commit_is_no_fault(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A batch that is stored although its commit returned an error is answered as what it is, and can be read at once."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            await fill_log(service)

            granted = await reserve_until_a_fault(service, disk)

            check = await service.run(CheckReservations(pattern=granted.path_pattern))
            assert [each.reservation_id for each in check.conflicts] == [granted.id]
            assert service.health().restarts == 0
            assert len(service.logged("storage.fault")) == 1


async def test_fault_after_the_commit_keeps_the_deadline(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A lease that was granted in spite of a fault ends in time, though nothing else happens."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await service.run(LETTER)  # Nobody is registered, so no heartbeat wakes the ticker by chance.
            await fill_log(service)
            granted = await reserve_until_a_fault(service, disk)

            await trio.sleep(granted.expires_in_ms / 1000 + 0.01)

            assert not (await service.run(CheckReservations(pattern=granted.path_pattern))).conflict
            assert (await service.run(CheckReservations(pattern="a0"))).conflict


async def test_fault_of_the_flush_is_final(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What was answered as not stored does not come back from the log after the next crash of the process."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            disk.fail(1, only="sync")
            assert isinstance(await service.outcome(LETTER), StorageUnavailable)

            crash_image(tmp_path, tmp_path / "crashed")

    assert "message.created" not in stored_events(tmp_path / "crashed")


async def test_fault_before_the_commit_is_not_applied(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the first write fails nothing was stored, and the answer says so; the next command works."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            before = stored_row(tmp_path)
            disk.fail(1, only="write")

            with raises(StorageUnavailable):
                await service.run(LETTER)

            after = stored_row(tmp_path)
            assert (after.head, after.batch) == (before.head, before.batch)
            assert not (await service.run(LETTER)).replayed
            assert (await service.run(LETTER)).replayed


async def test_fault_refuses_what_rests_on_lost_changes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Nobody is told of a conflict with a reservation that never came to be; a refusal with a ground of its own stands."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            await service.run(Reserve(agent_id="anna", path_pattern="held"))
            outcomes: dict[str, object] = {}

            async def ask(agent: str, path: str) -> None:
                outcomes[f"{agent} {path}"] = await service.outcome(Reserve(agent_id=agent, path_pattern=path))

            service.gate.shut()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(service.run, Reserve(agent_id="zoe", path_pattern="elsewhere"))
                await trio.testing.wait_all_tasks_blocked()
                for agent, path in (("ben", "held"), ("anna", "new"), ("ben", "new")):
                    nursery.start_soon(ask, agent, path)
                    await trio.testing.wait_all_tasks_blocked()
                service.gate.let_one_through()
                await trio.testing.wait_all_tasks_blocked()
                disk.fail(1, only="write")
                service.gate.open()

            assert {name: type(each).__name__ for name, each in outcomes.items()} == {
                "ben held": "ReservationConflict",
                "anna new": "StorageUnavailable",
                "ben new": "StorageUnavailable",
            }


async def test_fault_that_lasts_is_unknown_until_it_is_over(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where not even a look is possible the answer is `outcome_unknown`; reads go on, and so does the project afterwards."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            await service.run(SendMessage(sender="anna", to=["ben"], id="m0"))
            disk.fail(1, is_sticky=True)

            with raises(OutcomeUnknown):
                await service.run(LETTER)
            assert [each.id for each in (await service.run(Inbox(agent="ben"))).messages] == ["m0"]

            disk.heal()
            await trio.sleep(60)
            await service.run(LETTER)


async def test_fault_full_disk_refuses_each_write_and_no_read(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A full disk gives 507 for every write, opens no breaker, leaves reads alone, and is over when it is over (G19)."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            disk.fail(1, Failure.FULL, is_sticky=True)
            for _ in range(10):
                with raises(StorageFull):
                    await service.run(LETTER)
                assert (await service.run(ListReservations())).reservations == []
            assert service.project.breaker.state(trio.current_time()) is BreakerState.CLOSED
            assert service.health().restarts == 0

            disk.heal()
            await trio.sleep(5)

            await service.run(LETTER)


async def test_fault_of_five_batches_opens_the_breaker(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Five faults in a row let the disk rest: writes are refused at once, reads go on, one probe closes it again."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            for _ in range(5):
                disk.fail(1, only="write")
                with raises(StorageUnavailable):
                    await service.run(LETTER)
            operations = disk.operations

            with raises(StorageUnavailable) as refused:
                await service.run(LETTER)

            assert disk.operations == operations
            assert refused.value.retry_after_s is not None
            assert (await service.run(Inbox(agent="ben"))).messages == []
            await trio.sleep(refused.value.retry_after_s)
            await service.run(LETTER)
            assert service.project.breaker.state(trio.current_time()) is BreakerState.CLOSED


async def test_fault_in_one_project_leaves_the_others(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Two projects share no file and no breaker (G16)."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            await service.run(LETTER, project="other")
            for _ in range(6):
                disk.fail(1, only="write")
                await service.outcome(SendMessage(sender="anna", to=["ben"]))
            disk.heal()

            assert isinstance(await service.outcome(LETTER), StorageUnavailable)
            assert (await service.run(LETTER, project="other")).replayed


async def test_log_of_faults_names_them(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A fault is logged once, with the project and what the disk said, and stays visible in the report."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await opened(service)
            disk.fail(1, only="write")
            await service.outcome(LETTER)

            [logged] = service.logged("storage.fault")

            assert logged == {"project": DEMO, "fault": "io: IOError: disk error: write"}
            assert "disk error" in json.dumps(service.project.report())
