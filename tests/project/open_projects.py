"""Whole projects in process: registry, actors and real files, on the trio thread, so that a mocked clock may leap.

The gate stands for a disk that takes its time: a commit waits before it until the test opens it.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio
import trio.testing

from intermute.core.agents import Caller
from intermute.core.errors import DomainError
from intermute.core.ids import Micros, ProjectName, RandomBits
from intermute.core.once import Once
from intermute.project.project import Project
from intermute.project.registry import Registry
from intermute.project.room import Room
from intermute.store import events as event_rows
from intermute.store import projects
from intermute.store.ballast import Ballast
from intermute.store.connection import close, open_reader
from intermute.store.directory import DataDirectory
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.hop import Hop, inline_hop
from intermute.store.projects import ProjectRow
from supervisor import ChildHealth, ChildSpec, ChildState, Supervisor, open_supervisor

DEMO: Final = ProjectName("demo")
LOCAL: Final = Caller(is_local=True)
START_US: Final = 1_784_714_400_000_000


class SteppingClock:
    """Both clocks: monotonic time is trio's, wall time runs with it and can be set. Counts how often it is read."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self.suspended = 0.0
        self.readings = 0
        self.at_reading: Callable[[], None] | None = None
        """What happens whenever the wall time is read, which each decision does once: time may pass, as if by work."""

    def mono_s(self) -> float:
        """Return trio's time."""
        return trio.current_time()

    def suspended_s(self) -> float:
        """Return what the test says."""
        return self.suspended

    def wall_us(self) -> Micros:
        """Return a wall time that can be set forth and back."""
        self.readings += 1
        if self.at_reading is not None:
            self.at_reading()
        return Micros(START_US + round((trio.current_time() + self.offset_s) * 1_000_000))


class Gate:
    """Holds up the writers of all projects while it is shut; readers go on, unless they are held up by themselves."""

    def __init__(self) -> None:
        self.waiting = 0
        self.reading = self.reading_most = 0
        """How many reads are on their way to a thread, now and at most so far."""
        self.reads_fail = False
        """Whether the disk gives readers nothing."""
        self._opened = trio.Event()
        self._opened.set()
        self._readers_opened = trio.Event()
        self._readers_opened.set()
        self._hops = 0

    def shut(self) -> None:
        """Let the next commit wait."""
        self._opened = trio.Event()

    def shut_for_readers(self) -> None:
        """Let the next read of a client take its time, until the gate is opened."""
        self._readers_opened = trio.Event()

    def open(self) -> None:
        """Let everybody go on."""
        self._opened.set()
        self._readers_opened.set()

    def let_one_through(self) -> None:
        """Let the commit that waits go on, and the next one wait."""
        opened, self._opened = self._opened, trio.Event()
        opened.set()

    def make_hop(self) -> Hop:
        """Return a hop on the trio thread; a project asks for its writer's, its reader's and its archiver's, in this order."""
        self._hops += 1
        is_writers = self._hops % 3 == 1
        inline = inline_hop()

        async def hop(work: Callable[[], Any], /) -> Any:  # Any: whatever the work returns.
            if is_writers:
                self.waiting += 1
                await self._opened.wait()
                self.waiting -= 1
                return await inline(work)
            self.reading += 1
            self.reading_most = max(self.reading, self.reading_most)
            try:
                await self._readers_opened.wait()
                if self.reads_fail:
                    raise StoreFault(FaultKind.IO, "disk error: read")
                return await inline(work)
            finally:
                self.reading -= 1

        return hop


