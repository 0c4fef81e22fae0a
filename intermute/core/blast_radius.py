"""Who is touched by a change without being named: the callers of what changes, and theirs.

Decided here and nowhere else: how sure it is that a change of one symbol reaches another, by the calls that were uploaded.
Only writers count, on both sides, and what the targets share already is told by `claims`. It never blocks.
Confidence: 0.75 x the change x the product of the calls x 0.6 for each call after the first, cut below 0.1.
Source: claims.md 6, scenario S18.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import Target, target_relation
from intermute.core.findings import Certainty, Finding, FindingKind, Verdict
from intermute.core.lock_table import Mode
from intermute.core.pattern_syntax import path_names
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
        for caller, callee, confidence in calls:
            self.callers.setdefault(callee, []).append((caller, confidence))
            self.callees.setdefault(caller, []).append((callee, confidence))
            for address in (caller, callee):
                names, symbol = self.parts(address)
                self._by_file.setdefault(names, {})[address] = symbol

    def parts(self, address: str) -> tuple[tuple[str, ...], str | None]:
        """Return the segments of the path, and the symbol."""
        path, mark, symbol = address.partition(SYMBOL_MARK)
        return path_names(path, fold_case=self._fold_case), symbol if mark else None

    def addresses_in(self, target: Target) -> list[str]:
        """Return the known addresses that the target covers. Cost: one look-up for a file, else a walk over all files."""
        files: Iterable[tuple[str, ...]] = self._by_file
        if target.pattern.is_plain:
            node = target.pattern.alternatives[0][:-1]
            if node in self._by_file:
                files = [tuple(name for name in node if isinstance(name, str))]
        covers = _Cover(target)
        return [
            address
            for names in files
            if covers.takes_path(names)
            for address, symbol in self._by_file[names].items()
            if covers.takes_symbol(symbol)
        ]


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
    links: Mapping[str, Sequence[tuple[str, float]]], origins: Iterable[str], weight: float
) -> dict[str, Reach]:
    """Return where a change of the origins gets along the links, each by its surest way.

    `links` are the callers of each symbol; with its callees the same tells whose changes get to the origins.
    Cost: at most `DEPTH_MAX` rounds over the links that are sure enough.
    """
    start = dict.fromkeys(origins)
    found: dict[str, Reach] = {}
    frontier = {origin: Reach(BASE_CONFIDENCE * weight, (origin,)) for origin in start}
    for depth in range(1, DEPTH_MAX + 1):
        following: dict[str, Reach] = {}
        for address, (confidence, path) in frontier.items():
            so_far = confidence if depth == 1 else confidence * DECAY
            for neighbour, edge in links.get(address, ()):
                sure = so_far * edge
                known = found.get(neighbour)
                if sure < CONFIDENCE_MIN or neighbour in start or (known is not None and known.confidence >= sure):
                    continue
                found[neighbour] = following[neighbour] = Reach(sure, (*path, neighbour))
        frontier = following
    return found


class BlastRadius:
    """Answers for many pairs of claims over one call graph; what one target reaches is found once."""

    def __init__(self, graph: CallGraph) -> None:
        self._graph = graph
        self._outward: dict[ClaimTarget, dict[str, Reach]] = {}
        self._inward: dict[ClaimTarget, dict[str, Reach]] = {}

    def findings(self, requested: Claim, held: Claim) -> list[Finding]:
        """Return the warnings between two claims, at most one for each pair of targets, whichever of them is the change."""
        if requested.holder == held.holder:
            return []
        return [
            found
            for mine in requested.targets
            if change_weight(mine)
            for theirs in held.targets
            if change_weight(theirs) and (found := self._finding(mine, theirs, held)) is not None
        ]

    def _finding(self, mine: ClaimTarget, theirs: ClaimTarget, held: Claim) -> Finding | None:
        outward, inward = self._reaches(mine)
        if not outward and not inward:
            return None
        covers = _Cover(theirs.target)
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
            origins = self._graph.addresses_in(mine.target)
            outward = self._outward[mine] = reached(self._graph.callers, origins, change_weight(mine))
            self._inward[mine] = reached(self._graph.callees, origins, 1.0)
        return outward, self._inward[mine]

    def _takes(self, covers: "_Cover", address: str) -> bool:
        names, symbol = self._graph.parts(address)
        return covers.takes_symbol(symbol) and covers.takes_path(names)


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
