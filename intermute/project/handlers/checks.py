"""Looking before editing: what is in the way of many paths at once, and whether a fence still holds.

Both answer committed facts: nothing that a power cut could still take back. Source: claims.md 7, issue 3 points 4 and 9.
"""

from collections.abc import Sequence

import apsw

from intermute.core import limits
from intermute.core.api.checks import CheckedTargets, CheckTargets, Standing, TargetView, Validated, ValidateReservation
from intermute.core.ids import AgentId
from intermute.core.lease_book import Clash, LeaseBook, Reservation, in_order
from intermute.core.lock_table import Mode
from intermute.core.lock_trie import WorkBudget
from intermute.core.patterns import Pattern
from intermute.core.targets import parse_mode, parse_targets
from intermute.project.handlers.reservation_views import check_message, conflict_views
from intermute.project.handlers.reservations import globs_of, literal_wildcards, literals_of
from intermute.project.transaction import Desk, FromStore
from intermute.store import reservations as rows
from intermute.store.reservations import ReservationRow

_CONFLICTS_OF_LATE_TARGETS = 5  # conflicts looked up for each target once the list is full: enough to name its holders.
_ADVICE = {
    Standing.ACTIVE: "It holds: go on.",
    Standing.UNKNOWN: "No reservation of this project has this id: reserve before you write.",
    Standing.ENDED: "It has ended, and others may write there: reserve again, and look at what has changed, before you write.",
    Standing.NOT_YOURS: "Another agent holds it: ask the holder, or reserve for yourself.",
    Standing.STALE_FENCE: "This is not its fence: read the reservation again, and look at what has changed, before you write.",
}


def check_targets(query: CheckTargets, desk: Desk) -> CheckedTargets:
    """Tell what is in the way of each path, leaving out what the asker itself holds."""
    literals = literals_of(query)
    patterns = parse_targets(globs_of(query), literals)
    mode = parse_mode(query.mode, query.exclusive, query.shared)
    asker = _named(query.agent_id or query.agent, desk)
    found = _clashes_of_each(desk.state.leases, patterns, mode, asker)
    clashes = in_order([clash for each in found for clash in each])
    limit = limits.CONFLICTS_SHOWN_MAX
    shown = conflict_views(clashes[:limit], desk.state, desk.now)
    name_of = desk.state.agents.name_of
    return CheckedTargets(
        conflict=bool(shown),
        conflicts=shown,
        message=check_message(shown),
        more_conflicts=len(clashes) > limit,
        targets=[
            TargetView(
                text=pattern.text,
                free=not each,
                held_by=list(dict.fromkeys(name_of(clash.held.holder) for clash in each)),
                literal=pattern.is_literal,
            )
            for pattern, each in zip(patterns, found, strict=True)
        ],
        warnings=[*_stranger(asker, desk), *literal_wildcards(literals)] or None,
    )


def _clashes_of_each(
    leases: LeaseBook, patterns: Sequence[Pattern], mode: Mode, asker: AgentId | None
) -> list[list[Clash]]:
    """Return for each pattern what is in its way, within one request's budget of work; what is free is never in doubt."""
    budget = WorkBudget()
    left = limits.CONFLICTS_SHOWN_MAX + 1
    found: list[list[Clash]] = []
    for pattern in patterns:
        limit = max(left, _CONFLICTS_OF_LATE_TARGETS)
        found.append(leases.committed_conflicts([pattern], mode, asker, limit=limit, budget=budget))
        left -= len(found[-1])
    return found


def _stranger(asker: AgentId | None, desk: Desk) -> list[str]:
    state = desk.state
    if asker is None or state.agents.find(asker) is not None or state.leases.count_of(asker):
        return []
    return [f"{asker!r} is not known in project {state.name!r}, so nothing was left out as its own; is the name right?"]


def _named(given: str | None, desk: Desk) -> AgentId | None:
    """Return the agent that a query is about: the one that it names, else the caller."""
    return desk.state.agents.canonical(given) if given else desk.identity().address


def validate_reservation(query: ValidateReservation, desk: Desk) -> Validated | FromStore[Validated]:
    """Tell whether a reservation is active, under this fence, and held by the agent that is named, if one is."""
    asker = _named(query.agent_id or query.agent, desk)
    found = desk.state.leases.committed(query.reservation_id)
    if found is not None:
        ended = "expired" if found.deadline_s <= desk.now.mono_s else None
        return _validated(query, asker, found, ended, desk)

    def work(connection: apsw.Connection) -> Validated:
        row = rows.one(connection, query.reservation_id)
        return _validated(query, asker, row, row.ended if row else None, desk)

    return FromStore(work)


def _validated(
    query: ValidateReservation,
    asker: AgentId | None,
    found: Reservation | ReservationRow | None,
    ended: str | None,
    desk: Desk,
) -> Validated:
    standing = _standing(query.fence, asker, found, ended)
    expires_in_ms = None
    if standing is Standing.ACTIVE and isinstance(found, Reservation):
        expires_in_ms = round((found.deadline_s - desk.now.mono_s) * 1000)
    return Validated(
        valid=standing is Standing.ACTIVE,
        reason=standing,
        message=_ADVICE[standing],
        reservation_id=query.reservation_id,
        fence=found.fence if found else None,
        held_by=desk.state.agents.name_of(found.holder) if found else None,
        expires_in_ms=expires_in_ms,
        ended=ended,
    )


def _standing(
    fence: int, asker: AgentId | None, found: Reservation | ReservationRow | None, ended: str | None
) -> Standing:
    if found is None:
        return Standing.UNKNOWN
    if ended is not None:
        return Standing.ENDED
    if asker is not None and asker != found.holder:
        return Standing.NOT_YOURS
    return Standing.ACTIVE if fence == found.fence else Standing.STALE_FENCE
