"""The lock table finds exactly the entries in the way, and forgets what was removed."""

import itertools
from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pytest import mark

from intermute.core.lock_table import Entry, LockTable, Mode, compatible
from intermute.core.patterns import Pattern, matches, overlap, parse

# Few names, so that patterns meet often; every kind of edge of the index is among them.
NAMES = ("a", "b", "ab", "*", "a*", "*b", "?", "[ab]", "a*b", "**", "{a,b}")
PATTERN_TEXTS = st.builds(
    lambda names, end: "/".join(names) + end,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.sampled_from(("", "", "", "/")),
)
HOLDERS = st.sampled_from(("anna", "ben", "cleo"))
IDS = st.sampled_from([f"r{n}" for n in range(8)])


def _table(*rows: tuple[str, str, str, Mode]) -> LockTable:
    table = LockTable()
    for entry_id, text, holder, mode in rows:
        table.add(entry_id, parse(text), holder, mode)
    return table


def _ids(found: Sequence[tuple[Entry, str]]) -> list[str]:
    return sorted(entry.entry_id for entry, _ in found)


class TableAgainstList(RuleBasedStateMachine):
    """The table does what a list of entries and `overlap` do."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LockTable()
        self.entries: list[Entry] = []

    @rule(entry_id=IDS, text=PATTERN_TEXTS, holder=HOLDERS, mode=st.sampled_from(Mode))
    def add(self, entry_id: str, text: str, holder: str, mode: Mode) -> None:
        self.entries.append(self.table.add(entry_id, parse(text), holder, mode))

    @rule(entry_id=IDS)
    def remove(self, entry_id: str) -> None:
        removed = self.table.remove(entry_id)

        assert removed == [entry for entry in self.entries if entry.entry_id == entry_id]
        self.entries = [entry for entry in self.entries if entry.entry_id != entry_id]

    @rule(text=PATTERN_TEXTS, ignored=st.none() | HOLDERS)
    def overlapping(self, text: str, ignored: str | None) -> None:
        asked = parse(text)

        found = self.table.overlapping(asked, ignore_holder=ignored)

        self._check(asked, found, [entry for entry in self.entries if entry.holder != ignored])

    @rule(text=PATTERN_TEXTS, mode=st.sampled_from(Mode), holder=HOLDERS)
    def conflicts(self, text: str, mode: Mode, holder: str) -> None:
        asked = parse(text)

        found = self.table.conflicts(asked, mode, holder)

        others = [entry for entry in self.entries if entry.holder != holder and not compatible(mode, entry.mode)]
        self._check(asked, [*found], others)

    def _check(self, asked: Pattern, found: Sequence[tuple[Entry, str]], candidates: list[Entry]) -> None:
        expected = {entry for entry in candidates if overlap(asked, entry.pattern) is not None}
        assert {entry for entry, _ in found} == expected
        assert len(found) == len(expected)
        for entry, example in found:
            assert matches(asked, example)
            assert matches(entry.pattern, example)

    @invariant()
    def is_consistent(self) -> None:
        assert len(self.table) == len(self.entries)
        assert set(self.table) == set(self.entries)
        for holder in ("anna", "ben", "cleo"):
            assert self.table.by_holder(holder) == [entry for entry in self.entries if entry.holder == holder]
        if not self.entries:
            assert self.table.node_count() == 0


TestTableAgainstList = TableAgainstList.TestCase
TestTableAgainstList.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, database=None, derandomize=True
)


def test_compatible_is_the_published_matrix() -> None:
    """The 5 by 5 table of claims.md section 4, row by row; symmetric."""
    ok = {"IS": "IS IX S SIX", "IX": "IS IX", "S": "IS S", "SIX": "IS", "X": ""}

    for a, b in itertools.product(Mode, Mode):
        assert compatible(a, b) is (b in ok[a].split())
        assert compatible(a, b) is compatible(b, a)


@mark.parametrize(
    ("asked", "expected"),
    [
        ("src/api/x.py", ["api", "src", "src/**/*.py", "src/api/*"]),
        ("src/api", ["api", "src", "src/**/*.py", "src/api/*"]),
        ("src/db", ["src", "src/**/*.py"]),
        ("src2/x.py", []),
        ("lib", ["lib/a"]),
        ("lib/a/b/c", ["lib/a"]),
        ("lib/b", []),
        ("*/a", ["lib/a", "src", "src/**/*.py"]),
        ("**", ["api", "lib/a", "src", "src/**/*.py", "src/api/*"]),
        ("src/api/y.go", ["api", "src", "src/**/*.py", "src/api/*"]),
        ("src/*.go", ["src"]),
    ],
)
def test_overlapping_looks_up_and_down_the_tree(asked: str, expected: list[str]) -> None:
    """What lies above, below and across is found; a longer name with the same beginning is not."""
    table = _table(
        ("src", "src", "anna", Mode.X),
        ("api", "src/api/", "ben", Mode.X),
        ("src/api/*", "src/api/*", "ben", Mode.X),
        ("src/**/*.py", "src/**/*.py", "cleo", Mode.X),
        ("lib/a", "lib/a", "anna", Mode.X),
    )

    found = table.overlapping(parse(asked))

    assert _ids(found) == expected


def test_conflicts_leaves_out_the_asker_and_its_compatible_neighbours() -> None:
    """Readers do not stand in a reader's way, nobody stands in its own; a writer meets both of the others."""
    table = _table(
        ("own", "src", "anna", Mode.X), ("read", "src/a.py", "ben", Mode.S), ("write", "src/b.py", "cleo", Mode.X)
    )

    assert _ids([*table.conflicts(parse("src"), Mode.S, "anna")]) == ["write"]
    assert _ids([*table.conflicts(parse("src"), Mode.X, "anna")]) == ["read", "write"]
    assert _ids([*table.conflicts(parse("src"), Mode.X, "dora")]) == ["own", "read", "write"]


