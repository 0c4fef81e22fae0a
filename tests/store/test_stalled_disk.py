"""A flush that hangs: the project says so and is left alone, the others go on, and no file ever has two writers (G16, G17)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from faulty_vfs import Disk, faulty_disk
from open_projects import DEMO, Service, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.errors import DomainError, StorageStalled, TooSlow
from intermute.core.ids import ProjectName
from intermute.store.directory import DataDirectory
from intermute.store.hop import thread_hop
from supervisor import ChildState, ChildStillRunning, Finding, watch
from supervisor.child_spec import ChildSpec
from supervisor.watchdog import Verdict

LETTER = SendMessage(sender="anna", to=["ben"], id="m1")
OTHER = SendMessage(sender="anna", to=["ben"], id="m2")
SLOW_S = limits.STALLED_AFTER_S + 0.5


class Stalled:
    """The project `demo`, whose actor's thread is inside a flush that hangs."""

    def __init__(self, service: Service, disk: Disk, clock: MockClock, root: Path) -> None:
        self.service, self.disk, self.clock = service, disk, clock
        file = DataDirectory(root).path_of(DEMO)
        self._log = file.with_name(f"{file.name}-wal")
        self.findings: list[Finding] = []
        self.first: object = None

    def connections(self) -> int:
        """Return how many descriptors of this process lead to the project's log: one for each connection.

        Those of the file itself tell less: SQLite keeps them until the last lock in this process is gone.
        """
        return [_target(each) for each in Path("/proc/self/fd").iterdir()].count(self._log)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in steps, with whatever is due on the way."""
        for _ in range(round(seconds / 0.5)):
            self.clock.jump(0.5)
            await trio.testing.wait_all_tasks_blocked(0.001)

    async def outcome_at_once(self, command: object) -> object:
        """Return the outcome of a command, or None where it has none without time passing."""
        found: list[object] = []

        async def ask() -> None:
            found.append(await self.service.outcome(command))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
        return found[0] if found else None

    async def begin(self) -> None:
        """Send a command whose flush hangs, and keep its outcome."""
        self.first = await self.service.outcome(LETTER)


def _target(descriptor: Path) -> Path | None:
    try:
        return descriptor.readlink()
    except OSError:  # Closed since the directory was read.
        return None


@asynccontextmanager
async def stalled(root: Path, clock: MockClock) -> AsyncIterator[Stalled]:
    """A flush of `demo` that has hung for longer than usual, with a watchdog that looks every second."""
    with faulty_disk() as disk:
        async with serving(root, make_hop=thread_hop) as service, trio.open_nursery() as nursery:
            for project in (DEMO, "other"):
                await service.run(RegisterAgent(name="anna"), project=project)
            found = Stalled(service, disk, clock, root)

            async def watchdog(child: object) -> None:
                await watch(
                    child,  # type: ignore[arg-type]  # As the supervisor gives it.
                    supervisor=service.supervisor,
                    busy_limit_s=limits.STALLED_AFTER_S,
                    lever=lambda _name: service.project.writer.interrupt(),
                    on_finding=found.findings.append,
                    interval_s=1.0,
                )

            await service.supervisor.start(ChildSpec(name="watchdog", main=watchdog))
            disk.hang(DataDirectory(root).path_of(DEMO).name)
            nursery.start_soon(found.begin)
            await trio.to_thread.run_sync(disk.flush_hangs.wait)
            await found.pass_time(SLOW_S)
            try:
                yield found
            finally:
                disk.let_go()


@pytest.fixture
def clock(mock_clock: MockClock) -> MockClock:
    """A clock that stands until the test moves it, since threads take real time."""
    return mock_clock


async def test_stall_is_answered_at_once(tmp_path: Path, clock: MockClock) -> None:
    """While the thread is away the project's writes are 503 `storage_stalled`; nobody waits, and nothing is begun."""
    async with stalled(tmp_path, clock) as found:
        assert isinstance(await found.outcome_at_once(OTHER), StorageStalled)
        assert found.service.project.mailbox.depth == 0


