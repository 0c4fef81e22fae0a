"""Events: what the log can say, and what one reader gets to see of it.

Every mutation appends to its project's log under one strictly growing cursor (design.md 3.4). An event has an audience:
None for everyone in the project, or the addresses it is for; the project-wide stream sees those too, but never who was
copied blindly.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.core.times import rfc3339


class EventType(StrEnum):
    """The closed list; the original's names where it has them (contract.md 2.2)."""

    AGENT_REGISTERED = "agent.registered"
    AGENT_RENEWED = "agent.renewed"
    AGENT_METADATA = "agent.metadata"
    AGENT_DEREGISTERED = "agent.deregistered"
    MESSAGE_CREATED = "message.created"
    MESSAGE_UPDATED = "message.updated"
    MESSAGE_READ = "message.read"
    MESSAGE_ACK = "message.ack"
    RESERVATION_CREATED = "reservation.created"
    RESERVATION_RENEWED = "reservation.renewed"
    RESERVATION_RELEASED = "reservation.released"
    RESERVATION_EXPIRED = "reservation.expired"


class Event(NamedTuple):
    """One entry of the log. `audience` holds canonical addresses (ids, or names that nobody has registered)."""

    cursor: int
    type: str
    created_at_us: Micros
    audience: frozenset[str] | None
    data: Mapping[str, Any]  # Any: JSON fields of this type of event; docs/api.md lists them.


def is_for(
    event: Event, reader: AgentId | None, types: frozenset[str] | None, canonical: Callable[[str], AgentId]
) -> bool:
    """Tell whether this reader gets the event: `reader` None is the whole project, `types` None is every type.

    An event that was addressed to a name before anyone had it is for the agent that `canonical` now finds under it.
    """
    if types is not None and event.type not in types:
        return False
    if reader is None or event.audience is None or reader in event.audience:
        return True
    return any(canonical(address) == reader for address in event.audience)


def on_the_wire(event: Event, project: ProjectName, asked_as: str | None) -> dict[str, Any]:  # Any: see Event.data.
    """Return the event as a client gets it: a superset of the original's object, with its keys in sorted order.

    `asked_as` is the address the reader itself used; events that are addressed to somebody repeat it as `agent`, since
    the original's clients compare it with their own name.
    """
    fields = {
        **event.data,
        "type": event.type,
        "project": project,
        "cursor": event.cursor,
        "created_at": rfc3339(event.created_at_us),
    }
    if event.audience is not None and asked_as is not None:
        fields["agent"] = asked_as
    return dict(sorted(fields.items()))


def parse_types(text: str | None) -> frozenset[str] | None:
    """Return the wished event types of a comma-separated list, or None for all."""
    if text is None or not text.strip():
        return None
    return frozenset(part.strip() for part in text.split(",") if part.strip())
