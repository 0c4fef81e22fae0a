"""Decisions about two claims: who stands in whose way, and what the finding says."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark

from intermute.core.claim_records import Claim, ClaimTarget, Standing, joined, with_destinations
from intermute.core.claim_targets import parse_address, parse_glob, target_relation
from intermute.core.claims import BranchPolicy, Policy, SymbolFloor, decide, decide_targets
from intermute.core.findings import Certainty, Finding, FindingKind, Risk, Verdict, in_precedence
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.relations import Relation, mirrored
from intermute.core.work_operations import Operation


def _claim(
    *texts: str,
    holder: str = "anna",
    mode: Mode = Mode.X,
    op: Operation | None = None,
    to: str | None = None,
    standing: Standing = Standing.ENFORCED,
    branch: str | None = None,
    worktree: str | None = None,
    sequence: int = 1,
) -> Claim:
    destination = parse_address(to) if to else None
    stated = [ClaimTarget(n, parse_glob(text), mode, op, destination) for n, text in enumerate(texts)]
    return Claim(holder, sequence, AgentId(holder), with_destinations(stated), standing, branch, worktree)


def _kinds(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.verdict.value) for finding in findings]


def test_holder_never_clashes_with_itself() -> None:
    """Whatever one agent holds, it may claim the rest."""
    assert decide(_claim("src"), _claim("src/a.py")) == []


@mark.parametrize("other", [Standing.ENFORCED, Standing.FOREIGN, Standing.HYPOTHETICAL])
def test_binding_claims_conflict(other: Standing) -> None:
    """Reservations, foreign records and steps of a plan stand in each other's way."""
    findings = decide(_claim("src"), _claim("src/a.py", holder="ben", standing=other))

    assert _kinds(findings) == [("containment", "conflict")]
    assert findings[0].confidence == 1.0


def test_declared_claim_only_warns() -> None:
    """An intent without a reservation is news, not an obstacle, whichever side it is on."""
    intent = _claim("a.py::f", holder="ben", op=Operation.DELETE, standing=Standing.DECLARED)

    findings = decide(_claim("a.py::f"), intent)

    assert _kinds(findings) == [("operation_conflict", "warn")]
    assert findings[0].confidence == 0.9
    assert _kinds(decide(intent, _claim("a.py::f"))) == [("operation_conflict", "warn")]


def test_declared_claim_clashes_only_where_the_modes_do() -> None:
    """An intention to edit somewhere below does not disturb the one who edits one file there."""
    intent = _claim("src/a.py::f", holder="ben", op=Operation.MODIFY, standing=Standing.DECLARED)

    assert decide(_claim("src", mode=Mode.IX), intent) == []


def test_operation_never_relaxes_a_lock() -> None:
    """Reading and creating get along, S and X do not."""
    held = _claim("a.py", holder="ben", mode=Mode.S, op=Operation.READ)

    findings = decide(_claim("a.py", op=Operation.CREATE), held)

    assert _kinds(findings) == [("path_overlap", "conflict")]
    assert findings[0].confidence == 1.0


def test_destination_is_claimed_too() -> None:
    """A rename onto somebody's symbol collides there, from either side."""
    rename = _claim("a.py::f", op=Operation.RENAME, to="b.py::h")
    editor = _claim("b.py::h", holder="ben")

    assert _kinds(decide(rename, editor)) == [("create_collision", "conflict")]
    assert _kinds(decide(editor, rename)) == [("create_collision", "conflict")]


def test_destination_keeps_the_number_of_its_origin() -> None:
    """A finding about what is created points at the target that was asked for."""
    rename = _claim("x.py", "a.py::f", op=Operation.RENAME, to="b.py::h")

    assert [(each.number, each.origin is not None) for each in rename.targets] == [
        (0, False),
        (0, True),
        (1, False),
        (1, True),
    ]
    assert rename.targets[1].operation is Operation.CREATE
    assert rename.targets[1].mode is Mode.X


def test_destination_of_the_same_work_is_told_once() -> None:
    """Two who rename the same thing alike get one finding; two who rename different things alike collide."""
    mine = _claim("a.py::f", op=Operation.RENAME, to="a.py::g")
    same = _claim("a.py::f", holder="ben", op=Operation.RENAME, to="a.py::g")
    other = _claim("b.py::f", holder="ben", op=Operation.RENAME, to="a.py::g")

    assert _kinds(decide(mine, same)) == [("redundant_work", "conflict")]
    assert _kinds(decide(mine, other)) == [
        ("create_collision", "conflict"),
        ("same_file_shared_worktree", "warn"),
    ]


