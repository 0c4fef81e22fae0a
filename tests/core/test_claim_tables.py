"""Modes, symbols, targets and operations of claims: the tables of claims.md as data, compared cell by cell."""

import itertools

from pytest import mark, raises

from intermute.core.claim_modes import CLASS_OF_MODE, MODE_BY_NAME, above, below, clashes, supremum, weaker_than
from intermute.core.claim_targets import parse_address, parse_glob, parse_path, product
from intermute.core.lock_table import Mode, compatible
from intermute.core.patterns import BadPattern
from intermute.core.relations import Relation, mirrored
from intermute.core.symbols import SYMBOL_CHARS_MAX, BadSymbol, parse_symbol, symbol_relation
from intermute.core.work_operations import (
    OPERATION_BY_NAME,
    Operation,
    WorkKind,
    implied_operation,
    mode_of,
    on_one_symbol,
    work_clash,
)

MODES = list(Mode)  # IS, IX, S, SIX, X: the order of every table below.
EVERY_PAIR = list(itertools.product(MODES, MODES))

# claims.md 4: rows are requested, columns held; "+" goes together.
EQUAL_TABLE = ["++++-", "++---", "+-+--", "+----", "-----"]
CONTAINS_TABLE = ["+++++", "+++++", "+-+--", "+-+--", "-----"]
WITHIN_TABLE = ["++++-", "++---", "++++-", "++---", "++---"]
PARTIAL_TABLE = ["+++++", "+++++", "++++-", "++++-", "++---"]


@mark.parametrize(
    ("relation", "table"),
    [
        (Relation.EQUAL, EQUAL_TABLE),
        (Relation.CONTAINS, CONTAINS_TABLE),
        (Relation.WITHIN, WITHIN_TABLE),
        (Relation.PARTIAL, PARTIAL_TABLE),
        (Relation.DISJOINT, ["+++++"] * 5),
    ],
)
def test_modes_clash_as_published(relation: Relation, table: list[str]) -> None:
    """Each relation has the published table of 25 verdicts."""
    found = ["".join("-" if clashes(relation, mine, theirs) else "+" for theirs in MODES) for mine in MODES]

    assert found == table


@mark.parametrize(("mine", "theirs"), EVERY_PAIR)
def test_modes_seen_from_above_and_below_agree(mine: Mode, theirs: Mode) -> None:
    """Asking the wider claim what the narrower implies above it is asking what the wider implies below it."""
    from_above = compatible(mine, above(theirs))
    mine_below = below(mine)
    from_below = mine_below is None or compatible(mine_below, theirs)

    assert from_above == from_below


@mark.parametrize("relation", Relation)
def test_modes_clash_alike_from_both_sides(relation: Relation) -> None:
    """Turning a pair round turns the relation and nothing else."""
    for mine, theirs in EVERY_PAIR:
        assert clashes(relation, mine, theirs) == clashes(mirrored(relation), theirs, mine)


def test_modes_under_unknown_are_the_strictest() -> None:
    """Where the relation could not be told, whatever clashes under some relation clashes."""
    known = [relation for relation in Relation if relation is not Relation.UNKNOWN]

    for mine, theirs in EVERY_PAIR:
        assert clashes(Relation.UNKNOWN, mine, theirs) == any(clashes(each, mine, theirs) for each in known)


@mark.parametrize(("mine", "theirs"), EVERY_PAIR)
def test_modes_of_readers_and_writers_do_not_need_the_relation(mine: Mode, theirs: Mode) -> None:
    """For S and X alone, meeting is enough."""
    if {mine, theirs} <= {Mode.S, Mode.X}:
        meeting = [each for each in Relation if each is not Relation.DISJOINT]
        assert len({clashes(each, mine, theirs) for each in meeting}) == 1


def test_supremum_is_the_published_lattice() -> None:
    """S and IX make SIX, SIX takes in both, X takes in all, IS changes nothing; the order does not matter."""
    assert supremum(Mode.S, Mode.IX) is Mode.SIX
    for a, b in EVERY_PAIR:
        joint = supremum(a, b)
        assert joint is supremum(b, a)
        assert (joint is b) == (a is b or a in weaker_than(b))
        # The least mode that clashes with all that either of them clashes with.
        needed = {other for other in MODES if not (compatible(a, other) and compatible(b, other))}
        assert needed <= {other for other in MODES if not compatible(joint, other)}
    for a, b, c in itertools.product(MODES, repeat=3):
        assert supremum(supremum(a, b), c) is supremum(a, supremum(b, c))


