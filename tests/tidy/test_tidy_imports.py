"""Who may import whom, and what the inner layers keep out: design.md 2 as a check on the tree."""

import sys

import pytest
from source_tree import (
    PACKAGES,
    Source,
    awaits,
    clock_readings,
    foreign_imports,
    imports_of,
    read_tree,
    wrong_directions,
)

TREE = read_tree()
CORE = [source for source in TREE if source.path.startswith("intermute/core/")]
CLOCKLESS = [
    source
    for source in TREE
    if source.path.startswith(("intermute/core/", "intermute/store/", "intermute/project/handlers/"))
]
STANDARD = frozenset(sys.stdlib_module_names)


def test_tree_is_found() -> None:
    """The checks below look at the real tree: every package has files."""
    assert {source.path.split("/")[0] for source in TREE} == set(PACKAGES)
    assert len(CORE) > 10


def test_imports_go_one_way() -> None:
    """Imports point from cli to app, web, project, store and core, and never back."""
    assert wrong_directions(TREE) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("intermute/core/times.py", "from intermute.store import events"),
        ("intermute/core/times.py", "import intermute.config"),
        ("intermute/store/events.py", "from intermute.project.state import ProjectState"),
        ("intermute/project/hub.py", "from intermute import web"),
        ("intermute/project/hub.py", "from intermute.logs import log"),
        ("intermute/web/front.py", "from intermute.app import run"),
        ("intermute/app.py", "import intermute.cli.main"),
        ("intermute/client/calls.py", "from intermute.web.errors import STATUS"),
        ("intermute/client/calls.py", "from intermute.project import hub"),
        ("intermute/client/calls.py", "from intermute.config import Settings"),
        ("intermute/client/calls.py", "from supervisor import Child"),
        ("intermute/web/front.py", "from intermute.client import Client"),
        ("intermute/app.py", "import intermute.client"),
    ],
)
def test_imports_against_the_way_are_named(path: str, line: str) -> None:
    """Control: an import that goes up is reported with its file and line."""
    problems = wrong_directions([Source(path, f"\n\n{line}\n")])

    assert problems
    assert all(problem.startswith(f"{path}:3: ") for problem in problems)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("intermute/web/front.py", "from intermute.core import limits"),
        ("intermute/app.py", "from intermute import __version__"),
        ("intermute/cli/main.py", "from intermute.logs import log"),
        ("intermute/store/events.py", "from intermute.store.statements import Statement"),
        ("intermute/client/calls.py", "from intermute.core.operations import OPERATIONS"),
        ("intermute/client/calls.py", "from intermute.client.settings import Retries"),
        ("intermute/cli/main.py", "from intermute.client.sync import open_client"),
    ],
)
def test_imports_along_the_way_are_fine(path: str, line: str) -> None:
    """The direction check does not cry wolf."""
    assert wrong_directions([Source(path, line)]) == []


def test_packages_import_what_they_may() -> None:
    """Core is stdlib and msgspec, the store adds apsw, supervisor and loadtest know nothing of intermute."""
    assert foreign_imports(TREE, STANDARD) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("intermute/core/times.py", "import time"),
        ("intermute/core/ids.py", "import logging"),
        ("intermute/core/ids.py", "from random import random"),
        ("intermute/core/ids.py", "import trio"),
        ("intermute/core/ids.py", "import apsw"),
        ("intermute/store/writer.py", "import trio"),
        ("intermute/store/writer.py", "import outcome"),
        ("intermute/store/writer.py", "import quart"),
        ("supervisor/child.py", "from intermute.core import limits"),
        ("supervisor/child.py", "import apsw"),
        ("loadtest/run.py", "from intermute.core import limits"),
        ("loadtest/figures/lock_table.py", "from intermute.store import writer"),
        ("loadtest/figures/claims_curve.py", "from intermute.store import writer"),
    ],
)
def test_packages_importing_what_they_must_not_are_named(path: str, line: str) -> None:
    """Control: a foreign import is reported with its file and line."""
    problems = foreign_imports([Source(path, f"\n{line}\n")], STANDARD)

    assert problems
    assert all(problem.startswith(f"{path}:2: ") for problem in problems)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("intermute/store/hop.py", "import trio"),
        ("loadtest/figures/lock_table.py", "from intermute.core.patterns import parse"),
        ("loadtest/figures/claims_curve.py", "from intermute.project.state import ProjectState"),
        ("supervisor/child.py", "import trio"),
        ("intermute/core/ids.py", "import hashlib"),
    ],
)
def test_packages_importing_what_they_may_are_fine(path: str, line: str) -> None:
    """The check of foreign imports does not cry wolf."""
    assert foreign_imports([Source(path, line)], STANDARD) == []


def test_supervisor_and_loadtest_are_looked_at() -> None:
    """The package check sees both packages and finds imports in them at all."""
    seen = {source.path.split("/")[0] for source in TREE if any(imports_of(source))}

    assert {"supervisor", "loadtest"} <= seen


def test_core_awaits_nothing() -> None:
    """Core is free of await: its rules can be tested and called from anywhere."""
    assert awaits(CORE) == []


def test_handlers_await_nothing() -> None:
    """Handlers are synchronous: nothing comes between a decision and its commit (design.md 3.6)."""
    assert awaits(source for source in TREE if source.path.startswith("intermute/project/handlers/")) == []


def test_await_is_named() -> None:
    """Control: an await is reported with its line."""
    assert awaits([Source("a.py", "async def f() -> None:\n    await g()\n")]) == [
        "a.py:1: AsyncFunctionDef",
        "a.py:2: Await",
    ]


def test_inner_layers_read_no_clock() -> None:
    """Core, store and handlers get the time as an argument (style.md 32)."""
    assert clock_readings(CLOCKLESS) == []


@pytest.mark.parametrize(
    "line",
    [
        "from time import monotonic",
        "import time",
        "now = trio.current_time()",
        "now = datetime.now(UTC)",
        "now = datetime.datetime.utcnow()",
        "ask = trio.sleep",
    ],
)
def test_clock_reading_is_named(line: str) -> None:
    """Control: a clock reading is reported with its line, called or passed on."""
    problems = clock_readings([Source("a.py", f"\n{line}\n")])

    assert problems
    assert all(problem.startswith("a.py:2: ") for problem in problems)
