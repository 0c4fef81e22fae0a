"""Operation intents in SQLite. A row is never deleted: what is over stays as history."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from intermute.core.claim_records import asked_for
from intermute.core.ids import AgentId, IntentId, Micros, ReservationId
from intermute.core.intents import ACTIVE, Intent, IntentState
from intermute.core.pages import first_page
from intermute.core.work_operations import Operation
from intermute.store.pages import chars_in
from intermute.store.reservations import StoredTarget, stored_targets
from intermute.store.statements import Statement, to_json

_COLUMNS: Final = (
    "id, declared, holder, reservation_id, operation, targets, detail, branch, worktree, state, changed, commit_id, "
    "created_at_us, expires_at_us, ended_at_us, ended"
)
_INSERT: Final = """
INSERT INTO intents (id, declared, holder, reservation_id, operation, targets, detail, branch, worktree, state, changed,
                     created_at_us, expires_at_us)
VALUES (:id, :declared, :holder, :reservation_id, :operation, :targets, :detail, :branch, :worktree, :state, :changed,
        :created_at_us, :expires_at_us)
"""
_CHANGE: Final = """
UPDATE intents SET state = :state, changed = :changed, commit_id = :commit_id, ended_at_us = :ended_at_us, ended = :ended
WHERE id = :id
"""
_ADOPT: Final = "UPDATE intents SET holder = :id WHERE holder = :name AND ended_at_us IS NULL"
_ACTIVE: Final = f"SELECT {_COLUMNS} FROM intents WHERE ended_at_us IS NULL ORDER BY declared"  # noqa: S608 - constants
_ONE: Final = f"SELECT {_COLUMNS} FROM intents WHERE id = :id"  # noqa: S608 - constants
_PAGE: Final = f"""
SELECT {_COLUMNS} FROM intents WHERE declared < :before AND (:active = 0 OR ended_at_us IS NULL)
ORDER BY declared DESC LIMIT :limit
"""  # noqa: S608 - constants
_PAGE_OF_HOLDER: Final = f"""
SELECT {_COLUMNS} FROM intents INDEXED BY intents_by_holder
WHERE holder = :holder AND declared < :before AND (:active = 0 OR ended_at_us IS NULL)
  AND (:reservation_id IS NULL OR reservation_id = :reservation_id)
ORDER BY declared DESC LIMIT :limit
"""  # noqa: S608 - constants
_PAGE_OF_RESERVATION: Final = f"""
SELECT {_COLUMNS} FROM intents INDEXED BY intents_by_reservation
WHERE reservation_id = :reservation_id AND declared < :before AND (:active = 0 OR ended_at_us IS NULL)
ORDER BY declared DESC LIMIT :limit
"""  # noqa: S608 - constants
_PAGE_ACTIVE: Final = f"""
SELECT {_COLUMNS} FROM intents INDEXED BY intents_active
WHERE ended_at_us IS NULL AND declared < :before ORDER BY declared DESC LIMIT :limit
"""  # noqa: S608 - constants


class IntentRow(msgspec.Struct, frozen=True):
    """One row, active or over."""

    id: IntentId
    declared: int
    holder: AgentId
    reservation_id: ReservationId | None
    operation: Operation
    targets: tuple[StoredTarget, ...]
    detail: str
    branch: str | None
    worktree: str | None
    state: IntentState
    changed: int
    commit: str | None
    created_at_us: Micros
    expires_at_us: Micros
    ended_at_us: Micros | None
    ended: str | None


def insert(intent: Intent) -> Statement:
    """Write a declaration."""
    row = row_of(intent)
    return Statement(
        _INSERT,
        {
            "id": row.id,
            "declared": row.declared,
            "holder": row.holder,
            "reservation_id": row.reservation_id,
            "operation": row.operation,
            "targets": to_json(row.targets),
            "detail": row.detail,
            "branch": row.branch,
            "worktree": row.worktree,
            "state": row.state,
            "changed": row.changed,
            "created_at_us": row.created_at_us,
            "expires_at_us": row.expires_at_us,
        },
    )


def row_of(intent: Intent) -> IntentRow:
    """Return the row of an active intent."""
    assert intent.claim.expires_at_us is not None
    return IntentRow(
        id=intent.id,
        declared=intent.claim.sequence,
        holder=intent.holder,
        reservation_id=intent.reservation_id,
        operation=intent.operation,
        targets=tuple(stored_targets(asked_for(intent.claim.targets))),
        detail=intent.detail,
        branch=intent.claim.branch,
        worktree=intent.claim.worktree,
        state=intent.state,
        changed=intent.changed,
        commit=intent.commit,
        created_at_us=intent.created_at_us,
        expires_at_us=intent.claim.expires_at_us,
        ended_at_us=None,
        ended=None,
    )


def change(intent: Intent, ended: str | None, now_us: Micros) -> Statement:
    """Write how far an intent has come, and how it ended if it did."""
    return Statement(
        _CHANGE,
        {
            "id": intent.id,
            "state": intent.state,
            "changed": intent.changed,
            "commit_id": intent.commit,
            "ended_at_us": None if intent.state in ACTIVE else now_us,
            "ended": None if intent.state in ACTIVE else ended,
        },
    )


def adopt(agent_id: AgentId, name: str) -> Statement:
    """Give an agent what was declared under its name before it registered."""
    return Statement(_ADOPT, {"id": agent_id, "name": name})


def active(connection: apsw.Connection) -> list[IntentRow]:
    """Return the active intents, the oldest first."""
    return [_row(row) for row in connection.execute(_ACTIVE)]


def one(connection: apsw.Connection, intent_id: str) -> IntentRow | None:
    """Return the intent of this id, active or over."""
    row = connection.execute(_ONE, {"id": intent_id}).fetchone()
    return _row(row) if row else None


def page(
    connection: apsw.Connection,
    *,
    holder: AgentId | None,
    reservation_id: str | None,
    is_active: bool,
    before: int,
    limit: int,
) -> tuple[list[IntentRow], bool]:
    """Return intents declared before a cursor, the newest first, and whether there are more; bounded by size as well."""
    if holder is not None:
        sql = _PAGE_OF_HOLDER
    elif reservation_id is not None:
        sql = _PAGE_OF_RESERVATION
    else:
        sql = _PAGE_ACTIVE if is_active else _PAGE
    values = {
        "holder": holder,
        "reservation_id": reservation_id,
        "active": int(is_active),
        "before": before,
        "limit": limit + 1,
    }
    used = {name: value for name, value in values.items() if f":{name}" in sql}
    found, has_more = first_page(connection.execute(sql, used), limit, chars_in)
    return [_row(row) for row in found], has_more


def _row(row: Sequence[Any]) -> IntentRow:  # Any: SQLite's dynamic columns; the STRICT schema says what they are.
    return IntentRow(
        id=IntentId(row[0]),
        declared=row[1],
        holder=AgentId(row[2]),
        reservation_id=None if row[3] is None else ReservationId(row[3]),
        operation=Operation(row[4]),
        targets=tuple(msgspec.json.decode(row[5], type=list[StoredTarget])),
        detail=row[6],
        branch=row[7],
        worktree=row[8],
        state=IntentState(row[9]),
        changed=row[10],
        commit=row[11],
        created_at_us=Micros(row[12]),
        expires_at_us=Micros(row[13]),
        ended_at_us=None if row[14] is None else Micros(row[14]),
        ended=row[15],
    )
