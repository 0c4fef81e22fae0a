"""The uploaded symbols and calls of a project (claims.md 6 and 7, issue 3 point 8)."""

from typing import Any

import msgspec
import pytest
from handler_bench import LOCAL, REMOTE, Bench
from pytest import raises

from intermute.core import limits
from intermute.core.api.settings import ChangeSettings
from intermute.core.api.symbols import DropSymbols, FileSymbols, GetSymbols, UploadSymbols
from intermute.core.errors import InvalidRequest, SymbolIndexFull
from intermute.core.symbol_index import indexed
from intermute.project.handlers import symbols
from intermute.store.symbols import load_graph

READ = GetSymbols(project="demo")


@pytest.fixture
def bench() -> Bench:
    """A project with anna."""
    made = Bench()
    made.register("anna")
    return made


def upload(commit: str, *files: dict[str, Any]) -> UploadSymbols:
    """Return an upload of these files as it comes from JSON."""
    return UploadSymbols(project="demo", commit=commit, files=msgspec.convert(files, list[FileSymbols]))


def file(path: str, *calls: tuple[str, str], **more: Any) -> dict[str, Any]:
    """Return a file with a symbol for each caller, and its calls."""
    symbols = [{"name": caller, "kind": "function", "start": 1, "end": 9} for caller, _ in calls]
    return {"path": path, "symbols": symbols, "calls": [{"from": a, "to": b, **more} for a, b in calls]}


def callers(bench: Bench, *, fold_case: bool = False) -> dict[str, list[tuple[str, float]]]:
    """Return the stored graph: who calls each address, and how surely."""
    found = load_graph(bench.connection, fold_case=fold_case)
    assert found is not None
    return found[0].callers


def test_index_of_nothing_is_unavailable(bench: Bench) -> None:
    """Nobody has uploaded anything; that is said rather than "no calls"."""
    view = bench.ask(READ)

    assert (view.state, view.commit, view.files) == ("unavailable", None, 0)
    assert load_graph(bench.connection, fold_case=False) is None


def test_names_become_addresses(bench: Bench) -> None:
    """A bare name is one of the file, `path::name` is itself, `import::x` is of the file; paths are normalised."""
    bench.run(upload("c1", file("./src//a.py", ("f", "g"), ("f", "src/b.py::h"), ("import::json", "f"))))

    assert callers(bench) == {
        "src/a.py::g": [("src/a.py::f", 1.0)],
        "src/b.py::h": [("src/a.py::f", 1.0)],
        "src/a.py::f": [("src/a.py::import::json", 1.0)],
    }


@pytest.mark.parametrize(
    ("known", "confidence"),
    [
        ({}, 1.0), ({"confidence": 0.4}, 0.4), ({"resolved": True}, 1.0), ({"on_self": True}, 0.95),
        ({"same_named": 4}, 0.125), ({"same_named": 8}, 0.0625), ({"same_named": 9}, None), ({"confidence": 0}, None),
    ],
)  # fmt: skip
def test_confidence_of_a_call_follows_from_what_is_known(
    bench: Bench, known: dict[str, Any], confidence: float | None
) -> None:
    """As claims.md 6 has it; a call that may mean more than eight methods says nothing and is dropped."""
    bench.run(upload("c1", file("a.py", ("f", "g"), **known)))

    assert callers(bench) == ({} if confidence is None else {"a.py::g": [("a.py::f", confidence)]})


def test_files_of_one_commit_add_up(bench: Bench) -> None:
    """Several uploads, one index; a file that comes again takes the place of what it was."""
    bench.run(upload("c1", file("a.py", ("f", "g")), file("b.py", ("f", "g"), ("f", "h"))))
    bench.run(upload("c1", file("c.py", ("f", "g"))))
    view = bench.run(upload("c1", file("b.py", ("x", "y"))))

    assert (view.files, view.symbols, view.calls) == (3, 3, 3)
    assert sorted(callers(bench)) == ["a.py::g", "b.py::y", "c.py::g"]
    bench.restart()
    assert bench.ask(READ) == view


def test_another_commit_starts_anew(bench: Bench) -> None:
    """What the former commit had is gone, also for a later upload of the same batch."""
    bench.run(upload("c1", file("a.py", ("f", "g")), file("b.py", ("f", "g"))))

    bench.batch((upload("c2", file("b.py", ("x", "y"))), LOCAL), (upload("c2", file("a.py", ("x", "y"))), LOCAL))

    view = bench.ask(READ)
    assert (view.commit, view.files, view.symbols, view.calls) == ("c2", 2, 2, 2)
    bench.restart()
    assert bench.ask(READ) == view


