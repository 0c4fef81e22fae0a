"""What a claim meets in a project: reservations, whoever waits in front of it, and what others have declared.

The one place that looks in all of them, so that a check and a reservation always agree.
"""

from collections.abc import Iterable
from itertools import islice

import msgspec
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.claims import Alternative
from intermute.core.claim_index import ALL_SHOWN, FindingBounds, Work
from intermute.core.claim_modes import CLASS_OF_MODE, clashes, weaker_than
from intermute.core.claim_records import Claim, asked_for
from intermute.core.claims import Policy, decide
from intermute.core.errors import PatternTooBroad, ReservationConflict
from intermute.core.findings import Finding, Verdict, in_precedence
from intermute.core.lock_table import Mode
from intermute.core.times import Now
from intermute.core.wait_queue import Obstacles
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.state import ProjectState

_ALTERNATIVES_FOR_MAX = 10  # targets for which weaker modes are tried; each costs up to four look-ups.
_FIRST_CONFLICT = FindingBounds(conflicts=1, warnings=0)
_LATE_BOUNDS = FindingBounds(conflicts=5, warnings=5)  # enough to name the holders of a target.


class Meeting(msgspec.Struct, frozen=True):
    """What a claim meets: what stands in its way, and what it is to be warned of, both in reporting order."""

    conflicts: list[Finding]
    warnings: list[Finding]

    @property
    def shown(self) -> list[Finding]:
        """As many of the conflicts as an answer shows."""
        return self.conflicts[: limits.CONFLICTS_SHOWN_MAX]

    @property
    def is_cut(self) -> bool:
        """Tell whether there are more conflicts than an answer shows."""
        return len(self.conflicts) > limits.CONFLICTS_SHOWN_MAX


def bounds_after(conflicts_found: int) -> FindingBounds:
    """Return what to look up for the next one of many targets, when so many conflicts of others have been found.

    An answer about a hundred targets must not take a hundred times as long: once its list is full, each gets a few.
    """
    left = limits.CONFLICTS_SHOWN_MAX + 1 - conflicts_found
    return FindingBounds(conflicts=left) if left > _LATE_BOUNDS.conflicts else _LATE_BOUNDS


def meet(
    claim: Claim,
    state: ProjectState,
    *,
    work: Work,
    is_committed: bool = False,
    is_past_queue: bool = False,
    bounds: FindingBounds = ALL_SHOWN,
) -> Meeting:
    """Return what the claim meets.

    Args: is_committed asks for what is stored, for answers that change nothing; is_past_queue leaves out whoever waits.
    Raises: PatternTooBroad.
    """
    find = state.leases.committed_findings if is_committed else state.leases.findings
    found = find(claim, _policy(state, is_committed=is_committed), bounds, work=work)
    conflicts = [finding for finding in found if finding.verdict is Verdict.CONFLICT]
    warnings = [finding for finding in found if finding.verdict is Verdict.WARN]
    if not state.intents.is_empty:
        warnings = in_precedence(warnings + _declared(claim, found, state, bounds, work, is_committed=is_committed))
    if len(conflicts) < bounds.conflicts and not is_past_queue:
        ahead = state.waiting.ahead_of(claim, state.policy, affordable_obstacles_in(state, work.for_others()), work)
        conflicts += islice(_between(claim, ahead, state), bounds.conflicts - len(conflicts))
    return Meeting(conflicts, warnings[: limits.WARNINGS_SHOWN_MAX])


def _policy(state: ProjectState, *, is_committed: bool) -> Policy:
    """Return the rule for what is stored, or for what is being decided."""
    return state.committed_settings.policy if is_committed else state.policy


def _declared(
    claim: Claim,
    found: Iterable[Finding],
    state: ProjectState,
    bounds: FindingBounds,
    work: Work,
    *,
    is_committed: bool,
) -> list[Finding]:
    """Return what others have declared that does not go with the claim, but for what a reservation told already."""
    find = state.intents.committed_findings if is_committed else state.intents.findings
    told = {(finding.claim.id, finding.requested.number) for finding in found}
    return [
        finding
        for finding in find(claim, _policy(state, is_committed=is_committed), bounds, work=work)
        if (intent := state.intents.get(finding.claim.id)) is None
        or (intent.reservation_id, finding.requested.number) not in told
    ]


