"""The page of promises and threats names tests that exist, and has a row for each of them (docs/reliability.md)."""

import re
from typing import Final

from named_tests import NAMED, missing
from source_tree import ROOT

PAGE: Final = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES: Final = 23
THREATS: Final = 30
_ROW: Final = re.compile(r"^\| (T\d+) \|(.*)\|$", re.MULTILINE)


def unproved(page: str) -> list[str]:
    """Return the threats whose row names no test, and what is no row of five columns."""
    rows = [(number, rest.split(" | ")) for number, rest in _ROW.findall(page)]
    return [number for number, columns in rows if len(columns) != 4 or not NAMED.search(columns[2])]


def test_every_test_that_the_page_names_exists() -> None:
    """Who renames a test renames it here as well."""
    assert missing(PAGE) == []


def test_every_threat_has_a_row_with_a_test() -> None:
    """T1 to T30, in order, each with at least one test."""
    assert [number for number, _ in _ROW.findall(PAGE)] == [f"T{number}" for number in range(1, THREATS + 1)]
    assert unproved(PAGE) == []


def test_every_promise_has_a_row_with_a_test() -> None:
    """G1 to G23, in order, each with at least one test and what was found."""
    rows = re.findall(r"^\| (G\d+) \|(.*)\|$", PAGE, re.MULTILINE)
    assert [number for number, _ in rows] == [f"G{number}" for number in range(1, PROMISES + 1)]
    assert [number for number, row in rows if len(row.split(" | ")) != 3 or not NAMED.search(row)] == []


def test_missing_test_is_named() -> None:
    """Control: a test that does not exist, a file that does not exist, and a row without a test are found."""
    page = (
        "| T1 | a | b | `web/test_crowd.py::test_nothing_of_the_kind` `no/file.py::test_x` | |\n| T2 | a | b | none | |"
    )

    assert missing(page) == ["no/file.py::test_x", "web/test_crowd.py::test_nothing_of_the_kind"]
    assert unproved(page) == ["T2"]