def test_weaker_modes_clash_with_less() -> None:
    """An offered weaker mode never clashes with more than the refused one."""
    for mode in MODES:
        for weaker in weaker_than(mode):
            for other in MODES:
                assert compatible(weaker, other) or not compatible(mode, other)


def test_mode_names_are_those_of_the_classes() -> None:
    """Every published class name and every mode's own name is accepted."""
    assert {MODE_BY_NAME[name] for name in CLASS_OF_MODE.values()} == set(Mode)
    assert all(MODE_BY_NAME[mode.value.lower()] is mode for mode in Mode)
    assert all(MODE_BY_NAME[name] is mode for mode, name in CLASS_OF_MODE.items())


# Symbols and targets


@mark.parametrize(
    ("a", "b", "expected"),
    [
        (None, None, "equal"),
        ("f", "f", "equal"),
        (None, "f", "contains"),
        ("f", None, "within"),
        ("Invoice", "Invoice.due", "contains"),
        ("Invoice", "Invoice.due.inner", "contains"),
        ("Inv", "Invoice", "disjoint"),
        ("f", "F", "disjoint"),
        ("import", "import::os", "contains"),
        ("import::os", "import::os.path", "contains"),
        ("import::os", "import::os2", "disjoint"),
        ("import", "important", "disjoint"),
        ("x", "x::y", "disjoint"),
    ],
)
def test_symbol_relation_is_equality_and_prefix(a: str | None, b: str | None, expected: str) -> None:
    """Symbols are opaque but for the dot, and `import` stands for all imports."""
    assert symbol_relation(a, b) == expected
    assert symbol_relation(b, a) is mirrored(symbol_relation(a, b))


@mark.parametrize("text", ["", " ", "a\nb", "a\x00", "\ud800", "x" * (SYMBOL_CHARS_MAX + 1)])
def test_symbol_that_is_none_is_refused(text: str) -> None:
    """Empty, too long and control characters are refused; the limit itself is fine."""
    with raises(BadSymbol):
        parse_symbol(text)
    assert parse_symbol("x" * SYMBOL_CHARS_MAX)
    assert parse_symbol("x" * (SYMBOL_CHARS_MAX - 1))


def test_target_spellings_read_their_marks_differently() -> None:
    """A path has no symbol and no wildcard, an address no wildcard, a glob may have both; the symbol never has any."""
    assert parse_path("a::b/[id]").symbol is None
    assert parse_address("app/[id]/page.tsx::default").pattern.is_plain
    assert parse_address("a.py::import::*:m").symbol == "import::*:m"
    assert not parse_glob("src/*.py::f").pattern.is_plain
    assert parse_glob("./src//a.py::f") == parse_address("src/a.py::f")
    assert parse_glob("./src//a.py::f").canonical == "src/a.py::f"
    assert parse_address("src/a.py").symbol is None
    assert parse_address("caf\u0065\u0301.py::\u0065\u0301") == parse_address("caf\u00e9.py::\u00e9")


def test_target_folds_the_path_but_not_the_symbol() -> None:
    """Case folding is about file systems, not about languages."""
    assert parse_address("SRC/A.py::f", fold_case=True) == parse_address("src/a.py::f", fold_case=True)
    assert parse_address("a.py::F", fold_case=True) != parse_address("a.py::f", fold_case=True)


def test_target_refused_in_the_symbol_names_the_whole_text() -> None:
    """The refusal shows what was sent, not a part of it."""
    with raises(BadPattern) as refused:
        parse_address("a.py::\x07")

    assert refused.value.pattern == "a.py::\x07"


PATH_ROWS = ["equal", "contains", "within", "partial", "disjoint"]
SYMBOL_COLUMNS = ["equal", "contains", "within", "disjoint"]
PRODUCT_TABLE = [  # claims.md 3
    ["equal", "contains", "within", "disjoint"],
    ["contains", "contains", "partial", "disjoint"],
    ["within", "partial", "within", "disjoint"],
    ["partial", "partial", "partial", "disjoint"],
    ["disjoint", "disjoint", "disjoint", "disjoint"],
]


