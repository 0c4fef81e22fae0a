"""An index of claims: what one claim meets among many, without comparing it with each of them.

The lock table finds the pairs of targets that share a path, `claims` decides each of them. Invariant: the answer is that of
comparing every pair, up to the bounds that the asker sets; but for pairs whose relation would take too long to tell, of
which those are left out that the walk shows to be harmless.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from intermute.core import limits
from intermute.core.claim_modes import clashes
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claims import Policy, decide_targets
from intermute.core.findings import Finding, Verdict, in_precedence
from intermute.core.lock_table import ALL_MODES, Entry, LockTable, Mode, Reach
from intermute.core.lock_trie import WorkBudget
from intermute.core.name_choices import Budget
from intermute.core.patterns import PreparedPattern
from intermute.core.relations import Relation
from intermute.core.symbols import symbol_relation


def _reach(mine: Mode, held: Mode) -> Reach | None:
    """Return where what is held in this mode can clash with mine; None where it cannot.

    A symbol makes a relation of paths narrower or leaves it, so what is to be wider or equal has paths that are.
    """
    told = (Relation.EQUAL, Relation.CONTAINS, Relation.WITHIN, Relation.PARTIAL)
    clashing = {relation for relation in told if clashes(relation, mine, held)}
    if not clashing:
        return None
    if clashing <= {Relation.EQUAL, Relation.CONTAINS}:
        return Reach.INSIDE
    return Reach.AROUND if clashing <= {Relation.EQUAL, Relation.WITHIN} else Reach.MEETING


_STRONGEST_FIRST: Final = (Mode.X, Mode.SIX, Mode.S, Mode.IX, Mode.IS)
_REACHES: Final = {
    mine: {held: reach for held in _STRONGEST_FIRST if (reach := _reach(mine, held)) is not None} for mine in Mode
}
"""For each mode the modes that can clash with it, those first of which most do, and where."""
NOTHING: Final[frozenset[str]] = frozenset()


class FindingBounds(NamedTuple):
    """How much of what is found an asker wants: of each kind, one more than it shows tells that there is more."""

    conflicts: int = limits.CONFLICTS_SHOWN_MAX + 1
    warnings: int = limits.WARNINGS_SHOWN_MAX + 1


ALL_SHOWN: Final = FindingBounds()


class Work:
    """What one request may cost, however many targets it has."""

    __slots__ = ("_for_others", "relations", "steps")

    def __init__(
        self, *, steps_max: int = limits.LOOKUP_STEPS_MAX, relation_states_max: int = limits.RELATION_STATES_MAX
    ) -> None:
        self.steps = WorkBudget(steps_max)
        self.relations = Budget(relation_states_max)
        self._for_others: Work | None = None

    def for_others(self) -> "Work":
        """Return what may be spent besides on what others wait for: one amount, however often it is asked for."""
        if self._for_others is None:
            self._for_others = Work()
        return self._for_others


class ClaimIndex:
    """Claims by id, and by the paths that they touch. All must have been read with the same `fold_case`."""

    __slots__ = ("_claims", "_table")

    def __init__(self) -> None:
        self._table = LockTable()
        self._claims: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def get(self, claim_id: str) -> Claim | None:
        """Return the claim of this id."""
        return self._claims.get(claim_id)

    def put(self, claim: Claim) -> None:
        """Take a claim in; one of the same id makes room for it."""
        if claim.id in self._claims:
            self._table.remove(claim.id)
        self._claims[claim.id] = claim
        for number, target in enumerate(claim.targets):
            self._table.add(claim.id, target.target.pattern, claim.holder, target.mode, number)

    def update(self, claim: Claim) -> None:
        """Take in what changed about a claim whose holder, targets and modes are as they were."""
        self._claims[claim.id] = claim

    def remove(self, claim_id: str) -> None:
        """Take a claim out; one that is not there is fine."""
        if self._claims.pop(claim_id, None) is not None:
            self._table.remove(claim_id)

    def findings(
        self,
        requested: Claim,
        policy: Policy,
        bounds: FindingBounds,
        *,
        besides: Collection[str] = NOTHING,
        work: Work | None = None,
    ) -> list[Finding]:
        """Return what stands between this claim and those of others, in reporting precedence.

        Within the bounds; once there are enough conflicts nothing more is looked for. `besides` are ids of claims that do
        not count. Raises: PatternTooBroad, once the work is used up.
        """
        found: list[Finding] = []
        conflicts = warnings = 0
        for finding in self._decided(requested, policy, besides, work or Work()):
            if finding.verdict is Verdict.CONFLICT:
                conflicts += 1
                found.append(finding)
                if conflicts >= bounds.conflicts:
                    break
            elif warnings < bounds.warnings:
                warnings += 1
                found.append(finding)
        return in_precedence(found)

    def obstacles(
        self, requested: Claim, policy: Policy, *, besides: Collection[str] = NOTHING, work: Work | None = None
    ) -> Iterator[Claim]:
        """Yield the claims of others that stand in the way, each once; lazy. Raises: PatternTooBroad, as `findings`."""
        seen: set[str] = set()
        for finding in self._decided(requested, policy, besides, work or Work()):
            if finding.verdict is Verdict.CONFLICT and finding.claim.id not in seen:
                seen.add(finding.claim.id)
                yield finding.claim

    def touching(self, requested: Claim, *, work: Work | None = None) -> Iterator[Claim]:
        """Yield the claims of others that share a path and a symbol with this one, whatever the modes, each once; lazy.

        Raises: PatternTooBroad, as `findings`.
        """
        seen: set[str] = set()
        budget = (work or Work()).steps
        for mine in requested.targets:
            for entry, _ in self._table.meeting(
                mine.target.pattern, ALL_MODES, ignore_holder=requested.holder, budget=budget
            ):
                claim, theirs = self._owner(entry)
                is_apart = symbol_relation(mine.target.symbol, theirs.target.symbol) is Relation.DISJOINT
                if claim.id not in seen and not is_apart:
                    seen.add(claim.id)
                    yield claim

    def sharing_path(self, targets: Iterable[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        """Yield the claims that share a path with any of the targets, whoever holds them and in whichever mode; lazy.

        Each comes once. Raises: PatternTooBroad, once the budget is spent.
        """
        seen: set[str] = set()
        for target in targets:
            for entry in self._table.sharing_path(target.target.pattern, budget):
                if entry.entry_id not in seen:
                    seen.add(entry.entry_id)
                    yield self._claims[entry.entry_id]

    def _decided(self, requested: Claim, policy: Policy, besides: Collection[str], work: Work) -> Iterator[Finding]:
        for mine in requested.targets:
            asked = PreparedPattern(mine.target.pattern)
            found = self._table.meeting(
                mine.target.pattern, _REACHES[mine.mode], ignore_holder=requested.holder, budget=work.steps, asked=asked
            )
            for entry, example in found:
                if entry.entry_id in besides:
                    continue
                claim, theirs = self._owner(entry)
                finding = decide_targets(
                    requested, mine, claim, theirs, policy, example=example, pool=work.relations, asked=asked
                )
                if finding is not None:
                    yield finding

    def _owner(self, entry: Entry) -> tuple[Claim, ClaimTarget]:
        claim = self._claims[entry.entry_id]
        return claim, claim.targets[entry.number]
