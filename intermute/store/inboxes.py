"""Inboxes and threads in SQLite: the pages that agents read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from intermute.core.ids import AgentId, Micros
from intermute.core.messages import THREAD_PREVIEW_CHARS, Kind, Message, Receipt
from intermute.store.messages import MESSAGE_COLUMNS, MESSAGE_WIDTH, from_row
from intermute.store.pages import within_page
from intermute.store.statements import Statement

_ENTRY: Final = f"{MESSAGE_COLUMNS}, r.agent, r.address, r.kind, r.read_at_us, r.ack_at_us, r.cursor AS place"
_SOME: Final = f"""
SELECT {_ENTRY} FROM recipients r INDEXED BY recipients_of_agent CROSS JOIN messages m ON m.id = r.message_id
WHERE r.agent = :agent AND r.cursor > :cursor AND (r.read_at_us IS NOT NULL) =
"""  # noqa: S608 - constants
_UNREAD: Final = f"{_SOME} 0 ORDER BY place LIMIT :limit"
_INBOX: Final = f"{_SOME} 0 UNION ALL {_SOME} 1 ORDER BY place LIMIT :limit"
"""What is unread and what is read, each in its order in the index, merged."""
_STALE: Final = f"""
SELECT {_ENTRY} FROM recipients r INDEXED BY recipients_unacked JOIN messages m ON m.id = r.message_id
WHERE r.agent = :agent AND r.ack_required = 1 AND r.ack_at_us IS NULL AND m.created_at_us <= :until_us
ORDER BY r.cursor LIMIT :limit
"""  # noqa: S608 - constants
_COUNTS: Final = """
SELECT count(*), count(*) FILTER (WHERE read_at_us IS NULL),
       count(*) FILTER (WHERE ack_required = 1 AND ack_at_us IS NULL)
FROM recipients WHERE agent = :agent
"""
_JOIN: Final = """
INSERT INTO threads (thread_id, agent, last_cursor, message_count, last_from, last_body, last_at_us)
VALUES (:thread_id, :agent, :last_cursor, :step, :last_from, :last_body, :last_at_us)
ON CONFLICT (thread_id, agent) DO UPDATE SET
    last_cursor = excluded.last_cursor, message_count = message_count + :step,
    last_from = excluded.last_from, last_body = excluded.last_body, last_at_us = excluded.last_at_us
"""
_THREADS: Final = """
SELECT thread_id, last_cursor, message_count, last_from, last_body, last_at_us FROM threads
WHERE agent = :agent AND last_cursor < :before ORDER BY last_cursor DESC LIMIT :limit
"""
_THREAD: Final = f"""
SELECT {MESSAGE_COLUMNS} FROM messages m
WHERE m.thread_id = :thread_id AND m.thread_id <> '' AND m.cursor > :cursor ORDER BY m.cursor LIMIT :limit
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """The last word in a thread, as one participant's list shows it."""

    thread_id: str
    last_cursor: int
    message_count: int
    last_from: str
    last_body: str
    last_at_us: Micros


def join_thread(message: Message, agent: AgentId, *, is_new: bool) -> Statement:
    """Note the message as the last word of its thread for one participant."""
    return Statement(
        _JOIN,
        {
            "thread_id": message.thread_id,
            "agent": agent,
            "last_cursor": message.cursor,
            "step": int(is_new),
            "last_from": message.sender,
            "last_body": message.body[:THREAD_PREVIEW_CHARS],
            "last_at_us": message.updated_at_us or message.created_at_us,
        },
    )


def inbox(
    connection: apsw.Connection, agent: AgentId, *, cursor: int, limit: int, is_unread_only: bool
) -> list[tuple[Message, Receipt]]:
    """Return the agent's entries after the cursor, the oldest first."""
    values: dict[str, str | int] = {"agent": agent, "cursor": cursor, "limit": limit}
    return [_entry(row) for row in within_page(connection.execute(_UNREAD if is_unread_only else _INBOX, values))]


def counts(connection: apsw.Connection, agent: AgentId) -> tuple[int, int, int]:
    """Return how many entries the agent has, how many are unread, and how many await its acknowledgement."""
    total, unread, unacknowledged = map(int, connection.execute(_COUNTS, {"agent": agent}).get)
    return total, unread, unacknowledged


def stale(
    connection: apsw.Connection, agent: AgentId, *, until_us: Micros, limit: int
) -> list[tuple[Message, Receipt]]:
    """Return the entries sent at `until_us` or before that the agent should have acknowledged, the oldest first."""
    values: dict[str, str | int] = {"agent": agent, "until_us": until_us, "limit": limit}
    return [_entry(row) for row in within_page(connection.execute(_STALE, values))]


def threads(connection: apsw.Connection, agent: AgentId, *, before: int, limit: int) -> list[ThreadRow]:
    """Return the agent's threads with a last cursor below `before`, the most recent first."""
    return [
        ThreadRow(row[0], row[1], row[2], row[3], row[4], Micros(row[5]))
        for row in connection.execute(_THREADS, {"agent": agent, "before": before, "limit": limit})
    ]


def thread(connection: apsw.Connection, thread_id: str, *, cursor: int, limit: int) -> list[Message]:
    """Return the messages of a thread after the cursor, in log order."""
    values: dict[str, str | int] = {"thread_id": thread_id, "cursor": cursor, "limit": limit}
    return [from_row(row) for row in within_page(connection.execute(_THREAD, values))]


def _entry(
    row: Sequence[Any],
) -> tuple[Message, Receipt]:  # Any: SQLite's dynamic columns; the STRICT schema types them.
    agent, address, kind, read_at_us, ack_at_us, cursor = row[MESSAGE_WIDTH : MESSAGE_WIDTH + 6]
    # To who got it later than the others, after an approval, its place is the one in that inbox.
    return from_row(row, cursor), Receipt(AgentId(agent), address, Kind(kind), read_at_us, ack_at_us)
