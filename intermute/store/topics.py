"""Topics in SQLite: what was said on one, in the order of the log."""

from typing import Final

import apsw

from intermute.core import limits
from intermute.core.ids import AgentId
from intermute.core.messages import Message
from intermute.store.messages import MESSAGE_COLUMNS, MESSAGE_WIDTH, VISIBLE, from_row
from intermute.store.pages import chars_in

_TOPIC: Final = f"""
SELECT {MESSAGE_COLUMNS}, {VISIBLE} FROM messages m
WHERE m.topic = :topic AND m.topic <> '' AND m.cursor > :cursor ORDER BY m.cursor LIMIT :look
"""  # noqa: S608 - constants


def page(
    connection: apsw.Connection, topic: str, *, reader: AgentId | None, name: str | None, cursor: int, limit: int
) -> tuple[list[Message], int]:
    """Return the messages on a topic after the cursor that the reader may find, and up to which cursor all were looked at."""
    found: list[Message] = []
    chars = 0
    values = {"topic": topic, "reader": reader, "name": name, "cursor": cursor, "look": limits.TOPIC_LOOK_MAX}
    for row in connection.execute(_TOPIC, values):
        is_visible = row[MESSAGE_WIDTH]
        if is_visible:
            found.append(from_row(row))
            chars += chars_in(row)
        cursor = row[MESSAGE_WIDTH - 3]
        if len(found) >= limit or chars >= limits.PAGE_CHARS_MAX:
            break
    return found, cursor
