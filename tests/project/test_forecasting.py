"""Preflight of a plan: committed facts of one place in the log, and nothing reserved (claims.md 7, issue 3 point 8)."""

import apsw
import pytest
from handler_bench import LOCAL, Bench, claiming
from hypothesis import given
from hypothesis import strategies as st
from planned import CALLER, COMMIT, F, findings, foreseen, foreseen_with_graph, step

from intermute.core.api.claims import TargetWish
from intermute.core.api.forecasts import ForecastPlan, Include, PlanStep, RadiusState
from intermute.core.api.reservations import ReleaseReservation, RenewReservation, ReservationView, Reserve
from intermute.core.blast_radius import Call, CallGraph
from intermute.core.claims import BranchPolicy
from intermute.core.errors import InvalidRequest, ReservationConflict, StaleForecast
from intermute.core.times import rfc3339
from intermute.core.wishes import OnConflict
from intermute.project.handlers import forecasts
from intermute.project.transaction import Desk


@pytest.fixture
def bench() -> Bench:
    """A project in which nobody is known yet."""
    return Bench()


def test_forecast_is_as_sketched(bench: Bench) -> None:
    """The sketch of claims.md 7: one step renames what another agent reads, whose own step calls what is renamed.

    The one medium risk of the sketch is an ordered pair, which is information and not counted.
    """
    held = bench.reserve("agent-42", "src/*.py", shared=True, ttl_s=600)
    total, pay = "src/billing.py::compute_total", "src/api/pay.py::process_payment"

    def load(_connection: apsw.Connection, _fold_case: bool) -> tuple[CallGraph, str]:
        return CallGraph([Call(pay, total, 1.0)]), COMMIT

    rename = TargetWish(address=total, op="rename", to="src/billing.py::compute_invoice_total")
    modify = TargetWish(pattern="src/api/*.py", mode="X", op="modify")
    query = ForecastPlan(
        branch_policy=BranchPolicy.ANY,
        include=list(Include),
        plan=[
            PlanStep(step="s1", agent_id="agent-41", targets=[rename]),
            PlanStep(step="s2", agent_id="agent-42", after=["s1"], targets=[modify]),
        ],
    )

    found = forecasts.forecast_plan(query, Desk(bench.state, bench.now(), LOCAL), load).work(bench.connection)

    assert (found.as_of_seq, found.verdict) == (held.seq, "conflict")
    first, second = found.steps
    assert (first.step, first.would_grant, first.earliest) == ("s1", False, held.expires_at)
    assert (found.high_risk, found.medium_risk, found.low_risk) == (1, 0, 0)
    [finding] = first.findings
    assert (finding.against, finding.kind, finding.confidence) == (f"reservation:{held.id}", "containment", 1.0)
    assert (finding.held_by, finding.relation, finding.example) == ("agent-42", "within", "src/billing.py")
    assert (finding.requested.target, finding.held.target) == (total, "src/*.py")
    assert (second.step, second.would_grant, second.earliest, second.more) == ("s2", True, None, False)
    assert found.pairs is not None
    [pair] = found.pairs
    assert (pair.a, pair.b, pair.kind, pair.confidence) == ("s1", "s2", "blast_radius_overlap", 0.75)
    assert (pair.path, pair.ordered) == ([total, pay], True)
    assert found.waves == [["s1"], ["s2"]]
    assert (found.blast_radius.state, found.blast_radius.index_commit) == (RadiusState.OK, COMMIT)


# ---- S13: a forecast and the reservations that rely on it


def test_reserving_after_a_relevant_change_is_stale(bench: Bench) -> None:
    """S13: forecast at one place in the log, a claim on the same path after it, then if_seq: 409, naming the claim."""
    bench.reserve("cleo", "docs")
    seq = foreseen(bench, step("s1", "anna", "src/a.py", mode="S")).as_of_seq
    meanwhile = bench.reserve("ben", "src", shared=True)

    with pytest.raises(StaleForecast) as refusal:
        bench.run(Reserve(agent_id="anna", pattern="src/a.py", mode="S", if_seq=seq))

    [changed] = refusal.value.changed
    assert isinstance(changed, dict)
    assert (changed["reservation_id"], changed["seq"]) == (meanwhile.id, seq + 1)


