"""What a plan would run into: against live claims, between its own steps, and in which order it can run.

Decided here and nowhere else: that steps of one agent never clash, that an `after` edge turns a clash into information,
and which steps may run side by side. Nothing is granted or stored. Source: claims.md 7, IMT-P4.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from intermute.core import limits
from intermute.core.blast_radius import BlastRadius, CallGraph, WriterIndex
from intermute.core.claim_index import ClaimIndex, FindingBounds, Work
from intermute.core.claim_records import Claim, ClaimTarget, Standing, joined
from intermute.core.claims import DEFAULT_POLICY, Policy, decide
from intermute.core.findings import Finding, Risk, Verdict, in_precedence
from intermute.core.ids import AgentId, Micros
from intermute.core.plan_steps import PLAN_TARGETS_MAX, Step, in_order, predecessors

_ALL_PAIRS: Final = FindingBounds(PLAN_TARGETS_MAX**2, PLAN_TARGETS_MAX**2)
"""More than the targets of a plan can have among themselves: the waves need every one."""


class Outlook(StrEnum):
    """What is in store for a plan."""

    CLEAR = "clear"
    WARN = "warn"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class StepForecast:
    """What one step meets among the live claims."""

    step: Step
    findings: tuple[Finding, ...]
    earliest_us: Micros | None
    """When the last claim in its way ends, at the latest; None where nothing is in its way, where some claim has no end,
    and where there are more in its way than were looked at."""
    is_cut: bool = False
    """There are more findings than these."""

    @property
    def would_grant(self) -> bool:
        """Nothing that is live stands in its way."""
        return all(finding.verdict is not Verdict.CONFLICT for finding in self.findings)


@dataclass(frozen=True, slots=True)
class PairFinding:
    """What two steps of different agents are to each other; `a` is the earlier one where they are ordered."""

    a: str
    b: str
    finding: Finding
    is_ordered: bool
    """An `after` path keeps them apart already: information, not risk."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The whole answer. `risks` counts what is a risk: all findings but those of ordered pairs."""

    verdict: Outlook
    risks: Mapping[Risk, int]
    steps: tuple[StepForecast, ...]
    pairs: tuple[PairFinding, ...]
    waves: tuple[tuple[str, ...], ...]
    """Steps that can run side by side, one wave after the other."""
    is_radius_cut: bool = False
    """The blast radius was too large to be followed to its end."""


