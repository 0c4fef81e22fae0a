"""Which of some segments a name falls under: for all names of another segment, the smallest such sets.

A segment without wildcards settles this by a look-up. One with wildcards stands for many names, and each falls under a set
of its own. Who asks whether something is left uncovered needs the smallest sets only: a larger one covers more.

Found by subset construction over characters, with the larger of two comparable subsets dropped. The subsets can be many;
each one spends from the budget.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from intermute.core.pattern_classes import ANY_CHARACTER, Ranges
from intermute.core.pattern_syntax import CharacterToken, Glob, Name
from intermute.core.patterns import NameLanes, PathLanes

_DOT = 0x2E
_TOKENS_PER_STATE = 2  # to lay a token beside others takes 1.5 us, a state 2 to 4 us (measured).
_DOTS_COUNTED = 3
"""A name is more than two dots; from here on it does not matter how many there are."""


class StatesExhausted(Exception):
    """The automaton has more states than the caller was ready to pay for."""


class Budget:
    """Counts states down; one that has a `pool` is a share of it, and never more than is left there."""

    __slots__ = ("_pool", "left")

    def __init__(self, states_max: int, pool: "Budget | None" = None) -> None:
        self.left: int = states_max if pool is None else min(states_max, pool.left)
        self._pool = pool

    def spend(self, states: int = 1) -> None:
        """Pay for reaching a state once, or for work that takes as long as so many. Raises: StatesExhausted."""
        if self.left < states:
            raise StatesExhausted
        self.left -= states
        if self._pool is not None:
            self._pool.left -= states


class NameChoices:
    """Answers for the segments of one prepared pattern, each question once."""

    __slots__ = ("_budget", "_found", "_lanes")

    def __init__(self, lanes: PathLanes, budget: Budget) -> None:
        self._lanes = lanes
        self._budget = budget
        self._found: dict[Name | None, list[int]] = {}

    def least(self, segment: Name | None) -> list[int]:
        """Return the smallest sets of positions that take one and the same name of this segment; `None` is any name."""
        if isinstance(segment, str):
            return [self._lanes.accepting(segment)]
        choices = self._found.get(segment)
        if choices is None:
            choices = self._found[segment] = self._least(segment)
        return choices

    def _least(self, segment: Glob | None) -> list[int]:
        places = self._lanes.places
        meeting = -1 if segment is None else self._lanes.accepting(segment)
        always, open_names = 0, []
        for name, mask in places.items():
            if name == segment or (isinstance(name, Glob) and name.tokens == (None,)):
                always |= mask
            elif mask & meeting:
                open_names.append(name)
        if not open_names:
            return [always]
        if (segment is None or segment.is_affix) and all(isinstance(name, str) or name.is_affix for name in open_names):
            # Put a long run of some unused character for the `*`: that name is in those only which have the whole segment.
            return [always | _union(places, [name for name in open_names if _is_inside(segment, name)])]
        search = _Search(open_names, self._budget)
        tokens = (None,) if segment is None else segment.tokens
        return [always | _union(places, names) for names in search.least(tokens)]


class _Search:
    """The subsets of some segments that the names of another can reach, read character by character."""

    def __init__(self, names: list[Name], budget: Budget) -> None:
        self._names = names
        self._budget = budget
        tokens = sum(len(name if isinstance(name, str) else name.tokens) for name in names)
        budget.spend(tokens // _TOKENS_PER_STATE)
        self._lanes = NameLanes([tuple(name) if isinstance(name, str) else name.tokens for name in names])
        self._edges, self._masks = _intervals(self._lanes.places)
        self._steps: dict[CharacterToken, list[tuple[int, bool]]] = {}

    def least(self, tokens: tuple[CharacterToken | None, ...]) -> list[list[Name]]:
        lanes = self._lanes
        found: list[int] = []
        seen: dict[tuple[int, int], list[int]] = {}
        agenda = [(0, 0, lanes.entry())]
        while agenda:
            at, dots, row = agenda.pop()
            self._budget.spend()
            if not keep_least(seen.setdefault((at, dots), []), row):
                continue
            if not row and dots == _DOTS_COUNTED:
                return [[]]  # Nothing is smaller than nothing.
            if at == len(tokens):
                if dots == _DOTS_COUNTED:
                    keep_least(found, row & lanes.ends)
                continue
            token = tokens[at]
            after = at if token is None else at + 1
            for mask, is_dot in self._least_steps(ANY_CHARACTER if token is None else token):
                agenda.append(
                    (after, min(dots + 1, _DOTS_COUNTED) if is_dot else _DOTS_COUNTED, advanced(lanes, row, mask))
                )
            if token is None:
                agenda.append((at + 1, dots, row))
        return [self._taking(ends) for ends in found]

    def _taking(self, ends: int) -> list[Name]:
        sizes = zip(self._names, self._lanes.firsts, self._lanes.sequences, strict=True)
        return [name for name, first, tokens in sizes if ends >> (first + len(tokens)) & 1]

    def _least_steps(self, token: CharacterToken) -> list[tuple[int, bool]]:
        """Return the smallest sets of positions that take one character of this token, the dot's apart; best one last."""
        steps = self._steps.get(token)
        if steps is None:
            ranges: Ranges = ((ord(token), ord(token)),) if isinstance(token, str) else token
            dots: list[int] = []
            others: list[int] = []
            for low, high in ranges:
                at = bisect_right(self._edges, low) - 1
                while at < len(self._edges) and self._edges[at] <= high:
                    keep_least(dots if self._edges[at] == _DOT else others, self._masks[at])
                    at += 1
            others.sort(key=int.bit_count, reverse=True)
            steps = self._steps[token] = [*((mask, True) for mask in dots), *((mask, False) for mask in others)]
        return steps


def keep_least(sets: list[int], one: int) -> bool:
    """Put a set among the smallest ones known, and drop those above it; tell whether it was new."""
    for known in sets:
        if known & one == known:
            return False
    sets[:] = [known for known in sets if known & one != one]
    sets.append(one)
    return True


def advanced(lanes: PathLanes | NameLanes, row: int, taking: int) -> int:
    """Return the positions reached from these by a symbol that exactly these positions take."""
    row = (row & taking) << 1 | row & lanes.stars
    return row | (row & lanes.stars) << 1


def _is_inside(segment: Glob | None, name: Name) -> bool:
    """Tell whether all names of `p*q` are in this other segment of the same kind."""
    if segment is None or isinstance(name, str):
        return False
    return segment.prefix.startswith(name.prefix) and segment.suffix.endswith(name.suffix)


def _intervals(places: Mapping[CharacterToken, int]) -> tuple[list[int], list[int]]:
    """Cut the code points where some token begins or ends, and at the dot; return the cuts and who takes what follows."""
    changes = {0: 0, _DOT: 0, _DOT + 1: 0}
    for token, mask in places.items():
        for low, high in ((ord(token), ord(token)),) if isinstance(token, str) else token:
            changes[low] = changes.get(low, 0) ^ mask
            changes[high + 1] = changes.get(high + 1, 0) ^ mask
    edges = sorted(changes)
    masks, mask = [], 0
    for edge in edges:
        mask ^= changes[edge]
        masks.append(mask)
    return edges, masks


def _union(places: Mapping[Name, int], names: Iterable[Name]) -> int:
    mask = 0
    for name in names:
        mask |= places[name]
    return mask