def test_reserving_after_an_irrelevant_change_is_granted(bench: Bench) -> None:
    """S13: what happened elsewhere, and what has ended, does not count."""
    ended = bench.reserve("cleo", "src/b.py")
    seq = foreseen(bench, step("s1", "anna", "src/a.py")).as_of_seq
    bench.reserve("ben", "docs")
    bench.run(ReleaseReservation(reservation_id=ended.id))

    view = bench.run(Reserve(agent_id="anna", pattern="src/a.py", if_seq=seq))

    assert isinstance(view, ReservationView)


def test_forecast_during_a_flush_is_of_before_it(bench: Bench) -> None:
    """A grant on its way to the disk is not in the forecast, so the forecast's place in the log is before the grant."""
    before = bench.reserve("cleo", "docs")
    _, transactions = bench.decide((Reserve(agent_id="ben", pattern="src", mode="S"), LOCAL))

    found = foreseen(bench, step("s1", "anna", "src", mode="S"), include=[Include.RESERVATIONS])
    blocked = foreseen(bench, step("s1", "anna", "src"))
    bench.store(transactions)

    assert (found.verdict, blocked.verdict) == ("clear", "clear")
    assert found.as_of_seq == before.seq
    with pytest.raises(StaleForecast):
        bench.run(Reserve(agent_id="anna", pattern="src", mode="S", if_seq=found.as_of_seq))


def test_forecast_counts_a_release_once_it_is_stored(bench: Bench) -> None:
    """Until then a power cut could bring the reservation back; a renewal that is being flushed promises nothing yet."""
    held, renewed = bench.reserve("ben", "src", ttl_s=100), bench.reserve("ben", "lib", ttl_s=100)
    _, transactions = bench.decide(
        (ReleaseReservation(reservation_id=held.id), LOCAL),
        (RenewReservation(reservation_id=renewed.id, ttl_seconds=900), LOCAL),
    )
    plan = (step("s1", "anna", "src"), step("s2", "anna", "lib"))

    flushing = foreseen(bench, *plan)
    bench.store(transactions)
    stored = foreseen(bench, *plan)

    assert [each.earliest for each in flushing.steps] == [held.expires_at, renewed.expires_at]
    assert [each.would_grant for each in stored.steps] == [True, False]
    assert stored.steps[1].earliest != renewed.expires_at


def test_forecast_is_computed_on_what_was_gathered(bench: Bench) -> None:
    """What changes while the thread computes is not mixed in: one answer is of one place in the log."""
    before = bench.reserve("ben", "src")
    query = ForecastPlan(plan=[step("s1", "anna", "src"), step("s2", "anna", "lib")])
    gathered = forecasts.forecast_plan(query, Desk(bench.state, bench.now(), LOCAL))

    bench.run(ReleaseReservation(reservation_id=before.id))
    bench.reserve("ben", "lib")
    found = gathered.work(bench.connection)

    assert found.as_of_seq == before.seq
    assert [each.would_grant for each in found.steps] == [False, True]


def test_forecast_changes_nothing_and_holds_nothing(bench: Bench) -> None:
    """What was foreseen as free is free for everybody."""
    foreseen(bench, step("s1", "anna", "src"))

    assert bench.reserve("ben", "src").is_active


# ---- S14: one agent's own


def test_steps_of_one_agent_never_clash(bench: Bench) -> None:
    """S14: overlapping steps of one agent, known by id and by name, are no finding and run side by side."""
    anna = bench.register("anna")

    found = foreseen(bench, step("s1", "anna", "src"), step("s2", anna.agent_id, "src/a.py"))

    assert (found.verdict, found.pairs, found.waves) == ("clear", [], [["s1", "s2"]])


