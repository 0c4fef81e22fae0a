"""What a handler is given: the project's state, one reading of the clocks, who asks, and where to put what it decides.

A command handler first checks, then changes memory and notes its statements and events; a refusal raised after the first
change would leave memory wrong, so the actor treats that as a bug. A query handler gets a `Desk` and answers from memory,
or returns a `FromStore` that runs on a read connection.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import apsw
import msgspec
from msgspec.structs import replace

from intermute.core.agents import Agent, Caller, Identity
from intermute.core.contacts import Parties
from intermute.core.entities.definition import Field, Kind, Record
from intermute.core.entities.values import referred_ids
from intermute.core.events import Event, EventType
from intermute.core.ids import AgentId, Micros, ProjectName, RandomBits, ReservationId, mint_id
from intermute.core.intents import ACTIVE, Intent
from intermute.core.live import PokeResult
from intermute.core.messages import Message, Receipt
from intermute.core.once import KeptReply, Once, Reply
from intermute.core.times import Now
from intermute.project.state import ProjectState
from intermute.store import events as event_rows
from intermute.store import intents as intent_rows
from intermute.store import kept_replies
from intermute.store.intents import IntentRow
from intermute.store.release_requests import ReleaseRequest
from intermute.store.reservations import ReservationRow, StoredTarget
from intermute.store.statements import Statement
from intermute.store.symbols import Counts

View = TypeVar("View")


@dataclass(slots=True)
class Orphans:
    """Who refers to an entity: some of them, as kind, id and field, and how many there are."""

    shown: dict[tuple[Kind, str, str], None] = field(default_factory=dict)
    count: int = 0


@dataclass(slots=True)
class Candidates:
    """Tasks that could be claimed when they were fetched and need these capabilities, the oldest first."""

    capabilities: tuple[str, ...]
    ids: list[str] = field(default_factory=list)
    last: int = 0
    """The number of the last one."""
    has_more: bool = True


@dataclass(slots=True)
class Facts:
    """Rows that the commands of one batch need, fetched before it is decided and kept up to date while it is."""

    messages: dict[str, Message | None] = field(default_factory=dict)
    receipts: dict[str, dict[AgentId, Receipt]] = field(default_factory=dict)
    poke_results: dict[str, dict[AgentId, PokeResult | None]] = field(default_factory=dict)
    """By message: what became of it in terminals, where it went nowhere else."""
    threads: dict[str, dict[str, Parties]] = field(default_factory=dict)
    """By thread and message: between whom its last messages went."""
    is_guarded: bool = True
    """Whether anybody may have a policy that asks for that; where everybody is open, threads are not looked at."""
    reservations: dict[str, ReservationRow | None] = field(default_factory=dict)
    keyed: dict[str, list[ReservationRow]] = field(default_factory=dict)
    """By idempotency key: what was asked for under it, by whomever."""
    intents: dict[str, IntentRow | None] = field(default_factory=dict)
    symbol_files: dict[str, Counts | None] = field(default_factory=dict)
    """By path: what a file contributes to the symbol index."""
    requests: dict[str, list[ReleaseRequest]] = field(default_factory=dict)
    """By reservation: the requests for it that were unread when they were fetched, and those made since."""
    entities: dict[tuple[Kind, str], Record | None] = field(default_factory=dict)
    orphans: dict[tuple[Kind, str], Orphans] = field(default_factory=dict)
    """By entity that is to be deleted: who refers to it."""
    candidates: dict[str, Candidates] = field(default_factory=dict)
    """By what they need, as it is stored: the tasks that could be next."""
    takers: int = 0
    """How many commands of the batch may take a task, or make it unclaimable; as many were counted in `candidates`."""
    takers_seen: int = 0
    cuj_links: dict[str, set[str]] = field(default_factory=dict)
    """By journey: the features that it is linked to."""
    kept: dict[bytes, KeptReply | None] = field(default_factory=dict)
    """By the place of a caller's key: what was answered under it."""
    oldest_kept: Sequence[tuple[int, Micros]] = ()
    """Number and time of the replies that may be forgotten next."""

    def note_parties(self, message: Message, recipients: Iterable[AgentId]) -> None:
        """Take in between whom a message goes, and in which thread it is now."""
        for parties in self.threads.values():
            parties.pop(message.id, None)
        if message.thread_id in self.threads:
            self.threads[message.thread_id][message.id] = Parties(message.sender_id, frozenset(recipients))

    def hand_over(self, reservation_id: ReservationId, holder: AgentId, fence: int) -> None:
        """Take in that a reservation has another holder."""
        if row := self.reservations.get(reservation_id):
            self.reservations[reservation_id] = replace(row, holder=holder, fence=fence)

    def convert(self, reservation_id: ReservationId, targets: Sequence[StoredTarget], changed: int) -> None:
        """Take in that a reservation has other modes."""
        if row := self.reservations.get(reservation_id):
            self.reservations[reservation_id] = replace(row, targets=tuple(targets), changed=changed)

    def change_intent(self, intent: Intent, how: str, now_us: Micros) -> None:
        """Take in how far an intent has come."""
        row = intent_rows.row_of(intent)
        is_over = intent.state not in ACTIVE
        self.intents[intent.id] = replace(row, ended=how, ended_at_us=now_us) if is_over else row

    def forget_symbols(self) -> None:
        """Take in that the symbol index is empty."""
        self.symbol_files = dict.fromkeys(self.symbol_files)

    def change_entity(self, before: Record | None, after: Record | None) -> None:
        """Take in how an entity is now, and how it was; None is one that is not there."""
        record = after or before
        assert record is not None
        self.entities[record.entity.kind, record.id] = after
        for reference in record.entity.references:
            self._refer(before, reference, -1)
            self._refer(after, reference, 1)

    def _refer(self, record: Record | None, reference: Field, by: int) -> None:
        if record is None or reference.refers_to is None:
            return
        for each in referred_ids(reference, record.values):
            if (orphans := self.orphans.get((reference.refers_to, each))) is not None:
                orphans.count += by
                key = (record.entity.kind, record.id, reference.name)
                if by > 0:
                    orphans.shown[key] = None
                else:
                    orphans.shown.pop(key, None)

    def unlink_all(self, cuj_id: str) -> None:
        """Take in that a journey is gone."""
        self.cuj_links[cuj_id] = set()

    def end(self, reservation_id: ReservationId, how: str, now_us: Micros) -> None:
        """Take in that a reservation has ended."""
        if row := self.reservations.get(reservation_id):
            self.reservations[reservation_id] = replace(row, ended=how, ended_at_us=now_us)

    def adopt(self, name: AgentId, agent_id: AgentId) -> None:
        """Take in that what was sent to a name belongs to the agent that has registered under it."""
        for receipts in self.receipts.values():
            if name in receipts and agent_id not in receipts:
                receipts[agent_id] = replace(receipts.pop(name), agent=agent_id)
        for key, rows in self.keyed.items():
            self.keyed[key] = [_asked_by(agent_id, row) if _asker_of(row) == name else row for row in rows]


