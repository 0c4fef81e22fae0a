"""What a plan would run into: against live claims, between its own steps, and in which order it can run.

Decided here and nowhere else: that steps of one agent never clash, that an `after` edge turns a clash into information,
and which steps may run side by side. Nothing is granted or stored. Source: claims.md 7, IMT-P4.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from intermute.core.blast_radius import BlastRadius, CallGraph
from intermute.core.claim_records import Claim, ClaimTarget, Standing, joined
from intermute.core.claims import DEFAULT_POLICY, Policy, decide_targets
from intermute.core.findings import Finding, Risk, Verdict, in_precedence
from intermute.core.ids import AgentId, Micros
from intermute.core.lock_table import Entry, LockTable
from intermute.core.plan_steps import Step, in_order, predecessors


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
    """When the last claim in its way ends, at the latest; None where nothing is in its way or some claim has no end."""

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


def forecast(
    plan: Sequence[Step],
    live: Iterable[Claim],
    *,
    policy: Policy = DEFAULT_POLICY,
    graph: CallGraph | None = None,
) -> Forecast:
    """Foresee what the steps meet among the live claims and among themselves.

    Args: live, at least all claims that overlap the plan; graph, None where none was uploaded (the answer then has to
    say that blast radius was not looked at).
    Raises: InvalidRequest, where names are unknown or twice, there is too much, or steps wait for each other;
    PatternTooBroad, for a target that meets more than the lock table looks up for one.
    """
    order = in_order(plan)
    before = predecessors(order)
    claims = list(live)
    radius = None if graph is None else BlastRadius(graph)
    wishes = _wishes(order, claims)
    held, planned = _Index(), _Index()
    for claim in claims:
        held.add(claim)
    by_step: dict[str, StepForecast] = {}
    pairs: list[PairFinding] = []
    for step in order:
        wish = wishes[step.name]
        by_step[step.name] = _step_forecast(step, held.findings(wish, policy, radius))
        for finding in planned.findings(wish, policy, radius):
            other = finding.claim.id
            pairs.append(PairFinding(other, step.name, finding, is_ordered=other in before[step.name]))
        planned.add(wish)
    steps = tuple(by_step[step.name] for step in plan)
    counted = [finding for each in steps for finding in each.findings]
    counted += [pair.finding for pair in pairs if not pair.is_ordered]
    return Forecast(
        verdict=_outlook(counted),
        risks={risk: Counter(finding.risk for finding in counted)[risk] for risk in Risk},
        steps=steps,
        pairs=tuple(pairs),
        waves=_waves(order, pairs),
    )


class _Index:
    """Claims, found by the paths they share with another."""

    def __init__(self) -> None:
        self._table = LockTable()
        self._owners: dict[Entry, tuple[Claim, ClaimTarget]] = {}
        self._claims: list[Claim] = []

    def add(self, claim: Claim) -> None:
        self._claims.append(claim)
        for target in claim.targets:
            entry = self._table.add(claim.id, target.target.pattern, claim.holder, target.mode)
            self._owners[entry] = (claim, target)

    def findings(self, requested: Claim, policy: Policy, radius: BlastRadius | None) -> list[Finding]:
        found: list[Finding] = []
        for mine in requested.targets:
            for entry, _ in self._table.overlapping(mine.target.pattern, ignore_holder=requested.holder):
                claim, theirs = self._owners[entry]
                finding = decide_targets(requested, mine, claim, theirs, policy)
                if finding is not None:
                    found.append(finding)
        if radius is not None:
            for claim in self._claims:
                found += radius.findings(requested, claim)
        return in_precedence(found)


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


def _step_forecast(step: Step, findings: list[Finding]) -> StepForecast:
    ends = [finding.claim.expires_at_us for finding in findings if finding.verdict is Verdict.CONFLICT]
    known = [end for end in ends if end is not None]
    return StepForecast(step, tuple(findings), max(known) if known and len(known) == len(ends) else None)


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
