"""The event log in SQLite. Written only by the batch whose changes it tells of."""

from typing import Final

import apsw
import msgspec

from intermute.core.events import Event
from intermute.core.ids import Micros
from intermute.store.pages import within_page
from intermute.store.statements import Statement, to_json

_APPEND: Final = """
INSERT INTO events (cursor, type, created_at_us, audience, data) VALUES (:cursor, :type, :created_at_us, :audience, :data)
"""
_AFTER: Final = """
SELECT cursor, type, created_at_us, audience, data FROM events WHERE cursor > :cursor ORDER BY cursor LIMIT :limit
"""


def append(event: Event) -> Statement:
    """Write one event."""
    return Statement(
        _APPEND,
        {
            "cursor": event.cursor,
            "type": event.type,
            "created_at_us": event.created_at_us,
            "audience": None if event.audience is None else to_json(sorted(event.audience)),
            "data": to_json(event.data),
        },
    )


def after(connection: apsw.Connection, cursor: int, limit: int) -> list[Event]:
    """Return the events after the cursor, in order, at most `limit`."""
    return [
        Event(row[0], row[1], Micros(row[2]), _audience(row[3]), msgspec.json.decode(row[4]))
        for row in within_page(connection.execute(_AFTER, {"cursor": cursor, "limit": limit}))
    ]


def _audience(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(msgspec.json.decode(text))