class Service:
    """One data directory in service. `await service.run(command)` asks the project `demo`, or the one that is named."""

    def __init__(self, registry: Registry, supervisor: Supervisor, clock: SteppingClock, gate: Gate) -> None:
        self.registry, self.supervisor, self.clock, self.gate = registry, supervisor, clock, gate
        self.log: list[tuple[str, dict[str, object]]] = []

    async def run(
        self, question: object, caller: Caller = LOCAL, once: Once | None = None, *, project: str = DEMO
    ) -> Any:  # Any: a view.
        """Decide a command or answer a query, as the front does."""
        return await self.registry.answer(ProjectName(project), question, caller, once)

    async def outcome(
        self, question: object, caller: Caller = LOCAL, once: Once | None = None, *, project: str = DEMO
    ) -> Any:  # Any: as `run`.
        """Return the reply, or the error where one is raised."""
        try:
            return await self.run(question, caller, once, project=project)
        except DomainError as error:
            return error

    async def together(self, *questions: object) -> list[Any]:  # Any: as `outcome`.
        """Ask everything at once, in this order, and return the outcomes in this order."""
        outcomes: dict[int, Any] = {}  # Any: as `outcome`.

        async def one(at: int, question: object) -> None:
            outcomes[at] = await self.outcome(question)

        # The first one occupies the actor before the gate, so that the others gather into one batch, in order.
        self.gate.shut()
        async with trio.open_nursery() as nursery:
            for at, question in enumerate(questions):
                nursery.start_soon(one, at, question)
                await trio.testing.wait_all_tasks_blocked()
            self.gate.open()
        return [outcomes[at] for at in range(len(questions))]

    async def gather(self, nursery: trio.Nursery, *questions: object) -> dict[int, Any]:  # Any: as `outcome`.
        """Ask everything behind a shut gate, so that all but the first wait for one batch; return where outcomes go."""
        outcomes: dict[int, Any] = {}  # Any: as `outcome`.

        async def one(at: int, question: object) -> None:
            outcomes[at] = await self.outcome(question)

        self.gate.shut()
        for at, question in enumerate(questions):
            nursery.start_soon(one, at, question)
            await trio.testing.wait_all_tasks_blocked()
        return outcomes

    @property
    def project(self) -> Project:
        """The open project `demo`."""
        found = self.registry.find_open(DEMO)
        assert found is not None
        return found

    def health(self, project: str = DEMO) -> ChildHealth:
        """Return what the supervisor knows of a project's actor."""
        [found] = [child for child in self.supervisor.health() if child.name == f"project:{project}"]
        return found

    def logged(self, event: str) -> list[dict[str, object]]:
        """Return the fields of all log lines of this event."""
        return [fields for name, fields in self.log if name == event]

    async def stop_project(self) -> None:
        """Close the project `demo` and forget its memory."""
        await self.registry.close(self.project)

    async def sweeping(self) -> None:
        """Let idle projects be closed from now on."""
        await self.supervisor.start(ChildSpec(name="sweeper", main=self.registry.sweep))


@asynccontextmanager
async def serving(
    root: Path,
    *,
    random_bits: RandomBits | None = None,
    room: Room | None = None,
    make_hop: Callable[[], Hop] | None = None,
) -> AsyncIterator[Service]:
    """Serve a data directory for the length of the block; with a hop of the test's own the gate has no part in it."""
    clock, gate = SteppingClock(), Gate()
    log: list[tuple[str, dict[str, object]]] = []

    def note(event: str, **fields: object) -> None:
        log.append((event, fields))

    def note_change(name: str, _old: ChildState, new: ChildState, error: BaseException | None) -> None:
        note("actor.changed", name=name, state=new, error=error)

    directory = DataDirectory(root)
    directory.prepare()
    async with open_supervisor(note_change) as supervisor:
        registry = Registry(
            directory,
            supervisor,
            clock,
            random_bits or random.Random(1).getrandbits,
            note,
            room=room or Room(Ballast(directory.root / "ballast", 0), inline_hop(), note),
            make_hop=make_hop or gate.make_hop,
        )
        service = Service(registry, supervisor, clock, gate)
        service.log = log
        await supervisor.start(ChildSpec(name="quarantine", main=registry.quarantine))
        await supervisor.start(ChildSpec(name="disk", main=registry.keep_room))
        try:
            yield service
        finally:
            gate.open()
            registry.stop()
            with trio.CancelScope(shield=True):
                await supervisor.stop_all()
                await registry.close_readers()


def stored_row(root: Path, project: str = DEMO) -> ProjectRow:
    """Return the project's row as it is on the disk."""
    connection = open_reader(DataDirectory(root).path_of(ProjectName(project)))
    try:
        row = projects.read(connection)
    finally:
        close(connection)
    assert row is not None
    return row


def stored_events(root: Path, project: str = DEMO) -> list[str]:
    """Return the types of the events on the disk."""
    connection = open_reader(DataDirectory(root).path_of(ProjectName(project)))
    try:
        return [event.type for event in event_rows.after(connection, 0, 10_000)]
    finally:
        close(connection)
