"""The contact book: whom each agent of a project takes messages from, who asked to be taken, and what waits for approval.

A cache of two tables. Contacts have a direction: that anna takes what ben sends says nothing of what ben takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from intermute.core import limits
from intermute.core.ids import AgentId, MessageId, Micros
from intermute.core.messages import Kind


class ContactState(StrEnum):
    """How one agent stands with another."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Contact:
    """One entry of an agent's list; `other` is an id, or a name that nobody has."""

    agent: AgentId
    other: AgentId
    state: ContactState
    reason: str
    since_us: Micros


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits for its recipient's approval."""

    agent: AgentId
    message_id: MessageId
    address: str
    kind: Kind
    sender: AgentId
    reason: str
    held_at_us: Micros


@dataclass(slots=True)
class ContactBook:
    """All contacts and held messages of one project, as decided so far."""

    _contacts: dict[AgentId, dict[AgentId, Contact]] = field(default_factory=dict)
    _held: dict[AgentId, dict[MessageId, Held]] = field(default_factory=dict)
    _contact_count: int = 0
    _held_count: int = 0

    def get(self, agent: AgentId, other: AgentId) -> Contact | None:
        """Return what the agent's list says of another."""
        return self._contacts.get(agent, {}).get(other)

    def accepts(self, agent: AgentId, other: AgentId) -> bool:
        """Tell whether the other is a contact of the agent."""
        found = self.get(agent, other)
        return found is not None and found.state is ContactState.ACCEPTED

    def of(self, agent: AgentId) -> list[Contact]:
        """Return the agent's list."""
        return list(self._contacts.get(agent, {}).values())

    def put(self, contact: Contact) -> None:
        """Take in an entry, or what has become of it."""
        mine = self._contacts.setdefault(contact.agent, {})
        self._contact_count += contact.other not in mine
        mine[contact.other] = contact

    def remove(self, contact: Contact) -> None:
        """Take an entry out."""
        mine = self._contacts[contact.agent]
        del mine[contact.other]
        self._contact_count -= 1
        if not mine:
            del self._contacts[contact.agent]

    def has_room(self, agent: AgentId, *, asks: bool) -> bool:
        """Tell whether the agent's list can take one more entry; requests have places of their own, to leave its own to it."""
        if self._contact_count >= limits.CONTACTS_PER_PROJECT_MAX:
            return False
        requests = sum(each.state is ContactState.REQUESTED for each in self._contacts.get(agent, {}).values())
        settled = len(self._contacts.get(agent, {})) - requests
        return requests < limits.CONTACT_REQUESTS_MAX if asks else settled < limits.CONTACTS_PER_AGENT_MAX

    def rename(self, name: AgentId, agent_id: AgentId) -> list[tuple[Contact, Contact]]:
        """Let entries for a name be of the agent that has it now, and return them as they were and as they are.

        An agent that has an entry under its id already keeps that one: then the two that are returned are the same.
        """
        changed = []
        for mine in list(self._contacts.values()):
            if (old := mine.get(name)) is None or name == agent_id:
                continue
            new = mine.get(agent_id) or replace(old, other=agent_id)
            self.remove(old)
            self.put(new)
            changed.append((old, new))
        return changed

    def naming(self, agent: AgentId) -> list[Contact]:
        """Return every entry that the agent has, or is."""
        return [*self.of(agent), *(mine[agent] for mine in self._contacts.values() if agent in mine)]

    # ---- messages that wait for approval

    def hold(self, held: Held) -> None:
        """Take in a message that waits."""
        mine = self._held.setdefault(held.agent, {})
        self._held_count += held.message_id not in mine
        mine[held.message_id] = held

    def held(self, agent: AgentId, message_id: str) -> Held | None:
        """Return the message that waits for this agent."""
        return self._held.get(agent, {}).get(MessageId(message_id))

    def held_for(self, agent: AgentId) -> Iterator[Held]:
        """Yield what waits for this agent, the oldest first."""
        yield from list(self._held.get(agent, {}).values())

    def can_hold(self, agent: AgentId) -> bool:
        """Tell whether one more message may wait for this agent."""
        mine = len(self._held.get(agent, {}))
        return mine < limits.HELD_PER_AGENT_MAX and self._held_count < limits.HELD_PER_PROJECT_MAX

    def let_go(self, held: Held) -> None:
        """Take a message out that waits no longer."""
        mine = self._held[held.agent]
        del mine[held.message_id]
        self._held_count -= 1
        if not mine:
            del self._held[held.agent]
