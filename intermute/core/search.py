"""Searches: what is looked for, in the words of the index, and where a page of what was found begins.

Decided here and nowhere else: whatever is asked for is a list of phrases, all of which must occur. Each of them is quoted,
so that nothing a caller writes is read as an operator of the index, and none of it can be wrong.
"""

import re
from typing import Final, NamedTuple

from intermute.core import limits
from intermute.core.errors import InvalidRequest

_PART: Final = re.compile(r'"([^"]*)"?|([^\s"]+)')
_PLACE: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,4})")


class Place(NamedTuple):
    """Where a page begins: among what was written up to a cursor of the log, after so many messages."""

    head: int
    skip: int

    @classmethod
    def read(cls, text: str) -> "Place":
        """Return the place that `write` wrote. Raises: InvalidRequest."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise InvalidRequest([("cursor", "is not one that a search has given; leave it out for the first page")])
        return cls(int(found[1]), int(found[2]))

    def write(self) -> str:
        """Return the place as text."""
        return f"{self.head}-{self.skip}"


def phrases(wanted: str) -> str:
    """Return the search as the index takes it. Raises: InvalidRequest, where it has no word, or too many."""
    found = [quoted or word for quoted, word in _PART.findall(wanted)]
    # What has neither a letter nor a digit is in no index, and would match nothing or everything.
    words = [each for each in found if any(map(str.isalnum, each))]
    if not words:
        raise InvalidRequest([("q", "has no letter and no digit: look for a word")])
    if len(words) > limits.SEARCH_WORDS_MAX:
        raise InvalidRequest(
            [("q", f"has more than {limits.SEARCH_WORDS_MAX} words: leave some out, or quote a phrase")]
        )
    return " ".join(f'"{each}"' for each in words)
