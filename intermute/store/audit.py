"""The audit in SQLite: written in the transaction of what it tells of, and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import apsw
import msgspec

from intermute.core.ids import AgentId, Micros
from intermute.store.statements import Statement, to_json

_APPEND: Final = """
INSERT INTO audit (cursor, at_us, actor, verified, action, reason, subject)
VALUES (:cursor, :at_us, :actor, :verified, :action, :reason, :subject)
"""
_AFTER: Final = """
SELECT cursor, at_us, actor, verified, action, reason, subject FROM audit
WHERE cursor > :cursor ORDER BY cursor LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One record, under the cursor of the event that told of it."""

    cursor: int
    at_us: Micros
    actor: AgentId
    verified: bool
    action: str
    reason: str
    subject: Mapping[str, Any]  # Any: JSON fields of this action; docs/operations.md lists them.


def append(row: AuditRow) -> Statement:
    """Write one record."""
    return Statement(
        _APPEND,
        {
            "cursor": row.cursor,
            "at_us": row.at_us,
            "actor": row.actor,
            "verified": int(row.verified),
            "action": row.action,
            "reason": row.reason,
            "subject": to_json(row.subject),
        },
    )


def after(connection: apsw.Connection, cursor: int, limit: int) -> list[AuditRow]:
    """Return the records after the cursor, in order, at most `limit`."""
    return [
        AuditRow(row[0], Micros(row[1]), AgentId(row[2]), bool(row[3]), row[4], row[5], msgspec.json.decode(row[6]))
        for row in connection.execute(_AFTER, {"cursor": cursor, "limit": limit})
    ]
