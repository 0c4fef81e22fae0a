"""Pages of a list: how many rows, and how many characters; a page is held in memory and written at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from intermute.core import limits

Row = TypeVar("Row")


def page_size(wished: int | None, default: int) -> int:
    """Return how many rows to give: the default for no wish or a senseless one, never more than a page."""
    return default if wished is None or wished <= 0 else min(wished, limits.PAGE_MAX)


def first_page(rows: Iterable[Row], limit: int, chars_of: Callable[[Row], int]) -> tuple[list[Row], bool]:
    """Return the first rows, at most `limit` and none after PAGE_CHARS_MAX characters, and tell whether there are more."""
    page: list[Row] = []
    chars = 0
    for row in rows:
        if len(page) >= limit or chars >= limits.PAGE_CHARS_MAX:
            return page, True
        page.append(row)
        chars += chars_of(row)
    return page, False
