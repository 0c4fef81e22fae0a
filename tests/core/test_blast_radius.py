"""The blast radius: who is warned of a change in what it calls, and how surely."""

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx, mark

from intermute.core.blast_radius import (
    CONFIDENCE_MIN,
    BlastRadius,
    Call,
    CallGraph,
    WriterIndex,
    call_confidence,
    change_weight,
    reached,
)
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.findings import FindingKind, Verdict
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.work_operations import Operation

F, CALLER, FAR = "src/f.py::f", "src/api.py::pay", "src/web.py::page"


def _live(claim_id: str, holder: str, text: str, *, mode: Mode = Mode.X, op: Operation | None = None) -> Claim:
    return Claim(claim_id, 1, AgentId(holder), (ClaimTarget(0, parse_glob(text), mode, op),))


def _graph(*calls: tuple[str, str, float]) -> CallGraph:
    return CallGraph(Call(*call) for call in calls)


def _blast(graph: CallGraph, requested: Claim, held: Claim) -> list[float]:
    return [finding.confidence for finding in BlastRadius(graph).findings(requested, held)]


@mark.parametrize(
    ("op", "edge", "expected"),
    [
        (Operation.MODIFY, 1.0, [0.375]),
        (Operation.RENAME, 1.0, [0.75]),
        (Operation.DELETE, 1.0, [0.75]),
        (None, 1.0, [0.525]),
        (Operation.RENAME, call_confidence(same_named=4), []),  # 0.094
        (Operation.RENAME, call_confidence(same_named=3), [0.125]),
        (Operation.RENAME, 0.2, [0.15]),
        (Operation.MODIFY, 0.2, []),  # 0.075
        (Operation.READ, 1.0, []),
        (Operation.CREATE, 1.0, []),
    ],
)
def test_blast_radius_has_the_published_figures(op: Operation | None, edge: float, expected: list[float]) -> None:
    """S18: a direct caller is warned by what is done and how sure the call is, from either side."""
    graph = _graph((CALLER, F, edge))
    changer, writer = _live("a", "anna", F, op=op), _live("b", "ben", CALLER, op=Operation.MODIFY)

    assert _blast(graph, changer, writer) == approx(expected)
    assert _blast(graph, writer, changer) == approx(expected)


def test_blast_radius_finding_shows_the_calls() -> None:
    """The warning leads from the changed symbol to the other's, whoever asks."""
    graph = _graph((CALLER, F, 1.0), (FAR, CALLER, 0.95))
    changer, writer = _live("a", "anna", F, op=Operation.DELETE), _live("b", "ben", FAR, op=Operation.MODIFY)

    (forth,) = BlastRadius(graph).findings(changer, writer)
    (back,) = BlastRadius(graph).findings(writer, changer)

    assert forth.path == back.path == (F, CALLER, FAR)
    assert forth.confidence == approx(0.75 * 0.95 * 0.6)
    assert back.confidence == approx(forth.confidence)
    assert (forth.kind, forth.verdict) == (FindingKind.BLAST_RADIUS_OVERLAP, Verdict.WARN)
    assert forth.claim is writer
    assert back.claim is changer


def test_blast_radius_ends_where_it_gets_thin() -> None:
    """Each call costs 0.6; below 0.1 it is cut."""
    calls = [(f"a.py::f{n + 1}", f"a.py::f{n}", 1.0) for n in range(8)]
    graph = _graph(*calls)

    found = reached(graph.callers, ["a.py::f0"], 1.0)

    assert [reach.confidence for reach in found.values()] == approx([0.75, 0.45, 0.27, 0.162])
    assert all(reach.confidence >= CONFIDENCE_MIN for reach in found.values())


def test_blast_radius_takes_the_surest_way_and_survives_circles() -> None:
    """Of two ways the surer one counts, even where it is longer; recursion ends."""
    graph = _graph(("c", "f", 0.2), ("b", "f", 1.0), ("c", "b", 1.0), ("f", "c", 1.0), ("b", "b", 1.0))

    found = reached(graph.callers, ["f"], 1.0)

    assert {address: reach.path for address, reach in found.items()} == {"b": ("f", "b"), "c": ("f", "b", "c")}
    assert found["c"].confidence == approx(0.45)


@mark.parametrize(
    ("target", "expected"),
    [
        (F, 1),
        ("src/f.py", 1),
        ("src/*.py", 0),  # It holds the caller, too: that is an overlap, and told as one.
        ("src/f*.py", 1),
        ("src/f.py::g", 0),
        ("lib", 0),
    ],
)
def test_blast_radius_starts_from_all_that_is_claimed(target: str, expected: int) -> None:
    """A file or glob changes all its symbols; what overlaps anyway is not told twice."""
    graph = _graph((CALLER, F, 1.0))

    assert len(_blast(graph, _live("a", "anna", target), _live("b", "ben", CALLER))) == expected