async def test_stall_of_the_waiting_is_told_apart(tmp_path: Path, clock: MockClock) -> None:
    """What is in the flush may be stored or not; what waited behind it was not begun, and is told so."""
    with faulty_disk() as disk:
        async with serving(tmp_path, make_hop=thread_hop) as service, trio.open_nursery() as nursery:
            await service.run(RegisterAgent(name="anna"))
            found = Stalled(service, disk, clock, tmp_path)
            disk.hang(DataDirectory(tmp_path).path_of(DEMO).name)
            nursery.start_soon(found.begin)
            await trio.to_thread.run_sync(disk.flush_hangs.wait)
            behind: list[DomainError] = []

            async def ask() -> None:
                behind.append(await service.outcome(OTHER))

            nursery.start_soon(ask)
            await found.pass_time(limits.ASK_TIMEOUT_S + 1)
            disk.let_go()

            assert isinstance(found.first, TooSlow)
            assert [type(each) for each in behind] == [StorageStalled]


async def test_stall_leaves_reads_and_others_alone(tmp_path: Path, clock: MockClock) -> None:
    """Reads and heartbeats of the project go on, and so does everything of the other projects."""
    async with stalled(tmp_path, clock) as found:
        service = found.service

        assert (await service.run(Inbox(agent="ben"))).messages == []
        assert not (await service.run(CheckReservations(pattern="a"))).conflict
        assert (await service.run(Heartbeat(agent="anna"))).agent_id
        assert (await service.run(LETTER, project="other")).cursor


async def test_stall_is_over_with_the_flush(tmp_path: Path, clock: MockClock) -> None:
    """Once the thread is back the project serves as before, in the same run; what hung is stored."""
    async with stalled(tmp_path, clock) as found:
        found.disk.let_go()
        with trio.fail_after(5):
            while found.service.project.is_stalled:
                await trio.testing.wait_all_tasks_blocked(0.001)

        await found.service.run(OTHER)

        assert {each.id for each in (await found.service.run(Inbox(agent="ben"))).messages} == {"m1", "m2"}
        assert found.service.health().restarts == 0


async def test_stalled_actor_is_never_replaced(tmp_path: Path, clock: MockClock) -> None:
    """Neither the watchdog, nor a restart, nor closing and opening starts a second writer while the first is in its thread."""
    async with stalled(tmp_path, clock) as found:
        service = found.service
        assert found.connections() == 2, "one writes, one reads"

        await found.pass_time(20)
        assert [each.verdict for each in found.findings] == [Verdict.LEVER_PULLED, Verdict.STALLED]
        assert found.connections() == 2
        service.supervisor.request_restart(f"project:{DEMO}", ValueError("by the test"))
        await found.pass_time(20)
        assert service.health().state is ChildState.STOPPING
        assert found.connections() == 2
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_in_vain, service)
            await found.pass_time(20)
        for _ in range(3):
            assert isinstance(await found.outcome_at_once(OTHER), StorageStalled)
        assert found.connections() == 2

        found.disk.let_go()


async def _stop_in_vain(service: Service) -> None:
    with raises(ChildStillRunning):
        await service.supervisor.stop(f"project:{DEMO}")


async def test_stalled_project_that_was_closed_is_not_opened_anew(tmp_path: Path, clock: MockClock) -> None:
    """A project that was closed while its thread is away is refused until the thread is back, and then opened."""
    async with stalled(tmp_path, clock) as found:
        service = found.service
        await found.pass_time(limits.ASK_TIMEOUT_S)  # Its asker has been answered, so the project is quiet.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.stop_project)
            await found.pass_time(20)
        assert service.registry.find_open(DEMO) is None
        assert found.connections() == 1, "the writer's; the reader's is closed"

        assert isinstance(await found.outcome_at_once(OTHER), StorageStalled)
        assert found.connections() == 1

        found.disk.let_go()
        with trio.fail_after(30):
            while isinstance(await service.outcome(OTHER), StorageStalled):
                await trio.testing.wait_all_tasks_blocked(0.001)
        assert found.connections() == 2


async def test_stall_while_opening_is_told_in_time(tmp_path: Path, clock: MockClock) -> None:
    """Whoever asks for a project that does not come to open is answered, not held; it opens once the disk is back."""
    with faulty_disk() as disk:
        async with serving(tmp_path, make_hop=thread_hop) as service, trio.open_nursery() as nursery:
            found = Stalled(service, disk, clock, tmp_path)
            disk.hang(DataDirectory(tmp_path).path_of(ProjectName(DEMO)).name)
            nursery.start_soon(found.begin)
            await trio.to_thread.run_sync(disk.flush_hangs.wait)

            await found.pass_time(limits.ASK_TIMEOUT_S + 1)

            assert isinstance(found.first, StorageStalled)
            disk.let_go()
            await service.run(OTHER)
            assert found.connections() == 2
