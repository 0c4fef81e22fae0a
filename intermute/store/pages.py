"""Pages of rows, bounded by their size as well as by their number: a page is held in memory and written at once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from intermute.core import limits


def within_page(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:  # Any: SQLite's dynamic columns.
    """Yield the first row, and the next ones until they have PAGE_CHARS_MAX characters; the reader asks for the rest."""
    chars = 0
    for row in rows:
        yield row
        chars += chars_in(row)
        if chars >= limits.PAGE_CHARS_MAX:
            return


def chars_in(row: Sequence[Any]) -> int:  # Any: as above.
    """Return how many characters of text the row has."""
    return sum([len(value) for value in row if type(value) is str])  # of twenty values a list is faster.
