"""The tests that a page of the documentation names, and which of them nobody has written."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

from source_tree import ROOT

NAMED: Final = re.compile(r"`([\w/]+\.py)::(\w+)`")
_FILE: Final = re.compile(r"`([\w/]+\.py)`")


@cache
def written_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file; none where there is no file."""
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def missing(page: str) -> list[str]:
    """Return the tests, and the whole files of tests, that the page names and nobody has written."""
    tests = {f"{file}::{name}" for file, name in NAMED.findall(page) if name not in written_in(ROOT / "tests" / file)}
    return sorted(tests | {file for file in _FILE.findall(page) if not written_in(ROOT / "tests" / file)})
