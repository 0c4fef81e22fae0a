"""What an actor keeps in memory of its project: a cache of SQLite, rebuilt whenever it starts (design.md 3.3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import apsw

from intermute.core import limits
from intermute.core.agents import Agent, Caller, Directory
from intermute.core.claim_records import Claim, Standing, with_destinations
from intermute.core.claims import DEFAULT_POLICY, Policy
from intermute.core.contact_book import ContactBook
from intermute.core.contacts import ContactPolicy
from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.core.intents import Intent, IntentBook
from intermute.core.lease_book import LeaseBook
from intermute.core.live import LiveRates, PokeBook, WindowBook
from intermute.core.once import KeptReplies
from intermute.core.rates import SlidingWindow
from intermute.core.reservation import Reservation
from intermute.core.settings import Settings
from intermute.core.symbol_index import SymbolIndex
from intermute.core.task_claims import TaskClaims
from intermute.core.times import SECOND_US, Now
from intermute.core.waiting_room import WaitingRoom
from intermute.store import agents as agent_rows
from intermute.store import contacts as contact_rows
from intermute.store import intents as intent_rows
from intermute.store import kept_replies
from intermute.store import live as live_rows
from intermute.store import reservations as reservation_rows
from intermute.store import settings as setting_rows
from intermute.store import symbols as symbol_rows
from intermute.store import tasks as task_rows
from intermute.store import unread as unread_rows
from intermute.store.intents import IntentRow
from intermute.store.projects import ProjectRow
from intermute.store.reservations import ReservationRow


@dataclass(slots=True)
class ProjectState:
    """The project as decided so far: ahead of the disk by the batch that is being flushed."""

    name: ProjectName
    epoch: int
    head: int
    batch: int
    agents: Directory = field(default_factory=Directory)
    leases: LeaseBook = field(default_factory=LeaseBook)
    intents: IntentBook = field(default_factory=IntentBook)
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    settings: Settings = field(default_factory=Settings)
    policy: Policy = DEFAULT_POLICY
    """What of the settings bears on claims."""
    _settings_before: Settings | None = None
    symbols: SymbolIndex | None = None
    _symbols_before: tuple[SymbolIndex | None] | None = None
    task_claims: TaskClaims = field(default_factory=TaskClaims)
    guarded: set[AgentId] = field(default_factory=set)
    """Who does not take messages from everybody."""
    contacts: ContactBook = field(default_factory=ContactBook)
    windows: WindowBook = field(default_factory=WindowBook)
    pokes: PokeBook = field(default_factory=PokeBook)
    live_rates: LiveRates = field(default_factory=LiveRates)
    kept: KeptReplies = field(default_factory=KeptReplies)
    unread: dict[AgentId, int] = field(default_factory=dict)
    """How many messages registered agents have not read, as it is stored; who has read all is not there."""
    broadcasts: SlidingWindow = field(
        default_factory=lambda: SlidingWindow(limits.BROADCASTS_MAX, limits.BROADCASTS_SPAN_S)
    )
    """When broadcasts were decided, by whose share they are; a fault of the storage gives none of them back."""
    unflushed_heartbeats: set[AgentId] = field(default_factory=set)
    agents_before_batch: dict[AgentId, Agent | None] = field(default_factory=dict)
    """What the running batch has registered (None), changed or let go, as it is stored."""
    listening_since_s: float = -math.inf
    """Monotonic time since when this process could hear the agents: while it was down nobody could say a word."""
    stored_head: int = field(init=False)
    """The head of the log on the disk: what an answer from committed facts is as of."""

    def __post_init__(self) -> None:
        self.stored_head = self.head

    @property
    def fold_case(self) -> bool:
        """Whether paths are read regardless of case."""
        return self.settings.case_folding

    @property
    def committed_settings(self) -> Settings:
        """The settings as they are stored: without what is still being flushed."""
        return self.settings if self._settings_before is None else self._settings_before

    def choose(self, settings: Settings) -> None:
        """Take in other settings, which the running batch will store."""
        self._settings_before = self.committed_settings
        self.settings, self.policy = settings, settings.policy
        self.waiting.watched.clear()  # What stood in somebody's way may do so no longer.

    @property
    def committed_symbols(self) -> SymbolIndex | None:
        """What the stored symbol index is of."""
        return self.symbols if self._symbols_before is None else self._symbols_before[0]

    def index_symbols(self, index: SymbolIndex | None) -> None:
        """Take in another symbol index, which the running batch will store."""
        self._symbols_before = (self.committed_symbols,)
        self.symbols = index

    def stored(self) -> None:
        """Note that the running batch has reached the disk."""
        self._symbols_before = None
        self._settings_before = None
        self.stored_head = self.head
        self.leases.stored()
        self.intents.stored()
        self.agents_before_batch.clear()

    def note_unread(self, changes: Mapping[AgentId, int]) -> None:
        """Take in what a commit has done to the counts of registered agents; others are counted once they register."""
        for agent, by in changes.items():
            unread = self.unread.pop(agent, 0) + by
            if unread > 0 and self.agents.of_id(agent) is not None:
                self.unread[agent] = unread

    def unread_of(self, caller: Caller) -> int | None:
        """Return how many messages the caller has not read, or None where nobody is sure enough which agent it is.

        A token makes sure; to a local caller, who could read any inbox, its word will do.
        """
        agent = self.agents.find(caller.claims) if caller.claims else None
        if agent is None:
            return None
        if caller.token_hash is None:
            return self.unread.get(agent.id, 0) if caller.is_local else None
        return self.unread.get(agent.id, 0) if self.agents.of_token(caller.token_hash) is agent else None

    def put_agent(self, agent: Agent) -> None:
        """Take in an agent that the running batch will store; never change one in place, but for its signs of life."""
        self.agents_before_batch.setdefault(agent.id, self.agents.of_id(agent.id))
        self.agents.put(agent)
        self.note_guard(agent)

    def remove_agent(self, agent: Agent) -> None:
        """Forget an agent whose leaving the running batch will store."""
        self.agents_before_batch.setdefault(agent.id, agent)
        self.agents.remove(agent)
        self.unread.pop(agent.id, None)
        self.guarded.discard(agent.id)

    def note_guard(self, agent: Agent) -> None:
        """Take in from whom an agent takes messages."""
        if agent.contact_policy is ContactPolicy.OPEN:
            self.guarded.discard(agent.id)
        else:
            self.guarded.add(agent.id)

    def stored_agents(self) -> list[Agent]:
        """Return the agents as they are stored, but for signs of life, which count at once."""
        unchanged = [agent for agent in self.agents if agent.id not in self.agents_before_batch]
        return unchanged + self._changed_agents()

    def stored_agent(self, address: str) -> Agent | None:
        """Return the agent of this id or name as it is stored, but for signs of life."""
        found = self.agents.find(address)
        if found is not None and found.id not in self.agents_before_batch:
            return found
        before = self._changed_agents()
        named = [agent for agent in before if agent.name == address]
        return next((agent for agent in before if agent.id == address), named[0] if named else None)

    def _changed_agents(self) -> list[Agent]:
        return [_with_life_of(self.agents.of_id(each.id), each) for each in self.agents_before_batch.values() if each]

    def silence_s(self, address: AgentId, mono_s: float) -> float | None:
        """Return for how long an agent could have been heard and was not, or None where nobody is registered there."""
        agent = self.agents.find(address)
        return None if agent is None else mono_s - max(agent.heard_s, self.listening_since_s)


def _with_life_of(current: Agent | None, stored: Agent) -> Agent:
    if current is None:
        return stored
    return replace(
        stored,
        heard_s=current.heard_s,
        last_seen_us=current.last_seen_us,
        focus_state=current.focus_state,
        focus_heard_s=current.focus_heard_s,
    )


def load_state(connection: apsw.Connection, row: ProjectRow, now: Now, previous: ProjectState | None) -> ProjectState:
    """Return the state as SQLite has it.

    Monotonic facts, which SQLite cannot hold, come from `previous` where this process knew them; else a lease keeps
    what was left of it, and at least a minute, and so does an agent (guarantees.md G8).
    """
    state = ProjectState(row.name, row.epoch, row.head, row.batch)
    state.settings = setting_rows.read(connection)
    state.policy = state.settings.policy
    state.symbols = symbol_rows.read(connection)
    if previous is not None:
        state.broadcasts = previous.broadcasts
    state.listening_since_s = previous.listening_since_s if previous else now.mono_s
    for stored in reservation_rows.active(connection):
        state.leases.load(_lease(stored, now, previous, fold_case=state.fold_case))

    for declared in intent_rows.active(connection):
        state.intents.load(_intent(declared, now, previous, fold_case=state.fold_case))
    for task in task_rows.claimed(connection):
        state.task_claims.note(None, task)
    state.kept = _kept(connection, now)
    state.unread = unread_rows.count(connection)
    for contact in contact_rows.load(connection):
        state.contacts.put(contact)
    for held in contact_rows.load_held(connection):
        state.contacts.hold(held)
    for window in live_rows.windows(connection):
        state.windows.put(window)
    for poke in live_rows.pokes(connection):
        state.pokes.add(*poke)
    state.live_rates = previous.live_rates if previous else LiveRates()

    def heard_s(agent_id: AgentId, last_seen_us: Micros) -> float:
        known = previous.agents.find(agent_id) if previous else None
        if known is not None:
            return known.heard_s
        silence_s = (now.wall_us - last_seen_us) / SECOND_US
        was_live = silence_s < limits.AGENT_SILENCE_S + limits.LIVENESS_FLUSH_S
        if was_live or state.leases.held_by(agent_id) or state.task_claims.held_by([agent_id]):
            silence_s = min(silence_s, limits.AGENT_SILENCE_S - limits.RESTART_GRACE_S)
        return now.mono_s - max(silence_s, 0.0)

    for agent in agent_rows.load(connection, heard_s):
        known = previous.agents.find(agent.id) if previous else None
        if known is not None:  # Heartbeats that the disk has not seen yet must not be lost with the old memory.
            agent.last_seen_us = max(agent.last_seen_us, known.last_seen_us)
            agent.focus_state, agent.focus_heard_s = known.focus_state, known.focus_heard_s
            state.unflushed_heartbeats.add(agent.id)
        state.agents.put(agent)
        state.note_guard(agent)
    return state


def _kept(connection: apsw.Connection, now: Now) -> KeptReplies:
    last = kept_replies.last_number(connection)
    if last is None:
        return KeptReplies()
    [(first, oldest_us)] = kept_replies.oldest(connection, 1)
    kept = KeptReplies(first, last + 1)
    kept.look_at(oldest_us, now)
    return kept


def _deadline_s(expires_at_us: Micros, now: Now) -> float:
    """Return when what the disk alone tells of runs out."""
    remaining_s = (expires_at_us - now.wall_us) / SECOND_US
    # A wall clock that jumped while we were down must not stretch a lease beyond any that could be granted.
    return now.mono_s + min(max(remaining_s, limits.RESTART_GRACE_S), limits.TTL_MAX_S)


def _lease(stored: ReservationRow, now: Now, previous: ProjectState | None, *, fold_case: bool) -> Reservation:
    known = previous.leases.versions(stored.id) if previous else []
    same = [each.deadline_s for each in known if each.expires_at_us == stored.expires_at_us]
    deadline_s = same[0] if same else _deadline_s(stored.expires_at_us, now)
    claim = Claim(
        id=stored.id,
        sequence=stored.fence,
        holder=stored.holder,
        targets=with_destinations(each.claimed(fold_case=fold_case) for each in stored.targets),
        branch=stored.branch,
        worktree=stored.worktree,
        expires_at_us=stored.expires_at_us,
    )
    return Reservation(claim, stored.reason, stored.created_at_us, deadline_s, stored.changed)


def _intent(stored: IntentRow, now: Now, previous: ProjectState | None, *, fold_case: bool) -> Intent:
    known = previous.intents.get(stored.id) if previous else None
    if known is not None:
        deadline_s = known.deadline_s
    elif stored.reservation_id is not None:
        deadline_s = math.inf
    else:
        deadline_s = _deadline_s(stored.expires_at_us, now)
    claim = Claim(
        id=stored.id,
        sequence=stored.declared,
        holder=stored.holder,
        targets=with_destinations(each.claimed(fold_case=fold_case) for each in stored.targets),
        standing=Standing.DECLARED,
        branch=stored.branch,
        worktree=stored.worktree,
        expires_at_us=stored.expires_at_us,
    )
    return Intent(
        claim=claim,
        operation=stored.operation,
        detail=stored.detail,
        state=stored.state,
        reservation_id=stored.reservation_id,
        created_at_us=stored.created_at_us,
        deadline_s=deadline_s,
        changed=stored.changed,
        commit=stored.commit,
    )
