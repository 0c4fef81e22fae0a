"""How two patterns lie to each other: one inside the other, across each other, or apart.

Decided here and nowhere else: which of two claims is the wider one. A plain node that a pattern names by itself counts as
inside it, whatever lies below the node: `src/*.py` contains `src/billing.py`, since a file glob names files. For a
directory that is the stricter of the two readings. Everything else is inclusion of the two sets of paths, and exact.

Inclusion is a search for a path of the one that the other does not have: a product of the one's positions with the
subsets of the other's. Subsets can be exponentially many, so the search has a cap, past which the answer is `unknown`.
Source: claims.md 2 and 3; De Wulf, Doyen, Henzinger, Raskin 2006 (antichains: of two subsets only the smaller one counts).
"""

from enum import StrEnum
from typing import Final

from intermute.core.name_choices import Budget, NameChoices, StatesExhausted, advanced, keep_least
from intermute.core.pattern_syntax import Alternative, Glob, is_node
from intermute.core.patterns import PathLanes, Pattern, PreparedPattern, meets

STATES_MAX: Final = 200
"""Steps of one call, both directions together; 2 to 4 µs each (measured, 2 shared cores, Python 3.11), so 1 ms at worst.

Patterns as people write them take fewer than 100 (a dozen forms, in all pairs); drawn ones with ten alternatives and
`*a?b*` twice in each are given up, nearly all.
"""


class Relation(StrEnum):
    """How the first lies to the second."""

    EQUAL = "equal"
    CONTAINS = "contains"
    WITHIN = "within"
    PARTIAL = "partial"
    DISJOINT = "disjoint"
    UNKNOWN = "unknown"
    """They meet; to tell how would take too long."""


_MIRRORED: Final = {Relation.CONTAINS: Relation.WITHIN, Relation.WITHIN: Relation.CONTAINS}


def mirrored(relation: Relation) -> Relation:
    """Return how the second lies to the first."""
    return _MIRRORED.get(relation, relation)


def relation(a: Pattern, b: Pattern, *, states_max: int = STATES_MAX) -> Relation:
    """Tell how the paths of one pattern lie to those of the other.

    Symmetric but for the direction. Both must have been read with the same `fold_case`. Disjoint is always found;
    `states_max` bounds the work to tell the others apart.
    """
    if not (a.is_plain and b.is_plain) and not meets(a, b):
        return Relation.DISJOINT
    return relation_of_meeting(a, b, states_max=states_max)


def relation_of_meeting(
    a: Pattern,
    b: Pattern,
    *,
    states_max: int = STATES_MAX,
    pool: Budget | None = None,
    asked: PreparedPattern | None = None,
) -> Relation:
    """Tell the same of two patterns that are known to share a path, or are both plain.

    Args: pool, which bounds many calls; asked, the first pattern prepared, for a caller that compares it with many.
    """
    assert a.is_folded == b.is_folded
    if a.canonical == b.canonical:
        return Relation.EQUAL
    if a.is_plain and b.is_plain:
        return _relation_of_nodes(a.alternatives[0][:-1], b.alternatives[0][:-1])
    budget = Budget(states_max, pool)
    try:
        is_wider = _covers(a, b, budget, asked)
        is_narrower = _covers(b, a, budget)
    except StatesExhausted:
        return Relation.UNKNOWN
    if is_wider:
        return Relation.EQUAL if is_narrower else Relation.CONTAINS
    return Relation.WITHIN if is_narrower else Relation.PARTIAL


def _relation_of_nodes(a: Alternative, b: Alternative) -> Relation:
    if len(a) <= len(b):
        if b[: len(a)] != a:
            return Relation.DISJOINT
        return Relation.EQUAL if len(a) == len(b) else Relation.CONTAINS
    return Relation.WITHIN if a[: len(b)] == b else Relation.DISJOINT


def _covers(wide: Pattern, narrow: Pattern, budget: Budget, asked: PreparedPattern | None = None) -> bool:
    """Tell whether everything that `narrow` names is in `wide`, prepared as `asked`. Raises: StatesExhausted."""
    if wide.is_plain:
        node = wide.alternatives[0][:-1]
        verdicts = [_is_below(each, node) for each in narrow.alternatives]
        if False in verdicts:
            return False
        if None not in verdicts:
            return True
    lanes = asked.lanes if asked is not None else PathLanes(wide.alternatives)
    nodes = [alternative for alternative in narrow.alternatives if is_node(alternative)]
    if not all(lanes.meeting(node[:-1]) for node in nodes):
        return False
    globs = [alternative for alternative in narrow.alternatives if not is_node(alternative)]
    if not globs:
        return True
    choices = NameChoices(lanes, budget)
    settled = _settled(lanes)
    return all(_includes(lanes, glob, choices, settled, budget) for glob in globs)


def _is_below(alternative: Alternative, node: Alternative) -> bool | None:
    """Tell whether all these paths are at the node or below it, or None where only a search can tell.

    A segment with a wildcard takes two names at least, unless one of the two is no name, as with `[.a]`.
    """
    for mine, theirs in zip(alternative, node, strict=False):
        if mine != theirs:
            return None if isinstance(mine, Glob) and mine.is_dotted else False
    return len(alternative) >= len(node)


def _settled(lanes: PathLanes) -> int:
    """Return the positions from which everything below is taken."""
    mask = 0
    for first, names in zip(lanes.firsts, lanes.sequences, strict=True):
        if names[-1] is None:
            mask |= 1 << first + len(names) - 1
    return mask


def _includes(lanes: PathLanes, alternative: Alternative, choices: NameChoices, settled: int, budget: Budget) -> bool:
    """Tell whether every path of the alternative is in the prepared pattern. Raises: StatesExhausted."""
    seen: list[list[int]] = [[] for _ in range(len(alternative) + 1)]
    agenda = [(0, lanes.entry())]
    while agenda:
        at, row = agenda.pop()
        budget.spend()
        if row & settled or not keep_least(seen[at], row):
            continue
        if not row:
            return False  # The rest of the alternative has some path, and none that goes on from here is in.
        if at == len(alternative):
            if not row & lanes.ends:
                return False
            continue
        name = alternative[at]
        after = at if name is None else at + 1
        agenda.extend((after, advanced(lanes, row, taking)) for taking in choices.least(name))
        if name is None:
            agenda.append((at + 1, row))
    return True