def test_product_is_the_published_table() -> None:
    """Paths and symbols combine as published; unknown paths stay unknown, unless the symbols are apart."""
    found = [[product(Relation(p), Relation(s)).value for s in SYMBOL_COLUMNS] for p in PATH_ROWS]

    assert found == PRODUCT_TABLE
    assert product(Relation.UNKNOWN, Relation.WITHIN) is Relation.UNKNOWN
    assert product(Relation.UNKNOWN, Relation.DISJOINT) is Relation.DISJOINT


# Operations

OPERATIONS = ["read", "modify", "extract", "rename", "move", "split", "merge", "inline", "delete", "create"]
RESHAPING_ROW = ".75w .8 .8 .85 .85 .85 .85 .85 .9 .9"
MATRIX = {  # claims.md 6, both halves; "w" is a warning.
    "read": "- .4w .4w .75w .75w .75w .75w .75w .75w -",
    "modify": ".4w 1.0 1.0 .8 .8 .8 .8 .8 .9 .9",
    "extract": ".4w 1.0 1.0 .8 .8 .8 .8 .8 .9 .9",
    "rename": ".75w .8 .8 .95 .85 .85 .85 .85 .9 .9",
    "move": ".75w .8 .8 .85 .95 .85 .85 .85 .9 .9",
    "split": RESHAPING_ROW,
    "merge": RESHAPING_ROW,
    "inline": RESHAPING_ROW,
    "delete": ".75w .9 .9 .9 .9 .9 .9 .9 .3w .9",
    "create": "- .9 .9 .9 .9 .9 .9 .9 .9 .95",
}
WARNING_KINDS = {WorkKind.DELETE_USE, WorkKind.READ_WRITE, WorkKind.REDUNDANT_WORK}


def test_operations_matrix_is_the_published_one() -> None:
    """All 100 pairs of operations on one symbol have the published confidence, and warn where it says so."""
    for a, row in MATRIX.items():
        for b, cell in zip(OPERATIONS, row.split(), strict=True):
            found = on_one_symbol(Operation(a), Operation(b))
            if cell == "-":
                assert found is None, (a, b)
            else:
                assert found is not None, (a, b)
                assert found.confidence == float(cell.rstrip("w")), (a, b)
                assert (found.kind in WARNING_KINDS) == cell.endswith("w"), (a, b)


@mark.parametrize("operation", [Operation.RENAME, Operation.MOVE])
def test_operations_to_the_same_place_are_one_work(operation: Operation) -> None:
    """Two agents who rename to the same name do the same thing twice."""
    found = on_one_symbol(operation, operation, is_same_destination=True)

    assert found == (WorkKind.REDUNDANT_WORK, 0.3)


@mark.parametrize(
    ("relation", "a", "b", "kind", "confidence"),
    [
        ("contains", "delete", "modify", "operation_conflict", 0.9),
        ("within", "modify", "delete", "operation_conflict", 0.9),
        ("contains", "modify", "modify", "overlap", 0.6),
        ("contains", "modify", "delete", "overlap", 0.6),
        ("contains", "read", "modify", "read_write", 0.4),
        ("contains", "read", "delete", "delete_use", 0.6),
        ("within", "read", "delete", "delete_use", 0.75),
        ("partial", "modify", "modify", "overlap", 0.5),
        ("partial", "delete", "modify", "overlap", 0.5),
        ("partial", "read", "delete", "delete_use", 0.5),
        ("unknown", "modify", "modify", "overlap", 1.0),
    ],
)
def test_operations_on_nested_targets_are_graded(relation: str, a: str, b: str, kind: str, confidence: float) -> None:
    """An outer removal counts in full, other nested work by 0.6 at most, work across each other by 0.5."""
    found = work_clash(Relation(relation), Operation(a), Operation(b))

    assert found == (kind, confidence)


def test_operations_on_targets_apart_do_not_meet() -> None:
    """No relation, no clash."""
    assert work_clash(Relation.DISJOINT, Operation.DELETE, Operation.MODIFY) is None


def test_operation_names_and_modes() -> None:
    """`refactor` is an edit; reading needs S and all else X; what is not stated follows the mode."""
    assert OPERATION_BY_NAME["refactor"] is Operation.MODIFY
    assert sorted(OPERATION_BY_NAME) == sorted([*OPERATIONS, "refactor"])
    assert [mode_of(each) for each in Operation] == [Mode.S] + [Mode.X] * 9
    assert implied_operation(None, Mode.S) is Operation.READ
    assert implied_operation(None, Mode.IX) is Operation.MODIFY
    assert implied_operation(Operation.DELETE, Mode.S) is Operation.DELETE
