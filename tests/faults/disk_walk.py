"""One play of the scenario on a disk whose n-th operation fails, and what is wrong afterwards (guarantees.md G3)."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import trio
from fault_checks import half_states, lies
from fault_scenario import Outcome, play, prove_alive
from faulty_vfs import Disk, Failure, faulty_disk
from open_projects import DEMO, Service, serving
from trio.testing import MockClock

from intermute.core.errors import DomainError, ProjectQuarantined
from intermute.core.ids import Micros
from intermute.store.faults import StoreFault
from intermute.store.writer import Committed, Group, Writer

Result = TypeVar("Result")

NEVER: Final = 10**9
SLOW_S: Final = 9.0  # seconds; longer than anybody waits for an answer (limits.ASK_TIMEOUT_S).


@dataclass(frozen=True)
class Fault:
    """What fails, and for how long."""

    failure: Failure
    is_sticky: bool = False
    only: str | None = None

    def __str__(self) -> str:
        """Return a name for it."""
        return f"{self.failure}-{'sticky' if self.is_sticky else 'once'}-{self.only or 'all'}"


FAULTS: Final = (
    Fault(Failure.EIO),
    Fault(Failure.EIO, is_sticky=True),
    Fault(Failure.FULL),
    Fault(Failure.FULL, is_sticky=True),
    Fault(Failure.EIO, only="read"),
    Fault(Failure.EIO, is_sticky=True, only="read"),
    Fault(Failure.EIO, only="log read"),
    Fault(Failure.SHORT, only="log read"),
    Fault(Failure.SHORT, is_sticky=True, only="log read"),
    Fault(Failure.SLOW),
    Fault(Failure.LOST, only="sync"),
    Fault(Failure.LOST, is_sticky=True, only="sync"),
)
"""Each of which the service must survive. A lost sync is harmless as long as the power stays (`power.py`)."""


class HastyWriter(Writer):
    """The control: a store whose answer does not wait for its commit, so that what the commit says is lost."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def __getattribute__(self, name: str) -> object:
        """Be the writer in everything but the commit."""
        if name in {"commit", "_writer"}:
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_writer"), name)

    async def commit(self, groups: Sequence[Group], *, heads: Sequence[int], batch: int, wall_us: Micros) -> Committed:
        """Say that everything is stored."""
        try:
            return await self._writer.commit(groups, heads=heads, batch=batch, wall_us=wall_us)
        except StoreFault:
            await self._writer.look(batch, seals=False)
            return Committed(len(groups))


def in_mocked_time(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run one simulation with a clock that leaps."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def crash_image(root: Path, target: Path) -> None:
    """Copy what a process that is killed now leaves: files and logs, without the index in shared memory."""
    target.mkdir(exist_ok=True)
    for each in [*root.glob("*.db"), *root.glob("*.db-wal")]:
        shutil.copy(each, target)
    # A short read looks like damage, so the project is set aside; what it holds must be as whole there.
    for each in [*root.glob("quarantine/*/*.db"), *root.glob("quarantine/*/*.db-wal")]:
        shutil.copy(each, target)


async def simulate(root: Path, at: int, fault: Fault, *, is_hasty: bool = False) -> tuple[Outcome, Disk, int]:
    """Play the scenario while the operation with this number fails; then prove that the project lives."""
    with faulty_disk() as disk:
        async with serving(root) as service:
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)
            disk.when_slow = partial(clock.jump, SLOW_S)
            disk.fail(at, fault.failure, is_sticky=fault.is_sticky, only=fault.only)
            outcome = await play(service, partial(_hurry, service) if is_hasty else lambda: None)
            operations = disk.operations
            crash_image(root, root / "crashed")
            disk.heal()
            try:
                await prove_alive(service)
            except DomainError as dead:
                # A disk that gives less than it has is damage: then the project waits for its operator.
                if not (isinstance(dead, ProjectQuarantined) and fault.failure is Failure.SHORT):
                    outcome.wrong_reads.append(("the project did not come back", dead))
    return outcome, disk, operations


def _hurry(service: Service) -> None:
    project = service.registry.find_open(DEMO)
    if project is not None and not isinstance(project.writer, HastyWriter):
        project.writer = HastyWriter(project.writer)


def count_operations(root: Path, fault: Fault) -> int:
    """Return how many operations the scenario has on a sound disk, of the kind that the fault can meet."""
    _, _, operations = in_mocked_time(partial(simulate, root, NEVER, fault))
    return operations


def problems(root: Path, at: int, fault: Fault, *, is_hasty: bool = False) -> tuple[list[object], int]:
    """Return what is wrong after the operation with this number has failed, and how often the disk did fail."""
    outcome, disk, _ = in_mocked_time(partial(simulate, root, at, fault, is_hasty=is_hasty))
    if (root / "quarantine").exists():
        crash_image(root, root)
    try:
        found = [*lies(outcome, root), *half_states(root), *lies(outcome, root / "crashed"), *outcome.wrong_reads]
    except (StoreFault, apsw.Error) as unreadable:
        found = [unreadable]
    return found, disk.failures
