"""A page ends at its number of rows or of characters, and says truly whether there is more."""

import pytest

from intermute.core import limits
from intermute.core.pages import first_page, page_size


@pytest.mark.parametrize(("rows", "given", "has_more"), [(0, 0, False), (9, 9, False), (10, 10, False), (11, 10, True)])
def test_page_ends_at_its_rows(rows: int, given: int, *, has_more: bool) -> None:
    """The last row of an exact page is followed by nothing."""
    assert first_page(range(rows), 10, lambda _: 1) == (list(range(given)), has_more)


@pytest.mark.parametrize(("chars", "given"), [(limits.PAGE_CHARS_MAX - 1, 2), (limits.PAGE_CHARS_MAX, 1)])
def test_page_ends_at_its_characters(chars: int, given: int) -> None:
    """A row is given while there is room for it to begin; the first one always."""
    assert first_page(range(3), 10, lambda _: chars) == (list(range(given)), True)


@pytest.mark.parametrize(("wished", "size"), [(None, 7), (0, 7), (-1, 7), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_size_is_sensible(wished: int | None, size: int) -> None:
    """No wish and a senseless one get the default, a greedy one the largest page."""
    assert page_size(wished, 7) == size
