"""Reading reservations: lists, and how one is shown."""

from collections.abc import Sequence

import apsw
import msgspec

from intermute.core import limits
from intermute.core.api.claims import ConflictView
from intermute.core.api.reservations import (
    Denied,
    ListReservations,
    RepeatedReservation,
    ReservationList,
    ReservationView,
)
from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.claim_records import ClaimTarget, Standing, overall_mode
from intermute.core.pages import page_size
from intermute.core.reservation import Reservation
from intermute.core.targets import READING
from intermute.core.times import Now, rfc3339
from intermute.project.handlers.finding_views import claimed_targets
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
    warnings: Sequence[ConflictView] = (),
    contested: Sequence[ConflictView] = (),
    denied: Sequence[Denied] | None = None,
    notes: Sequence[str] = (),
) -> ReservationView:
    """Return an active reservation as the interface shows it; `expires_in_ms` binds, `expires_at` is for display."""
    return msgspec.structs.replace(
        _view(rows.row_of(reservation, None), reservation.asked, state),
        is_active=True,
        expires_in_ms=max(0, round((reservation.deadline_s - now.mono_s) * 1000)),
        ttl_clamped=is_clamped,
        warnings=list(warnings) or None,
        contested=list(contested) or None,
        denied=list(denied) if denied else None,
        notes=list(notes) or None,
    )


def _view(row: ReservationRow, asked: Sequence[ClaimTarget], state: ProjectState) -> ReservationView:
    mode = overall_mode(asked)
    return ReservationView(
        id=row.id,
        agent_id=row.holder,
        project=state.name,
        path_pattern=asked[0].target.text,
        exclusive=mode not in READING,
        reason=row.reason or None,
        created_at=rfc3339(row.created_at_us),
        expires_at=rfc3339(row.expires_at_us),
        released_at=None if row.ended_at_us is None else rfc3339(row.ended_at_us),
        is_active=False,
        patterns=[target.target.text for target in asked],
        mode=CLASS_OF_MODE[mode],
        shared=mode in READING,
        fence=row.fence,
        seq=row.changed,
        standing=Standing.ENFORCED,
        held_by=state.agents.name_of(row.holder),
        branch=row.branch,
        worktree=row.worktree,
        targets=claimed_targets(asked),
        ended=row.ended,
    )


def row_view(row: ReservationRow, state: ProjectState, now: Now) -> ReservationView:
    """Return a stored reservation as the interface shows it, active or ended."""
    active = _version_of(row, state)
    if row.ended_at_us is None and active is not None:
        return active_view(active, state, now)
    return _view(row, [each.claimed(fold_case=state.fold_case) for each in row.targets], state)


def repeated_view(row: ReservationRow, state: ProjectState, now: Now) -> RepeatedReservation:
    """Return what an earlier sending of the same request has led to."""
    return RepeatedReservation(**msgspec.structs.asdict(row_view(row, state, now)), repeated=True)


def _version_of(row: ReservationRow, state: ProjectState) -> Reservation | None:
    """Return the lease behind a stored row: not the holder that a running batch gives it, and none that it has lost."""
    versions = state.leases.versions(row.id)
    # The row may be older than memory by a commit; then the last version is the one that is stored by now.
    return next((each for each in versions if each.changed == row.changed), versions[-1] if versions else None)


def list_reservations(query: ListReservations, desk: Desk) -> FromStore[ReservationList]:
    """Return one agent's reservations (all it ever had) or the project's (active ones), the newest first."""
    holder = desk.state.agents.canonical(query.agent) if query.agent else None
    is_active = (holder is None) if query.active is None else query.active
    limit = page_size(query.limit, limits.LIST_DEFAULT)
    before = min(query.cursor, _NEWEST) if query.cursor else _NEWEST

    def work(connection: apsw.Connection) -> ReservationList:
        page, has_more = rows.page(connection, holder=holder, is_active=is_active, before=before, limit=limit)
        return ReservationList(
            reservations=[row_view(row, desk.state, desk.now) for row in page],
            next_cursor=page[-1].fence if has_more else None,
        )

    return FromStore(work)
