"""Plans that are none, and how much one plan may make a project look at (claims.md 7)."""

import pytest
from handler_bench import LOCAL, Bench
from planned import F, fill, foreseen, foreseen_with_graph, step

from intermute.core import limits
from intermute.core.api.claims import TargetWish
from intermute.core.api.forecasts import ForecastPlan, PlanStep
from intermute.core.errors import InvalidRequest, PatternTooBroad
from intermute.core.plan_steps import PLAN_GLOBS_MAX, PLAN_STEPS_MAX, PLAN_TARGETS_MAX
from intermute.project.handlers import forecasts
from intermute.project.transaction import Desk


@pytest.fixture
def bench() -> Bench:
    """A project in which nobody is known yet."""
    return Bench()


def refused(bench: Bench, *steps: PlanStep) -> list[tuple[str, str]]:
    """Return what is wrong with a plan."""
    with pytest.raises(InvalidRequest) as refusal:
        foreseen(bench, *steps)
    return list(refusal.value.problems)


@pytest.mark.parametrize(("held", "is_cut"), [(limits.BLAST_CLAIMS_MAX, False), (limits.BLAST_CLAIMS_MAX + 1, True)])
def test_forecast_says_where_the_blast_radius_was_cut(bench: Bench, held: int, *, is_cut: bool) -> None:
    """Where more is held than can be looked at, the answer owns up to it."""
    fill(bench, held)

    found = foreseen_with_graph(bench, PlanStep(step="s1", agent_id="anna", address=F))

    assert found.blast_radius.cut is is_cut


@pytest.mark.parametrize(
    ("steps", "field", "problem"),
    [
        ([step("a", "anna", "x", after=["a"])], "plan", "wait for each other: a after a"),
        ([step("a", "anna", "x", after=["b"]), step("b", "ben", "y", after=["a"])], "plan", "a after b after a"),
        ([step("a", "anna", "x", after=["b"])], "plan[0].after", "'b', which is no step"),
        ([step("a", "anna", "x"), step("a", "ben", "y")], "plan[1].step", "two steps are called 'a'"),
        ([step("a", "anna", "x"), step("b", "ben")], "plan[1].path_pattern", "at least one target"),
        ([step("a", "anna", targets=[TargetWish(path="x", op="dance")])], "plan[0].targets[0].op", "use one of"),
        ([step("a", "anna", "x", mode="loud")], "plan[0].mode", "use one of"),
        ([step(f"s{n}", "anna", "x") for n in range(PLAN_STEPS_MAX + 1)], "plan", f"at most {PLAN_STEPS_MAX} steps"),
        (
            [step(f"s{n}", "anna", *[f"x{m}" for m in range(67)]) for n in range(3)],
            "plan",
            f"at most {PLAN_TARGETS_MAX} targets",
        ),
        (
            [step(f"s{n}", "anna", f"x{n}*") for n in range(PLAN_GLOBS_MAX + 1)],
            "plan",
            f"at most {PLAN_GLOBS_MAX} targets with wildcards",
        ),
        (
            [step(f"s{n}", "anna", f"{n}/{{{','.join(f'x{m}' for m in range(64))}}}") for n in range(5)],
            "plan",
            "may add 256 paths",
        ),
    ],
)
def test_plan_that_is_none_is_refused_by_field(bench: Bench, steps: list[PlanStep], field: str, problem: str) -> None:
    """Circles, unknown and double names, nothing and too much are named where they stand."""
    [(named, text)] = refused(bench, *steps)

    assert named == field
    assert problem in text


def test_plan_that_is_none_is_refused_before_anything_is_looked_up(bench: Bench) -> None:
    """A circle, or too much, costs neither a look-up nor the reading of the rest."""
    circle = [step("a", "anna", "x", after=["b"]), step("b", "ben", "y", after=["a"])]
    crowded = [step(f"s{n}", "anna", *[f"x{m}" for m in range(67)]) for n in range(3)]
    desk = Desk(bench.state, bench.now(), LOCAL)

    for plan in (circle, [*crowded, step("bad", "anna", "../x")]):
        with pytest.raises(InvalidRequest):
            forecasts.forecast_plan(ForecastPlan(plan=plan), desk)


def test_plan_at_its_limits_is_taken(bench: Bench) -> None:
    """The limits themselves are fine."""
    most = [step(f"s{n}", "anna", f"x{n}", f"y{n}") for n in range(PLAN_STEPS_MAX)]
    braces = [step(f"s{n}", "anna", f"{n}/{{{','.join(f'x{m}' for m in range(64))}}}") for n in range(4)]

    assert len(foreseen(bench, *most).steps) == PLAN_STEPS_MAX
    assert foreseen(bench, *braces).verdict == "clear"
    assert foreseen(bench).waves == []


def test_plan_that_meets_too_much_is_refused(bench: Bench) -> None:
    """Looking up what broad patterns meet stops at a bound, which the steps of a plan share."""
    for number in range(150):
        bench.reserve(f"agent-{number}", f"a{number}/b/c/d.py")
    broad = [step(f"s{n}", "anna", f"*/*/*/*z{n}") for n in range(PLAN_GLOBS_MAX)]

    assert foreseen(bench, *broad[:3]).verdict == "clear"
    with pytest.raises(PatternTooBroad):
        foreseen(bench, *broad)


def test_pairs_shown_are_the_riskiest(bench: Bench) -> None:
    """Of many pairs the answer lists the heaviest, and says that there are more; the counts are of all."""
    count = 33
    steps = [step(f"s{n}", f"agent-{n}", "x.py::g" if n < 2 else f"x.py::f{n}") for n in range(count)]
    last = step("last", "anna", "x.py", after=[each.step for each in steps])

    found = foreseen(bench, *steps, last)

    assert found.pairs is not None
    assert len(found.pairs) == limits.FORECAST_PAIRS_SHOWN_MAX < count * (count - 1) // 2
    assert [(each.a, each.b, each.verdict) for each in found.pairs[:2]] == [
        ("s0", "s1", "conflict"),
        ("s0", "s2", "warn"),
    ]
    assert not any(each.ordered for each in found.pairs)
    assert found.more_pairs
    assert (found.high_risk, found.medium_risk) == (1, count * (count - 1) // 2 - 1)
