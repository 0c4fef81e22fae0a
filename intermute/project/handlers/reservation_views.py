"""Reading reservations: check, lists, one of them, and how a conflict is shown."""

from collections.abc import Sequence

import apsw

from intermute.core import limits
from intermute.core.api.reservations import (
    Checked,
    CheckReservations,
    ConflictView,
    GetReservation,
    ListReservations,
    ReservationList,
    ReservationView,
)
from intermute.core.errors import UnknownReservation
from intermute.core.ids import Micros
from intermute.core.lease_book import Clash, Reservation
from intermute.core.lock_table import Mode
from intermute.core.pages import page_size
from intermute.core.targets import MODE_NAMES, parse_mode, parse_targets
from intermute.core.times import Now, rfc3339
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, FromStore
from intermute.store import reservations as rows
from intermute.store.reservations import ReservationRow

_NEWEST = 2**63 - 1


def active_view(
    reservation: Reservation,
    state: ProjectState,
    now: Now,
    *,
    is_clamped: bool = False,
    warnings: Sequence[str] = (),
) -> ReservationView:
    """Return an active reservation as the interface shows it; `expires_in_ms` binds, `expires_at` is for display."""
    return ReservationView(
        id=reservation.id,
        agent_id=reservation.holder,
        project=state.name,
        path_pattern=reservation.patterns[0].text,
        exclusive=reservation.mode is Mode.X,
        reason=reservation.reason or None,
        created_at=rfc3339(reservation.created_at_us),
        expires_at=rfc3339(reservation.expires_at_us),
        is_active=True,
        patterns=[pattern.text for pattern in reservation.patterns],
        mode=MODE_NAMES[reservation.mode],
        shared=reservation.mode is Mode.S,
        fence=reservation.fence,
        held_by=state.agents.name_of(reservation.holder),
        expires_in_ms=max(0, round((reservation.deadline_s - now.mono_s) * 1000)),
        ttl_clamped=is_clamped,
        warnings=list(warnings) or None,
    )


def _row_view(row: ReservationRow, desk: Desk) -> ReservationView:
    active = _version_of(row, desk)
    if row.ended_at_us is None and active is not None:
        return active_view(active, desk.state, desk.now)
    ended_at_us: Micros | None = row.ended_at_us
    return ReservationView(
        id=row.id,
        agent_id=row.holder,
        project=desk.project,
        path_pattern=row.patterns[0].text,
        exclusive=row.mode is Mode.X,
        reason=row.reason or None,
        created_at=rfc3339(row.created_at_us),
        expires_at=rfc3339(row.expires_at_us),
        released_at=None if ended_at_us is None else rfc3339(ended_at_us),
        is_active=False,
        patterns=[pattern.text for pattern in row.patterns],
        mode=MODE_NAMES[row.mode],
        shared=row.mode is Mode.S,
        fence=row.fence,
        held_by=desk.state.agents.name_of(row.holder),
        ended=row.ended,
    )


def _version_of(row: ReservationRow, desk: Desk) -> Reservation | None:
    """Return the lease behind a stored row: not the holder that a running batch gives it, and none that it has lost."""
    versions = desk.state.leases.versions(row.id)
    # The row may be older than memory by a commit; then the last version is the one that is stored by now.
    return next((each for each in versions if each.fence == row.fence), versions[-1] if versions else None)


def conflict_views(clashes: Sequence[Clash], state: ProjectState, now: Now) -> list[ConflictView]:
    """Return conflicts as the interface shows them, in the order given."""
    return [
        ConflictView(
            reservation_id=clash.held.id,
            agent_id=clash.held.holder,
            held_by=state.agents.name_of(clash.held.holder),
            pattern=clash.held_pattern.text,
            reason=clash.held.reason or None,
            expires_at=rfc3339(clash.held.expires_at_us),
            exclusive=clash.held.mode is Mode.X,
            mode=MODE_NAMES[clash.held.mode],
            requested=clash.requested.text,
            example=clash.example,
            retry_after_s=max(1, round(clash.held.deadline_s - now.mono_s)),
            created_at=rfc3339(clash.held.created_at_us),
        )
        for clash in clashes
    ]


def check_reservations(query: CheckReservations, desk: Desk) -> Checked:
    """Tell what is in the way of a path, leaving out what the asker itself holds."""
    globs = [] if query.pattern is None else [("pattern", query.pattern)]
    literals = [] if query.path is None else [("path", query.path)]
    patterns = parse_targets(globs, literals)
    exclusive = None if query.exclusive is None else query.exclusive.strip().lower() != "false"
    mode = parse_mode(query.mode, exclusive, None)
    given = query.agent_id or query.agent
    asker = desk.state.agents.canonical(given) if given else desk.identity().address
    limit = limits.CONFLICTS_SHOWN_MAX
    clashes = desk.state.leases.committed_conflicts(patterns, mode, asker, limit=limit + 1)
    shown = conflict_views(clashes[:limit], desk.state, desk.now)
    return Checked(
        conflict=bool(shown),
        conflicts=shown,
        more_conflicts=len(clashes) > limit,
        message=check_message(shown),
    )


def check_message(conflicts: Sequence[ConflictView]) -> str:
    """Return what to do after a check that found this."""
    if not conflicts:
        return "Free: reserve it before you edit, since a check holds nothing."
    names = ", ".join(list(dict.fromkeys(conflict.held_by for conflict in conflicts))[:5])
    return f"Held by {names}: work elsewhere, or ask the holder in a message."


def list_reservations(query: ListReservations, desk: Desk) -> FromStore[ReservationList]:
    """Return one agent's reservations (all it ever had) or the project's (active ones), the newest first."""
    holder = desk.state.agents.canonical(query.agent) if query.agent else None
    is_active = (holder is None) if query.active is None else query.active
    limit = page_size(query.limit, limits.LIST_DEFAULT)
    before = min(query.cursor, _NEWEST) if query.cursor else _NEWEST

    def work(connection: apsw.Connection) -> ReservationList:
        page, has_more = rows.page(connection, holder=holder, is_active=is_active, before=before, limit=limit)
        return ReservationList(
            reservations=[_row_view(row, desk) for row in page],
            next_cursor=page[-1].fence if has_more else None,
        )

    return FromStore(work)


def get_reservation(query: GetReservation, desk: Desk) -> FromStore[ReservationView]:
    """Return one reservation, active or ended."""

    def work(connection: apsw.Connection) -> ReservationView:
        row = rows.one(connection, query.reservation_id)
        if row is None:
            raise UnknownReservation(query.reservation_id)
        return _row_view(row, desk)

    return FromStore(work)
