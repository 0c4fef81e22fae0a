"""Who is touched by a change without being named: the callers of what changes, and theirs.

Decided here and nowhere else: how sure it is that a change of one symbol reaches another, by the calls that were uploaded.
Only writers count, on both sides, and what the targets share already is told by `claims`. It never blocks. The work is
bounded: once it is spent nothing more is found, and `is_cut` says so.
Confidence: 0.75 x the change x the product of the calls x 0.6 for each call after the first, cut below 0.1.
Source: claims.md 6, scenario S18.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from intermute.core import limits
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import Target, target_relation
from intermute.core.findings import Certainty, Finding, FindingKind, Verdict
from intermute.core.lock_table import Mode
from intermute.core.name_choices import Budget, StatesExhausted
from intermute.core.pattern_syntax import Alternative, path_names
from intermute.core.patterns import PathLanes
from intermute.core.relations import Relation
from intermute.core.symbols import SYMBOL_MARK, symbol_relation
from intermute.core.work_operations import REMOVING, Operation

BASE_CONFIDENCE: Final = 0.75
DECAY: Final = 0.6
DEPTH_MAX: Final = 5
CONFIDENCE_MIN: Final = 0.1
SAME_NAMED_MAX: Final = 8  # methods of one name; a call that may mean any of more says nothing.


class Call(NamedTuple):
    """One symbol calls another; both are addresses. `confidence` is that it is this one which is called."""

    caller: str
    callee: str
    confidence: float


class Reach(NamedTuple):
    """How sure a change gets somewhere, and over which symbols, the two ends included."""

    confidence: float
    path: tuple[str, ...]


_Links = dict[str, list[tuple[str, float]]]


class CallGraph:
    """The uploaded calls of one project, both ways, and its symbols by file."""

    def __init__(self, calls: Iterable[Call], *, fold_case: bool = False) -> None:
        self.callers: _Links = {}
        self.callees: _Links = {}
        self._fold_case = fold_case
        self._by_file: dict[tuple[str, ...], dict[str, str | None]] = {}
        self._parts: dict[str, tuple[tuple[str, ...], str | None]] = {}
        for caller, callee, confidence in calls:
            self.callers.setdefault(callee, []).append((caller, confidence))
            self.callees.setdefault(caller, []).append((callee, confidence))
            for address in (caller, callee):
                if address not in self._parts:
                    self._parts[address] = names, symbol = self._read(address)
                    self._by_file.setdefault(names, {})[address] = symbol

    def parts(self, address: str) -> tuple[tuple[str, ...], str | None]:
        """Return the segments of the path, and the symbol, of a known address."""
        return self._parts[address]

    def _read(self, address: str) -> tuple[tuple[str, ...], str | None]:
        path, mark, symbol = address.partition(SYMBOL_MARK)
        return path_names(path, fold_case=self._fold_case), symbol if mark else None

    def addresses_in(self, target: Target, budget: Budget | None = None) -> list[str]:
        """Return the known addresses that the target covers.

        Cost: one look-up for a file, else a walk over all files. Raises: StatesExhausted.
        """
        budget = budget or Budget(limits.BLAST_STEPS_MAX)
        files: Iterable[tuple[str, ...]] = self._by_file
        if target.pattern.is_plain:
            node = target.pattern.alternatives[0][:-1]
            if node in self._by_file:
                files = [tuple(name for name in node if isinstance(name, str))]
        covers = _Cover(target)
        found: list[str] = []
        for names in files:
            budget.spend()
            if covers.takes_path(names):
                for address, symbol in self._by_file[names].items():
                    budget.spend()
                    if covers.takes_symbol(symbol):
                        found.append(address)
        return found


def call_confidence(*, is_resolved: bool = False, is_on_self: bool = False, same_named: int = 0) -> float:
    """Return how sure a call means one symbol; 0 where it is to be dropped.

    Args: is_resolved, the name was resolved; is_on_self, it is `self.m`; same_named, how many methods it may mean else.
    """
    if is_resolved:
        return 1.0
    if is_on_self:
        return 0.95
    return 0.5 / same_named if 0 < same_named <= SAME_NAMED_MAX else 0.0


def change_weight(target: ClaimTarget, *, is_signature_changed: bool = False) -> float:
    """Return how much of a change this is to those who use the target; 0 where it is none."""
    if target.mode is not Mode.X or target.operation in (Operation.READ, Operation.CREATE):
        return 0.0
    if target.operation in REMOVING or is_signature_changed:
        return 1.0
    return 0.7 if target.operation is None else 0.5


def reached(
    links: Mapping[str, Sequence[tuple[str, float]]],
    origins: Iterable[str],
    weight: float,
    budget: Budget | None = None,
) -> dict[str, Reach]:
    """Return where a change of the origins gets along the links, each by its surest way.

    `links` are the callers of each symbol; with its callees the same tells whose changes get to the origins.
    Cost: at most `DEPTH_MAX` rounds over the links that are sure enough. Raises: StatesExhausted.
    """
    budget = budget or Budget(limits.BLAST_STEPS_MAX)
    start = dict.fromkeys(origins)
    found: dict[str, Reach] = {}
    frontier = {origin: Reach(BASE_CONFIDENCE * weight, (origin,)) for origin in start}
    for depth in range(1, DEPTH_MAX + 1):
        following: dict[str, Reach] = {}
        for address, (confidence, path) in frontier.items():
            so_far = confidence if depth == 1 else confidence * DECAY
            for neighbour, edge in links.get(address, ()):
                budget.spend()
                sure = so_far * edge
                known = found.get(neighbour)
                if sure < CONFIDENCE_MIN or neighbour in start or (known is not None and known.confidence >= sure):
                    continue
                found[neighbour] = following[neighbour] = Reach(sure, (*path, neighbour))
        frontier = following
    return found


class BlastRadius:
    """Answers for many pairs of claims over one call graph; what one target reaches is found once.

    Args: steps_max, how many calls and symbols to look at for all answers together.
    """

    def __init__(self, graph: CallGraph, steps_max: int = limits.BLAST_STEPS_MAX) -> None:
        self.is_cut = False
        """The work was spent, so that from some answer on there may be more than was found."""
        self._graph = graph
        self._budget = Budget(steps_max)
        self._outward: dict[ClaimTarget, dict[str, Reach]] = {}
        self._inward: dict[ClaimTarget, dict[str, Reach]] = {}

    def findings(self, requested: Claim, held: Claim) -> list[Finding]:
        """Return the warnings between two claims, at most one for each pair of targets, whichever of them is the change."""
        if requested.holder == held.holder:
            return []
        return self._found((mine, theirs, held) for mine in _writing(requested) for theirs in _writing(held))

    def findings_in(self, requested: Claim, index: "WriterIndex") -> list[Finding]:
        """Return the warnings between a claim and all that are in the index; the same as asking for each of them."""
        return self._found(
            (mine, theirs, held)
            for mine in _writing(requested)
            for held, theirs in self._reached_in(mine, index)
            if held.holder != requested.holder
        )

    def _found(self, pairs: Iterable[tuple[ClaimTarget, ClaimTarget, Claim]]) -> list[Finding]:
        found: list[Finding] = []
        try:
            for mine, theirs, held in pairs:
                finding = self._finding(mine, theirs, held)
                if finding is not None:
                    found.append(finding)
        except StatesExhausted:
            self.is_cut = True
        return found

    def _reached_in(self, mine: ClaimTarget, index: "WriterIndex") -> list[tuple[Claim, ClaimTarget]]:
        """Return the held targets that may have something of what this one reaches, or is reached from."""
        outward, inward = self._reaches(mine)
        if not outward and not inward:
            return []
        nodes: dict[Alternative, None] = {}  # Not a set: the order must not depend on the hash seed.
        for address in chain(outward, inward):
            self._budget.spend()
            names, _ = self._graph.parts(address)
            nodes.update(dict.fromkeys(names[:depth] for depth in range(len(names) + 1)))
        return index.at(nodes)

    def _finding(self, mine: ClaimTarget, theirs: ClaimTarget, held: Claim) -> Finding | None:
        outward, inward = self._reaches(mine)
        if not outward and not inward:
            return None
        covers = _Cover(theirs.target)
        self._budget.spend()
        hits = [reach for address, reach in outward.items() if self._takes(covers, address)]
        weight = change_weight(theirs)
        for address, (confidence, path) in inward.items():
            if confidence * weight >= CONFIDENCE_MIN and self._takes(covers, address):
                hits.append(Reach(confidence * weight, path[::-1]))
        if not hits or target_relation(mine.target, theirs.target) is not Relation.DISJOINT:
            return None
        best = max(hits, key=lambda reach: reach.confidence)  # The first one of several: mine before theirs.
        return Finding(
            FindingKind.BLAST_RADIUS_OVERLAP,
            Verdict.WARN,
            Relation.DISJOINT,
            best.confidence,
            Certainty.POTENTIAL,
            None,
            mine,
            theirs,
            held,
            best.path,
        )

    def _reaches(self, mine: ClaimTarget) -> tuple[dict[str, Reach], dict[str, Reach]]:
        """Return what my change gets to, and whose change gets to me if it is a removal."""
        outward = self._outward.get(mine)
        if outward is None:
            origins = self._graph.addresses_in(mine.target, self._budget)
            outward = reached(self._graph.callers, origins, change_weight(mine), self._budget)
            self._inward[mine] = reached(self._graph.callees, origins, 1.0, self._budget)
            self._outward[mine] = outward
        return outward, self._inward[mine]

    def _takes(self, covers: "_Cover", address: str) -> bool:
        self._budget.spend()
        names, symbol = self._graph.parts(address)
        return covers.takes_symbol(symbol) and covers.takes_path(names)


class WriterIndex:
    """Claims by what their writing targets name, to be found from what a change reaches."""

    def __init__(self) -> None:
        self._by_node: dict[Alternative, list[tuple[Claim, ClaimTarget]]] = {}
        self._globs: list[tuple[Claim, ClaimTarget]] = []

    def add(self, claim: Claim) -> None:
        """Take a claim in."""
        for target in _writing(claim):
            pattern = target.target.pattern
            if pattern.is_plain:
                self._by_node.setdefault(pattern.alternatives[0][:-1], []).append((claim, target))
            else:
                self._globs.append((claim, target))

    def at(self, nodes: Iterable[Alternative]) -> list[tuple[Claim, ClaimTarget]]:
        """Return the targets that name one of these nodes, and all that have wildcards."""
        return [*chain.from_iterable(self._by_node.get(node, ()) for node in nodes), *self._globs]


def _writing(claim: Claim) -> list[ClaimTarget]:
    return [target for target in claim.targets if change_weight(target)]


class _Cover:
    """A target prepared for the question which addresses are in it."""

    def __init__(self, target: Target) -> None:
        self._symbol = target.symbol
        self._node = target.pattern.alternatives[0][:-1] if target.pattern.is_plain else None
        self._lanes = None if self._node is not None else PathLanes(target.pattern.alternatives)

    def takes_path(self, names: tuple[str, ...]) -> bool:
        if self._lanes is not None:
            return bool(self._lanes.meeting(names))
        return self._node is not None and names[: len(self._node)] == self._node

    def takes_symbol(self, symbol: str | None) -> bool:
        return symbol_relation(self._symbol, symbol) in (Relation.EQUAL, Relation.CONTAINS)
