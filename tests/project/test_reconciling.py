"""What stands between the branches of a project (issue 3, point 8)."""

from dataclasses import replace
from typing import Any

import pytest
from handler_bench import LOCAL, Bench
from planned import fill

from intermute.core import limits
from intermute.core.api.forecasts import Reconcile, Reconciled
from intermute.core.api.reservations import ReservationView, Reserve
from intermute.core.claims import BranchPolicy


@pytest.fixture
def bench() -> Bench:
    """A project in which other branches are only warned of."""
    made = Bench()
    made.state.policy = replace(made.state.policy, branch_policy=BranchPolicy.SAME)
    return made


def hold(bench: Bench, agent: str, pattern: str, branch: str | None, **more: Any) -> ReservationView:  # Any: fields.
    """Reserve on a branch."""
    view = bench.run(Reserve(agent_id=agent, pattern=pattern, branch=branch, **more))
    assert isinstance(view, ReservationView)
    return view


def reconciled(bench: Bench, **more: Any) -> Reconciled:  # Any: fields of the query.
    """Return what stands between the branches."""
    found: Reconciled = bench.ask(Reconcile(**more))
    return found


def test_reconcile_groups_by_branch_in_the_order_of_merging(bench: Bench) -> None:
    """Least weight first, then the oldest; the pair names both sides with their agents."""
    bench.register("anna")
    core = hold(bench, "anna", "src", "core")
    api = hold(bench, "ben", "src/api.py", "api")
    hold(bench, "ben", "tests", "api")
    hold(bench, "cleo", "docs", "docs")
    nowhere = hold(bench, "dan", "src/web.py", "web")

    found = reconciled(bench)

    assert [(each.branch, each.claims, each.agents, each.weight) for each in found.branches] == [
        ("docs", 1, ["cleo"], 0.0),
        ("api", 2, ["ben"], 1.0),
        ("web", 1, ["dan"], 1.0),
        ("core", 1, ["anna"], 2.0),
    ]
    assert [(each.a.reservation_id, each.b.reservation_id, each.verdict) for each in found.pairs] == [
        (core.id, api.id, "conflict"),
        (core.id, nowhere.id, "conflict"),
    ]
    first = found.pairs[0]
    assert (first.a.held_by, first.a.agent_id, first.a.target) == ("anna", core.agent_id, "src")
    assert (first.b.branch, first.b.target, first.example, first.confidence) == ("api", "src/api.py", "src/api.py", 1.0)
    assert (found.as_of_seq, found.cut, found.more_pairs) == (bench.state.head, False, False)


def test_reconcile_groups_those_without_a_branch(bench: Bench) -> None:
    """They may be going anywhere, so what they meet counts."""
    hold(bench, "anna", "src", None)
    hold(bench, "ben", "lib", "b1")

    assert [(each.branch, each.weight) for each in reconciled(bench).branches] == [(None, 0.0), ("b1", 0.0)]


def test_reconcile_shows_as_many_pairs_as_asked_for(bench: Bench) -> None:
    """The weights are of all of them."""
    for number in range(3):
        hold(bench, f"agent-{number}", "src", f"b{number}")

    found = reconciled(bench, limit=2)

    assert (len(found.pairs), found.more_pairs) == (2, True)
    assert [each.weight for each in found.branches] == [2.0, 2.0, 2.0]


def test_reconcile_is_of_what_is_stored(bench: Bench) -> None:
    """A grant that is being flushed is not there yet."""
    before = hold(bench, "anna", "src", "b1")
    bench.decide((Reserve(agent_id="ben", pattern="src", branch="b2"), LOCAL))

    found = reconciled(bench)

    assert [each.branch for each in found.branches] == ["b1"]
    assert found.as_of_seq == before.seq


@pytest.mark.parametrize(
    ("held", "is_cut"), [(limits.RECONCILE_CLAIMS_MAX, False), (limits.RECONCILE_CLAIMS_MAX + 1, True)]
)
def test_reconcile_of_too_much_is_cut(bench: Bench, held: int, *, is_cut: bool) -> None:
    """It answers for the oldest claims and says that there are more, rather than to fail."""
    fill(bench, held)

    found = reconciled(bench)

    assert found.cut is is_cut
    assert [each.claims for each in found.branches] == [limits.RECONCILE_CLAIMS_MAX]
