"""What an actor keeps in memory of its project: a cache of SQLite, rebuilt whenever it starts (design.md 3.3)."""

import math
from dataclasses import dataclass, field, replace

import apsw

from intermute.core import limits
from intermute.core.agents import Agent, Directory
from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.core.lease_book import LeaseBook, Reservation
from intermute.core.patterns import parse
from intermute.core.times import SECOND_US, Now
from intermute.store import agents as agent_rows
from intermute.store import reservations as reservation_rows
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
    unflushed_heartbeats: set[AgentId] = field(default_factory=set)
    agents_before_batch: dict[AgentId, Agent | None] = field(default_factory=dict)
    """What the running batch has registered (None), changed or let go, as it is stored."""
    listening_since_s: float = -math.inf
    """Monotonic time since when this process could hear the agents: while it was down nobody could say a word."""

    def stored(self) -> None:
        """Note that the running batch has reached the disk."""
        self.leases.stored()
        self.agents_before_batch.clear()

    def put_agent(self, agent: Agent) -> None:
        """Take in an agent that the running batch will store; never change one in place, but for its signs of life."""
        self.agents_before_batch.setdefault(agent.id, self.agents.of_id(agent.id))
        self.agents.put(agent)

    def remove_agent(self, agent: Agent) -> None:
        """Forget an agent whose leaving the running batch will store."""
        self.agents_before_batch.setdefault(agent.id, agent)
        self.agents.remove(agent)

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
    return replace(stored, heard_s=current.heard_s, last_seen_us=current.last_seen_us, focus_state=current.focus_state)


def load_state(connection: apsw.Connection, row: ProjectRow, now: Now, previous: ProjectState | None) -> ProjectState:
    """Return the state as SQLite has it.

    Monotonic facts, which SQLite cannot hold, come from `previous` where this process knew them; else a lease keeps
    what was left of it, and at least a minute, and so does an agent (guarantees.md G8).
    """
    state = ProjectState(row.name, row.epoch, row.head, row.batch)
    state.listening_since_s = previous.listening_since_s if previous else now.mono_s
    for stored in reservation_rows.active(connection):
        state.leases.load(_lease(stored, now, previous))

    def heard_s(agent_id: AgentId, last_seen_us: Micros) -> float:
        known = previous.agents.find(agent_id) if previous else None
        if known is not None:
            return known.heard_s
        silence_s = (now.wall_us - last_seen_us) / SECOND_US
        was_live = silence_s < limits.AGENT_SILENCE_S + limits.LIVENESS_FLUSH_S
        if was_live or state.leases.held_by(agent_id):
            silence_s = min(silence_s, limits.AGENT_SILENCE_S - limits.RESTART_GRACE_S)
        return now.mono_s - max(silence_s, 0.0)

    for agent in agent_rows.load(connection, heard_s):
        known = previous.agents.find(agent.id) if previous else None
        if known is not None:  # Heartbeats that the disk has not seen yet must not be lost with the old memory.
            agent.last_seen_us = max(agent.last_seen_us, known.last_seen_us)
            agent.focus_state = known.focus_state
            state.unflushed_heartbeats.add(agent.id)
        state.agents.put(agent)
    return state


def _lease(stored: ReservationRow, now: Now, previous: ProjectState | None) -> Reservation:
    known = previous.leases.versions(stored.id) if previous else []
    same = [each.deadline_s for each in known if each.expires_at_us == stored.expires_at_us]
    if same:
        deadline_s = same[0]
    else:
        remaining_s = (stored.expires_at_us - now.wall_us) / SECOND_US
        # A wall clock that jumped while we were down must not stretch a lease beyond any that could be granted.
        deadline_s = now.mono_s + min(max(remaining_s, limits.RESTART_GRACE_S), limits.TTL_MAX_S)
    return Reservation(
        id=stored.id,
        holder=stored.holder,
        patterns=tuple(parse(pattern.text, literal=pattern.literal) for pattern in stored.patterns),
        mode=stored.mode,
        reason=stored.reason,
        fence=stored.fence,
        created_at_us=stored.created_at_us,
        expires_at_us=stored.expires_at_us,
        deadline_s=deadline_s,
    )
