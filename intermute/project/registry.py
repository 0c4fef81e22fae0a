"""The registry: finds or starts the project that a call is for, and closes those that nobody needs.

Open projects are bounded; the least recently used quiet one makes room. A project that fails to open stays supervised and
comes back by itself; meanwhile its callers are told so.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec
import trio

from intermute.core import limits
from intermute.core.agents import Caller, Directory, Identity
from intermute.core.api.checks import Standing
from intermute.core.api.messages import Inbox
from intermute.core.errors import (
    DomainError,
    ProjectParked,
    ProjectQuarantined,
    ShuttingDown,
    StorageFull,
    StorageStalled,
    StorageUnavailable,
    TooManyProjects,
)
from intermute.core.fences import HeldFence
from intermute.core.ids import ProjectName, RandomBits, project_tag, tag_of
from intermute.core.once import Once
from intermute.project.actor import run_actor
from intermute.project.arrivals import Arrivals
from intermute.project.blank import BlankProject
from intermute.project.clock import Clock, ProjectClock
from intermute.project.fencing import stale_token
from intermute.project.handlers.liveness import Tick
from intermute.project.handlers.table import COMMANDS
from intermute.project.mail import Request
from intermute.project.project import Log, Project
from intermute.project.room import MakeRoom, Room
from intermute.project.shares import Crowd
from intermute.project.ward import Ward
from intermute.store.directory import DataDirectory
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.hop import Hop, thread_hop
from supervisor import (
    Child,
    ChildExists,
    ChildNotStarted,
    ChildSpec,
    ChildState,
    ChildStillRunning,
    MailboxError,
    Supervisor,
    SupervisorClosed,
    UnknownChild,
)

CHILD_PREFIX = "project:"
_CLOSE_TIMEOUT_S = 5.0  # seconds; hazards.md 4.
_SWEEP_S = 30.0  # seconds between looks for idle projects; a twentieth of the time until one counts as idle.
_LOOK_AROUND = Request(Tick(), Caller(is_local=True))
_MAKE_ROOM = Request(MakeRoom(), Caller(is_local=True))
_MAKE_ROOM_TIMEOUT_S = (
    2.0  # seconds; a log of 16 MiB is moved in a fraction of one. A project that hangs stops no other.
)
_REVIVE_AFTER_S = 1.0  # seconds a parked project rests at first; guarantees.md G16: 1 to 60 s.


class Registry:
    """All projects of one data directory."""

    def __init__(
        self,
        directory: DataDirectory,
        supervisor: Supervisor,
        clock: Clock,
        random_bits: RandomBits,
        log: Log,
        *,
        room: Room,
        batch_max: int = limits.BATCH_MAX,
        make_hop: Callable[[], Hop] = thread_hop,
    ) -> None:
        self.directory = directory
        self.ward = Ward(directory, clock, log)
        self._make_project = partial(
            Project,
            clock=clock,
            random_bits=random_bits,
            log=log,
            room=room,
            batch_max=batch_max,
            make_hop=make_hop,
            on_damage=self.ward.await_quarantine,
            crowd=Crowd(),
        )
        self.room = room
        self._supervisor, self._log, self._random_bits = supervisor, log, random_bits
        self._open: dict[ProjectName, Project] = {}
        self._locks: dict[ProjectName, trio.Lock] = {}
        self._tags: dict[str, ProjectName] = {}
        self.arrivals = Arrivals()
        self._is_stopping = False
        self._blank_clock = ProjectClock(clock)
        self._blank = BlankProject(self._blank_clock.now())

    def open_projects(self) -> list[Project]:
        """Return the projects that are open now."""
        return list(self._open.values())

    def find_open(self, name: ProjectName) -> Project | None:
        """Return the project if it is open."""
        return self._open.get(name)

    def knows(self, name: ProjectName) -> bool:
        """Tell whether the project is open or has a file, if only in quarantine."""
        return name in self._open or self.directory.has(name) or self.ward.holds(name)

    async def answer(
        self,
        name: ProjectName,
        question: object,
        caller: Caller,
        once: Once | None = None,
        fences: Sequence[HeldFence] = (),
    ) -> object:
        """Decide a command or answer a query of this project; a command with a key once, one with fences while they hold.

        Raises: DomainError.
        """
        if not self.knows(name):
            await trio.lowlevel.checkpoint()
            if fences:
                raise stale_token(fences[0].reservation_id, Standing.UNKNOWN)
            if (answer := self._answer_blank(name, question, caller)) is not None:
                if not isinstance(question, Inbox) or not question.wait_seconds:
                    return answer
                question = await self._awaiting(name, question)
                if not self.knows(name):
                    return answer
        if self.room.is_full and name not in self._open and type(question) in COMMANDS and once is None:
            raise StorageFull
        project = await self.project(name)
        return await project.answer(question, caller, once, fences)

    async def _awaiting(self, name: ProjectName, query: Inbox) -> Inbox:
        """Wait for a project that does not exist, as long as for mail in it; return how to ask it then.

        Raises: TooManySubscribers, ShuttingDown.
        """
        ends_s = trio.current_time() + (query.wait_seconds or 0.0)
        with self.arrivals.expecting(name) as arrived, trio.move_on_at(ends_s):
            await arrived.wait()
        return msgspec.structs.replace(query, wait_seconds=max(0.0, ends_s - trio.current_time()))

    def _answer_blank(self, name: ProjectName, question: object, caller: Caller) -> object:
        """Answer for a project that does not exist; None, if the question is a command that brings it into being."""
        now = self._blank_clock.now()
        if type(question) in COMMANDS:
            return self._blank.rehearse(name, question, caller, now, self._random_bits)
        return self._blank.answer(name, question, caller, now)

    def identify_stranger(self, caller: Caller) -> Identity:
        """Tell who calls a project that does not exist. Raises: AgentHeaderMissing, AgentIdentityMismatch."""
        return Directory().identify(caller)

    async def project(self, name: ProjectName) -> Project:
        """Return the project, opened if need be.

        Raises: TooManyProjects, ProjectParked, ProjectQuarantined, ShuttingDown, StorageUnavailable, StorageStalled, StorageFull.
        """
        known = self._open.get(name)
        if known is not None and known.state is not None:
            return known
        with trio.move_on_after(limits.ASK_TIMEOUT_S):
            return await self._opened(name)
        raise StorageStalled

    async def _opened(self, name: ProjectName) -> Project:
        async with self._locked(name):
            self.ward.check(name)
            # Whoever began to open it may have left meanwhile; the child goes on, so this caller waits for it.
            project = self._open.get(name) or await self._spawn(name)
            try:
                await self._supervisor.wait_started(CHILD_PREFIX + name)
            except ChildNotStarted as failed:
                project.check_sound()
                raise self._not_started(name, failed) from None
            self._note_opened(project)
            return project

    def _not_started(
        self, name: ProjectName, failed: ChildNotStarted
    ) -> ProjectParked | StorageUnavailable | StorageFull:
        if self.room.is_full:
            return StorageFull()
        states = [child.state for child in self._supervisor.health() if child.name == CHILD_PREFIX + name]
        # Before it is parked it is tried again within milliseconds, and one second is the least that a header can say.
        return ProjectParked(str(failed)) if states == [ChildState.PARKED] else StorageUnavailable(1.0)

    async def names(self) -> list[ProjectName]:
        """Return the names of all projects in the data directory."""
        found = await trio.to_thread.run_sync(self.directory.names)
        return sorted({*found, *self.ward.names()})

    async def name_of_tag(self, some_id: str) -> ProjectName | None:
        """Return the project in which an id was minted, or None where the id or its project is not ours.

        An id that was taken over from the original has no tag: it finds its project while that is open.
        """
        tag = tag_of(some_id)
        if tag is None:
            return next((each.name for each in self._open.values() if each.knows_untagged(some_id)), None)
        if (known := self._tags.get(tag)) is not None:
            return known
        if (lost := next((name for name in self.ward.names() if project_tag(name) == tag), None)) is not None:
            return lost
        return await trio.to_thread.run_sync(self.directory.named_by_tag, tag)

    def parts(self) -> dict[str, Callable[[Child], Awaitable[object]]]:
        """Return what has to run beside the projects, each the `main` of a supervised child."""
        return {
            "sweeper": self.sweep,
            "quarantine": self.quarantine,
            "disk": self.keep_room,
            "clock": self.watch_suspension,
        }

    async def watch_suspension(self, child: Child) -> None:
        """Have every open project notice that the machine was suspended; the `main` of a supervised child."""
        child.started()
        while True:
            await trio.sleep(limits.SUSPENSION_LOOK_S)
            for project in self._open.values():
                if project.clock.suspended_s() > 0:
                    with suppress(MailboxError):  # It notices with its next command, or at the next look.
                        project.mailbox.tell_first(_LOOK_AROUND)

    async def keep_room(self, child: Child) -> None:
        """Find back to normal after the disk was full; the `main` of a supervised child."""
        await self.room.keep(child, free=self._free_room, on_room=self._revive)

    async def _free_room(self) -> bool:
        """Have every open project give back the room of its log; tell whether all of them could."""
        projects = self.open_projects()
        done: list[bool] = []

        async def free(project: Project) -> None:
            with suppress(MailboxError, DomainError):
                done.append(await project.mailbox.ask(_MAKE_ROOM, timeout_s=_MAKE_ROOM_TIMEOUT_S))

        async with trio.open_nursery() as nursery:
            for project in projects:
                nursery.start_soon(free, project)
        return done.count(True) == len(projects)

    def _revive(self) -> None:
        """Start again what a full disk has brought down, without the rest it had coming."""
        for name in self._open:
            with suppress(UnknownChild):
                self._supervisor.revive(CHILD_PREFIX + name)

    async def sweep(self, child: Child) -> None:
        """Close idle projects, again and again; the `main` of a supervised child."""
        child.started()
        while True:
            await trio.sleep(_SWEEP_S)
            now_s = trio.current_time()
            for project in [project for project in self._open.values() if project.is_idle(now_s)]:
                await self.close(project)

    async def close(self, project: Project) -> None:
        """Stop the project's actor and close its file, unless somebody uses it; the next call opens it again."""
        async with self._locked(project.name):
            # The way here has checkpoints, so whoever found the project quiet may be wrong by now. No await from here to
            # the next lines: a caller that comes later waits for the lock and gets a new project.
            if self._open.get(project.name) is not project or not project.is_quiet():
                return
            del self._open[project.name]
            self._tags.pop(project_tag(project.name), None)
            try:
                await self._supervisor.stop(CHILD_PREFIX + project.name)
            except ChildStillRunning as error:
                self._log("project.close_failed", project=project.name, error=str(error))
            finally:
                # Nobody knows the project any more, so whatever happened its reader is closed here or never.
                with trio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                    await self._close_reader(project)
            self._log("project.closed", project=project.name)

    async def quarantine(self, child: Child) -> None:
        """Move the files of damaged projects into quarantine, one project after the other; a supervised child's `main`."""
        child.started()
        while True:
            project = await self.ward.next_damaged()
            async with self._locked(project.name):
                if self._open.get(project.name) is project:
                    await self._quarantine(project)

    async def give_up(self, name: ProjectName, damage: str) -> None:
        """Give up a project whose file was found to be damaged without its actor's having met that."""
        async with self._locked(name):
            project = self._open.get(name)
            if project is not None:
                project.note_fault(StoreFault(FaultKind.CORRUPT, damage))
            elif not self.ward.holds(name):
                project = self._make_project(name, self.directory.path_of(name))  # Never opened: only moved.
                project.damage = damage
                await self.ward.take_in(project)

    async def _quarantine(self, project: Project) -> None:
        project.hub.close(ProjectQuarantined())
        project.lobby.wake()
        try:
            await self._supervisor.stop(CHILD_PREFIX + project.name)
        except ChildStillRunning as error:  # Still refused, since it stays open; the next start will find the damage.
            self._log("project.close_failed", project=project.name, error=str(error))
            return
        with trio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await self._close_reader(project)
        if await self.ward.take_in(project):
            del self._open[project.name]
            self._tags.pop(project_tag(project.name), None)

    async def _close_reader(self, project: Project) -> None:
        try:
            await project.reader.close(is_damaged=project.damage is not None)
        except StoreFault as fault:
            self._log("storage.close_failed", project=project.name, fault=str(fault))

    async def close_readers(self) -> None:
        """Close what the actors do not close themselves; for the end of the process, after the supervisor's."""
        for project in self._open.values():
            await self._close_reader(project)
        self._blank.close()

    def stop(self) -> None:
        """Open no more projects, and send everyone home who waits for events."""
        self._is_stopping = True
        self.arrivals.close()
        for project in self._open.values():
            project.hub.close()

    @asynccontextmanager
    async def _locked(self, name: ProjectName) -> AsyncIterator[None]:
        """Let one task at a time open or close this project."""
        lock = self._locks.setdefault(name, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._locks.pop(name, None)

    async def _spawn(self, name: ProjectName) -> Project:
        if self._is_stopping:
            raise ShuttingDown
        await self._make_room()
        # No await from here to the end: the bound counts this project from now on.
        project = self._make_project(name, self.directory.path_of(name))
        spec = ChildSpec(
            name=CHILD_PREFIX + name,
            main=partial(run_actor, project),
            mailbox=project.mailbox,
            revive_after_s=_REVIVE_AFTER_S,
        )
        try:
            self._supervisor.spawn(spec)
        except SupervisorClosed:
            raise ShuttingDown from None
        except ChildExists:  # An earlier run is still inside SQLite: never two writers on one file (guarantees.md G17).
            raise StorageStalled from None
        self._open[name] = project
        return project

    def _note_opened(self, project: Project) -> None:
        name = project.name
        if self._tags.get(project_tag(name)) != name:
            self._tags[project_tag(name)] = name
            self.directory.note(name)
            self.arrivals.note(name)
            self._log("project.opened", project=name, head=project.hub.head, reservations=project.known_leases())

    async def _make_room(self) -> None:
        while len(self._open) >= limits.PROJECTS_LIVE_MAX:
            # A name that is locked is being opened or closed: somebody waits for it.
            quiet = [each for each in self._open.values() if each.is_quiet() and each.name not in self._locks]
            if not quiet:
                raise TooManyProjects
            await self.close(min(quiet, key=lambda project: (project.known_leases() > 0, project.last_used_s)))
