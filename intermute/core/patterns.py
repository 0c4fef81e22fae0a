"""Overlap of path patterns: whether some path is in both, and which.

Decided here and nowhere else: what it means that two reservations touch the same path. The answer is exact and symmetric
for the dialect of `pattern_syntax`, over paths as sequences of characters; unequal spellings of one character are
folded into NFC before anything gets here.

The automaton has two levels of the same kind (`lanes`): a path is names and `**`, a name is characters and `*`.
A call costs at most one step per character and per segment of the one side, each on integers as wide as the other side;
both sides are bounded by the limits of `pattern_syntax`. Nothing is searched, so no pair is worse than that.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from intermute.core.lanes import Lanes
from intermute.core.pattern_classes import (
    ANY_CHARACTER,
    NOT_A_DOT,
    Ranges,
    complement,
    example_of,
    holds,
    intersection,
)
from intermute.core.pattern_syntax import (
    Alternative,
    BadPattern,
    CharacterToken,
    Glob,
    Name,
    Pattern,
    parse,
    path_names,
)

__all__ = [
    "BadPattern",
    "PathLanes",
    "Pattern",
    "PreparedPattern",
    "example_path",
    "matches",
    "meets",
    "overlap",
    "parse",
]

Tokens = tuple[CharacterToken | None, ...]

_FEW = 8  # names that are compared one by one even where they lie side by side already; measured, about even there.
_NOT_NAMES = ("", ".", "..")
_DOT: Ranges = ((0x2E, 0x2E),)


def overlap(a: Pattern, b: Pattern) -> str | None:
    """Return a path that both patterns match, or None where there is none; `.` is the project root.

    Symmetric, the example included. Both must have been read with the same `fold_case`.
    """
    assert a.is_folded == b.is_folded
    if a.is_plain and b.is_plain:
        one, other = a.alternatives[0][:-1], b.alternatives[0][:-1]
        if len(one) < len(other):
            one, other = other, one
        return "/".join(map(str, one)) or "." if one[: len(other)] == other else None
    if a.canonical > b.canonical:
        a, b = b, a
    return example_path(a, PathLanes(b.alternatives))


def a_path_of(pattern: Pattern) -> tuple[str, ...]:
    """Return the names of one path that the pattern matches, as short as can be: of a node it is the node itself."""
    return tuple(_common_name(name, name) for name in pattern.alternatives[0] if name is not None)


def plain_names(pattern: Pattern) -> tuple[str, ...] | None:
    """Return the names of the node that a pattern without wildcards is, or None for one that has any."""
    if not pattern.is_plain:
        return None
    return tuple(name for name in pattern.alternatives[0] if isinstance(name, str))


def meets(a: Pattern, b: Pattern) -> bool:
    """Tell the same without the path, in half the time."""
    assert a.is_folded == b.is_folded
    lanes = PathLanes(b.alternatives)
    return any(lanes.meeting(alternative) for alternative in a.alternatives)


def matches(pattern: Pattern, path: str) -> bool:
    """Tell whether the pattern matches this one path, read literally."""
    names = path_names(path, fold_case=pattern.is_folded)
    return bool(PathLanes(pattern.alternatives).meeting(names))


class PathLanes(Lanes[Name]):
    """A pattern prepared for many questions: its alternatives side by side, over names."""

    __slots__ = ("_accepted", "_bulk", "_globs", "_names", "_plain", "endless")

    def __init__(self, alternatives: Sequence[Alternative]) -> None:
        super().__init__(alternatives)
        self._names = list(self.places)
        self._globs = [name for name in self._names if isinstance(name, Glob)]
        self._accepted: dict[Name, int] = {}
        self._bulk: NameLanes | None = None
        self._plain: dict[int, str] = {}
        self.endless = self.stars
        """The positions that take more names than any list of names: those of `**` and of segments with `*`."""
        for name in self._globs:
            if None in name.tokens:
                self.endless |= self.places[name]

    def accepting(self, token: Name) -> int:
        if isinstance(token, str) and not self._globs:
            return self.places.get(token, 0)
        mask = self._accepted.get(token)
        if mask is None:
            mask = self._accepted[token] = self._meeting_names(token)
        return mask

    def plain_names_at(self, row: int, names_max: int) -> list[str] | None:
        """Return the only names that a step from these positions can take, or None where wildcards or too many are next."""
        if row & self.stars:
            return None
        if not self._plain:
            for first, names in zip(self.firsts, self.sequences, strict=True):
                self._plain.update((1 << first + at, name) for at, name in enumerate(names) if isinstance(name, str))
        found: dict[str, None] = {}  # not a set: the order must not depend on the hash seed.
        row &= ~self.ends
        while row:
            bit = row & -row
            name = self._plain.get(bit)
            if name is None or len(found) == names_max:
                return None
            found[name] = None
            row ^= bit
        return list(found)

    def _meeting_names(self, token: Name) -> int:
        mask = self.places.get(token, 0)
        others = self._globs if isinstance(token, str) else self._names
        if self._bulk is None or len(others) <= _FEW:
            for name in others:
                verdict = _quick_meet(token, name)
                if verdict is None:
                    break
                if verdict:
                    mask |= self.places[name]
            else:
                return mask
        if self._bulk is None:
            self._bulk = NameLanes([_tokens(name) for name in self._names])
        ends = self._bulk.meeting(_tokens(token))
        dotted_ends = _meeting_beyond_dots(self._bulk, token, ends)
        for name, first, tokens in zip(self._names, self._bulk.firsts, self._bulk.sequences, strict=True):
            if (dotted_ends if _is_dotted(name) else ends) >> (first + len(tokens)) & 1:
                mask |= self.places[name]
        return mask


class PreparedPattern:
    """A pattern for many questions; its lanes are laid out once a question needs them, which of a plain path few do."""

    __slots__ = ("_lanes", "names", "pattern")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.names = plain_names(pattern)
        self._lanes: PathLanes | None = None

    @property
    def lanes(self) -> PathLanes:
        """The alternatives side by side."""
        if self._lanes is None:
            self._lanes = PathLanes(self.pattern.alternatives)
        return self._lanes


class NameLanes(Lanes[CharacterToken]):
    """Names side by side, over characters."""

    __slots__ = ("_accepted", "_cells", "_edges")

    def __init__(self, sequences: Sequence[Tokens]) -> None:
        super().__init__(sequences)
        self._accepted: dict[CharacterToken, int] = {}
        # All characters and classes in use cut the code points into cells; each of them is a set of whole cells. So a
        # class is compared with many others by one integer operation each, however many ranges they list.
        spans = [(_ranges(token), places) for token, places in self.places.items()]
        self._edges = sorted({edge for ranges, _ in spans for low, high in ranges for edge in (low, high + 1)})
        self._cells = [(self._touched(ranges), places) for ranges, places in spans]

    def accepting(self, token: CharacterToken) -> int:
        mask = self._accepted.get(token)
        if mask is None:
            mask = 0
            touched = self._touched(_ranges(token))
            for cells, places in self._cells:
                if cells & touched:
                    mask |= places
            self._accepted[token] = mask
        return mask

    def _touched(self, ranges: Ranges) -> int:
        """Return the cells that these ranges reach into; cell n ends at edge n."""
        edges, touched = self._edges, 0
        for low, high in ranges:
            touched |= (2 << bisect_right(edges, high)) - (1 << bisect_right(edges, low))
        return touched


def example_path(pattern: Pattern, lanes: PathLanes) -> str | None:
    """Return a path that the pattern shares with the prepared one, or None."""
    for alternative in pattern.alternatives:
        pairs = lanes.trace(alternative)
        if pairs is not None:
            return "/".join(_common_name(one, other) for one, other in pairs) or "."
    return None


def _quick_meet(a: Name, b: Name) -> bool | None:
    """Tell whether two segments have a name in common, or None where only a walk can tell."""
    if isinstance(a, str):
        if isinstance(b, str):
            return a == b
        a, b = b, a
    if isinstance(b, str):
        if not (b.startswith(a.prefix) and b.endswith(a.suffix)):
            return False
        return len(b) >= len(a.prefix) + len(a.suffix) if a.is_affix else None
    if not (a.prefix.startswith(b.prefix) or b.prefix.startswith(a.prefix)):
        return False
    if not (a.suffix.endswith(b.suffix) or b.suffix.endswith(a.suffix)):
        return False
    return True if a.is_affix and b.is_affix else None


def _meeting_beyond_dots(lanes: NameLanes, token: Name, ends: int) -> int:
    """Return the ends of those lanes that share a name with the segment which is more than dots.

    Where both sides take dots, a plain meeting may owe itself to '', '.' or '..', which are no names. Two such segments
    that share any longer run of dots both have a `*`, and then they share a name with another character, too.
    """
    if not _is_dotted(token):
        return ends
    beyond = 0
    for tokens in _beyond_dots(_tokens(token)):
        beyond |= lanes.meeting(tokens)
    return beyond


def _is_dotted(name: Name) -> bool:
    return isinstance(name, Glob) and name.is_dotted


def _common_name(a: Name | None, b: Name | None) -> str:
    """Return a name in both segments, which are known to have one; `None` stands for any."""
    if isinstance(a, str):
        return a
    if isinstance(b, str):
        return b
    one, other = _tokens(a), _tokens(b)
    if a is None or b is None:
        name: str | None = "".join(_common_character(token, token) for token in one + other if token is not None)
    else:
        name = _common_characters(one, NameLanes([other]))
    if name is None or name in _NOT_NAMES:
        lanes = NameLanes([other])
        found = (_common_characters(tokens, lanes) for tokens in _beyond_dots(one))
        name = next(name for name in found if name is not None)
    # `*.py` and a directory meet in `a.py`; `.py` alone would do, but nobody has such a file.
    return "a" + name if one[0] is None and other[0] is None and name.startswith(".") else name


def _common_characters(tokens: Tokens, lanes: NameLanes) -> str | None:
    pairs = lanes.trace(tokens)
    return (
        None
        if pairs is None
        else "".join(one if isinstance(one, str) else _common_character(one, other) for one, other in pairs)
    )


def _common_character(a: CharacterToken | None, b: CharacterToken | None) -> str:
    if isinstance(a, str):
        return a
    if isinstance(b, str):
        return b
    return example_of(intersection(a or ANY_CHARACTER, b or ANY_CHARACTER))


def _beyond_dots(tokens: Tokens) -> Iterable[Tokens]:
    """Yield token sequences that together stand for the same names, but only those that hold something besides dots."""
    for at, token in enumerate(tokens):
        before, after = tokens[:at], tokens[at + 1 :]
        if token is None:
            yield (*before, None, NOT_A_DOT, None, *after)
        elif not isinstance(token, str):
            rest = intersection(token, complement(_DOT))
            if rest:
                yield (*before, rest, *after)
        elif not holds(_DOT, token):
            yield tokens


def _tokens(name: Name | None) -> Tokens:
    if name is None:
        return (None,)
    return tuple(name) if isinstance(name, str) else name.tokens


def _ranges(token: CharacterToken) -> Ranges:
    return ((ord(token), ord(token)),) if isinstance(token, str) else token
