"""What stands between the branches of a project, and in which order to merge them.

Decided here and nowhere else: the weight of a branch, and that the one with the least goes first, then the oldest. A
pair counts as it would on one branch, since that is where both are going. Nothing is granted or stored.
Source: claims.md 7, issue 3 point 8.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from intermute.core import limits
from intermute.core.claim_index import ClaimIndex, FindingBounds, Work
from intermute.core.claim_records import Claim
from intermute.core.claims import BranchPolicy, Policy
from intermute.core.errors import PatternTooBroad
from intermute.core.findings import Finding, Verdict
from intermute.core.ids import AgentId


@dataclass(slots=True)
class BranchLoad:
    """One branch and its live claims; None is that of all who did not name theirs."""

    branch: str | None
    oldest: int
    """The sequence number of its first claim."""
    claims: int = 0
    holders: dict[AgentId, None] = field(default_factory=dict)
    """In the order of their first claims."""
    weight: float = 0.0
    """The sum of the confidences of what stands between it and other branches."""


@dataclass(frozen=True, slots=True)
class BranchPair:
    """Something between two branches. `claim` is the later one; the finding's own claim is the earlier one."""

    claim: Claim
    finding: Finding


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The branches in the order in which to merge them, and the pairs, the heaviest first."""

    branches: tuple[BranchLoad, ...]
    pairs: tuple[BranchPair, ...]
    is_cut: bool
    """The work was spent: there may be more pairs, and more weight."""


def reconcile(
    claims: Iterable[Claim],
    policy: Policy,
    *,
    work: Work | None = None,
    findings_max: int = limits.RECONCILE_FINDINGS_MAX,
) -> Reconciliation:
    """Return the claims by branch, with what stands between each two branches. Never fails: see `is_cut`."""
    policy = replace(policy, branch_policy=BranchPolicy.ANY)
    work = work or Work(steps_max=limits.RECONCILE_LOOKUP_STEPS_MAX)
    index = ClaimIndex()
    loads: dict[str | None, BranchLoad] = {}
    pairs: list[BranchPair] = []
    left, is_cut = findings_max, False
    for claim in sorted(claims, key=lambda each: each.sequence):
        load = loads.setdefault(claim.branch, BranchLoad(claim.branch, claim.sequence))
        load.claims += 1
        load.holders[claim.holder] = None
        if is_cut:
            continue
        try:
            found = index.findings(claim, policy, FindingBounds(left + 1, left + 1), work=work)
        except PatternTooBroad:
            is_cut = True
            continue
        is_cut = len(found) > left
        left -= len(found)
        for finding in found:
            if finding.claim.branch != claim.branch:
                pairs.append(BranchPair(claim, finding))
                load.weight += finding.confidence
                loads[finding.claim.branch].weight += finding.confidence
        index.put(claim)
    return Reconciliation(
        tuple(sorted(loads.values(), key=lambda each: (round(each.weight, 3), each.oldest))),
        tuple(sorted(pairs, key=_heaviest_first)),
        is_cut,
    )


def _heaviest_first(pair: BranchPair) -> tuple[float, bool, int, int]:
    finding = pair.finding
    return -finding.confidence, finding.verdict is Verdict.WARN, finding.claim.sequence, pair.claim.sequence
