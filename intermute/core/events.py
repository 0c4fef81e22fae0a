"""Events: what the log can say, and what one reader gets to see of it.

Every mutation appends to its project's log under one strictly growing cursor (design.md 3.4). An event has an audience:
None for everyone in the project, or the addresses it is for; the project-wide stream sees those too, but never who was
copied blindly.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from intermute.core import limits
from intermute.core.ids import Micros, ProjectName
from intermute.core.messages import normal_topic
from intermute.core.times import rfc3339

_NAMED_BYTES: Final = 4  # the quotes, the colon and the comma of a field.
_COMMON_BYTES: Final = (
    2048  # what the common fields take at most: 256 characters of an address, 128 of a project's name.
)
_EVENT_CHARS: Final = 512  # what the event's own objects take; a guess, near what 1,024 small ones take in all.


class EventType(StrEnum):
    """The closed list; the original's names where it has them (contract.md 2.2)."""

    AGENT_REGISTERED = "agent.registered"
    AGENT_RENEWED = "agent.renewed"
    AGENT_METADATA = "agent.metadata"
    AGENT_DEREGISTERED = "agent.deregistered"
    AGENT_POLICY = "agent.policy"
    CONTACT_REQUESTED = "contact.requested"
    CONTACT_ACCEPTED = "contact.accepted"
    CONTACT_DECLINED = "contact.declined"
    CONTACT_REMOVED = "contact.removed"
    MESSAGE_CREATED = "message.created"
    MESSAGE_UPDATED = "message.updated"
    WINDOW_REGISTERED = "window.registered"
    WINDOW_EXPIRED = "window.expired"
    WINDOW_POKE = "peer.window_poke"
    POKE_ACK = "peer.poke_ack"
    MESSAGE_HELD = "message.held"
    MESSAGE_APPROVED = "message.approved"
    MESSAGE_DECLINED = "message.declined"
    MESSAGE_READ = "message.read"
    MESSAGE_ACK = "message.ack"
    RESERVATION_CREATED = "reservation.created"
    RESERVATION_RENEWED = "reservation.renewed"
    RESERVATION_CONVERTED = "reservation.converted"
    RESERVATION_GRANTED = "reservation.granted"
    RESERVATION_CONTESTED = "reservation.contested"
    RESERVATION_RELEASED = "reservation.released"
    RESERVATION_EXPIRED = "reservation.expired"
    RESERVATION_TRANSFERRED = "reservation.transferred"
    RESERVATION_WANTED = "reservation.wanted"
    INTENT_DECLARED = "intent.declared"
    INTENT_STARTED = "intent.started"
    INTENT_DONE = "intent.done"
    INTENT_ABANDONED = "intent.abandoned"
    INTENT_OVERLAP = "intent.overlap"
    PROJECT_SYMBOLS = "project.symbols"
    PROJECT_SETTINGS = "project.settings"
    PROJECT_RESTORED = "project.restored"
    PROJECT_STORAGE_RECOVERED = "project.storage_recovered"
    PROJECT_TRIMMED = "project.trimmed"
    RESERVATION_FORCE_RELEASED = "reservation.force_released"
    SPEC_CREATED = "spec.created"
    SPEC_UPDATED = "spec.updated"
    SPEC_ARCHIVED = "spec.archived"
    EPIC_CREATED = "epic.created"
    EPIC_UPDATED = "epic.updated"
    EPIC_DELETED = "epic.deleted"
    STORY_CREATED = "story.created"
    STORY_UPDATED = "story.updated"
    STORY_DELETED = "story.deleted"
    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_ASSIGNED = "task.assigned"
    TASK_CLAIMED = "task.claimed"
    TASK_RELEASED = "task.released"
    TASK_COMPLETED = "task.completed"
    TASK_DELETED = "task.deleted"
    INSIGHT_CREATED = "insight.created"
    INSIGHT_UPDATED = "insight.updated"
    INSIGHT_LINKED = "insight.linked"
    INSIGHT_DELETED = "insight.deleted"
    SESSION_STARTED = "session.started"
    SESSION_UPDATED = "session.updated"
    SESSION_STOPPED = "session.stopped"
    CUJ_CREATED = "cuj.created"
    CUJ_UPDATED = "cuj.updated"
    CUJ_VALIDATED = "cuj.validated"
    CUJ_LINKED = "cuj.linked"
    CUJ_UNLINKED = "cuj.unlinked"
    CUJ_ARCHIVED = "cuj.archived"
    CLOCK_RESUMED = "clock.resumed"


_MARKS: Final = frozenset({EventType.MESSAGE_READ, EventType.MESSAGE_ACK})


class Event(NamedTuple):
    """One entry of the log. `audience` holds canonical addresses (ids, or names that nobody has registered)."""

    cursor: int
    type: str
    created_at_us: Micros
    audience: frozenset[str] | None
    data: Mapping[str, Any]  # Any: JSON fields of this type of event; docs/api.md lists them.


def weight(event: Event) -> int:
    """Return about how many characters of memory the event takes."""
    fields = sum(_chars(value) for value in event.data.values())
    return fields + sum(map(len, event.audience or ())) + _EVENT_CHARS


def _chars(value: Any) -> int:  # Any: see Event.data.
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name) + _chars(part) for name, part in value.items())
    return sum(map(_chars, value)) if isinstance(value, (list, tuple)) else 0


def is_for(event: Event, reader: frozenset[str] | None, types: frozenset[str] | None, topic: str | None = None) -> bool:
    """Tell whether a reader with these addresses gets the event: None is the whole project, every type, every topic.

    An event that was addressed to a name before anyone had it is for the agent that has the name now.
    """
    if types is not None and event.type not in types:
        return False
    if topic is not None and event.data.get("topic") != topic:
        return False
    return reader is None or event.audience is None or not reader.isdisjoint(event.audience)


def on_the_wire(event: Event, project: ProjectName, asked_as: str | None) -> dict[str, Any]:  # Any: see Event.data.
    """Return the event as a client gets it: a superset of the original's object, with its keys in sorted order.

    `asked_as` is the address the reader itself used; events that are addressed to somebody repeat it as `agent`, since
    the original's clients compare it with their own name. A reading or an acknowledgement that is addressed is that of a
    blind copy, so a stream of the whole project hears of it without the name.
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
    elif event.audience is not None and event.type in _MARKS:
        fields.pop("agent_id", None)
    return dict(sorted(fields.items()))


def shortened(event: Event) -> Event:
    """Return the event as it fits into one message of a reader that takes no longer ones, as the original's client does.

    Where it is longer its largest fields are left out, and named. The log keeps the whole event.
    """
    sizes = {name: len(msgspec.json.encode(value)) for name, value in event.data.items()}
    excess = sum(sizes.values()) + sum(map(len, sizes)) + _NAMED_BYTES * len(sizes)
    excess -= limits.SHORT_EVENT_BYTES_MAX - _COMMON_BYTES
    left_out = []
    for name in sorted(sizes, key=lambda each: (-sizes[each], each)):
        if excess <= 0:
            break
        excess -= sizes[name]  # Its own name is among those that are told.
        left_out.append(name)
    if not left_out:
        return event
    kept = {name: value for name, value in event.data.items() if name not in left_out}
    return event._replace(data={**kept, "left_out": sorted(left_out)})


def parse_types(text: str | None) -> frozenset[str] | None:
    """Return the wished event types of a comma-separated list, or None for all."""
    if text is None or not text.strip():
        return None
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def parse_topic(text: str | None) -> str | None:
    """Return the wished topic as messages have it, or None for all events, those of no topic among them."""
    return normal_topic(text) or None
