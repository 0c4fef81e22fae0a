"""The index over the words of messages: which of them match, how well, and where. It is filled by triggers (migration 12)."""

from typing import Final, NamedTuple

import apsw

from intermute.core import limits
from intermute.core.ids import AgentId, Micros
from intermute.store.messages import VISIBLE

_MATCHES: Final = """
SELECT rowid, bm25(message_words, 4.0, 1.0) FROM message_words
WHERE message_words MATCH :words AND rowid <= :head ORDER BY rowid DESC LIMIT :look
"""
_ONE: Final = f"""
SELECT m.id, m.thread_id, m.sender, m.subject, m.topic, m.created_at_us, m.cursor, m.is_broadcast FROM messages m
WHERE m.first_cursor = :number AND {VISIBLE}
"""  # noqa: S608 - constants
_SNIPPET: Final = """
SELECT snippet(message_words, -1, '[', ']', '…', :most) FROM message_words
WHERE message_words MATCH :words AND rowid = :number
"""


class Match(NamedTuple):
    """A message that matches. The lower the rank, the better."""

    rank: float
    number: int


class Found(NamedTuple):
    """What is shown of a message that was found."""

    id: str
    thread_id: str
    sender: str
    subject: str
    topic: str
    created_at_us: Micros
    cursor: int
    is_broadcast: int


def matches(connection: apsw.Connection, words: str, *, head: int) -> list[Match]:
    """Return the newest messages that match and were written up to this cursor, the best first, the newer before the older."""
    values: dict[str, str | int] = {"words": words, "head": head, "look": limits.SEARCH_MATCHES_MAX}
    found = [Match(rank, number) for number, rank in connection.execute(_MATCHES, values)]
    return sorted(found, key=lambda match: (match.rank, -match.number))


def visible(connection: apsw.Connection, match: Match, reader: AgentId | None, name: str | None) -> Found | None:
    """Return the message that matches, or None where the reader may not find it."""
    values = {"number": match.number, "reader": reader, "name": name}
    row = connection.execute(_ONE, values).fetchone()
    return None if row is None else Found(*row)


def snippet(connection: apsw.Connection, match: Match, words: str) -> str:
    """Return the words around the best place that matches."""
    values: dict[str, str | int] = {"words": words, "number": match.number, "most": limits.SNIPPET_WORDS}
    return str(connection.execute(_SNIPPET, values).get)