def test_blast_radius_leaves_an_overlap_to_the_modes() -> None:
    """Who holds the directory of both is in conflict already."""
    graph = _graph((CALLER, F, 1.0))

    assert _blast(graph, _live("a", "anna", F), _live("b", "ben", "src")) == []
    assert len(_blast(graph, _live("a", "anna", F), _live("b", "ben", "src/a*.py"))) == 1


def test_blast_radius_is_between_writers_of_different_holders() -> None:
    """Readers, intentions and oneself are not warned."""
    graph = _graph((CALLER, F, 1.0))
    changer = _live("a", "anna", F)

    assert _blast(graph, changer, _live("b", "anna", CALLER)) == []
    for mode in (Mode.IS, Mode.IX, Mode.S, Mode.SIX):
        assert _blast(graph, changer, _live("b", "ben", CALLER, mode=mode)) == []


def test_call_confidence_is_as_published() -> None:
    """A resolved name is sure, `self.m` nearly, one of k methods half by k, one of nine nothing."""
    assert call_confidence(is_resolved=True) == 1.0
    assert call_confidence(is_on_self=True) == 0.95
    assert [call_confidence(same_named=k) for k in (1, 4, 8, 9, 0)] == [0.5, 0.125, 0.0625, 0.0, 0.0]


def test_change_of_a_signature_weighs_like_a_removal() -> None:
    """A body edit concerns callers half as much."""
    edit = ClaimTarget(0, parse_glob(F), Mode.X, Operation.MODIFY)

    assert change_weight(edit) == 0.5
    assert change_weight(edit, is_signature_changed=True) == 1.0


SYMBOLS = st.sampled_from([f"{path}::{name}" for path in ("src/f.py", "src/api.py", "lib/web.py") for name in "fgh"])
WIDE = st.sampled_from(["src", "src/*.py", "**/*.py", "lib/web.py", "src/f*.py::f", "docs"])


@given(
    calls=st.lists(st.tuples(SYMBOLS, SYMBOLS, st.sampled_from([1.0, 0.5])), max_size=12),
    mine=SYMBOLS | WIDE,
    held=st.lists(st.tuples(st.sampled_from(["anna", "ben"]), SYMBOLS | WIDE, st.sampled_from(Mode)), max_size=6),
)
def test_blast_radius_of_an_index_is_that_of_each_claim(
    calls: list[tuple[str, str, float]], mine: str, held: list[tuple[str, str, Mode]]
) -> None:
    """Looking claims up by what is reached finds what asking for each of them finds."""
    graph, changer = _graph(*calls), _live("a", "anna", mine)
    claims = [_live(f"r{n}", holder, text, mode=mode) for n, (holder, text, mode) in enumerate(held)]
    index = WriterIndex()
    for claim in claims:
        index.add(claim)

    found = BlastRadius(graph).findings_in(changer, index)

    expected = [each for claim in claims for each in BlastRadius(graph).findings(changer, claim)]
    assert sorted((each.claim.id, each.confidence, each.path) for each in found) == sorted(
        (each.claim.id, each.confidence, each.path) for each in expected
    )


def test_blast_radius_stops_when_its_work_is_spent() -> None:
    """A hub that everything calls is not followed for ever; what was left out is owned up to."""
    graph = _graph(*[(f"src/c{n}.py::g", F, 1.0) for n in range(100)])
    changer, index = _live("a", "anna", F), WriterIndex()
    index.add(_live("b", "ben", "src/c1.py::g"))

    small, large = BlastRadius(graph, steps_max=100), BlastRadius(graph, steps_max=1000)

    assert small.findings_in(changer, index) == []
    assert small.is_cut
    assert len(large.findings_in(changer, index)) == 1
    assert not large.is_cut
    assert small.findings_in(changer, index) == [], "what is spent stays spent"


def test_blast_radius_reaches_wildcards_and_directories() -> None:
    """Whatever a writer claims that holds the caller."""
    graph, changer = _graph((CALLER, F, 1.0)), _live("a", "anna", F)
    index = WriterIndex()
    for number, text in enumerate(["src/a*.py", "**/api.py::pay", "src/api.py", "src/*.js", "lib"]):
        index.add(_live(f"r{number}", "ben", text))

    assert [each.claim.id for each in BlastRadius(graph).findings_in(changer, index)] == ["r2", "r0", "r1"]
