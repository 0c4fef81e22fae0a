"""Braces of the path dialect: `{a,b}` alternates, nested; single-item and unbalanced braces are literal.

Braces are taken apart before anything else is read. Escaped characters and the inside of a class are left alone.
"""

import re
from dataclasses import dataclass, field

# A class ends at its first `]` that is neither escaped nor its first member. A `[` that opens no class takes the rest of
# the text with it, so that the search stays linear; the reader refuses such a text anyway.
_PIECES = re.compile(r"\\.|\[[!^]?+(?:\\.|[^\\/])(?:\\.|[^\]\\/])*+\]|\[.*|[{},]|[^\\\[{},]+|\\", re.DOTALL)


class TooManyAlternatives(ValueError):
    """The braces stand for more than the caller allows."""


@dataclass(slots=True)
class _Group:
    """An open brace: the alternatives finished so far, and the one being read, each fully expanded."""

    done: list[list[str]] = field(default_factory=list)
    current: list[str] = field(default_factory=lambda: [""])


def expanded(text: str, *, results_max: int, chars_max: int) -> list[str]:
    """Return every text that the braces stand for, in order, duplicates kept.

    Raises: TooManyAlternatives, at the first moment that a part of the text stands for too many or too long results;
    so the work is bounded by the length of the text times `chars_max`.
    """

    def joined(heads: list[str], tails: list[str]) -> list[str]:
        if len(heads) * len(tails) > results_max:
            raise TooManyAlternatives(f"more than {results_max} results")
        size = sum(map(len, heads)) * len(tails) + sum(map(len, tails)) * len(heads)
        if size > chars_max and len(heads) * len(tails) > 1:
            raise TooManyAlternatives(f"more than {chars_max} characters")
        return [head + tail for head in heads for tail in tails]

    open_groups = [_Group()]
    for piece in _PIECES.findall(text):
        group = open_groups[-1]
        if piece == "{":
            open_groups.append(_Group())
        elif piece == "," and len(open_groups) > 1:
            group.done.append(group.current)
            group.current = [""]
        elif piece == "}" and len(open_groups) > 1:
            open_groups.pop()
            outer = open_groups[-1]
            if group.done:
                options = [one for part in [*group.done, group.current] for one in part]
            else:
                options = joined(joined(["{"], group.current), ["}"])
            outer.current = joined(outer.current, options)
        else:
            group.current = joined(group.current, [piece])
    # What is still open is literal, with its commas; groups that closed inside it stay groups.
    while len(open_groups) > 1:
        group = open_groups.pop()
        outer = open_groups[-1]
        tail = ["{"]
        for part in group.done:
            tail = joined(joined(tail, part), [","])
        outer.current = joined(outer.current, joined(tail, group.current))
    return open_groups[0].current
