"""Character classes of the path dialect: what `?`, `[a-z]` and `[!x]` stand for, as sorted ranges of code points.

A class is complemented and clipped to the characters that a name may hold when it is read, so that every later question
(does it hold this character, do two classes meet) is a plain question about ranges.
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import cache

Ranges = tuple[tuple[int, int], ...]
"""Disjoint, sorted, inclusive ranges of code points."""

# What a name may hold: no separator, no control character (Unicode Cc), no surrogate.
ANY_CHARACTER: Ranges = ((0x20, 0x2E), (0x30, 0x7E), (0xA0, 0xD7FF), (0xE000, 0x10FFFF))
NOT_A_DOT: Ranges = ((0x20, 0x2D), *ANY_CHARACTER[1:])

_LAST = 0x10FFFF
_READABLE = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_READABLE_RANGES: Ranges = ((0x2D, 0x2D), (0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_READABLE_TRIES_MAX = 64  # a guess: how far an example looks for a printable character before it takes any.
_CAPITALS_END = 0x1E944  # the last block with capitals in Unicode 14 to 16 (Adlam) ends here.


def ranges_of(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges merged, sorted and clipped to what a name may hold."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return intersection(tuple(merged), ANY_CHARACTER)


def intersection(one: Ranges, other: Ranges) -> Ranges:
    """Return the characters in both."""
    found: list[tuple[int, int]] = []
    left = right = 0
    while left < len(one) and right < len(other):
        low = max(one[left][0], other[right][0])
        high = min(one[left][1], other[right][1])
        if low <= high:
            found.append((low, high))
        if one[left][1] < other[right][1]:
            left += 1
        else:
            right += 1
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """Return the characters of names that are not in these ranges."""
    return intersection(_gaps(ranges), ANY_CHARACTER)


def holds(ranges: Ranges, character: str) -> bool:
    """Tell whether the class holds the character."""
    code = ord(character)
    index = bisect_right(ranges, (code, _LAST + 1)) - 1
    return index >= 0 and code <= ranges[index][1]


def example_of(ranges: Ranges) -> str:
    """Return one character of the class, a readable one where there is one."""
    if intersection(ranges, _READABLE_RANGES):
        for character in _READABLE:
            if holds(ranges, character):
                return character
    tries = 0
    for low, high in ranges:
        for code in range(low, min(high, low + _READABLE_TRIES_MAX) + 1):
            if chr(code).isprintable() and chr(code) not in " .":
                return chr(code)
            tries += 1
            if tries == _READABLE_TRIES_MAX:
                return chr(ranges[0][0])
    return chr(ranges[0][0])


def folded_character(character: str) -> str:
    """Return the small letter, or the character itself where folding would change the length."""
    small = character.lower()
    return small if len(small) == 1 else character


def folded_ranges(ranges: Ranges) -> Ranges:
    """Return the class with each capital replaced by its small letter."""
    capitals = [(code, small) for code, small in _capitals() if holds(ranges, chr(code))]
    kept = intersection(ranges, _gaps(tuple((code, code) for code, _ in capitals)))
    return ranges_of([*kept, *((small, small) for _, small in capitals)])


def written(ranges: Ranges) -> str:
    """Return the class as pattern text; reading it again gives the same class."""
    is_open = ranges[-1][1] == _LAST
    members = complement(ranges) if is_open else ranges
    if not members:
        return "?"
    return ("[^" if is_open else "[") + "".join(_written_range(low, high) for low, high in members) + "]"


def _gaps(ranges: Ranges) -> Ranges:
    lows = [0, *(high + 1 for _, high in ranges)]
    highs = [*(low - 1 for low, _ in ranges), _LAST]
    return tuple((low, high) for low, high in zip(lows, highs, strict=True) if low <= high)


def _written_range(low: int, high: int) -> str:
    ends = [_escaped(chr(low))] if low == high else [_escaped(chr(low)), _escaped(chr(high))]
    return ("-" if high > low + 1 else "").join(ends)


def _escaped(character: str) -> str:
    return "\\" + character if character in "\\]^!-[{},*?" else character


@cache
def _capitals() -> tuple[tuple[int, int], ...]:
    # About 10 ms, once, and only for a project that folds case and uses classes.
    pairs = ((code, ord(folded_character(chr(code)))) for code in range(_CAPITALS_END))
    return tuple((code, small) for code, small in pairs if code != small)
