"""Whether two claims go together, and if not, why.

Decided here and nowhere else: verdict, kind and confidence of a claim against another. The modes alone make a clash;
operations explain it and grade a declared one, branches and standing soften it, symbols apart in one file leave a warning.
Invariants: a holder never clashes with itself; what is a conflict from one side is a conflict from the other.
Source: claims.md 3 to 6, tests/vectors/claims.json.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from intermute.core.claim_modes import clashes
from intermute.core.claim_records import Claim, ClaimTarget, Standing
from intermute.core.claim_targets import product
from intermute.core.findings import Certainty, Finding, FindingKind, Verdict, in_precedence
from intermute.core.lock_table import Mode
from intermute.core.name_choices import Budget
from intermute.core.patterns import PreparedPattern, overlap
from intermute.core.relations import Relation, relation_of_meeting
from intermute.core.symbols import symbol_relation
from intermute.core.work_operations import Operation, WorkClash, WorkKind, implied_operation, work_clash

LOCK_CONFIDENCE: Final = 1.0
SHARED_WORKTREE_CONFIDENCE: Final = 0.6
SEPARATE_WORKTREES_CONFIDENCE: Final = 0.3


class BranchPolicy(StrEnum):
    """Whether claims on different branches stand in each other's way."""

    ANY = "any"
    SAME = "same"
    """Another branch is a warning: it becomes a matter of merging."""


class SymbolFloor(StrEnum):
    """What two writers of different symbols in one file get."""

    WARN = "warn"
    BLOCK = "block"
    """A conflict where they share a worktree; apart there is nothing that a lock could save."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Policy:
    """The project's switches that bear on claims."""

    branch_policy: BranchPolicy = BranchPolicy.ANY
    symbol_floor: SymbolFloor = SymbolFloor.WARN


DEFAULT_POLICY: Final = Policy()


def decide(requested: Claim, held: Claim, policy: Policy = DEFAULT_POLICY) -> list[Finding]:
    """Return everything that stands between two claims, in reporting precedence; nothing where they go together."""
    if requested.holder == held.holder:
        return []
    return in_precedence(
        finding
        for mine in requested.targets
        for theirs in held.targets
        if (finding := decide_targets(requested, mine, held, theirs, policy)) is not None
    )


def decide_targets(
    requested: Claim,
    mine: ClaimTarget,
    held: Claim,
    theirs: ClaimTarget,
    policy: Policy = DEFAULT_POLICY,
    *,
    example: str | None = None,
    pool: Budget | None = None,
    asked: PreparedPattern | None = None,
) -> Finding | None:
    """Return what stands between one target of each claim, or None: for a caller that has found the pair by an index.

    Args: example, a path that is known to be in both; pool, what is left to tell relations apart, for a caller with many
    pairs: once it is spent they are unknown, which clashes wherever any relation does; asked, my pattern prepared.
    """
    if requested.holder == held.holder or not clashes(Relation.UNKNOWN, mine.mode, theirs.mode):
        return None  # No relation is stricter than the unknown one.
    example = example or overlap(mine.target.pattern, theirs.target.pattern)
    if example is None or _is_told_at_the_origin(mine, theirs):
        return None
    symbols = symbol_relation(mine.target.symbol, theirs.target.symbol)
    if symbols is Relation.DISJOINT:
        return _same_file(requested, mine, held, theirs, policy, example)
    paths = relation_of_meeting(mine.target.pattern, theirs.target.pattern, pool=pool, asked=asked)
    relation = product(paths, symbols)
    if not clashes(relation, mine.mode, theirs.mode):
        return None
    work = work_clash(
        relation,
        implied_operation(mine.operation, mine.mode),
        implied_operation(theirs.operation, theirs.mode),
        is_same_destination=mine.destination is not None and mine.destination == theirs.destination,
    )
    is_address = mine.target.symbol is not None and theirs.target.symbol is not None
    if _is_binding(requested) and _is_binding(held):
        kind, confidence = _lock_kind(work, relation, is_address=is_address), LOCK_CONFIDENCE
        is_conflict = policy.branch_policy is BranchPolicy.ANY or _is_same(requested.branch, held.branch)
    elif work is None:
        return None
    else:
        kind, confidence, is_conflict = _work_kind(work, relation, is_address=is_address), work.confidence, False
    verdict = Verdict.CONFLICT if is_conflict else Verdict.WARN
    certainty = _certainty(paths, mine, theirs)
    return Finding(kind, verdict, relation, confidence, certainty, example, mine, theirs, held)


