"""Messages of the original, and what their recipients have done with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from intermute.core.api.messages import SendMessage
from intermute.core.ids import Micros
from intermute.core.original.rows import LeftOut, Row, Times, as_command, shown, texts


@dataclass(slots=True)
class OriginalMarks:
    """When one recipient has read and acknowledged a message; None, where it has not."""

    agent: str
    read_at_us: Micros | None
    ack_at_us: Micros | None


@dataclass(slots=True)
class OriginalMessage:
    """One message, as a request would send it."""

    asked: SendMessage
    created_at_us: Micros | None
    marks: list[OriginalMarks]
    notes: list[str] = field(default_factory=list)


def message_of(row: Row, recipients: Iterable[Row], now_us: Micros) -> OriginalMessage:
    """Return the message in a row. Raises: LeftOut."""
    times = Times(now_us)
    fields = {
        "id": row.text("message_id"),
        "from": row.text("from_agent"),
        "thread_id": row.text("thread_id"),
        "to": texts(row.decoded("to_json"), "to"),
        "cc": texts(row.decoded("cc_json"), "cc"),
        "bcc": texts(row.decoded("bcc_json"), "bcc"),
        "subject": row.text("subject"),
        "topic": row.text("topic"),
        "body": row.text("body"),
        "importance": row.text("importance"),
        "ack_required": bool(row.number("ack_required")),
    }
    if not fields["id"]:
        raise LeftOut("it has no id")
    if not fields["to"]:
        raise LeftOut("nobody is left in its `to`: every recipient had refused it")
    marks = [
        OriginalMarks(each.text("agent_id"), times.read(each, "read_at"), times.read(each, "ack_at"))
        for each in recipients
        if "agent_id" not in each.broken
    ]
    return OriginalMessage(
        asked=as_command(SendMessage, fields),
        created_at_us=times.read(row, "created_at"),
        marks=[each for each in marks if each.read_at_us is not None or each.ack_at_us is not None],
        notes=times.notes,
    )


def label_of(row: Row, *names: str) -> str:
    """Return how a report names a row: its id, as far as that can be shown."""
    return " → ".join("?" if name in row.broken else shown(row.text(name)) for name in names)
