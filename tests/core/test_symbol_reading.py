"""Reading uploaded symbols: normal forms, what a call weighs, and every bad field named at once (claims.md 6 and 7)."""

import gc
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest import approx, raises

from intermute.core import limits
from intermute.core.api.symbols import FileSymbols
from intermute.core.blast_radius import CallGraph
from intermute.core.errors import InvalidRequest
from intermute.core.pattern_syntax import BadPattern, literal_names, parse, path_names
from intermute.core.symbol_index import PROBLEMS_MAX, IndexedFile, graph_calls, indexed


def read(*files: dict[str, Any]) -> list[IndexedFile]:
    """Read files as they come over the wire."""
    return indexed(msgspec.convert(list(files), list[FileSymbols]))


def problems(*files: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with files, by place."""
    with raises(InvalidRequest) as refused:
        read(*files)
    return dict(refused.value.problems)


def calls_of(*calls: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Return what is read of the calls of src/a.rs, which lists f and Shape::area."""
    [file] = read({"path": "src/a.rs", "symbols": [{"name": "f"}, {"name": "Shape::area"}], "calls": list(calls)})
    return file.calls


def test_name_with_the_mark_in_it_is_a_symbol_where_the_file_lists_it() -> None:
    """`Shape::area` is how some languages name a method; elsewhere the same text is an address."""
    assert [call[:2] for call in calls_of({"from": "f", "to": "Shape::area"}, {"from": "f", "to": "Circle::area"})] == [
        ("src/a.rs::f", "src/a.rs::Shape::area"),
        ("src/a.rs::f", "Circle::area"),
    ]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({}, [1.0]),
        ({"resolved": True, "same_named": 5}, [1.0]),
        ({"resolved": False, "on_self": False, "same_named": 2}, [0.25]),
        ({"resolved": False}, []),
        ({"same_named": 0}, []),
    ],
)
def test_call_that_is_stated_as_unsure_is_not_taken_as_sure(stated: dict[str, Any], expected: list[float]) -> None:
    """Only a call of which nothing is said is sure; facts that are all false say nothing, and it is dropped."""
    assert [call[2] for call in calls_of({"from": "f", "to": "g", **stated})] == approx(expected)


def test_repeated_call_counts_once_with_its_surest() -> None:
    """The same two ends are one call, however they are spelled."""
    repeated = [{"from": "f", "to": to, "confidence": sure} for to, sure in (("g", 0.5), ("./src/a.rs::g", 0.75))]

    assert calls_of(*repeated, {"from": "f", "to": "g", "confidence": 0.25}) == [("src/a.rs::f", "src/a.rs::g", 0.75)]


def test_every_bad_field_is_named_at_once() -> None:
    """With its place, whichever file it is in."""
    symbols = [{"name": ""}, {"name": "x\n"}, {"name": "g", "start": 9, "end": 8}]
    calls = [
        {"from": "f", "to": "::x"},
        {"from": "f", "to": "../a::x"},
        {"from": "a.py::", "to": "f"},
        {"from": "f", "to": "f", "confidence": 1.5},
        {"from": "f", "to": "f", "confidence": 1, "resolved": True},
        {"from": "f", "to": "f", "same_named": -1},
    ]

    found = problems(
        {"path": "/etc/passwd"}, {"path": "."}, {"path": ""}, {"path": "a::b"},
        {"path": "ok.py", "sha256": "12", "symbols": symbols, "calls": calls}, {"path": "./ok.py"},
    )  # fmt: skip

    here = "files[4]."
    assert list(found) == [
        "files[0].path", "files[1].path", "files[2].path", "files[3].path", f"{here}sha256",
        f"{here}symbols[0].name", f"{here}symbols[1].name", f"{here}symbols[2].end",
        f"{here}calls[0].to", f"{here}calls[1].to", f"{here}calls[2].from", f"{here}calls[3].confidence",
        f"{here}calls[4].confidence", f"{here}calls[5].same_named", "files[5].path",
    ]  # fmt: skip
    assert "same file" in found["files[5].path"]


def test_file_is_read_where_nothing_is_wrong() -> None:
    """Control: the near misses of the above are taken; `null` is as good as absent."""
    lines = [{"name": "g", "start": 8, "end": 8}, {"name": "h", "end": 1}]

    [first, _] = read({"path": "./ok.py", "sha256": "AB" * 32, "symbols": lines, "calls": None}, {"path": "b"})

    assert (first.path, first.sha256, len(first.symbols)) == ("ok.py", "ab" * 32, 2)


@pytest.mark.parametrize(
    "files",
    [
        [{"path": "/"}] * (PROBLEMS_MAX + 50),
        [{"path": "a", "symbols": [{"name": ""}] * (PROBLEMS_MAX + 50)}],
        [{"path": "a", "calls": [{"from": "/x::f", "to": "f"}] * (PROBLEMS_MAX + 50)}],
    ],
)
def test_refusal_stops_at_a_bound(files: list[dict[str, Any]]) -> None:
    """Whoever has a hundred problems has one fault, and reading on would only cost."""
    with raises(InvalidRequest) as refused:
        read(*files)

    assert len(refused.value.problems) == PROBLEMS_MAX


@given(st.text(alphabet="abC/.: \\[*\u00e9e\u0301-\n\u212a", max_size=12))
@example("a/" * 64)
@example("a/" * 64 + "a")
@example("a" * 1025)
@example("..a/.b/c..")
@example("./C:/a")
@example("./\\a")
def test_literal_names_are_those_of_the_dialect(text: str) -> None:
    """The fast way refuses what `parse` refuses, for the same reason, and gives what patterns are matched against."""
    try:
        parse(text, literal=True)
    except BadPattern as expected:
        with raises(BadPattern) as refused:
            literal_names(text)
        assert refused.value.reason == expected.reason
    else:
        assert literal_names(text) == path_names(text, fold_case=False)


def shape(kind: str, files: int) -> list[dict[str, Any]]:
    """Return files of a kind: `usual` has ten symbols and thirty calls in each, elsewhere no two calls share an end."""
    names = [f"Class{number % 3}.method_{number}" for number in range(10)]
    if kind == "usual":
        paths = [f"src/package{number % 20}/module_{number}.py" for number in range(files)]
        return [
            {
                "path": path,
                "calls": [
                    {"from": name, "to": f"{paths[(number + step) % files]}::{name}"}
                    for name in names
                    for step in (0, 7, 30)
                ],
            }
            for number, path in enumerate(paths)
        ]
    below = "/".join(f"{number:02}" for number in range(40)) if kind == "deep" else "lib"
    return [
        {"path": f"a{n}.py", "calls": [{"from": f"symbol_{n}", "to": f"{n}/{below}/{n}.py::f_{n}"}]}
        for n in range(files)
    ]


@pytest.mark.parametrize("kind", ["usual", "apart", "deep"])
def test_graph_takes_no_more_memory_than_its_files_are_counted_for(kind: str) -> None:
    """So that `INDEX_GRAPH_BYTES_MAX` bounds what a forecast takes, and leaves room for a project of good size."""
    files = read(*shape(kind, 150))
    counted = sum(file.graph_bytes for file in files)
    stored = [msgspec.json.encode(file.calls) for file in files]
    gc.collect()

    tracemalloc.start()
    decoded = (msgspec.json.decode(text, type=list[tuple[str, str, float]]) for text in stored)
    graph = CallGraph(graph_calls(decoded, fold_case=False))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert graph.callers
    assert counted / 4 < peak < counted
    calls = sum(len(file.calls) for file in files)
    assert kind != "usual" or calls * limits.INDEX_GRAPH_BYTES_MAX / counted > 30_000
