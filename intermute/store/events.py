"""The event log in SQLite. Written only by the batch whose changes it tells of."""

from typing import Final

import apsw
import msgspec

from intermute.core.events import Event
from intermute.core.ids import Micros
from intermute.store.chain import follow_from, link
from intermute.store.pages import within_page
from intermute.store.statements import Statement, to_json

_APPEND: Final = """
INSERT INTO events (cursor, type, created_at_us, audience, data, hash)
VALUES (:cursor, :type, :created_at_us, :audience, :data, :hash)
"""
_AFTER: Final = """
SELECT cursor, type, created_at_us, audience, data, hash FROM events WHERE cursor > :cursor ORDER BY cursor LIMIT :limit
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
            "hash": None,
        },
    )


def execute(connection: apsw.Connection, statement: Statement, digest: bytes) -> bytes:
    """Run any statement of a batch, and return the hash of the log's last event, which was `digest` before.

    An event gets its hash here, where it is stored: a command that is left out of the batch leaves no gap in the chain.
    """
    if statement.sql is not _APPEND:
        connection.execute(statement.sql, statement.values)
        return digest
    digest = link(digest, statement.values)
    connection.execute(_APPEND, {**statement.values, "hash": digest})
    return digest


def after(connection: apsw.Connection, cursor: int, limit: int) -> list[Event]:
    """Return the events after the cursor, in order, at most `limit`, each checked against the chain. Raises: ChainBroken."""
    follower = follow_from(connection, cursor)
    found: list[Event] = []
    for row in within_page(connection.execute(_AFTER, {"cursor": cursor, "limit": limit})):
        if follower is not None:
            follower.check(row)
        found.append(Event(row[0], row[1], Micros(row[2]), _audience(row[3]), msgspec.json.decode(row[4])))
    return found


def _audience(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(msgspec.json.decode(text))