def test_index_is_forgotten(bench: Bench) -> None:
    """Dropped; once more is no change."""
    bench.run(upload("c1", file("a.py", ("f", "g"))))

    bench.run(DropSymbols(project="demo"))
    head = bench.state.head
    bench.run(DropSymbols(project="demo"))

    assert (bench.ask(READ).state, bench.state.head) == ("unavailable", head)
    assert [each.type for each in bench.events()][-2:] == ["project.symbols", "project.symbols"]
    bench.restart()
    assert bench.ask(READ).state == "unavailable"


def test_index_is_shown_as_it_is_stored(bench: Bench) -> None:
    """An upload that is being flushed does not count yet."""
    _, transactions = bench.decide((upload("c1", file("a.py", ("f", "g"))), LOCAL))
    assert bench.ask(READ).state == "unavailable"

    bench.store(transactions)

    assert bench.ask(READ).state == "ok"


def test_graph_is_folded_where_the_project_is(bench: Bench) -> None:
    """With case folding two spellings of a path are one node; symbols keep their case."""
    bench.run(ChangeSettings(project="demo", case_folding=True))
    bench.run(upload("c1", file("SRC/A.py", ("F", "src/b.PY::G"))))

    assert callers(bench, fold_case=True) == {"src/b.py::G": [("src/a.py::F", 1.0)]}


def test_index_over_its_bounds_is_refused_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limit and what it would be; nothing of it is stored. A file that is replaced counts once."""
    monkeypatch.setitem(symbols._BOUNDS, "calls", 3)
    bench.run(upload("c1", file("a.py", ("f", "g"), ("f", "h"))))
    before = bench.state.head

    with raises(SymbolIndexFull) as refused:
        bench.run(upload("c1", file("b.py", ("f", "g"), ("f", "h"))))

    assert (refused.value.what, refused.value.would_be, bench.state.head) == ("calls", 4, before)
    assert bench.run(upload("c1", file("a.py", ("f", "g"), ("f", "h"), ("f", "i")))).calls == 3


@pytest.mark.parametrize(("room", "is_refused"), [(-1, True), (0, False)])
def test_index_is_bounded_by_what_its_graph_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, room: int, is_refused: bool
) -> None:
    """Also by files that were stored before a restart; what comes again in place of itself takes nothing more."""
    first, second = file("a.py", ("f", "g")), file("b.py", ("f", "x/y/z.py::a_long_name"))
    bench.run(upload("c1", first))
    bench.restart()
    bench.run(upload("c1", first))
    both = sum(each.graph_bytes for each in indexed(upload("c1", first, second).files))
    assert symbols._BOUNDS["graph_bytes"] == limits.INDEX_GRAPH_BYTES_MAX
    monkeypatch.setitem(symbols._BOUNDS, "graph_bytes", both + room)

    [outcome] = bench.batch((upload("c1", second), LOCAL))

    assert isinstance(outcome, SymbolIndexFull) == is_refused
    assert bench.ask(READ).files == (1 if is_refused else 2)


@pytest.mark.parametrize(
    "files",
    [
        [file("/etc/passwd", ("f", "g"))],
        [file("a/../b.py", ("f", "g"))],
        [file("a.py", ("", "g"))],
        [file("a.py", ("f", "b.py::"))],
        [file("a.py", ("f", "/b.py::g"))],
    ],
)
def test_upload_that_names_nothing_is_refused(bench: Bench, files: list[dict[str, Any]]) -> None:
    """A path or a symbol that is none, with the reason; nothing is stored."""
    with raises(InvalidRequest):
        bench.run(upload("c1", *files))

    assert bench.ask(READ).state == "unavailable"


def test_upload_of_too_much_at_once_is_refused(bench: Bench) -> None:
    """The refusal names the bounds, and that several uploads do."""
    calls = [("f", f"g{number}") for number in range(limits.UPLOAD_CALLS_MAX // 2 + 1)]

    with raises(InvalidRequest) as refused:
        bench.run(upload("c1", file("a.py", *calls), file("b.py", *calls)))

    assert "several" in refused.value.message


def test_upload_by_nobody_is_refused(bench: Bench) -> None:
    """From elsewhere one says who one is."""
    with raises(InvalidRequest):
        bench.run(upload("c1", file("a.py", ("f", "g"))), REMOTE)