def _asker_of(row: ReservationRow) -> AgentId | None:
    return row.idempotency.asker if row.idempotency else None


def _asked_by(agent_id: AgentId, row: ReservationRow) -> ReservationRow:
    assert row.idempotency is not None
    return replace(row, idempotency=row.idempotency._replace(asker=agent_id))


@dataclass(slots=True)
class Transaction:
    """One command's part of a batch."""

    state: ProjectState
    now: Now
    caller: Caller
    facts: Facts
    random_bits: RandomBits
    once: Once | None = None
    """What the command is to be repeated by."""
    statements: list[Statement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def project(self) -> ProjectName:
        """The project's name."""
        return self.state.name

    def identity(self) -> Identity:
        """Return who asks. Raises: AgentHeaderMissing, AgentIdentityMismatch."""
        return self.state.agents.identify(self.caller)

    def mint(self) -> str:
        """Return a new id of this project."""
        return mint_id(self.project, self.random_bits)

    def write(self, *statements: Statement) -> None:
        """Store these with the command."""
        self.statements.extend(statements)

    def next_cursor(self) -> int:
        """Return the cursor that the next event of this command gets."""
        return self.state.head + 1

    def emit(
        self,
        kind: EventType,
        data: Mapping[str, Any],  # Any: the fields of this type of event; docs/api.md lists them.
        audience: frozenset[str] | None = None,
    ) -> int:
        """Append an event to the log, in the same transaction, and return its cursor."""
        self.state.head += 1
        event = Event(self.state.head, kind, self.now.wall_us, audience, dict(data))
        self.events.append(event)
        self.statements.append(event_rows.append(event))
        return event.cursor

    def keep(self, once: Once, view: object) -> Reply:
        """Keep the reply to a request, in the same transaction as what it did, and return it as it is sent."""
        reply = once.render(view)
        kept = once.kept(reply, self.state.kept.add(self.now), self.now.wall_us)
        self.facts.kept[once.place] = kept
        self.write(kept_replies.keep(kept))
        return reply

    def heard(self, agent: Agent | None) -> None:
        """Count this command as a sign of life of the agent."""
        if agent is not None:
            hear(self.state, agent, self.now)


class Desk(msgspec.Struct, frozen=True):
    """What a query handler is given."""

    state: ProjectState
    now: Now
    caller: Caller

    @property
    def project(self) -> ProjectName:
        """The project's name."""
        return self.state.name

    def identity(self) -> Identity:
        """Return who asks. Raises: AgentHeaderMissing, AgentIdentityMismatch."""
        return self.state.agents.identify(self.caller)


class FromStore(msgspec.Struct, Generic[View], frozen=True):
    """An answer that needs the disk: `work` runs in the reader's thread, on one snapshot of committed facts."""

    work: Callable[[apsw.Connection], View]


def hear(state: ProjectState, agent: Agent, now: Now) -> None:
    """Take a sign of life: memory at once, the disk with the next flush (design.md 3.5)."""
    agent.heard_s = now.mono_s
    agent.last_seen_us = now.wall_us
    state.unflushed_heartbeats.add(agent.id)
