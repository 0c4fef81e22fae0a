"""Contacts of the original: whom an agent takes messages from, in our terms.

A row has no project: it is of that of the agent whose list it is (contract.md 5.2).
"""

from dataclasses import dataclass, field

from intermute.core.api.contacts import PutContact
from intermute.core.ids import AgentId, Micros
from intermute.core.original.rows import Row, Times, as_command


@dataclass(slots=True)
class OriginalContact:
    """One entry of an agent's list."""

    owner: AgentId
    asked: PutContact
    since_us: Micros | None
    notes: list[str] = field(default_factory=list)


def contact_of(row: Row, now_us: Micros) -> OriginalContact:
    """Return the entry in a row. Raises: LeftOut."""
    times = Times(now_us)
    asked = as_command(PutContact, {"agent": row.text("agent_id"), "other": row.text("contact_agent_id")})
    return OriginalContact(AgentId(asked.agent), asked, times.read(row, "created_at"), times.notes)