def test_destination_in_its_own_file_warns_about_that_file_once() -> None:
    """The floor is about files, and a rename inside a file touches one."""
    rename = _claim("a.py::f", op=Operation.RENAME, to="a.py::g")

    assert _kinds(decide(rename, _claim("a.py::k", holder="ben"))) == [("same_file_shared_worktree", "warn")]


@mark.parametrize(
    ("floor", "mine", "theirs", "expected"),
    [
        (SymbolFloor.WARN, None, None, [("same_file_shared_worktree", "warn")]),
        (SymbolFloor.WARN, "w1", None, [("same_file_shared_worktree", "warn")]),
        (SymbolFloor.WARN, "w1", "w2", [("same_file", "warn")]),
        (SymbolFloor.BLOCK, "w1", "w1", [("same_file_shared_worktree", "conflict")]),
        (SymbolFloor.BLOCK, "w1", "w2", [("same_file", "warn")]),
        (SymbolFloor.OFF, "w1", "w1", []),
    ],
)
def test_floor_under_symbols_is_as_the_project_says(
    floor: SymbolFloor, mine: str | None, theirs: str | None, expected: list[tuple[str, str]]
) -> None:
    """Two writers in one file are warned, blocked or left alone; an unstated worktree may be the same one."""
    requested, held = _claim("a.py::f", worktree=mine), _claim("a.py::g", holder="ben", worktree=theirs)

    assert _kinds(decide(requested, held, Policy(symbol_floor=floor))) == expected


@mark.parametrize("mode", [Mode.IS, Mode.IX, Mode.S, Mode.SIX])
def test_floor_is_for_two_writers(mode: Mode) -> None:
    """Who does not write its symbol overwrites nobody."""
    assert decide(_claim("a.py::f", mode=mode), _claim("a.py::g", holder="ben")) == []


@mark.parametrize(
    ("policy", "mine", "theirs", "expected"),
    [
        (BranchPolicy.ANY, "b1", "b2", "conflict"),
        (BranchPolicy.SAME, "b1", "b2", "warn"),
        (BranchPolicy.SAME, "b1", "b1", "conflict"),
        (BranchPolicy.SAME, "b1", None, "conflict"),
    ],
)
def test_branch_policy_softens_other_branches_only(
    policy: BranchPolicy, mine: str | None, theirs: str | None, expected: str
) -> None:
    """An unstated branch may be any, so it is taken for the same."""
    requested, held = _claim("a.py", branch=mine), _claim("a.py", holder="ben", branch=theirs)

    assert [each.verdict for each in decide(requested, held, Policy(branch_policy=policy))] == [Verdict(expected)]


def test_decide_lists_both_rows_of_the_held_claim() -> None:
    """S07: a reader of a directory meets the intention on it and the edit below it."""
    held = Claim(
        "r1",
        7,
        AgentId("ben"),
        (ClaimTarget(0, parse_glob("src"), Mode.IX), ClaimTarget(1, parse_glob("src/a.py"), Mode.X)),
    )

    findings = decide(_claim("src", mode=Mode.S), held)

    assert [(each.kind.value, each.held.number) for each in findings] == [("containment", 1), ("path_overlap", 0)]


def test_decide_of_one_pair_is_what_decide_lists() -> None:
    """A caller with an index of its own gets the same findings pair by pair."""
    requested, held = _claim("src/*.py", "docs"), _claim("src/a.py", holder="ben")

    one_by_one = [decide_targets(requested, mine, held, held.targets[0]) for mine in requested.targets]

    assert [each for each in one_by_one if each] == decide(requested, held)


def test_certainty_is_definite_where_the_narrower_is_a_path() -> None:
    """Two globs meet in files that may not exist."""
    globs = decide(_claim("src/*.py"), _claim("src/*.py", holder="ben"))
    path = decide(_claim("src/*.py"), _claim("src/a.py", holder="ben"))
    same = decide(_claim("src/a"), _claim("src/[a]", holder="ben"))

    assert [each.certainty for each in globs] == [Certainty.POTENTIAL]
    assert [each.certainty for each in path + same] == [Certainty.DEFINITE] * 2


