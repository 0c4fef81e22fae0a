"""How claims and findings are shown: one object for all that stands in the way or is to be warned of."""

from collections.abc import Iterable, Sequence

from intermute.core.agents import Agent
from intermute.core.api.claims import ClaimedTarget, ConflictView, FoundTarget, Reach
from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.claim_records import ClaimTarget, Standing, asked_for
from intermute.core.findings import Finding
from intermute.core.ids import AgentId, Micros
from intermute.core.targets import READING
from intermute.core.times import SECOND_US, Now, rfc3339
from intermute.project.state import ProjectState

WAITING = "waiting"
"""The standing of a claim that waits for its turn: later ones go behind it."""


def claimed_targets(targets: Iterable[ClaimTarget]) -> list[ClaimedTarget]:
    """Return the targets that were asked for as the interface shows them; destinations are shown with their origins."""
    return [
        ClaimedTarget(
            n=each.number,
            target=each.target.text,
            path=each.target.pattern.text,
            symbol=each.target.symbol,
            literal=each.target.pattern.is_literal,
            mode=each.mode,
            op=each.operation,
            to=each.destination.text if each.destination else None,
        )
        for each in asked_for(targets)
    ]


def conflict_views(findings: Sequence[Finding], state: ProjectState, now: Now) -> list[ConflictView]:
    """Return findings as the interface shows them, in the order given."""
    return [_conflict_view(finding, state, now) for finding in findings]


def _conflict_view(finding: Finding, state: ProjectState, now: Now) -> ConflictView:
    claim, held = finding.claim, finding.held
    lease = state.leases.committed(claim.id) or state.leases.get(claim.id)
    wait = state.waiting.get(claim.id)
    standing: str = claim.standing
    if lease is not None:
        reason, created_at_us = lease.reason, lease.created_at_us
        left_s = lease.deadline_s - now.mono_s
        expires_at_us = lease.expires_at_us
    elif wait is not None:
        standing, reason = WAITING, wait.wish.reason
        left_s = wait.ends_s - now.mono_s
        created_at_us = Micros(now.wall_us + round((wait.since_s - now.mono_s) * SECOND_US))
        expires_at_us = Micros(now.wall_us + round(left_s * SECOND_US))
    else:
        intent = state.intents.get(claim.id)
        reason, created_at_us = (intent.detail, intent.created_at_us) if intent else ("", now.wall_us)
        expires_at_us = now.wall_us if claim.expires_at_us is None else claim.expires_at_us
        left_s = (expires_at_us - now.wall_us) / SECOND_US
    return ConflictView(
        reservation_id=claim.id,
        intent_id=claim.id if claim.standing is Standing.DECLARED else None,
        agent_id=claim.holder,
        held_by=state.agents.name_of(claim.holder),
        pattern=held.target.text,
        reason=reason or None,
        expires_at=rfc3339(expires_at_us),
        kind=finding.kind,
        verdict=finding.verdict,
        relation=finding.relation,
        confidence=round(finding.confidence, 3),
        certainty=finding.certainty,
        requested=_found_target(finding.requested),
        held=_found_target(held),
        example=finding.example or "",
        standing=standing,
        retry_after_s=max(1, round(left_s)),
        exclusive=held.mode not in READING,
        mode=CLASS_OF_MODE[held.mode],
        created_at=rfc3339(created_at_us),
        reach=reach_of(claim.holder, claim.id, standing, state, now),
        branch=claim.branch,
        worktree=claim.worktree,
    )


def _found_target(target: ClaimTarget) -> FoundTarget:
    return FoundTarget(n=target.number, target=target.target.text, mode=target.mode, op=target.operation)


def reach_of(holder: AgentId, claim_id: str, standing: str, state: ProjectState, now: Now) -> Reach:
    """Return how a holder can be reached: only a lease can be asked for by its id, all else by a message."""
    agent: Agent | None = state.agents.find(holder)
    is_lease = standing == "enforced"
    return Reach(
        name=state.agents.name_of(holder),
        live=agent is not None and agent.is_live(now.mono_s),
        last_seen=rfc3339(agent.last_seen_us) if agent else None,
        ask=f"POST /api/reservations/{claim_id}/request" if is_lease else "POST /api/messages",
    )