def test_step_is_not_stopped_by_what_its_agent_holds(bench: Bench) -> None:
    """S14: the agent's own reservations, found by its name, join the modes of its steps and stand in no way."""
    bench.register("anna")
    bench.reserve("anna", "src")
    bench.run(Reserve(agent_id="anna", pattern="lib", mode="S"))
    bench.run(Reserve(agent_id="ben", pattern="lib", mode="S"))

    found = foreseen(bench, step("s1", "anna", "src/a.py"), step("s2", "anna", "lib", mode="IX"))

    assert found.steps[0].would_grant
    assert findings(found, "s2")[0].requested.mode == "SIX"


def test_step_without_an_agent_is_the_callers(bench: Bench) -> None:
    """Who asks need not repeat its name; a caller that nobody knows is asked for one, by the place in the plan."""
    bench.register("anna")
    bench.reserve("anna", "src")
    query = ForecastPlan(plan=[PlanStep(step="s1", agent="anna", path="lib"), PlanStep(step="s2", path="src")])

    found = bench.ask(query, claiming("anna"))
    with pytest.raises(InvalidRequest) as refusal:
        bench.ask(query)

    assert found.verdict == "clear"
    assert [field for field, _ in refusal.value.problems] == ["plan[1].agent_id"]


# ---- S18: the blast radius


@pytest.mark.parametrize(("op", "confidence"), [("modify", 0.375), ("rename", 0.75)])
def test_forecast_warns_of_those_who_call_what_changes(bench: Bench, op: str, confidence: float) -> None:
    """S18: another holds the direct caller; a body edit warns half as surely as a rename, and both would be granted."""
    held = bench.run(Reserve(agent_id="ben", address=CALLER))

    found = foreseen_with_graph(bench, PlanStep(step="s1", agent_id="anna", address=F, op=op))

    [finding] = findings(found, "s1")
    assert (finding.against, finding.kind, finding.verdict) == (
        f"reservation:{held.id}",
        "blast_radius_overlap",
        "warn",
    )
    assert (finding.confidence, finding.path, finding.example) == (confidence, [F, CALLER], None)
    assert (found.steps[0].would_grant, found.verdict) == (True, "warn")
    assert (found.medium_risk, found.low_risk) == ((1, 0) if confidence > 0.5 else (0, 1))


def test_forecast_drops_a_call_that_may_mean_many(bench: Bench) -> None:
    """S18: an unknown receiver with four candidates is too unsure to speak of, even for a rename."""
    bench.run(Reserve(agent_id="ben", address=CALLER))
    graph = CallGraph([Call(CALLER, F, 0.125)])
    query = ForecastPlan(plan=[PlanStep(step="s1", agent_id="anna", address=F, op="rename")])

    wanted = forecasts.forecast_plan(query, Desk(bench.state, bench.now(), LOCAL), lambda *_: (graph, COMMIT))

    assert wanted.work(bench.connection).verdict == "clear"


def test_forecast_says_that_there_is_no_call_graph(bench: Bench) -> None:
    """Silence about callers must not look as if there were none; not asked is not asked."""
    bench.run(Reserve(agent_id="ben", address=CALLER))
    plan = PlanStep(step="s1", agent_id="anna", address=F, op="rename")

    assert foreseen(bench, plan).blast_radius.state is RadiusState.UNAVAILABLE
    found = foreseen_with_graph(bench, plan, include=[Include.RESERVATIONS])
    assert (found.blast_radius.state, found.verdict) == (RadiusState.NOT_ASKED, "clear")


# ---- what is looked at, and under which policy


