"""Trimming the log: the actor's part, one slice a commit. The pass that says what goes is `project/retention.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from intermute.core import limits
from intermute.core.errors import InvalidRequest
from intermute.core.events import EventType
from intermute.core.ids import AgentId
from intermute.core.retention import RetentionRule, unknown_kinds
from intermute.project.transaction import Transaction
from intermute.store import audit
from intermute.store import retention as rows
from intermute.store.audit import AuditRow


def check_kinds(field: str, rules: Sequence[RetentionRule]) -> None:
    """Refuse rules about events that there are none of. Raises: InvalidRequest."""
    if unknown := unknown_kinds(rules):
        text = (
            "no event is of kind " + ", ".join(unknown[:5]) + ": use a type of docs/api.md, the like of message.*, or *"
        )
        raise InvalidRequest([(field, text)])


@dataclass(frozen=True, slots=True)
class Trimmer:
    """Who has the log trimmed, by which rules and why, as the audit keeps it."""

    actor: AgentId
    is_verified: bool
    rules: Sequence[RetentionRule]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrimEvents:
    """Delete exactly these events, cursor and type of each, which are committed and archived if they are to be.

    Without `by` the project's own settings have it done; who set them is in the audit already.
    """

    events: Sequence[tuple[int, str]]
    archive: str | None = None
    by: Trimmer | None = None


def trim_events(command: TrimEvents, tx: Transaction) -> None:
    """Delete the events, note of each type up to where it is gone, let everyone hear of it, and record who asked for it."""
    assert 0 < len(command.events) <= limits.TRIM_MAX
    last = {event_type: cursor for cursor, event_type in sorted(command.events)}
    count = Counter(event_type for _, event_type in command.events)
    tx.write(*rows.trim([cursor for cursor, _ in command.events], last, count))
    told = {"trimmed": len(command.events), "last": last}
    cursor = tx.emit(EventType.PROJECT_TRIMMED, told)
    by = command.by
    if by is not None:
        subject = {**told, "archive": command.archive, "rules": by.rules}
        record = AuditRow(
            cursor, tx.now.wall_us, by.actor, by.is_verified, EventType.PROJECT_TRIMMED, by.reason, subject
        )
        tx.write(audit.append(record))
