"""Looking before editing: what is in the way of many paths at once, and whether a fence still holds.

Both answer committed facts: nothing that a power cut could still take back. Source: claims.md 7, issue 3 points 4 and 9.
"""

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.checks import (
    Checked,
    CheckReservations,
    CheckTargets,
    Standing,
    TargetView,
    Validated,
    ValidateReservation,
)
from intermute.core.api.claims import AskedTargets, ConflictView
from intermute.core.claim_index import Work
from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.claim_records import NOBODY, Claim, asked_for
from intermute.core.findings import Finding, in_precedence
from intermute.core.ids import AgentId
from intermute.core.reservation import Reservation
from intermute.core.targets import literal_wildcards, read_targets
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.handlers.meetings import Meeting, alternatives, bounds_after, meet
from intermute.project.transaction import Desk, FromStore
from intermute.store import reservations as rows
from intermute.store.reservations import ReservationRow

_ADVICE = {
    Standing.ACTIVE: "It holds: go on.",
    Standing.UNKNOWN: "No reservation that stands has this id here: reserve, and look at what has changed, before you write.",
    Standing.ENDED: "It has ended, and others may write there: reserve again, and look at what has changed, before you write.",
    Standing.NOT_YOURS: "Another agent holds it: ask the holder, or reserve for yourself.",
    Standing.STALE_FENCE: "This is not its fence: read the reservation again, and look at what has changed, before you write.",
}


def check_reservations(query: CheckReservations, desk: Desk) -> Checked:
    """Tell what is in the way of each target of a query, leaving out what the asker itself holds."""
    asked = AskedTargets(
        pattern=query.pattern,
        path=query.path,
        address=query.address,
        patterns=query.patterns,
        paths=query.paths,
        addresses=query.addresses,
        mode=query.mode,
        op=query.op,
        exclusive=None if query.exclusive is None else query.exclusive.strip().lower() != "false",
    )
    return _checked(asked, query, desk)


def check_targets(query: CheckTargets, desk: Desk) -> Checked:
    """Tell what is in the way of each target, leaving out what the asker itself holds."""
    return _checked(query, query, desk)


def _checked(asked: AskedTargets, query: CheckReservations | CheckTargets, desk: Desk) -> Checked:
    state, now = desk.state, desk.now
    asker = _named(query.agent_id or query.agent, desk)
    claim = Claim(
        id="",
        sequence=state.head,
        holder=asker or NOBODY,
        targets=read_targets(asked, fold_case=state.committed_settings.case_folding),
        branch=(query.branch or "").strip() or None,
        worktree=(query.worktree or "").strip() or None,
    )
    work = Work()
    targets: list[TargetView] = []
    conflicts: list[Finding] = []
    warnings: list[Finding] = []
    for target in asked_for(claim.targets):
        own = tuple(each for each in claim.targets if each.number == target.number)
        unit = claim if len(own) == len(claim.targets) else replace(claim, targets=own)
        met = meet(unit, state, work=work, is_committed=True, bounds=bounds_after(len(conflicts)))
        conflicts += met.conflicts
        warnings += met.warnings
        holders = [state.agents.name_of(finding.claim.holder) for finding in met.conflicts]
        targets.append(
            TargetView(
                n=target.number,
                text=target.target.text,
                free=not met.conflicts,
                held_by=list(dict.fromkeys(holders)),
                mode=CLASS_OF_MODE[target.mode],
                literal=target.target.pattern.is_literal,
            )
        )
    met = Meeting(in_precedence(conflicts), in_precedence(warnings)[: limits.WARNINGS_SHOWN_MAX])
    shown = conflict_views(met.shown, state, now)
    return Checked(
        conflict=bool(shown),
        conflicts=shown,
        message=check_message(shown),
        more_conflicts=met.is_cut,
        targets=targets,
        warnings=conflict_views(met.warnings, state, now) or None,
        alternatives=alternatives(claim, met.conflicts, state, work=work, is_committed=True) or None,
        notes=[*_stranger(asker, desk), *literal_wildcards(asked)] or None,
        seq=state.stored_head,
    )


def check_message(conflicts: list[ConflictView]) -> str:
    """Return what to do after a check that found this."""
    if not conflicts:
        return "Free: reserve it before you edit, since a check holds nothing."
    names = ", ".join(list(dict.fromkeys(conflict.held_by for conflict in conflicts))[:5])
    return f"Held by {names}: work elsewhere, or ask the holder in a message."


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
    standing = standing_of(query.fence, asker, found, ended)
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


def standing_of(
    fence: int, asker: AgentId | None, found: Reservation | ReservationRow | None, ended: str | None
) -> Standing:
    """Return what a reservation is worth to whoever comes with this fence and name."""
    if found is None:
        return Standing.UNKNOWN
    if ended is not None:
        return Standing.ENDED
    if asker is not None and asker != found.holder:
        return Standing.NOT_YOURS
    return Standing.ACTIVE if fence == found.fence else Standing.STALE_FENCE
