"""Which modes of two holders go together, given how their targets lie to each other.

Decided here and nowhere else: what a mode says about what is above and below its target. A mode above another is asked
through the intention it implies there (`above`); across each other, two modes meet in what both say about the parts
(`below`). Invariant: the verdict is the same from either side. Source: claims.md 4; Gray et al. 1976.
"""

from typing import Final

from intermute.core.lock_table import Mode, compatible
from intermute.core.relations import Relation

MODE_BY_NAME: Final = {
    "is": Mode.IS, "observe": Mode.IS,
    "ix": Mode.IX, "collaborate": Mode.IX,
    "s": Mode.S, "shared": Mode.S, "read": Mode.S,
    "six": Mode.SIX, "curate": Mode.SIX,
    "x": Mode.X, "exclusive": Mode.X, "write": Mode.X,
}  # fmt: skip
"""Every accepted spelling of a mode, in small letters."""

CLASS_OF_MODE: Final = {
    Mode.IS: "observe",
    Mode.IX: "collaborate",
    Mode.S: "shared",
    Mode.SIX: "curate",
    Mode.X: "exclusive",
}
"""The published name of each mode (IMT-N8)."""

_ABOVE: Final = {Mode.IS: Mode.IS, Mode.S: Mode.IS, Mode.IX: Mode.IX, Mode.SIX: Mode.IX, Mode.X: Mode.IX}
_BELOW: Final = {Mode.IS: None, Mode.IX: None, Mode.S: Mode.S, Mode.SIX: Mode.S, Mode.X: Mode.X}
_WEAKER: Final = {
    Mode.IS: (),
    Mode.IX: (Mode.IS,),
    Mode.S: (Mode.IS,),
    Mode.SIX: (Mode.S, Mode.IX, Mode.IS),
    Mode.X: (Mode.SIX, Mode.S, Mode.IX, Mode.IS),
}


def above(mode: Mode) -> Mode:
    """Return the intention that a claim implies on everything above its target."""
    return _ABOVE[mode]


def below(mode: Mode) -> Mode | None:
    """Return the mode in which a claim holds each part of its target, or None where it says nothing about the parts."""
    return _BELOW[mode]


def weaker_than(mode: Mode) -> tuple[Mode, ...]:
    """Return the modes that ask for less, the strongest first: what to offer in place of a refused one."""
    return _WEAKER[mode]


def supremum(a: Mode, b: Mode) -> Mode:
    """Return the weakest mode that says all that both say: what one holder has that claims a target twice."""
    if a == b or b in _WEAKER[a]:
        return a
    return b if a in _WEAKER[b] else Mode.SIX


def clashes(relation: Relation, mine: Mode, theirs: Mode) -> bool:
    """Tell whether two holders stand in each other's way; `relation` is how my target lies to theirs."""
    return (relation, mine, theirs) in _CLASHES


def _clashes(relation: Relation, mine: Mode, theirs: Mode) -> bool:
    match relation:
        case Relation.EQUAL:
            return not compatible(mine, theirs)
        case Relation.CONTAINS:
            return not compatible(mine, above(theirs))
        case Relation.WITHIN:
            return not compatible(above(mine), theirs)
        case Relation.PARTIAL:
            mine_below, theirs_below = below(mine), below(theirs)
            return mine_below is not None and theirs_below is not None and not compatible(mine_below, theirs_below)
        case Relation.DISJOINT:
            return False
        case Relation.UNKNOWN:
            readings = (Relation.CONTAINS, Relation.WITHIN, Relation.PARTIAL)
            return any(_clashes(reading, mine, theirs) for reading in readings)


_CLASHES: Final = frozenset(
    (relation, mine, theirs)
    for relation in Relation
    for mine in Mode
    for theirs in Mode
    if _clashes(relation, mine, theirs)
)
