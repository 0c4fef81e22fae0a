"""Reservations in SQLite. A row is never deleted: what ended stays as history (contract.md 12, audit)."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from intermute.core.claim_records import ClaimTarget
from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lock_table import Mode
from intermute.core.pages import first_page
from intermute.core.reservation import Reservation
from intermute.core.targets import PARSERS, kind_of
from intermute.core.wishes import Idempotency
from intermute.core.work_operations import Operation
from intermute.store.pages import chars_in
from intermute.store.statements import Statement, to_json

_COLUMNS: Final = (
    "id, fence, holder, targets, branch, worktree, reason, created_at_us, expires_at_us, changed, ended_at_us, ended, "
    "asked_by, idempotency_key, request_hash"
)
_INSERT: Final = """
INSERT INTO reservations (id, fence, holder, targets, branch, worktree, reason, created_at_us, expires_at_us, changed,
                          asked_by, idempotency_key, request_hash)
VALUES (:id, :fence, :holder, :targets, :branch, :worktree, :reason, :created_at_us, :expires_at_us, :changed,
        :asked_by, :idempotency_key, :request_hash)
"""
_RENEW: Final = "UPDATE reservations SET expires_at_us = :expires_at_us WHERE id = :id"
_CONVERT: Final = """
UPDATE reservations SET targets = :targets, changed = :changed, expires_at_us = :expires_at_us WHERE id = :id
"""
_HAND_OVER: Final = "UPDATE reservations SET holder = :holder, fence = :fence, changed = :fence WHERE id = :id"
_END: Final = "UPDATE reservations SET ended_at_us = :now_us, ended = :ended WHERE id = :id"
_ADOPT: Final = "UPDATE reservations SET holder = :id WHERE holder = :name AND ended_at_us IS NULL"
_ADOPT_KEYS: Final = "UPDATE reservations SET asked_by = :id WHERE asked_by = :name"
_ACTIVE: Final = f"SELECT {_COLUMNS} FROM reservations WHERE ended_at_us IS NULL ORDER BY fence"  # noqa: S608 - constants
_ONE: Final = f"SELECT {_COLUMNS} FROM reservations WHERE id = :id"  # noqa: S608 - constants
_OF_KEY: Final = f"SELECT {_COLUMNS} FROM reservations WHERE idempotency_key = :key"  # noqa: S608 - constants
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


class StoredTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target as it was asked for, with all that is needed to read it again. `kind` is a key of `targets.PARSERS`."""

    text: str
    kind: str
    mode: Mode
    n: int
    op: Operation | None = None
    to: str | None = None

    def claimed(self, *, fold_case: bool) -> ClaimTarget:
        """Return the target that this is the record of."""
        target = PARSERS[self.kind](self.text, fold_case=fold_case)
        destination = None if self.to is None else PARSERS["address"](self.to, fold_case=fold_case)
        return ClaimTarget(self.n, target, self.mode, self.op, destination)


def stored_targets(asked: Iterable[ClaimTarget]) -> list[StoredTarget]:
    """Return the records of targets that were asked for."""
    return [
        StoredTarget(
            each.target.text,
            kind_of(each.target),
            each.mode,
            each.number,
            each.operation,
            each.destination.text if each.destination else None,
        )
        for each in asked
    ]


class ReservationRow(msgspec.Struct, frozen=True):
    """One row, active or ended."""

    id: ReservationId
    fence: int
    holder: AgentId
    targets: tuple[StoredTarget, ...]
    branch: str | None
    worktree: str | None
    reason: str
    created_at_us: Micros
    expires_at_us: Micros
    changed: int
    ended_at_us: Micros | None
    ended: str | None
    idempotency: Idempotency | None


def insert(reservation: Reservation, idempotency: Idempotency | None = None) -> Statement:
    """Write a grant."""
    return Statement(
        _INSERT,
        {
            "id": reservation.id,
            "fence": reservation.fence,
            "holder": reservation.holder,
            "targets": to_json(stored_targets(reservation.asked)),
            "branch": reservation.claim.branch,
            "worktree": reservation.claim.worktree,
            "reason": reservation.reason,
            "created_at_us": reservation.created_at_us,
            "expires_at_us": reservation.expires_at_us,
            "changed": reservation.changed,
            "asked_by": idempotency.asker if idempotency else None,
            "idempotency_key": idempotency.key if idempotency else None,
            "request_hash": idempotency.request_hash if idempotency else None,
        },
    )


def row_of(reservation: Reservation, idempotency: Idempotency | None) -> ReservationRow:
    """Return the row that `insert` writes."""
    return ReservationRow(
        id=reservation.id,
        fence=reservation.fence,
        holder=reservation.holder,
        targets=tuple(stored_targets(reservation.asked)),
        branch=reservation.claim.branch,
        worktree=reservation.claim.worktree,
        reason=reservation.reason,
        created_at_us=reservation.created_at_us,
        expires_at_us=reservation.expires_at_us,
        changed=reservation.changed,
        ended_at_us=None,
        ended=None,
        idempotency=idempotency,
    )


def convert(reservation: Reservation) -> Statement:
    """Write other modes on the targets, and the expiry."""
    return Statement(
        _CONVERT,
        {
            "id": reservation.id,
            "targets": to_json(stored_targets(reservation.asked)),
            "changed": reservation.changed,
            "expires_at_us": reservation.expires_at_us,
        },
    )


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


def adopt_keys(agent_id: AgentId, name: str) -> Statement:
    """Give an agent the idempotency keys that it used under its name before it registered."""
    return Statement(_ADOPT_KEYS, {"id": agent_id, "name": name})


def active(connection: apsw.Connection) -> list[ReservationRow]:
    """Return the active reservations in the order of their fences."""
    return [_row(row) for row in connection.execute(_ACTIVE)]


def one(connection: apsw.Connection, reservation_id: str) -> ReservationRow | None:
    """Return the reservation of this id, active or ended."""
    row = connection.execute(_ONE, {"id": reservation_id}).fetchone()
    return _row(row) if row else None


def of_key(connection: apsw.Connection, key: str) -> list[ReservationRow]:
    """Return the reservations that were asked for under this idempotency key, by whomever."""
    return [_row(row) for row in connection.execute(_OF_KEY, {"key": key})]


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
        targets=tuple(msgspec.json.decode(row[3], type=list[StoredTarget])),
        branch=row[4],
        worktree=row[5],
        reason=row[6],
        created_at_us=Micros(row[7]),
        expires_at_us=Micros(row[8]),
        changed=row[9],
        ended_at_us=None if row[10] is None else Micros(row[10]),
        ended=row[11],
        idempotency=None if row[12] is None else Idempotency(AgentId(row[12]), row[13], row[14]),
    )
