"""What of the log may go, what of it is gone, and the statements that trim it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import apsw

from intermute.core.ids import Micros
from intermute.core.retention import MARKER
from intermute.store.chain import begin_after, follow_from
from intermute.store.pages import within_page
from intermute.store.statements import Statement, to_json

_GONE: Final = "SELECT type, cursor FROM trimmed"
_FROM_CURSOR: Final = "SELECT cursor, created_at_us FROM events WHERE cursor >= :cursor ORDER BY cursor LIMIT 1"
_LAST: Final = "SELECT coalesce(max(cursor), 0) FROM events"
_BEYOND_NEWEST: Final = """
SELECT cursor FROM events WHERE type IN (SELECT value FROM json_each(:types)) AND type <> :marker
ORDER BY cursor DESC LIMIT 1 OFFSET :keep
"""
_LAST_OF_THESE: Final = """
SELECT cursor FROM events WHERE cursor <= :cursor AND type IN (SELECT value FROM json_each(:types)) AND type <> :marker
ORDER BY cursor DESC LIMIT 1
"""
_CHUNK: Final = """
SELECT events.cursor, events.type, events.created_at_us, events.audience, events.data, events.hash, before.cursor, before.hash
FROM events
LEFT JOIN events AS before ON before.cursor = (SELECT max(cursor) FROM events AS earlier WHERE earlier.cursor < events.cursor)
WHERE events.cursor > :after AND events.cursor <= :upto AND events.type IN (SELECT value FROM json_each(:types))
ORDER BY events.cursor LIMIT :limit
"""
_COUNTS: Final = """
SELECT type, count(*) FROM events
WHERE cursor <= :upto AND type IN (SELECT value FROM json_each(:types)) GROUP BY type
"""
_DELETE: Final = "DELETE FROM events WHERE cursor IN (SELECT value FROM json_each(:cursors))"
_NOTE: Final = """
INSERT INTO trimmed (type, cursor, events) VALUES (:type, :cursor, :events)
ON CONFLICT (type) DO UPDATE SET cursor = max(cursor, excluded.cursor), events = events + excluded.events
"""


class EventRow(NamedTuple):
    """One event as it is stored."""

    cursor: int
    type: str
    created_at_us: int
    audience: str | None
    data: str


def gone(connection: apsw.Connection) -> dict[str, int]:
    """Return, of each type of which something was trimmed, the cursor of the last event that is gone."""
    return dict(connection.execute(_GONE))


def last_to_go(
    connection: apsw.Connection, types: Sequence[str], *, keep_events: int | None, older_than_us: Micros | None
) -> int:
    """Return the cursor up to which events of these types may go, by their number or by their age; 0 for none.

    It is that of an event which is no marker: telling of a trim leaves one, so trimming nothing else would go on for ever.
    """
    of_these = {"types": to_json(types), "marker": MARKER.value}
    found = 0
    if keep_events is not None:
        row = connection.execute(_BEYOND_NEWEST, {**of_these, "keep": keep_events}).fetchone()
        found = 0 if row is None else row[0]
    if older_than_us is not None:
        last = _last_before(connection, older_than_us)
        row = connection.execute(_LAST_OF_THESE, {**of_these, "cursor": last}).fetchone()
        found = max(found, 0 if row is None else row[0])
    return found


def _last_before(connection: apsw.Connection, time_us: Micros) -> int:
    """Return a cursor up to which all events are older; stored time never decreases, so halving finds it."""
    low, high = 0, connection.execute(_LAST).get
    while low < high:
        middle = (low + high + 1) // 2
        # The first event from the middle on; if it is old, so is everything before it, and nothing lies between.
        row = connection.execute(_FROM_CURSOR, {"cursor": middle}).fetchone()
        if row is not None and row[1] < time_us:
            low = row[0]
        else:
            high = middle - 1
    return low


def chunk(connection: apsw.Connection, types: Sequence[str], after: int, upto: int, limit: int) -> list[EventRow]:
    """Return the next events of these types that go, in order, at most `limit` and about a page of text.

    Each is checked against the chain, since what is archived and deleted is checked by nobody any more. Raises: ChainBroken.
    """
    follower = follow_from(connection, after)
    found = []
    for row in within_page(
        connection.execute(_CHUNK, {"types": to_json(types), "after": after, "upto": upto, "limit": limit})
    ):
        if follower is not None:
            follower.check_after((row[6], row[7]), row[:6])
        found.append(EventRow(*row[:5]))
    return found


def counts(connection: apsw.Connection, types: Sequence[str], upto: int) -> dict[str, int]:
    """Return how many events of each of these types are there up to a cursor."""
    return dict(connection.execute(_COUNTS, {"types": to_json(types), "upto": upto}))


def trim(cursors: Sequence[int], last: Mapping[str, int], count: Mapping[str, int]) -> list[Statement]:
    """Delete exactly these events, and note of each type up to where it is gone; the chain begins after them."""
    return [
        begin_after(max(cursors)),
        Statement(_DELETE, {"cursors": to_json(cursors)}),
        *(Statement(_NOTE, {"type": each, "cursor": last[each], "events": count[each]}) for each in sorted(last)),
    ]