def test_conflicts_names_a_path_that_both_match() -> None:
    """A refusal can show where the two meet."""
    table = _table(("r1", "src/*_test.py", "anna", Mode.X))

    (conflict,) = table.conflicts(parse("src/api_*.py"), Mode.X, "ben")

    assert conflict.entry.entry_id == "r1"
    assert conflict.example == "src/api_test.py"


def test_conflicts_with_a_limit_stops_there() -> None:
    """The caller bounds the answer: one below, at, and above what there is."""
    table = _table(*((f"r{n}", f"src/{n}", "anna", Mode.X) for n in range(5)))

    counts = [len(table.conflicts(parse("src"), Mode.X, "ben", limit=limit)) for limit in (0, 4, 5, 6)]

    assert counts == [0, 4, 5, 5]


def test_overlapping_finds_an_entry_once() -> None:
    """An entry whose alternatives all meet the request is one answer."""
    table = _table(("r1", "{src/a,src/b,src/*.py}", "anna", Mode.X))

    found = table.overlapping(parse("src"))

    assert _ids(found) == ["r1"]


def test_overlapping_among_many_root_globs_finds_the_right_ones() -> None:
    """Globs that begin with a wildcard are found by their literal ends, each and only the right ones."""
    table = LockTable()
    for n in range(300):
        table.add(f"s{n}", parse(f"*_{n}.py"), "anna", Mode.X)
        table.add(f"p{n}", parse(f"test_{n}_*.go"), "anna", Mode.X)

    assert _ids(table.overlapping(parse("x_17.py"))) == ["s17"]
    assert _ids(table.overlapping(parse("test_17_x.go"))) == ["p17"]
    assert _ids(table.overlapping(parse("test_1_?.go"))) == ["p1"]


def test_remove_leaves_no_residue() -> None:
    """A table that was filled and emptied is as new: no node, no id, no holder remains."""
    texts = ["src", "src/a/b/c.py", "src/*.py", "**/*.py", "{a,b}/**/c", "**", "src/[ab]", "src/[a]", "a/*_x/**/y*"]
    table = _table(*((f"r{n}", text, f"h{n % 2}", Mode.X) for n, text in enumerate(texts)))

    for n in range(len(texts)):
        table.remove(f"r{n}")

    assert table.node_count() == 0
    assert (len(table), list(table), table.by_holder("h0")) == (0, [], [])
    assert table.overlapping(parse("**")) == []


def test_remove_of_one_id_keeps_its_neighbours() -> None:
    """Two holders of one pattern, and patterns that share a beginning, do not depend on each other."""
    table = _table(
        ("r1", "src/*.py", "anna", Mode.S),
        ("r2", "src/*.py", "ben", Mode.S),
        ("r3", "src/*.py/x", "ben", Mode.S),
        ("r1", "docs", "anna", Mode.S),
    )

    removed = table.remove("r1")

    assert [entry.pattern.text for entry in removed] == ["src/*.py", "docs"]
    assert _ids(table.overlapping(parse("**"))) == ["r2", "r3"]


def test_remove_of_an_unknown_id_does_nothing() -> None:
    """Removing twice is harmless."""
    table = _table(("r1", "src", "anna", Mode.X))

    assert table.remove("r2") == []
    assert len(table) == 1
