"""One open project as the front sees it: ask its actor, read from it, follow its log, know how it is.

What must survive a crash of the actor lives here: the mailbox, the hub, the breaker, the read connection, and the last
memory, from which heartbeats and monotonic deadlines are carried over.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import trio

from intermute.core import limits
from intermute.core.agents import Caller, Identity
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.messages import Inbox, MessagePage
from intermute.core.api.reservations import ReservationView
from intermute.core.breaker import Breaker, BreakerState
from intermute.core.errors import (
    CursorExpired,
    InternalError,
    OutcomeUnknown,
    Overloaded,
    Poisoned,
    ProjectParked,
    ProjectQuarantined,
    ShuttingDown,
    StorageFull,
    StorageStalled,
    StorageUnavailable,
    TooSlow,
)
from intermute.core.events import Event
from intermute.core.fences import HeldFence
from intermute.core.ids import AgentId, ProjectName, RandomBits
from intermute.core.once import Once
from intermute.core.poison import PoisonList, fingerprint
from intermute.core.retention import oldest_cursor
from intermute.project.clock import Clock, ProjectClock
from intermute.project.handlers.liveness import Tick
from intermute.project.handlers.table import COMMANDS, LONG_QUERIES, LONG_READS, QUERIES
from intermute.project.handlers.turns import Queued
from intermute.project.hub import Hub
from intermute.project.lobby import Lobby, let_go, wait_for_turn
from intermute.project.mail import ProjectMailbox, Request
from intermute.project.postboxes import wait_for_mail
from intermute.project.quantum import Quantum
from intermute.project.room import Room
from intermute.project.shares import Crowd, is_release, share_of
from intermute.project.state import ProjectState
from intermute.project.ticker import Ticker
from intermute.project.transaction import Desk, FromStore
from intermute.store import events as event_rows
from intermute.store import kept_replies
from intermute.store import retention as retention_rows
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.hop import Hop, thread_hop
from intermute.store.reader import Reader
from intermute.store.writer import Writer
from supervisor import AskTimeout, Child, Mailbox, MailboxClosed, MailboxFull, RequestCrashed, RequestLost

Log = Callable[..., None]
STOPPED_REASONS = frozenset({"stopping", "stopped"})
"""Why the supervisor closes a mailbox when its project is closed on purpose; anything else means that it is parked."""


class Project:
    """One project that is open in this process."""

    def __init__(
        self,
        name: ProjectName,
        path: Path,
        clock: Clock,
        random_bits: RandomBits,
        log: Log,
        *,
        room: Room,
        batch_max: int = limits.BATCH_MAX,
        make_hop: Callable[[], Hop] = thread_hop,
        on_damage: Callable[["Project"], None],
        crowd: Crowd | None = None,
    ) -> None:
        self.name, self.path, self.random_bits, self.log, self.batch_max = name, path, random_bits, log, batch_max
        self.clock, self.room = ProjectClock(clock), room
        self.mailbox: ProjectMailbox = Mailbox(
            limits.MAILBOX_MAX, f"project {name}", reserve=limits.RELEASES_RESERVED, on_culprit=self._note_culprit
        )
        self._crowd = Crowd(crowd)
        self.hub = Hub()
        self.lobby = Lobby()
        self.breaker = Breaker()
        self.poison = PoisonList()
        self.hop = make_hop()
        self.writer = Writer(path, self.hop)
        self.reader = Reader(path, make_hop())
        self.archiver = make_hop()
        self.trimming = trio.Lock()
        self.ticker = Ticker(self.mailbox)
        self.state: ProjectState | None = None
        self.child: Child | None = None
        """The run of the actor; an ended one has nothing in hand."""
        self.last_fault: str | None = None
        self.damage: str | None = None
        """What is wrong with the file; from then on nothing is read from it or stored, until an operator has dealt with it."""
        self._on_damage = on_damage
        self.last_used_s = trio.current_time()
        self.calls = 0
        self._quantum = Quantum()
        self._long_reads = trio.Lock()

    # ---- commands and queries

    async def answer(
        self, question: object, caller: Caller, once: Once | None = None, fences: Sequence[HeldFence] = ()
    ) -> Any:  # Any: the operation table says which view; with a key, a reply or what is not kept.
        """Decide a command or answer a query.

        Raises: DomainError, for everything that is not the answer itself.
        """
        self.check_sound()
        if once is None:
            check_identity(self.known_state(), question, caller)
        self.last_used_s = trio.current_time()
        self.calls += 1
        try:
            if type(question) in COMMANDS:
                return await self._decided(Request(question, caller, once, fences))
            if type(question) in LONG_READS:
                async with self.long_read():
                    return await self._query(question, caller)
            if isinstance(question, Inbox) and question.wait_seconds:
                return await self._mail(question, caller)
            return await self._query(question, caller)
        finally:
            self.calls -= 1

    async def _decided(self, request: Request) -> Any:  # Any: see `answer`.
        reply = await self.ask(request)
        if not isinstance(reply, Queued):
            return reply
        reply = await wait_for_turn(self, reply, request)
        if request.once is not None and isinstance(reply, ReservationView):
            # What granted it has kept the reply, and every sending is given the same.
            try:
                kept = await self.read(FromStore(partial(kept_replies.of_place, place=request.once.place)))
            except (StorageUnavailable, StorageFull):
                raise OutcomeUnknown from None  # It is granted; these would say that nothing was stored.
            return reply if kept is None or kept.reply is None else request.once.opened(kept)
        return reply

    async def ask(self, request: Request) -> Any:  # Any: see `answer`.
        """Have the actor decide a command; the reply to one that waits for its turn is `Queued`. Raises: DomainError."""
        if self.room.is_full and request.once is None:  # One with a key may be a repeat: its reply can still be given.
            raise StorageFull
        if self.is_stalled:
            raise StorageStalled
        is_needed = is_release(request)
        with self._crowd.entered(is_needed=is_needed):
            return await self._ask(request, share_of(request, self.state), is_needed=is_needed)

    async def _ask(self, request: Request, share: Hashable, *, is_needed: bool) -> Any:  # Any: see `answer`.
        now_s = trio.current_time()
        if self.is_poison(request):
            raise Poisoned
        if not self.breaker.try_acquire(now_s):
            raise StorageUnavailable(max(1.0, self.breaker.snapshot(now_s).retry_after_s))
        is_probe = self.breaker.state(now_s) is BreakerState.HALF_OPEN
        try:
            return await self.mailbox.ask(
                request, timeout_s=limits.ASK_TIMEOUT_S, share=share, is_needed=is_needed, on_unheard=self._forget
            )
        except MailboxFull as full:
            raise Overloaded(full.delay_s, is_share=full.is_share) from None
        except MailboxClosed as closed:
            self.check_sound()
            raise closed_error(closed) from None
        except AskTimeout as late:
            if late.was_taken:  # It may be in the flush that hangs, so nobody knows what becomes of it.
                raise TooSlow from None
            raise (StorageStalled() if self.is_stalled else Overloaded(self.mailbox.delay_s)) from None
        except RequestCrashed:
            raise InternalError from None
        except RequestLost:
            raise OutcomeUnknown from None
        finally:
            # A refusal says nothing about storage, so the probe's permit goes back; an outcome has used it up already.
            if is_probe:
                self.breaker.release_probe()

    def _forget(self, reply: object) -> None:
        """Take in that nobody has heard a reply: who does not know that it waits is not to stand in the queue."""
        if isinstance(reply, Queued):
            let_go(self, reply.ticket)

    def is_poison(self, request: Request) -> bool:
        """Tell whether a request has crashed the actor too often to be tried now."""
        if not self.poison or isinstance(request.command, Tick):
            return False  # What is asked costs nothing where nothing has crashed.
        return self.poison.refuses(fingerprint(request.command, request.caller), trio.current_time())

    def _note_culprit(self, request: Request) -> bool:
        """Remember a request that crashed the actor; the actor's own are not refused, so they count as its crashes."""
        if isinstance(request.command, Tick):
            return False
        crashes = self.poison.note_crash(fingerprint(request.command, request.caller), trio.current_time())
        if crashes == limits.POISON_CRASHES_MAX:
            self.log("request.poisoned", project=self.name, operation=type(request.command).__name__, crashes=crashes)
        return True

    def knows_untagged(self, some_id: str) -> bool:
        """Tell whether this is the id of an agent or of an active reservation here; a name is none, others may have it too."""
        state = self.state
        if state is None:
            return False
        return state.agents.of_id(AgentId(some_id)) is not None or state.leases.get(some_id) is not None

    def note_leaving(self) -> None:
        """Have the actor let those go on who were behind one that has left the queue."""
        self.ticker.note_deadline(trio.current_time())

    async def _query(self, query: object, caller: Caller) -> Any:  # Any: see `answer`.
        if type(query) in LONG_QUERIES:
            async with self._quantum:
                answer = QUERIES[type(query)](query, Desk(self.known_state(), self.clock.now(), caller))
        else:
            desk = Desk(self.known_state(), self.clock.now(), caller)
            answer = QUERIES[type(query)](query, desk)
            if isinstance(query, Heartbeat):
                self.ticker.note_deadline(desk.now.mono_s + limits.LIVENESS_FLUSH_S)
        # No checkpoint where memory knows it: whoever asks waits for its client next.
        return await self.read(answer, is_long=type(query) in LONG_READS) if isinstance(answer, FromStore) else answer

    async def _mail(self, query: Inbox, caller: Caller) -> MessagePage:
        """Return the inbox once there is something in it. Raises: TooManySubscribers, and whatever a query raises."""

        def canonical(address: str) -> AgentId:
            return self.known_state().agents.canonical(address)

        async def look() -> MessagePage:
            self.check_sound()
            page = await self._query(query, caller)
            assert isinstance(page, MessagePage)
            return page

        with self.hub.subscription(f"agent {canonical(query.agent)}"):
            return await wait_for_mail(query, self.hub, canonical, look)

    @asynccontextmanager
    async def long_read(self) -> AsyncIterator[None]:
        """Wait until no other long read of this project is under way; always a checkpoint. Raises: Overloaded."""
        with trio.move_on_after(limits.ASK_TIMEOUT_S) as waiting:
            await self._long_reads.acquire()
        if waiting.cancelled_caught:
            raise Overloaded
        try:
            yield
        finally:
            self._long_reads.release()

    async def read(self, wanted: FromStore[Any], *, is_long: bool = False) -> Any:  # Any: see `answer`.
        """Return what the read connection says. Args: is_long, nobody is to wait for it. Raises: DomainError."""
        try:
            return await self.reader.read(wanted.work, is_long=is_long)
        except StoreFault as fault:
            self.note_fault(fault)
            self.log("storage.read_fault", project=self.name, fault=str(fault))
            self.check_sound()
            raise (StorageFull() if fault.kind is FaultKind.FULL else StorageUnavailable()) from None

    def known_state(self) -> ProjectState:
        """Return the memory, the last one while a new one is being built. Raises: ProjectParked before the first."""
        if self.state is None:
            raise ProjectParked("it has never started")
        return self.state

    def identify(self, caller: Caller) -> Identity:
        """Tell who the caller is. Raises: AgentHeaderMissing, AgentIdentityMismatch."""
        return self.known_state().agents.identify(caller)

    # ---- the log

    async def events_after(self, cursor: int, limit: int, types: frozenset[str] | None = None) -> Sequence[Event]:
        """Return the log's events after the cursor, from memory where it reaches back that far.

        Args: types, those that the reader is here for; the others are returned as well.
        Raises: CursorExpired, where one of them has been trimmed; DomainError.
        """
        self.check_sound()
        found = self.hub.after(cursor, limit)
        return await self.read(FromStore(partial(_whole_page, cursor, limit, types))) if found is None else found

    async def oldest_cursor(self, types: frozenset[str] | None) -> int:
        """Return the first cursor after which nothing of these types has been trimmed. Raises: DomainError."""
        return oldest_cursor(await self.read(FromStore(retention_rows.gone)), types)

    async def check_cursor(self, cursor: int, types: frozenset[str] | None) -> None:
        """Raises: CursorExpired, where an event after the cursor has been trimmed; DomainError."""
        await self.events_after(cursor, 1, types)

    # ---- how it is

    def note_fault(self, fault: StoreFault) -> None:
        """Remember what the storage did; a damaged file is given up."""
        self.last_fault = str(fault)
        if fault.kind is FaultKind.CORRUPT and self.damage is None:
            self.damage = fault.text
            self._on_damage(self)

    def check_sound(self) -> None:
        """Refuse to work on a damaged file. Raises: ProjectQuarantined."""
        if self.damage is not None:
            raise ProjectQuarantined

    @property
    def is_stalled(self) -> bool:
        """Whether the actor's thread does not come back from the disk. Nothing can be done but wait (guarantees.md G17)."""
        work = None if self.child is None or not self.child.is_in_thread else self.child.oldest_work
        return work is not None and trio.current_time() - work.since_s > limits.STALLED_AFTER_S

    def is_idle(self, mono_s: float) -> bool:
        """Tell whether nobody needs the project to be open: no call, no reader, no lease, for some time."""
        return self.is_quiet() and mono_s - self.last_used_s >= limits.PROJECT_IDLE_S and not self.known_leases()

    def is_quiet(self) -> bool:
        """Tell whether nobody is using the project at this moment."""
        return self.calls == 0 and self.hub.subscribers == 0 and self.mailbox.depth == 0

    def known_leases(self) -> int:
        """Return how many reservations are active."""
        return 0 if self.state is None else len(self.state.leases)

    def report(self) -> dict[str, object]:
        """Return what /health says of the project beside what the supervisor knows."""
        breaker = self.breaker.snapshot(trio.current_time())
        return {
            "head": self.hub.head,
            "chain": {"head": self.writer.chain_end.cursor, "hash": self.writer.chain_end.digest.hex()},
            "subscribers": self.hub.subscribers,
            "agents": 0 if self.state is None else len(self.state.agents),
            "reservations": self.known_leases(),
            "breaker": {
                "state": breaker.state,
                "openings": breaker.openings,
                "last_fault": breaker.last_fault,
                "retry_after_s": round(breaker.retry_after_s, 1),
            },
            "storage": {"last_fault": self.last_fault, "log_pages": self.writer.wal_pages},
            "poisoned": self.poison.refused(trio.current_time()),
        }


def _whole_page(cursor: int, limit: int, types: frozenset[str] | None, connection: apsw.Connection) -> Sequence[Event]:
    """Return a page of the log; what is gone is looked up in the same snapshot, so that no gap goes unnoticed."""
    oldest = oldest_cursor(retention_rows.gone(connection), types)
    if cursor < oldest:
        raise CursorExpired(oldest)
    return event_rows.after(connection, cursor, limit)


def check_identity(state: ProjectState, question: object, caller: Caller) -> None:
    """Refuse a caller whose token does not prove what it claims, whatever it asks (contract.md 3.3).

    Registration is left out: there a token only proves that a session may be renewed, and it may be an old one.
    Raises: AgentHeaderMissing, AgentIdentityMismatch.
    """
    if caller.token_hash is not None and not isinstance(question, RegisterAgent):
        state.agents.identify(caller)


def closed_error(closed: MailboxClosed) -> ProjectParked | ShuttingDown:
    """Return what to tell a caller whose project takes no commands."""
    return ShuttingDown() if closed.reason in STOPPED_REASONS else ProjectParked(closed.reason)
