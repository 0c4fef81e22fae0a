"""What the service can say is in its pages: routes, refusals and events in docs/api.md, the rest in docs/operations.md.

The pages are read as text and the code as syntax trees, so that a new row, class or log line fails here until it is told of.
"""

import ast
import re
from collections.abc import Iterable, Iterator

import click
from source_tree import ROOT, Source, read_tree

from intermute import logs
from intermute.app import ExitCode
from intermute.cli.main import serve
from intermute.core.events import EventType
from intermute.core.operations import OPERATIONS
from intermute.web.errors import STATUS
from intermute.web.openapi import template
from intermute.web.sockets import SOCKETS

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SERVICE = read_tree(packages=["intermute"])

LOG_CALLS = frozenset({"log", "_log", "_log_sometimes", "report", "_report"})
"""What log lines are written with, wherever the function came from."""

_LOG_EVENT = re.compile(r"[a-z]+\.[a-z_]+")
_ROUTE_ROW = re.compile(r"^\| `([A-Z]+ /\S+)` \| (\d{3}) \|", re.MULTILINE)
_REFUSAL_ROW = re.compile(r"^\| (\d{3}) \| `([a-z_]+)` \|", re.MULTILINE)
_NAME = re.compile(r"`([^`\n]+)`")


def unnamed(names: Iterable[str], page: str) -> list[str]:
    """Return the names that the page does not have in backticks, sorted."""
    return sorted(set(names) - set(_NAME.findall(page)))


def differing(said: Iterable[tuple[str, str]], true: Iterable[tuple[str, str]]) -> list[str]:
    """Return what the rows of a page lack, and what they have that is not so."""
    rows, facts = set(said), set(true)
    return [f"missing: {' '.join(each)}" for each in sorted(facts - rows)] + [
        f"not so: {' '.join(each)}" for each in sorted(rows - facts)
    ]


def logged_events(sources: Iterable[Source]) -> set[str]:
    """Return the names of all log lines, as they stand in the calls."""
    return {
        text
        for source in sources
        for name, first in _calls(source)
        if name in LOG_CALLS and (text := _text(first)) is not None and _LOG_EVENT.fullmatch(text)
    }


def wire_refusals(sources: Iterable[Source]) -> set[tuple[str, str]]:
    """Return status and code of every `Refused(status, code, …)`; a status that is computed counts as 400."""
    return {
        (str(status.value if isinstance(status, ast.Constant) else 400), code)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _name(node.func) == "Refused" and len(node.args) >= 2
        for status, code in [(node.args[0], _text(node.args[1]))]
        if code is not None
    }


def _calls(source: Source) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.args:
            yield _name(node.func), node.args[0]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_docs_have_every_route_with_its_status() -> None:
    """docs/api.md lists the operation table and the two sockets, and no route besides."""
    operations = [(f"{each.method} {template(each.path)}", str(each.status)) for each in OPERATIONS]
    sockets = [("GET " + re.sub(r"<(?:path:)?(\w+)>", r"{\1}", path), "101") for path in SOCKETS]

    assert differing(_ROUTE_ROW.findall(API), operations + sockets) == []


def test_docs_have_every_refusal_with_its_status() -> None:
    """docs/api.md lists every error class, what the connection itself refuses, and no code besides."""
    classes = [(str(status), error.code) for error, status in STATUS.items()]
    bodies = [("503", "degraded"), ("503", "too_many_connections")]  # Answers that no class and no `Refused` makes.
    wire = wire_refusals(source for source in SERVICE if source.path.startswith("intermute/web/server/"))

    assert differing(_REFUSAL_ROW.findall(API), [*classes, *bodies, *wire]) == []


def test_row_missing_or_wrong_is_named() -> None:
    """Control: a missing row, a row with another status, and a row of nothing are reported."""
    page = "| `GET /api/a` | 200 | Reads. |\n| `GET /api/b` | 201 | Reads. |\n| `GET /api/gone` | 200 | Read. |\n"

    problems = differing(_ROUTE_ROW.findall(page), [("GET /api/a", "200"), ("GET /api/b", "200")])

    assert problems == ["missing: GET /api/b 200", "not so: GET /api/b 201", "not so: GET /api/gone 200"]


def test_refusal_on_the_wire_is_found() -> None:
    """Control: a refusal of the connection is seen wherever it stands, and a class or another call is not."""
    text = "class Refused(Exception): ...\nraise Refused(431, 'too_long', 'Send less.') from error\nAccepted(1, 'x')\n"

    assert wire_refusals([Source("a.py", text)]) == {("431", "too_long")}


def test_docs_have_every_event() -> None:
    """docs/api.md names every type of the event log."""
    assert unnamed(EventType, API) == []


def test_docs_have_every_log_line() -> None:
    """docs/operations.md names whatever the service logs."""
    assert unnamed(logged_events(SERVICE), OPERATING) == []


def test_log_levels_are_of_lines_that_exist() -> None:
    """A line with a level of its own is written somewhere, and has one level."""
    assert (logs.WARNINGS | logs.ERRORS) - logged_events(SERVICE) == set()
    assert not logs.WARNINGS & logs.ERRORS


def test_log_line_is_found() -> None:
    """Control: a log line is seen through every name of the function; other calls with a dotted text are not."""
    text = "log('a.b')\nself._log('c.d', error=error)\nproject.log(\n    'e.f',\n)\nself._report('g.h', error)\nopen('i.txt')\n"

    assert logged_events([Source("a.py", text)]) == {"a.b", "c.d", "e.f", "g.h"}


def test_name_missing_in_a_page_is_named() -> None:
    """Control: a name counts where it stands alone in backticks, and nowhere else."""
    page = "`a.b` and `c.d`, c.e, and `c.f.g`"

    assert unnamed(["a.b", "c.d", "c.e", "c.f"], page) == ["c.e", "c.f"]


def test_docs_have_every_exit_code() -> None:
    """docs/operations.md explains each exit code in its table."""
    rows = re.findall(r"^\| (\d+) \|", OPERATING, re.MULTILINE)

    assert sorted(map(int, rows)) == sorted(ExitCode)


def test_docs_have_every_flag_of_serve() -> None:
    """docs/operations.md explains each flag that is not hidden."""
    flags = [
        name
        for option in serve.params
        if isinstance(option, click.Option) and not option.hidden
        for name in option.opts
        if name.startswith("--")
    ]

    assert "--port" in flags
    assert unnamed(flags, OPERATING) == []
