"""Reading intents: lists, one of them, and how one is shown."""

from collections.abc import Sequence

import apsw

from intermute.core import limits
from intermute.core.api.claims import ConflictView
from intermute.core.api.intents import GetIntent, IntentList, IntentView, ListIntents
from intermute.core.api.reservations import ReservationView
from intermute.core.errors import UnknownIntent
from intermute.core.pages import page_size
from intermute.core.times import rfc3339
from intermute.project.handlers.finding_views import claimed_targets
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, FromStore
from intermute.store import intents as rows
from intermute.store.intents import IntentRow

_NEWEST = 2**63 - 1


def intent_view(
    row: IntentRow,
    state: ProjectState,
    *,
    findings: Sequence[ConflictView] = (),
    reservation: ReservationView | None = None,
    notes: Sequence[str] = (),
) -> IntentView:
    """Return an intent as the interface shows it; one that rides on a reservation ends when that does."""
    lease = state.leases.committed(row.reservation_id) if row.reservation_id else None
    is_active = row.ended_at_us is None
    expires_at_us = lease.expires_at_us if lease is not None and is_active else row.expires_at_us
    return IntentView(
        intent_id=row.id,
        seq=row.changed,
        project=state.name,
        agent_id=row.holder,
        held_by=state.agents.name_of(row.holder),
        state=row.state,
        operation=row.operation,
        targets=claimed_targets(each.claimed(fold_case=state.fold_case) for each in row.targets),
        detail=row.detail or None,
        reservation_id=row.reservation_id,
        branch=row.branch,
        worktree=row.worktree,
        created_at=rfc3339(row.created_at_us),
        expires_at=rfc3339(expires_at_us),
        is_active=is_active,
        commit=row.commit,
        ended=row.ended,
        findings=list(findings) or None,
        reservation=reservation,
        notes=list(notes) or None,
    )


def list_intents(query: ListIntents, desk: Desk) -> FromStore[IntentList]:
    """Return the project's active intents, or all of one agent or reservation, the newest first."""
    holder = desk.state.agents.canonical(query.agent) if query.agent else None
    is_active = (holder is None and query.reservation_id is None) if query.active is None else query.active
    limit = page_size(query.limit, limits.LIST_DEFAULT)
    before = query.cursor or _NEWEST

    def work(connection: apsw.Connection) -> IntentList:
        found, has_more = rows.page(
            connection,
            holder=holder,
            reservation_id=query.reservation_id,
            is_active=is_active,
            before=before,
            limit=limit,
        )
        return IntentList(
            intents=[intent_view(row, desk.state) for row in found],
            next_cursor=found[-1].declared if has_more else None,
        )

    return FromStore(work)


def get_intent(query: GetIntent, desk: Desk) -> FromStore[IntentView]:
    """Return one intent, active or over."""

    def work(connection: apsw.Connection) -> IntentView:
        row = rows.one(connection, query.intent_id)
        if row is None:
            raise UnknownIntent(query.intent_id)
        return intent_view(row, desk.state)

    return FromStore(work)
