"""Branches before a merge: what stands between them, how heavily, and who goes first."""

from pytest import approx, mark

from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim, ClaimTarget, Standing
from intermute.core.claim_targets import parse_glob
from intermute.core.claims import BranchPolicy, Policy
from intermute.core.findings import Verdict
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.reconcile import Reconciliation, reconcile
from intermute.core.work_operations import Operation

SAME = Policy(branch_policy=BranchPolicy.SAME)


def _claim(
    sequence: int,
    holder: str,
    branch: str | None,
    *texts: str,
    mode: Mode = Mode.X,
    op: Operation | None = None,
    standing: Standing = Standing.ENFORCED,
) -> Claim:
    targets = tuple(ClaimTarget(n, parse_glob(text), mode, op) for n, text in enumerate(texts))
    return Claim(f"r{sequence}", sequence, AgentId(holder), targets, standing, branch)


def _branches(found: Reconciliation) -> list[tuple[str | None, int, float]]:
    return [(each.branch, each.claims, each.weight) for each in found.branches]


def _pairs(found: Reconciliation) -> list[tuple[str, str, float]]:
    return [(each.finding.claim.id, each.claim.id, each.finding.confidence) for each in found.pairs]


def test_reconcile_of_nothing_is_empty() -> None:
    """No claim, no branch."""
    assert reconcile([], SAME) == Reconciliation((), (), is_cut=False)


def test_reconcile_orders_by_weight_and_then_by_age() -> None:
    """The branch that clashes least goes first; of two alike the older one."""
    claims = [
        _claim(1, "anna", "core", "src"),
        _claim(2, "ben", "api", "src/api.py"),
        _claim(3, "cleo", "web", "src/web.py"),
        _claim(4, "dan", "docs", "docs"),
        _claim(5, "dan", "docs", "readme"),
    ]

    found = reconcile(reversed(claims), SAME)

    assert _branches(found) == [("docs", 2, 0.0), ("api", 1, 1.0), ("web", 1, 1.0), ("core", 1, 2.0)]
    assert _pairs(found) == [("r1", "r2", 1.0), ("r1", "r3", 1.0)]
    assert [each.oldest for each in found.branches] == [4, 2, 3, 1]


@mark.parametrize("policy", list(BranchPolicy))
def test_reconcile_weighs_what_the_policy_lets_through(policy: BranchPolicy) -> None:
    """Apart it may have been a warning; where both are going it is a conflict."""
    claims = [_claim(1, "anna", "a", "src"), _claim(2, "ben", "b", "src")]

    (pair,) = reconcile(claims, Policy(branch_policy=policy)).pairs

    assert (pair.finding.verdict, pair.finding.confidence) == (Verdict.CONFLICT, 1.0)


def test_reconcile_leaves_out_what_is_within_a_branch() -> None:
    """One branch's own troubles are not a matter of merging, and one agent is not in its own way."""
    claims = [
        _claim(1, "anna", "a", "src"),
        _claim(2, "ben", "a", "src"),
        _claim(3, "anna", "b", "src", mode=Mode.S),
    ]

    assert _pairs(reconcile(claims, SAME)) == [("r2", "r3", 1.0)]


def test_reconcile_has_a_group_of_those_without_a_branch() -> None:
    """They are going somewhere, too."""
    found = reconcile([_claim(1, "anna", None, "src"), _claim(2, "ben", "b", "src")], SAME)

    assert _branches(found) == [(None, 1, 1.0), ("b", 1, 1.0)]


def test_reconcile_sums_confidences_and_shows_the_heaviest_first() -> None:
    """A declared operation weighs as surely as it clashes."""
    claims = [
        _claim(1, "anna", "a", "x.py::f", op=Operation.RENAME),
        _claim(2, "ben", "b", "x.py::f", op=Operation.MODIFY, standing=Standing.DECLARED),
        _claim(3, "cleo", "c", "x.py", op=Operation.MODIFY),
    ]

    found = reconcile(claims, SAME)

    assert _pairs(found) == [("r1", "r3", 1.0), ("r1", "r2", 0.8), ("r2", "r3", 0.6)]
    assert [each.branch for each in found.branches] == ["b", "c", "a"]
    assert [each.weight for each in found.branches] == approx([1.4, 1.6, 1.8])


@mark.parametrize(("findings_max", "is_cut"), [(2, True), (3, False), (4, False)])
def test_reconcile_stops_after_so_many_findings(findings_max: int, *, is_cut: bool) -> None:
    """Three claims on one file are three findings; every branch is counted all the same."""
    claims = [_claim(n, f"agent-{n}", f"b{n}", "src") for n in range(1, 4)]

    found = reconcile(claims, SAME, findings_max=findings_max)

    assert found.is_cut is is_cut
    assert len(found.branches) == 3


def test_reconcile_stops_when_its_work_is_spent() -> None:
    """It answers what it has found by then."""
    claims = [
        _claim(1, "anna", "a", "src/x.py"),
        _claim(2, "ben", "b", "src/x.py"),
        *[_claim(n, f"agent-{n}", "c", f"*/*/*{n}") for n in range(3, 40)],
    ]

    found = reconcile(claims, SAME, work=Work(steps_max=50))

    assert found.is_cut
    assert _pairs(found)[0] == ("r1", "r2", 1.0)
    assert sum(each.claims for each in found.branches) == len(claims)
