"""Trimming the log: the actor's part, one slice a commit. The pass that says what goes is `project/retention.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from intermute.core import limits
from intermute.core.errors import InvalidRequest
from intermute.core.events import EventType
from intermute.core.retention import RetentionRule, unknown_kinds
from intermute.project.transaction import Transaction
from intermute.store import retention as rows


def check_kinds(field: str, rules: Sequence[RetentionRule]) -> None:
    """Refuse rules about events that there are none of. Raises: InvalidRequest."""
    if unknown := unknown_kinds(rules):
        text = (
            "no event is of kind " + ", ".join(unknown[:5]) + ": use a type of docs/api.md, the like of message.*, or *"
        )
        raise InvalidRequest([(field, text)])


@dataclass(frozen=True, slots=True)
class TrimEvents:
    """Delete exactly these events, cursor and type of each, which are committed and archived if they are to be."""

    events: Sequence[tuple[int, str]]


def trim_events(command: TrimEvents, tx: Transaction) -> None:
    """Delete the events, note of each type up to where it is gone, and let everyone hear of it."""
    assert 0 < len(command.events) <= limits.TRIM_MAX
    last = {event_type: cursor for cursor, event_type in sorted(command.events)}
    count = Counter(event_type for _, event_type in command.events)
    tx.write(*rows.trim([cursor for cursor, _ in command.events], last, count))
    tx.emit(EventType.PROJECT_TRIMMED, {"trimmed": len(command.events), "last": last})