def forecast(
    plan: Sequence[Step],
    live: Iterable[Claim],
    *,
    policy: Policy = DEFAULT_POLICY,
    graph: CallGraph | None = None,
    elsewhere: Iterable[Claim] = (),
    ahead: Mapping[str, Sequence[Claim]] = MappingProxyType({}),
    has_pairs: bool = True,
    findings_max: int = limits.FORECAST_FINDINGS_MAX,
) -> Forecast:
    """Foresee what the steps meet among the live claims and among themselves.

    Args: live, at least all claims that overlap the plan; graph, None where none was uploaded (the answer then has to
    say that blast radius was not looked at); elsewhere, live claims that the graph may lead to, these or others; ahead,
    for each step those that wait for their turn and go first; has_pairs, False to leave out what the steps are to each
    other; findings_max, how many findings of all steps to look for.
    Raises: InvalidRequest, where names are unknown or twice, there is too much, or steps wait for each other;
    PatternTooBroad, for a plan that meets more than is looked up for one.
    """
    order = in_order(plan)
    before = predecessors(order)
    claims = list(live)
    work = Work(relation_states_max=limits.FORECAST_RELATION_STATES_MAX)
    radius = None if graph is None else BlastRadius(graph)
    wishes = _wishes(order, claims)
    held, planned = _Known(policy, work, radius), _Known(policy, work, radius)
    for claim in claims:
        held.add(claim)
    for claim in elsewhere:
        if not held.has(claim):
            held.add_writer(claim)
    bound = max(1, findings_max // max(1, 2 * len(order)))
    by_step: dict[str, StepForecast] = {}
    pairs: list[PairFinding] = []
    for step in order:
        wish = wishes[step.name]
        found = held.findings(wish, FindingBounds(bound + 1, bound + 1))
        queued = [finding for claim in ahead.get(step.name, ()) for finding in decide(wish, claim, policy)]
        by_step[step.name] = _step_forecast(step, in_precedence(found + queued), bound)
        if has_pairs:
            for finding in _told_once(planned.findings(wish, _ALL_PAIRS)):
                other = finding.claim.id
                pairs.append(PairFinding(other, step.name, finding, is_ordered=other in before[step.name]))
            planned.add(wish)
    steps = tuple(by_step[step.name] for step in plan)
    counted = [finding for each in steps for finding in each.findings]
    counted += [pair.finding for pair in pairs if not pair.is_ordered]
    risks = Counter(finding.risk for finding in counted)
    return Forecast(
        verdict=_outlook(counted),
        risks={risk: risks[risk] for risk in Risk},
        steps=steps,
        pairs=tuple(pairs),
        waves=_waves(order, pairs),
        is_radius_cut=radius is not None and radius.is_cut,
    )


class _Known:
    """Claims, found by the paths they share with another, and by the calls that lead to them."""

    def __init__(self, policy: Policy, work: Work, radius: BlastRadius | None) -> None:
        self._policy, self._work, self._radius = policy, work, radius
        self._index = ClaimIndex()
        self._writers = WriterIndex()

    def has(self, claim: Claim) -> bool:
        return self._index.get(claim.id) is not None

    def add(self, claim: Claim) -> None:
        self._index.put(claim)
        self.add_writer(claim)

    def add_writer(self, claim: Claim) -> None:
        if self._radius is not None:
            self._writers.add(claim)

    def findings(self, requested: Claim, bounds: FindingBounds) -> list[Finding]:
        found = self._index.findings(requested, self._policy, bounds, work=self._work)
        if self._radius is not None:
            found = in_precedence(found + self._radius.findings_in(requested, self._writers))
        return found


def _wishes(order: Sequence[Step], live: Sequence[Claim]) -> dict[str, Claim]:
    """Return the steps as claims, in the modes that their agents will hold by then."""
    own: dict[AgentId, list[ClaimTarget]] = {}
    for claim in live:
        own.setdefault(claim.holder, []).extend(claim.targets)
    wishes: dict[str, Claim] = {}
    for place, step in enumerate(order):
        targets = joined(step.targets, own.setdefault(step.agent, []))
        own[step.agent].extend(targets)
        wishes[step.name] = Claim(
            step.name, place, step.agent, targets, Standing.HYPOTHETICAL, step.branch, step.worktree
        )
    return wishes


def _step_forecast(step: Step, findings: Sequence[Finding], bound: int) -> StepForecast:
    conflicts = [finding for finding in findings if finding.verdict is Verdict.CONFLICT]
    warnings = [finding for finding in findings if finding.verdict is Verdict.WARN]
    shown = (*_told_once(conflicts[:bound]), *_told_once(warnings[:bound]))
    ends = [finding.claim.expires_at_us for finding in conflicts]
    known = [end for end in ends if end is not None]
    is_known = bool(known) and len(known) == len(ends) <= bound
    return StepForecast(
        step, shown, max(known) if is_known else None, is_cut=max(len(conflicts), len(warnings)) > bound
    )


def _told_once(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without those that say of a destination what is said of its origin already."""
    told: dict[tuple[object, ...], Finding] = {}
    for each in findings:
        between = (each.claim.id, each.requested.number, each.held.number)
        told.setdefault((*between, each.kind, each.verdict, each.confidence), each)
    return list(told.values())


def _outlook(findings: Sequence[Finding]) -> Outlook:
    if any(finding.verdict is Verdict.CONFLICT for finding in findings):
        return Outlook.CONFLICT
    return Outlook.WARN if findings else Outlook.CLEAR


def _waves(order: Sequence[Step], pairs: Iterable[PairFinding]) -> tuple[tuple[str, ...], ...]:
    """Put each step in the first wave after all it waits for that has none it conflicts with."""
    foes: dict[str, set[str]] = {step.name: set() for step in order}
    for pair in pairs:
        if pair.finding.verdict is Verdict.CONFLICT:
            foes[pair.a].add(pair.b)
            foes[pair.b].add(pair.a)
    waves: list[list[str]] = []
    placed: dict[str, int] = {}
    for step in order:
        place = 1 + max((placed[name] for name in step.after), default=-1)
        while place < len(waves) and not foes[step.name].isdisjoint(waves[place]):
            place += 1
        if place == len(waves):
            waves.append([])
        waves[place].append(step.name)
        placed[step.name] = place
    return tuple(tuple(wave) for wave in waves)
