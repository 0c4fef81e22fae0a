"""Replies to requests that came with an Idempotency-Key, written in the transaction of what they tell of."""

from collections.abc import Sequence
from typing import Final

import apsw

from intermute.core.ids import Micros
from intermute.core.once import KeptReply
from intermute.store.statements import Statement

_KEEP: Final = """
INSERT INTO kept_replies (number, place, content, at_us, reply) VALUES (:number, :place, :content, :at_us, :reply)
"""
_FORGET: Final = "DELETE FROM kept_replies WHERE number <= :last"
_OF_PLACE: Final = "SELECT number, place, content, at_us, reply FROM kept_replies WHERE place = :place"
_OLDEST: Final = "SELECT number, at_us FROM kept_replies ORDER BY number LIMIT :limit"
_LAST: Final = "SELECT max(number) FROM kept_replies"


def keep(kept: KeptReply) -> Statement:
    """Write one."""
    return Statement(
        _KEEP,
        {
            "number": kept.number,
            "place": kept.place,
            "content": kept.content,
            "at_us": kept.at_us,
            "reply": kept.reply,
        },
    )


def forget(last: int) -> Statement:
    """Delete those up to a number."""
    return Statement(_FORGET, {"last": last})


def of_place(connection: apsw.Connection, place: bytes) -> KeptReply | None:
    """Return what is kept for a caller's key, or None."""
    row = connection.execute(_OF_PLACE, {"place": place}).fetchone()
    return None if row is None else KeptReply(row[0], row[1], row[2], Micros(row[3]), row[4])


def oldest(connection: apsw.Connection, limit: int) -> Sequence[tuple[int, Micros]]:
    """Return number and time of the oldest, in order."""
    return [(number, Micros(at_us)) for number, at_us in connection.execute(_OLDEST, {"limit": limit})]


def last_number(connection: apsw.Connection) -> int | None:
    """Return the number of the youngest, or None where there is none."""
    [(number,)] = connection.execute(_LAST)
    return None if number is None else int(number)