def _between(claim: Claim, others: Iterable[Claim], state: ProjectState) -> Iterable[Finding]:
    for other in others:
        for finding in decide(claim, other, state.policy):
            if finding.verdict is Verdict.CONFLICT:
                yield finding
                break  # One for each waiter: that it waits is what matters.


def obstacles_in(state: ProjectState, work: Work) -> Obstacles[Claim]:
    """Return a function that tells what others hold in the way of a claim; it looks once and remembers.

    Of very many it tells the first ones: whoever would wait for more is refused (`TooMuchInTheWay`).
    """
    known: dict[str, list[Claim]] = {}

    def obstacles(claim: Claim) -> list[Claim]:
        if claim.id not in known:
            found = state.leases.obstacles(claim, state.policy, work=work)
            known[claim.id] = list(islice(found, limits.WAIT_OBSTACLES_MAX + 1))
        return known[claim.id]

    return obstacles


def affordable_obstacles_in(state: ProjectState, work: Work) -> Obstacles[Claim]:
    """Return the same for claims that wait already: nobody pays for how broad those of others are.

    Once the work is used up, the rest has no known obstacles: a newcomer goes behind them, and a
    circle that is not seen for that ends with the time of one who waits in it.
    """
    known = obstacles_in(state, work)

    def obstacles(claim: Claim) -> Iterable[Claim]:
        try:
            return known(claim)
        except PatternTooBroad:
            return ()

    return obstacles


def alternatives(
    claim: Claim, conflicts: Iterable[Finding], state: ProjectState, *, work: Work, is_committed: bool = False
) -> list[Alternative]:
    """Return for each target in trouble the strongest weaker mode that would be granted now.

    A target that creates something cannot have less, and neither can one whose work would not go with the mode.
    """
    in_trouble: dict[int, list[Finding]] = {}
    for finding in conflicts:
        in_trouble.setdefault(finding.requested.number, []).append(finding)
    troubled = list(in_trouble)[:_ALTERNATIVES_FOR_MAX]
    found: list[Alternative] = []
    for target in asked_for(claim.targets):
        if target.number not in troubled or target.destination is not None:
            continue
        for mode in weaker_than(target.mode):
            if any(_still_clashes(each, mode) for each in in_trouble[target.number]):
                continue
            wish = replace(claim, targets=(replace(target, mode=mode, operation=None),))
            try:
                met = meet(wish, state, work=work, is_committed=is_committed, bounds=_FIRST_CONFLICT)
            except PatternTooBroad:
                return found  # What is offered beyond the refusal itself must not cost more than the refusal.
            if not met.conflicts:
                found.append(
                    Alternative(n=target.number, target=target.target.text, mode=mode, name=CLASS_OF_MODE[mode])
                )
                break
    return found


def _still_clashes(conflict: Finding, mode: Mode) -> bool:
    """Tell whether a conflict that is known stays one in another mode; if not, it has to be looked up.

    A warning that is a conflict by policy is about two exclusive modes and symbols that are apart, so it says nothing here.
    """
    return clashes(conflict.relation, mode, conflict.held.mode)


def conflict_with(
    claim: Claim, met: Meeting, state: ProjectState, now: Now, work: Work, *, is_held_still: bool = False
) -> ReservationConflict:
    """Return the refusal that lists what stands in the way of a claim, and what would be granted instead."""
    views = conflict_views(met.shown, state, now)
    return ReservationConflict(
        views,
        list(dict.fromkeys(view.held_by for view in views)),
        max(view.retry_after_s for view in views),
        seq=state.head,
        is_cut=met.is_cut,
        alternatives=alternatives(claim, met.conflicts, state, work=work),
        is_held_still=is_held_still,
    )