def _is_binding(claim: Claim) -> bool:
    return claim.standing is not Standing.DECLARED


def _is_same(a: str | None, b: str | None) -> bool:
    """Tell whether two branches or worktrees are, or for all we know may be, the same."""
    return a is None or b is None or a == b


def _is_told_at_the_origin(mine: ClaimTarget, theirs: ClaimTarget) -> bool:
    """Tell whether both put the same thing in the same place by the same work: one finding about that is enough."""
    if mine.origin is None or theirs.origin is None or mine.target != theirs.target:
        return False
    is_same_work = mine.origin.operation is theirs.origin.operation in (Operation.RENAME, Operation.MOVE)
    return is_same_work and mine.origin.target == theirs.origin.target


def _same_file(
    requested: Claim, mine: ClaimTarget, held: Claim, theirs: ClaimTarget, policy: Policy, example: str
) -> Finding | None:
    """Return the warning about two writers of different symbols in one file, of which one may overwrite the other's."""
    if policy.symbol_floor is SymbolFloor.OFF or mine.mode is not Mode.X or theirs.mode is not Mode.X:
        return None
    if not (_is_binding(requested) and _is_binding(held) and _is_same(requested.branch, held.branch)):
        return None
    if _stays_in_its_file(mine) or _stays_in_its_file(theirs):
        return None
    if _is_same(requested.worktree, held.worktree):
        kind, confidence = FindingKind.SAME_FILE_SHARED_WORKTREE, SHARED_WORKTREE_CONFIDENCE
        verdict = Verdict.CONFLICT if policy.symbol_floor is SymbolFloor.BLOCK else Verdict.WARN
    else:
        kind, confidence, verdict = FindingKind.SAME_FILE, SEPARATE_WORKTREES_CONFIDENCE, Verdict.WARN
    return Finding(kind, verdict, Relation.DISJOINT, confidence, Certainty.POTENTIAL, example, mine, theirs, held)


def _stays_in_its_file(target: ClaimTarget) -> bool:
    """Tell whether this is a destination in its origin's file, for which that file was warned about already."""
    return target.origin is not None and target.origin.target.pattern == target.target.pattern


def _lock_kind(work: WorkClash | None, relation: Relation, *, is_address: bool) -> FindingKind:
    """Name a clash of modes: by the work where that explains it, else by how the targets lie to each other."""
    if work is not None and work.kind not in (WorkKind.DELETE_USE, WorkKind.READ_WRITE):
        return _work_kind(work, relation, is_address=is_address)
    return _overlap_kind(relation, is_address=is_address)


def _work_kind(work: WorkClash, relation: Relation, *, is_address: bool) -> FindingKind:
    if work.kind is WorkKind.OVERLAP:
        return _overlap_kind(relation, is_address=is_address)
    return FindingKind(work.kind.value)


def _overlap_kind(relation: Relation, *, is_address: bool) -> FindingKind:
    if relation in (Relation.CONTAINS, Relation.WITHIN):
        return FindingKind.CONTAINMENT
    return FindingKind.ADDRESS_OVERLAP if relation is Relation.EQUAL and is_address else FindingKind.PATH_OVERLAP


def _certainty(paths: Relation, mine: ClaimTarget, theirs: ClaimTarget) -> Certainty:
    """Tell whether the narrower of the two path patterns is one plain path."""
    match paths:
        case Relation.CONTAINS:
            is_definite = theirs.target.pattern.is_plain
        case Relation.WITHIN:
            is_definite = mine.target.pattern.is_plain
        case Relation.EQUAL:
            is_definite = mine.target.pattern.is_plain or theirs.target.pattern.is_plain
        case _:
            is_definite = False
    return Certainty.DEFINITE if is_definite else Certainty.POTENTIAL
