"""What stands between the branches of a project, before somebody merges them. Source: claims.md 7, issue 3 point 8."""

from typing import Final

import apsw

from intermute.core import limits
from intermute.core.agents import Directory
from intermute.core.api.forecasts import BranchClash, BranchSide, BranchView, Include, Reconcile, Reconciled
from intermute.core.claim_records import Claim, ClaimTarget, Standing
from intermute.core.live_claims import first_claims
from intermute.core.pages import page_size
from intermute.core.reconcile import BranchLoad, BranchPair, reconcile
from intermute.project.handlers.forecasts import claim_sources
from intermute.project.transaction import Desk, FromStore

_AGENTS_SHOWN_MAX: Final = 20  # agents named for one branch; whoever merges asks a few of them.


def reconcile_branches(query: Reconcile, desk: Desk) -> FromStore[Reconciled]:
    """Return the branches in the order in which to merge them, with what stands between them."""
    state = desk.state
    picked = first_claims(claim_sources(state, frozenset(Include)), limits.RECONCILE_CLAIMS_MAX)
    as_of_seq, policy = state.stored_head, state.committed_settings.policy
    shown = page_size(query.limit, limits.PAGE_DEFAULT)

    def work(_connection: apsw.Connection) -> Reconciled:
        found = reconcile(picked.claims, policy)
        return Reconciled(
            as_of_seq=as_of_seq,
            branches=[_branch(each, state.agents) for each in found.branches[: limits.PAGE_MAX]],
            more_branches=len(found.branches) > limits.PAGE_MAX,
            pairs=[_clash(each, state.agents) for each in found.pairs[:shown]],
            more_pairs=len(found.pairs) > shown,
            cut=picked.is_cut or found.is_cut,
        )

    return FromStore(work)


def _branch(load: BranchLoad, agents: Directory) -> BranchView:
    return BranchView(
        branch=load.branch,
        claims=load.claims,
        agents=[agents.name_of(holder) for holder in list(load.holders)[:_AGENTS_SHOWN_MAX]],
        weight=round(load.weight, 3),
        oldest_seq=load.oldest,
    )


def _clash(pair: BranchPair, agents: Directory) -> BranchClash:
    finding = pair.finding
    return BranchClash(
        a=_side(finding.claim, finding.held, agents),
        b=_side(pair.claim, finding.requested, agents),
        kind=finding.kind,
        verdict=finding.verdict,
        confidence=round(finding.confidence, 3),
        example=finding.example,
    )


def _side(claim: Claim, target: ClaimTarget, agents: Directory) -> BranchSide:
    is_declared = claim.standing is Standing.DECLARED
    return BranchSide(
        branch=claim.branch,
        reservation_id=None if is_declared else claim.id,
        intent_id=claim.id if is_declared else None,
        agent_id=claim.holder,
        held_by=agents.name_of(claim.holder),
        target=target.target.text,
    )