def test_precedence_is_verdict_kind_standing_age() -> None:
    """The first finding is the primary one, and the order never depends on the input's."""
    mine = _claim("a.py::f", "b.py", branch="b1")
    others = [
        _claim("b.py", holder="ben", sequence=5, branch="b1"),
        _claim("b.py", holder="cleo", sequence=4, branch="b1"),
        _claim("b.py", holder="dan", sequence=1, standing=Standing.FOREIGN, branch="b1"),
        _claim("a.py::f", holder="eve", sequence=9, branch="b2"),
        _claim("a.py::g", holder="fay", sequence=3, branch="b1"),
        _claim("a.py", holder="gil", sequence=8, branch="b1"),
    ]
    policy = Policy(branch_policy=BranchPolicy.SAME)
    found = [finding for other in others for finding in decide(mine, other, policy)]

    ordered = in_precedence(found)

    assert [each.claim.holder for each in ordered] == ["gil", "cleo", "ben", "dan", "eve", "fay"]
    assert in_precedence(reversed(found)) == ordered


def test_risk_has_its_borders() -> None:
    """0.9 is high and 0.5 medium."""
    finding = decide(_claim("a.py"), _claim("a.py", holder="ben"))[0]

    def risk(confidence: float) -> Risk:
        return Finding(
            FindingKind.PATH_OVERLAP,
            Verdict.WARN,
            Relation.EQUAL,
            confidence,
            Certainty.POTENTIAL,
            None,
            finding.requested,
            finding.held,
            finding.claim,
        ).risk

    assert [risk(each) for each in (1.0, 0.9, 0.89, 0.5, 0.49, 0.1)] == [
        "high",
        "high",
        "medium",
        "medium",
        "low",
        "low",
    ]


def test_joined_targets_have_the_supremum() -> None:
    """S14: what one holder claims twice it holds in the joined mode; other targets keep theirs."""
    own = [ClaimTarget(0, parse_glob("src/"), Mode.S)]
    asked = [ClaimTarget(0, parse_glob("src/**"), Mode.IX), ClaimTarget(1, parse_glob("src/a.py"), Mode.X)]

    assert [each.mode for each in joined(asked, own)] == [Mode.SIX, Mode.X]


TEXTS = st.sampled_from(
    [
        "src",
        "src/*",
        "src/a.py",
        "src/*.py",
        "src/a.py::f",
        "src/a.py::f.g",
        "src/*.py::f",
        "src/[a]*",
        "**/a.py",
        "lib",
    ]
)
CLAIMS = st.builds(
    lambda texts, mode, op, standing, branch: (texts, mode, op, standing, branch),
    st.lists(TEXTS, min_size=1, max_size=3),
    st.sampled_from(Mode),
    st.none() | st.sampled_from(Operation),
    st.sampled_from(Standing),
    st.sampled_from([None, "b1", "b2"]),
)


@settings(max_examples=300)
@given(a=CLAIMS, b=CLAIMS, policy=st.builds(Policy, st.sampled_from(BranchPolicy), st.sampled_from(SymbolFloor)))
def test_decide_is_the_same_from_both_sides(
    a: tuple[list[str], Mode, Operation | None, Standing, str | None],
    b: tuple[list[str], Mode, Operation | None, Standing, str | None],
    policy: Policy,
) -> None:
    """Who asks and who holds makes no difference to what is found, but for the direction."""
    one, other = (
        _claim(*texts, holder=holder, mode=mode, op=op, standing=standing, branch=branch)
        for holder, (texts, mode, op, standing, branch) in (("anna", a), ("ben", b))
    )

    forth, back = decide(one, other, policy), decide(other, one, policy)

    assert sorted(
        (f.kind, f.verdict, f.relation, f.confidence, f.certainty, f.example or "", f.requested.number, f.held.number)
        for f in forth
    ) == sorted(
        (
            *(f.kind, f.verdict, mirrored(f.relation), f.confidence, f.certainty, f.example or ""),
            *(f.held.number, f.requested.number),
        )
        for f in back
    )
    for finding in forth:
        assert finding.relation is target_relation(finding.requested.target, finding.held.target)
