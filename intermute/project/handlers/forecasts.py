"""Preflight: what a plan would run into, before anything is reserved.

The loop gathers what the plan meets, within bounds; the verdict is computed in the reader's thread, on claims that do not
change any more. All of it is of one place in the log, and of what is stored. Source: claims.md 7, issue 3 point 8.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import apsw

from intermute.core import limits
from intermute.core.api.claims import FoundTarget
from intermute.core.api.forecasts import (
    Forecasted,
    ForecastPlan,
    Include,
    PlanPair,
    PlanStep,
    RadiusState,
    RadiusView,
    StepFinding,
    StepOutlook,
)
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim, ClaimTarget, Standing
from intermute.core.claims import Policy
from intermute.core.errors import InvalidRequest
from intermute.core.findings import Finding, Risk, Verdict
from intermute.core.forecast import Forecast, PairFinding, StepForecast, forecast
from intermute.core.ids import AgentId
from intermute.core.live_claims import ClaimSource, Picked, claims_met, first_claims
from intermute.core.plan_steps import PLAN_TARGETS_MAX, Step, in_order
from intermute.core.targets import literal_wildcards, read_targets
from intermute.core.times import rfc3339
from intermute.project.handlers import call_graphs
from intermute.project.handlers.call_graphs import LoadGraph
from intermute.project.handlers.meetings import obstacles_in
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, FromStore

_NOTES_MAX: Final = 20  # notes of one answer; a plan may have many odd paths, and a few show what is meant.
_ALL: Final = frozenset(Include)
_SOURCES: Final[Mapping[Include, Callable[[ProjectState], ClaimSource]]] = {
    Include.RESERVATIONS: lambda state: state.leases,
    Include.INTENTS: lambda state: state.intents,
}
"""The live claims of each kind. Whoever keeps claims of another kind adds a line."""


def forecast_plan(query: ForecastPlan, desk: Desk, load_graph: LoadGraph = call_graphs.load) -> FromStore[Forecasted]:
    """Tell what the steps of a plan would run into. Raises: InvalidRequest, BadPattern, PatternTooBroad."""
    state = desk.state
    include = _ALL if query.include is None else frozenset(query.include)
    plan = _steps(query.plan, desk)
    in_order(plan)  # A plan that is none is refused before anything is looked up for it.
    sources = claim_sources(state, include)
    live, ahead, first = _gathered(plan, sources, include, state)
    as_of_seq, policy, fold_case = state.stored_head, _policy(query, state), state.committed_settings.case_folding
    notes = [f"{step.step}: {note}" for step in query.plan for note in literal_wildcards(step)][:_NOTES_MAX]

    def work(connection: apsw.Connection) -> Forecasted:
        loaded = load_graph(connection, fold_case) if Include.BLAST_RADIUS in include else None
        answer = forecast(
            plan,
            live,
            policy=policy,
            graph=loaded[0] if loaded else None,
            elsewhere=first.claims,
            ahead=ahead,
            has_pairs=Include.PLAN in include,
        )
        return _Views(state, ahead).of(
            answer,
            as_of_seq=as_of_seq,
            has_pairs=Include.PLAN in include,
            radius=_radius(include, loaded and loaded[1], is_cut=first.is_cut or answer.is_radius_cut),
            notes=notes,
        )

    return FromStore(work)


def claim_sources(state: ProjectState, include: frozenset[Include]) -> list[ClaimSource]:
    """Return where the live claims of these kinds are kept."""
    return [kept(state) for kind, kept in _SOURCES.items() if kind in include]


def _steps(plan: Sequence[PlanStep], desk: Desk) -> list[Step]:
    """Read the steps, in the order given, and no more of them than one plan may have.

    Raises: InvalidRequest, with the place of the step before each field; BadPattern.
    """
    steps: list[Step] = []
    targets = alternatives = 0
    for place, asked in enumerate(plan):
        try:
            found = read_targets(asked, fold_case=desk.state.committed_settings.case_folding)
        except InvalidRequest as refused:
            problems = [(f"plan[{place}].{field}", problem) for field, problem in refused.problems]
            raise InvalidRequest(problems) from None
        targets += len(found)
        alternatives += sum(len(each.target.pattern.alternatives) for each in found)
        if targets > PLAN_TARGETS_MAX:
            raise InvalidRequest(
                [("plan", f"at most {PLAN_TARGETS_MAX} targets in all steps together; split the plan")]
            )
        if alternatives - targets > limits.ALTERNATIVES_PER_REQUEST_MAX:
            bound = limits.ALTERNATIVES_PER_REQUEST_MAX
            raise InvalidRequest([("plan", f"the braces of one plan may add {bound} paths; split the plan")])
        steps.append(
            Step(
                asked.step,
                _agent(asked, place, desk),
                found,
                tuple(asked.after or ()),
                (asked.branch or "").strip() or None,
                (asked.worktree or "").strip() or None,
            )
        )
    return steps


def _agent(asked: PlanStep, place: int, desk: Desk) -> AgentId:
    """Return who is to do a step: the agent that it names, else the caller. Raises: InvalidRequest."""
    given = asked.agent_id or asked.agent
    agent = desk.state.agents.canonical(given) if given else desk.identity().address
    if agent is None:
        raise InvalidRequest([(f"plan[{place}].agent_id", "say who does this step: an agent's id or name")])
    return agent


def _policy(query: ForecastPlan, state: ProjectState) -> Policy:
    stored = state.committed_settings.policy
    return stored if query.branch_policy is None else replace(stored, branch_policy=query.branch_policy)


def _gathered(
    plan: Sequence[Step], sources: Sequence[ClaimSource], include: frozenset[Include], state: ProjectState
) -> tuple[list[Claim], Mapping[str, list[Claim]], Picked]:
    """Return what is live where the plan goes, who waits there in front of each step, and the first claims anywhere.

    Raises: PatternTooBroad.
    """
    targets = {each.target: each for step in plan for each in step.targets}
    live = claims_met(sources, targets.values())
    has_radius = Include.BLAST_RADIUS in include and plan
    elsewhere = first_claims(sources, limits.BLAST_CLAIMS_MAX) if has_radius else Picked([], is_cut=False)
    return live, _ahead(plan, include, state), elsewhere


def _ahead(plan: Sequence[Step], include: frozenset[Include], state: ProjectState) -> Mapping[str, list[Claim]]:
    """Return for each step those who wait for their turn there: they would go first."""
    if not len(state.waiting) or Include.RESERVATIONS not in include:
        return {}
    work = Work(steps_max=limits.FORECAST_LOOKUP_STEPS_MAX)
    obstacles = obstacles_in(state, work)
    return {
        step.name: state.waiting.ahead_of(
            Claim(step.name, state.head, step.agent, step.targets, branch=step.branch, worktree=step.worktree),
            state.policy,
            obstacles,
            work,
        )
        for step in plan
    }


def _radius(include: frozenset[Include], commit: str | None, *, is_cut: bool) -> RadiusView:
    if Include.BLAST_RADIUS not in include:
        return RadiusView(state=RadiusState.NOT_ASKED)
    if commit is None:
        return RadiusView(state=RadiusState.UNAVAILABLE)
    return RadiusView(state=RadiusState.OK, index_commit=commit, cut=is_cut)


class _Views:
    """Shows a forecast as the interface does."""

    def __init__(self, state: ProjectState, ahead: Mapping[str, Sequence[Claim]]) -> None:
        self._agents = state.agents
        self._waiting = {claim.id for claims in ahead.values() for claim in claims}

    def of(
        self, answer: Forecast, *, as_of_seq: int, has_pairs: bool, radius: RadiusView, notes: list[str]
    ) -> Forecasted:
        shown = sorted(answer.pairs, key=_riskiest_first)[: limits.FORECAST_PAIRS_SHOWN_MAX]
        return Forecasted(
            as_of_seq=as_of_seq,
            verdict=answer.verdict,
            high_risk=answer.risks[Risk.HIGH],
            medium_risk=answer.risks[Risk.MEDIUM],
            low_risk=answer.risks[Risk.LOW],
            steps=[self._step(each) for each in answer.steps],
            pairs=[_pair(each) for each in shown] if has_pairs else None,
            more_pairs=len(shown) < len(answer.pairs),
            waves=[list(wave) for wave in answer.waves] if has_pairs else None,
            blast_radius=radius,
            notes=notes or None,
        )

    def _step(self, step: StepForecast) -> StepOutlook:
        return StepOutlook(
            step=step.step.name,
            would_grant=step.would_grant,
            earliest=None if step.earliest_us is None else rfc3339(step.earliest_us),
            findings=[self._finding(each) for each in step.findings],
            more=step.is_cut,
        )

    def _finding(self, finding: Finding) -> StepFinding:
        claim = finding.claim
        return StepFinding(
            against=f"{self._kind(claim)}:{claim.id}",
            kind=finding.kind,
            verdict=finding.verdict,
            confidence=round(finding.confidence, 3),
            relation=finding.relation,
            certainty=finding.certainty,
            example=finding.example,
            requested=_target(finding.requested),
            held=_target(finding.held),
            held_by=self._agents.name_of(claim.holder),
            agent_id=claim.holder,
            expires_at=None if claim.expires_at_us is None else rfc3339(claim.expires_at_us),
            path=list(finding.path) or None,
        )

    def _kind(self, claim: Claim) -> str:
        if claim.id in self._waiting:
            return "waiting"
        return "intent" if claim.standing is Standing.DECLARED else "reservation"


def _target(target: ClaimTarget) -> FoundTarget:
    return FoundTarget(n=target.number, target=target.target.text, mode=target.mode, op=target.operation)


def _pair(pair: PairFinding) -> PlanPair:
    finding = pair.finding
    return PlanPair(
        a=pair.a,
        b=pair.b,
        kind=finding.kind,
        verdict=finding.verdict,
        confidence=round(finding.confidence, 3),
        example=finding.example,
        path=list(finding.path) or None,
        ordered=pair.is_ordered,
    )


def _riskiest_first(pair: PairFinding) -> tuple[bool, bool, float]:
    finding = pair.finding
    return pair.is_ordered, finding.verdict is Verdict.WARN, -finding.confidence
