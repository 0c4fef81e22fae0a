"""Reservations in SQLite. A row is never deleted: what ended stays as history (contract.md 12, audit)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw
import msgspec

from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lease_book import Reservation
from intermute.core.lock_table import Mode
from intermute.core.pages import first_page
from intermute.core.patterns import Pattern
from intermute.store.pages import chars_in
from intermute.store.statements import Statement, to_json

_COLUMNS: Final = "id, fence, holder, patterns, mode, reason, created_at_us, expires_at_us, ended_at_us, ended"
_INSERT: Final = """
INSERT INTO reservations (id, fence, holder, patterns, mode, reason, created_at_us, expires_at_us)
VALUES (:id, :fence, :holder, :patterns, :mode, :reason, :created_at_us, :expires_at_us)
"""
_RENEW: Final = "UPDATE reservations SET expires_at_us = :expires_at_us WHERE id = :id"
_HAND_OVER: Final = "UPDATE reservations SET holder = :holder, fence = :fence WHERE id = :id"
_END: Final = "UPDATE reservations SET ended_at_us = :now_us, ended = :ended WHERE id = :id"
_ADOPT: Final = "UPDATE reservations SET holder = :id WHERE holder = :name AND ended_at_us IS NULL"
_ACTIVE: Final = f"SELECT {_COLUMNS} FROM reservations WHERE ended_at_us IS NULL ORDER BY fence"  # noqa: S608 - constants
_ONE: Final = f"SELECT {_COLUMNS} FROM reservations WHERE id = :id"  # noqa: S608 - constants
_PAGE: Final = f"""
SELECT {_COLUMNS} FROM reservations
WHERE fence < :before AND (:holder IS NULL OR holder = :holder) AND (:active = 0 OR ended_at_us IS NULL)
ORDER BY fence DESC LIMIT :limit
"""  # noqa: S608 - constants
_PAGE_OF_HOLDER: Final = f"""
SELECT {_COLUMNS} FROM reservations INDEXED BY reservations_by_holder
WHERE holder = :holder AND fence < :before AND (:active = 0 OR ended_at_us IS NULL)
ORDER BY fence DESC LIMIT :limit
"""  # noqa: S608 - constants
_PAGE_ACTIVE: Final = f"""
SELECT {_COLUMNS} FROM reservations INDEXED BY reservations_active
WHERE ended_at_us IS NULL AND fence < :before ORDER BY fence DESC LIMIT :limit
"""  # noqa: S608 - constants


class StoredPattern(msgspec.Struct, frozen=True):
    """A pattern as it was asked for, and whether its characters are all literal."""

    text: str
    literal: bool = False


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """One row, active or ended."""

    id: ReservationId
    fence: int
    holder: AgentId
    patterns: tuple[StoredPattern, ...]
    mode: Mode
    reason: str
    created_at_us: Micros
    expires_at_us: Micros
    ended_at_us: Micros | None
    ended: str | None


def insert(reservation: Reservation) -> Statement:
    """Write a grant."""
    return Statement(
        _INSERT,
        {
            "id": reservation.id,
            "fence": reservation.fence,
            "holder": reservation.holder,
            "patterns": to_json([stored_pattern(pattern) for pattern in reservation.patterns]),
            "mode": reservation.mode,
            "reason": reservation.reason,
            "created_at_us": reservation.created_at_us,
            "expires_at_us": reservation.expires_at_us,
        },
    )


def stored_pattern(pattern: Pattern) -> StoredPattern:
    """Return what has to be kept to parse the pattern again."""
    return StoredPattern(pattern.text, pattern.is_literal)


def renew(reservation: Reservation) -> Statement:
    """Write a new expiry."""
    return Statement(_RENEW, {"id": reservation.id, "expires_at_us": reservation.expires_at_us})


def hand_over(reservation: Reservation) -> Statement:
    """Write a new holder and the fence that came with it."""
    return Statement(_HAND_OVER, {"id": reservation.id, "holder": reservation.holder, "fence": reservation.fence})


def end(reservation_id: ReservationId, ended: str, now_us: Micros) -> Statement:
    """Write the end of a reservation and how it came about."""
    return Statement(_END, {"id": reservation_id, "ended": ended, "now_us": now_us})


def adopt(agent_id: AgentId, name: str) -> Statement:
    """Give an agent what was reserved under its name before it registered."""
    return Statement(_ADOPT, {"id": agent_id, "name": name})


def active(connection: apsw.Connection) -> list[ReservationRow]:
    """Return the active reservations in the order of their fences."""
    return [_row(row) for row in connection.execute(_ACTIVE)]


def one(connection: apsw.Connection, reservation_id: str) -> ReservationRow | None:
    """Return the reservation of this id, active or ended."""
    row = connection.execute(_ONE, {"id": reservation_id}).fetchone()
    return _row(row) if row else None


def page(
    connection: apsw.Connection, *, holder: AgentId | None, is_active: bool, before: int, limit: int
) -> tuple[list[ReservationRow], bool]:
    """Return a page of reservations with a fence below `before`, the newest first, and tell whether there are more."""
    sql = _PAGE_OF_HOLDER if holder is not None else _PAGE_ACTIVE if is_active else _PAGE
    values = {"holder": holder, "active": int(is_active), "before": before, "limit": limit + 1}
    used = {name: value for name, value in values.items() if f":{name}" in sql}
    page, has_more = first_page(connection.execute(sql, used), limit, chars_in)
    return [_row(row) for row in page], has_more


def _row(row: Sequence[Any]) -> ReservationRow:  # Any: SQLite's dynamic columns; the STRICT schema says what they are.
    return ReservationRow(
        id=ReservationId(row[0]),
        fence=row[1],
        holder=AgentId(row[2]),
        patterns=tuple(msgspec.json.decode(row[3], type=list[StoredPattern])),
        mode=Mode(row[4]),
        reason=row[5],
        created_at_us=Micros(row[6]),
        expires_at_us=Micros(row[7]),
        ended_at_us=None if row[8] is None else Micros(row[8]),
        ended=row[9],
    )
