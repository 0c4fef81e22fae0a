"""The page of what is kept and what differs names tests that exist, and each row has some (docs/compatibility.md)."""

import re
from typing import Final

from named_tests import NAMED, missing
from source_tree import ROOT

PAGE: Final = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
_DIFFERENCES: Final = PAGE.partition("## What is different")[2]


def untested(page: str) -> list[str]:
    """Return the rows of a table of differences that name no test."""
    rows = [row for row in re.findall(r"^\| (.*) \|$", page, re.MULTILINE) if not row.startswith("ours")]
    return [row for row in rows if not NAMED.search(row)]


def test_every_test_that_the_page_of_differences_names_exists() -> None:
    """Who renames a test renames it here as well."""
    assert missing(PAGE) == []


def test_every_difference_has_a_test() -> None:
    """A difference from the original that nothing holds is none."""
    assert len(_DIFFERENCES.splitlines()) > 20
    assert untested(_DIFFERENCES) == []


def test_difference_without_a_test_is_named() -> None:
    """Control: a row without a test, a test that is not there and a file that is not there are found."""
    page = "| ours | tests |\n|---|---|\n| a | none |\n| b | `web/test_crowd.py::test_nothing` |\n| c | `no/file.py` |"

    assert untested(page) == ["a | none", "c | `no/file.py`"]
    assert missing(page) == ["no/file.py", "web/test_crowd.py::test_nothing"]