def test_forecast_under_another_branch_policy(bench: Bench) -> None:
    """`branch_policy` counts for this forecast, between branches only, live or planned."""
    bench.run(Reserve(agent_id="ben", pattern="src", branch="b1"))
    plan = (step("s1", "anna", "src", branch="b2"), step("s2", "cleo", "src", branch="b3"))

    strict, lenient = foreseen(bench, *plan), foreseen(bench, *plan, branch_policy=BranchPolicy.SAME)

    assert (strict.verdict, strict.waves) == ("conflict", [["s1"], ["s2"]])
    assert (lenient.verdict, lenient.waves) == ("warn", [["s1", "s2"]])
    assert all(each.would_grant for each in lenient.steps)


def test_forecast_looks_at_what_it_is_told_to(bench: Bench) -> None:
    """Without `reservations` nothing live counts, without `plan` there are neither pairs nor waves."""
    bench.reserve("ben", "src")
    plan = (step("s1", "anna", "src"), step("s2", "cleo", "src"))

    live = foreseen(bench, *plan, include=[Include.RESERVATIONS])
    planned = foreseen(bench, *plan, include=[Include.PLAN])

    assert (live.high_risk, live.pairs, live.waves) == (2, None, None)
    assert (planned.high_risk, [each.findings for each in planned.steps]) == (1, [[], []])
    assert foreseen(bench, *plan, include=[]).verdict == "clear"


def test_forecast_counts_who_waits_already(bench: Bench) -> None:
    """A step that would have to go behind somebody in the queue would not be granted, and reserving agrees."""
    bench.reserve("ben", "src/a.py", ttl_s=600)
    ticket = bench.run(Reserve(agent_id="cleo", pattern="src", on_conflict=OnConflict.WAIT)).ticket

    found = foreseen(bench, step("s1", "anna", "src/b.py"), step("s2", "dan", "lib"))

    assert [(each.against, each.held_by) for each in findings(found, "s1")] == [(f"waiting:{ticket}", "cleo")]
    assert [(each.would_grant, each.earliest) for each in found.steps] == [(False, None), (True, None)]
    with pytest.raises(ReservationConflict):
        bench.reserve("anna", "src/b.py")


def test_forecast_of_a_step_says_what_reserving_says(bench: Bench) -> None:
    """`would_grant` errs in neither direction."""
    for agent, pattern, mode in [("ben", "src/*.py", "X"), ("cleo", "docs", "S"), ("dan", "lib", "IX")]:
        bench.run(Reserve(agent_id=agent, pattern=pattern, mode=mode))

    @given(
        text=st.sampled_from(["src", "src/a.py", "src/api/x.py", "docs/x", "lib", "lib/a.py", "**/*.py", "lib::f"]),
        mode=st.sampled_from(["X", "S", "IX", "IS", "SIX"]),
    )
    def agrees(text: str, mode: str) -> None:
        [one] = foreseen(bench, step("s1", "anna", text, mode=mode)).steps
        try:
            view = bench.run(Reserve(agent_id="anna", pattern=text, mode=mode))
            bench.run(ReleaseReservation(reservation_id=view.id))
        except ReservationConflict:
            assert not one.would_grant
        else:
            assert one.would_grant

    agrees()


def test_forecast_notes_literal_paths_with_wildcards(bench: Bench) -> None:
    """The same advice as when reserving, with the step's name."""
    found = foreseen(bench, PlanStep(step="s1", agent_id="anna", paths=["src/*.py"]))

    assert found.notes is not None
    assert found.notes[0].startswith("s1: paths is literal")


def test_earliest_is_when_the_lease_ends(bench: Bench) -> None:
    """The last one in the way ends then, if nobody renews it."""
    bench.reserve("ben", "src/a.py", ttl_s=60)
    last = bench.reserve("cleo", "src/b.py", ttl_s=600)
    [lease] = [each for each in bench.state.leases if each.id == last.id]

    [one] = foreseen(bench, step("s1", "anna", "src")).steps

    assert one.earliest == rfc3339(lease.expires_at_us)
