"""Forecasts of plans: live claims, pairs, waves and the blast radius."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark, raises

from intermute.core.blast_radius import (
    Call,
    CallGraph,
)
from intermute.core.claim_records import Claim, ClaimTarget, Standing, with_destinations
from intermute.core.claim_targets import parse_address, parse_glob
from intermute.core.claims import BranchPolicy, Policy, decide
from intermute.core.errors import InvalidRequest
from intermute.core.findings import Risk, Verdict
from intermute.core.forecast import Forecast, Outlook, forecast
from intermute.core.ids import AgentId, Micros
from intermute.core.lock_table import Mode
from intermute.core.plan_steps import PLAN_GLOBS_MAX, PLAN_STEPS_MAX, PLAN_TARGETS_MAX, Step
from intermute.core.work_operations import Operation


def _targets(
    *texts: str, mode: Mode = Mode.X, op: Operation | None = None, to: str | None = None
) -> tuple[ClaimTarget, ...]:
    destination = parse_address(to) if to else None
    return with_destinations(ClaimTarget(n, parse_glob(text), mode, op, destination) for n, text in enumerate(texts))


def _step(
    name: str,
    agent: str,
    *texts: str,
    after: str = "",
    mode: Mode = Mode.X,
    op: Operation | None = None,
    to: str | None = None,
) -> Step:
    return Step(name, AgentId(agent), _targets(*texts, mode=mode, op=op, to=to), tuple(after.split()))


def _live(
    claim_id: str, holder: str, *texts: str, mode: Mode = Mode.X, op: Operation | None = None, until: int | None = 1000
) -> Claim:
    ends = None if until is None else Micros(until)
    return Claim(claim_id, 1, AgentId(holder), _targets(*texts, mode=mode, op=op), expires_at_us=ends)


def _pairs(answer: Forecast) -> list[tuple[str, str, str, bool]]:
    return [(pair.a, pair.b, pair.finding.kind.value, pair.is_ordered) for pair in answer.pairs]


def test_forecast_of_nothing_is_clear() -> None:
    """No step, no risk."""
    answer = forecast([], [_live("r1", "ben", "**")])

    assert (answer.verdict, answer.steps, answer.pairs, answer.waves) == (Outlook.CLEAR, (), (), ())


def test_forecast_names_what_is_live_in_the_way_and_until_when() -> None:
    """A step that would be refused says by whom, and when the last of them ends."""
    live = [
        _live("r1", "ben", "src/*.py", until=500),
        _live("r2", "cleo", "src", until=900),
        _live("r3", "dan", "docs"),
    ]

    answer = forecast([_step("s1", "anna", "src/a.py"), _step("s2", "anna", "lib")], live)

    blocked, free = answer.steps
    assert not blocked.would_grant
    assert [finding.claim.id for finding in blocked.findings] == ["r1", "r2"]
    assert blocked.earliest_us == 900
    assert free.would_grant
    assert free.earliest_us is None
    assert answer.verdict is Outlook.CONFLICT
    assert answer.risks == {Risk.HIGH: 2, Risk.MEDIUM: 0, Risk.LOW: 0}


def test_forecast_promises_no_time_where_a_claim_has_no_end() -> None:
    """One claim without an end is enough."""
    live = [_live("r1", "ben", "src", until=500), _live("r2", "cleo", "src", until=None)]

    answer = forecast([_step("s1", "anna", "src")], live)

    assert not answer.steps[0].would_grant
    assert answer.steps[0].earliest_us is None


def test_forecast_counts_an_intent_as_a_warning() -> None:
    """What is only declared does not stop a step."""
    intent = Claim("i1", 1, AgentId("ben"), _targets("a.py::f", op=Operation.DELETE), Standing.DECLARED)

    answer = forecast([_step("s1", "anna", "a.py::f", op=Operation.MODIFY)], [intent])

    assert answer.steps[0].would_grant
    assert answer.verdict is Outlook.WARN
    assert answer.risks[Risk.HIGH] == 1


def test_forecast_leaves_out_what_the_agent_holds_itself() -> None:
    """An agent is not in its own way, live or planned (S14)."""
    answer = forecast([_step("s1", "anna", "src"), _step("s2", "anna", "src/a.py")], [_live("r1", "anna", "src")])

    assert answer.verdict is Outlook.CLEAR
    assert answer.waves == (("s1", "s2"),)


def test_forecast_joins_the_modes_of_one_agent() -> None:
    """S14: reading and meaning to edit the same node is SIX, and that disturbs a reader who came with neither."""
    steps = [_step("s1", "anna", "src", mode=Mode.IX), _step("s2", "anna", "src", mode=Mode.S)]

    alone = forecast(steps[:1], [_live("r1", "ben", "src", mode=Mode.IX)])
    both = forecast(steps, [_live("r1", "ben", "src", mode=Mode.IX)])

    assert alone.verdict is Outlook.CLEAR
    assert [each.would_grant for each in both.steps] == [True, False]
    assert both.steps[1].findings[0].requested.mode is Mode.SIX


def test_forecast_of_two_agents_finds_the_pair() -> None:
    """Steps of different agents that clash are a risk, and go into different waves."""
    answer = forecast([_step("s1", "anna", "src"), _step("s2", "ben", "src/a.py"), _step("s3", "cleo", "lib")], [])

    assert _pairs(answer) == [("s1", "s2", "containment", False)]
    assert answer.verdict is Outlook.CONFLICT
    assert answer.waves == (("s1", "s3"), ("s2",))
    assert all(each.would_grant for each in answer.steps)


@mark.parametrize("after", ["s1", "mid"])
def test_forecast_takes_an_ordered_pair_for_information(after: str) -> None:
    """An `after` edge, direct or over others, serialises the pair: it is listed and not counted."""
    steps = [
        _step("s2", "ben", "src/a.py", after=after),
        _step("s1", "anna", "src"),
        _step("mid", "anna", "docs", after="s1"),
    ]

    answer = forecast(steps, [])

    assert _pairs(answer) == [("s1", "s2", "containment", True)]
    assert answer.verdict is Outlook.CLEAR
    assert sum(answer.risks.values()) == 0
    assert [each.step.name for each in answer.steps] == ["s2", "s1", "mid"]


def test_forecast_waves_respect_after_and_clashes() -> None:
    """Each step is in the first wave that its predecessors and its clashes leave it."""
    steps = [
        _step("a", "anna", "x"),
        _step("b", "ben", "y"),
        _step("c", "cleo", "x", "y"),
        _step("d", "dan", "z", after="a"),
        _step("e", "eve", "w", after="c d"),
    ]

    assert forecast(steps, []).waves == (("a", "b"), ("c", "d"), ("e",))


def test_forecast_waves_let_readers_and_warnings_run_together() -> None:
    """Only conflicts keep steps apart."""
    steps = [
        _step("a", "anna", "x", mode=Mode.S),
        _step("b", "ben", "x", mode=Mode.S),
        _step("c", "cleo", "y.py::f"),
        _step("d", "dan", "y.py::g"),
    ]

    answer = forecast(steps, [])

    assert _pairs(answer) == [("c", "d", "same_file_shared_worktree", False)]
    assert answer.verdict is Outlook.WARN
    assert answer.waves == (("a", "b", "c", "d"),)


def test_forecast_obeys_the_branch_policy() -> None:
    """Steps on other branches are a matter of merging, where the project says so."""
    one = Step("s1", AgentId("anna"), _targets("src"), branch="b1")
    other = Step("s2", AgentId("ben"), _targets("src"), branch="b2")

    answer = forecast([one, other], [], policy=Policy(branch_policy=BranchPolicy.SAME))

    assert answer.verdict is Outlook.WARN
    assert answer.waves == (("s1", "s2"),)


def test_plan_with_a_cycle_is_refused_with_the_cycle() -> None:
    """Steps that wait for each other are named in their order; those that only hang on them are not."""
    steps = [
        _step("tail", "anna", "x", after="a"),
        _step("a", "anna", "x", after="c"),
        _step("b", "ben", "y", after="a"),
        _step("c", "cleo", "z", after="b"),
        _step("free", "dan", "w"),
    ]

    with raises(InvalidRequest) as refused:
        forecast(steps, [])

    assert refused.value.problems == (("plan", "these steps wait for each other: a after c after b after a"),)


@mark.parametrize(
    ("steps", "problem"),
    [
        ([_step("a", "anna", "x", after="a")], "wait for each other: a after a"),
        ([_step("a", "anna", "x", after="b")], "'b', which is no step"),
        ([_step("a", "anna", "x"), _step("a", "ben", "y")], "two steps are called 'a'"),
        ([_step(f"s{n}", "anna", "x") for n in range(PLAN_STEPS_MAX + 1)], f"at most {PLAN_STEPS_MAX} steps"),
        ([_step("a", "anna", *["x"] * (PLAN_TARGETS_MAX + 1))], f"at most {PLAN_TARGETS_MAX} targets"),
        ([_step("a", "anna", *["x*"] * (PLAN_GLOBS_MAX + 1))], f"at most {PLAN_GLOBS_MAX} targets with wildcards"),
    ],
)
def test_plan_that_is_none_is_refused(steps: list[Step], problem: str) -> None:
    """Unknown and double names, circles and too much are refused before anything is looked at."""
    with raises(InvalidRequest) as refused:
        forecast(steps, [])

    assert problem in refused.value.problems[0][1]


def test_plan_at_its_limits_is_taken() -> None:
    """The limits themselves are fine."""
    assert len(forecast([_step(f"s{n}", "anna", "x") for n in range(PLAN_STEPS_MAX)], []).steps) == PLAN_STEPS_MAX
    assert forecast([_step("a", "anna", *["x*"] * PLAN_GLOBS_MAX)], []).verdict is Outlook.CLEAR
    assert forecast([_step("a", "anna", *["x"] * PLAN_TARGETS_MAX)], []).verdict is Outlook.CLEAR


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["anna", "ben", "cleo"]),
        st.sampled_from(["src", "src/*.py", "src/a.py", "src/a.py::f", "src/a.py::g", "lib", "**/a.py"]),
        st.sampled_from(Mode),
        st.sets(st.integers(0, 6), max_size=2),
    ),
    max_size=7,
)


@settings(max_examples=200)
@given(drawn=STEPS)
def test_forecast_keeps_its_promises_for_any_plan(drawn: list[tuple[str, str, Mode, set[int]]]) -> None:
    """Waves hold each step once, after its predecessors, without a conflict inside; pairs are those of `decide`."""
    steps = [
        _step(f"s{n}", agent, text, mode=mode, after=" ".join(f"s{m}" for m in sorted(after) if m < n))
        for n, (agent, text, mode, after) in enumerate(drawn)
    ]

    answer = forecast(steps, [])

    place = {name: n for n, wave in enumerate(answer.waves) for name in wave}
    assert sorted(place) == sorted(step.name for step in steps)
    assert sum(map(len, answer.waves)) == len(steps)
    for step in steps:
        assert all(place[name] < place[step.name] for name in step.after)
    for pair in answer.pairs:
        assert pair.finding.verdict is not Verdict.CONFLICT or place[pair.a] != place[pair.b]
        assert not pair.is_ordered or place[pair.a] < place[pair.b]
    if len({agent for agent, *_ in drawn}) == len(drawn):  # Nothing to join: plain `decide` is the model.
        claims = [Claim(s.name, n, s.agent, s.targets, Standing.HYPOTHETICAL) for n, s in enumerate(steps)]
        expected = {
            (a.id, b.id, finding.kind) for a, b in itertools.combinations(claims, 2) for finding in decide(b, a)
        }
        assert {(pair.a, pair.b, pair.finding.kind) for pair in answer.pairs} == expected


def test_forecast_with_a_graph_adds_the_blast_radius() -> None:
    """Live claims and pairs are looked at; an ordered pair stays information."""
    f, caller = "src/f.py::f", "src/api.py::pay"
    graph = CallGraph([Call(caller, f, 1.0)])
    steps = [
        _step("s1", "anna", f, op=Operation.RENAME, to="src/f.py::g"),
        _step("s2", "ben", "src/a*.py", after="s1", op=Operation.MODIFY),
    ]

    answer = forecast(steps, [_live("r1", "cleo", caller, op=Operation.MODIFY)], graph=graph)

    assert _pairs(answer) == [("s1", "s2", "blast_radius_overlap", True)]
    assert answer.pairs[0].finding.confidence == 0.75
    assert answer.pairs[0].finding.path == (f, caller)
    assert [finding.kind.value for finding in answer.steps[0].findings] == ["blast_radius_overlap"]
    assert answer.steps[0].would_grant
    assert not answer.steps[1].would_grant
    assert answer.risks == {Risk.HIGH: 1, Risk.MEDIUM: 1, Risk.LOW: 0}
    assert answer.waves == (("s1",), ("s2",))


def test_forecast_shows_so_many_findings_and_says_if_there_are_more() -> None:
    """The bound is shared by the steps; the verdict does not depend on it, a time is not promised past it."""
    live = [_live(f"r{n}", "ben", f"src/{n}.py", until=100 + n) for n in range(5)]
    steps = [_step("s1", "anna", "src"), _step("s2", "anna", "src/1.py")]

    whole, cut = forecast(steps, live, findings_max=20), forecast(steps, live, findings_max=16)

    assert [(len(each.findings), each.is_cut, each.earliest_us) for each in whole.steps] == [
        (5, False, 104),
        (1, False, 101),
    ]
    assert [(len(each.findings), each.is_cut, each.earliest_us) for each in cut.steps] == [
        (4, True, None),
        (1, False, 101),
    ]
    assert cut.verdict is Outlook.CONFLICT
    assert not cut.steps[0].would_grant


def test_forecast_shows_one_finding_of_each_step_at_least() -> None:
    """However many steps there are, each says whether it would be granted."""
    steps = [_step(f"s{n}", f"a{n}", "src") for n in range(4)]

    answer = forecast(steps, [_live("r1", "ben", "src")], findings_max=1)

    assert [each.would_grant for each in answer.steps] == [False] * 4


def test_forecast_can_leave_the_pairs_out() -> None:
    """Asked about what is live only, the steps are not compared."""
    answer = forecast([_step("s1", "anna", "src"), _step("s2", "ben", "src")], [], has_pairs=False)

    assert (answer.verdict, answer.pairs) == (Outlook.CLEAR, ())


def test_forecast_counts_who_waits_in_front() -> None:
    """A step goes behind those who wait already, and nobody knows until when."""
    waiting = Claim("w1", 9, AgentId("ben"), _targets("src"))

    answer = forecast([_step("s1", "anna", "src/a.py")], [], ahead={"s1": [waiting]})

    assert not answer.steps[0].would_grant
    assert answer.steps[0].earliest_us is None


def test_forecast_looks_elsewhere_for_the_blast_radius_only() -> None:
    """Claims elsewhere are reached over calls, and over nothing else."""
    f, caller = "src/f.py::f", "src/api.py::pay"
    steps = [_step("s1", "anna", f, op=Operation.MODIFY)]
    elsewhere = [_live("r1", "cleo", caller, op=Operation.MODIFY), _live("r2", "dan", caller, mode=Mode.S)]

    without = forecast(steps, [], elsewhere=elsewhere)
    answer = forecast(steps, [], elsewhere=elsewhere, graph=CallGraph([Call(caller, f, 1.0)]))

    assert without.verdict is Outlook.CLEAR
    assert [(each.claim.id, each.confidence) for each in answer.steps[0].findings] == [("r1", 0.375)]
    assert not answer.is_radius_cut


def test_plan_that_is_none_names_the_step() -> None:
    """The place in the plan leads to the field to be mended."""
    steps = [_step("a", "anna", "x"), _step("a", "ben", "y", after="b")]

    with raises(InvalidRequest) as refused:
        forecast(steps, [])

    assert [field for field, _ in refused.value.problems] == ["plan[1].step", "plan[1].after"]


def test_forecast_tells_of_a_destination_what_its_origin_does_not_tell() -> None:
    """Who holds the whole file is in the way once; who makes the same thing is in the way of that besides."""
    steps = [_step("s1", "anna", "a.py::f", op=Operation.RENAME, to="a.py::g")]

    whole = forecast(steps, [_live("r1", "ben", "a.py")])
    planned = forecast([*steps, _step("s2", "ben", "a.py")], [])
    maker = forecast([*steps, _step("s2", "ben", "a.py::g", op=Operation.CREATE)], [])

    assert [(each.kind.value, each.requested.origin) for each in whole.steps[0].findings] == [("containment", None)]
    assert whole.risks[Risk.HIGH] == 1
    assert _pairs(planned) == [("s1", "s2", "containment", False)]
    assert [pair.finding.kind.value for pair in maker.pairs] == ["create_collision", "same_file_shared_worktree"]


def test_forecast_counts_a_claim_that_is_met_and_reached_once() -> None:
    """It is in the way of one step, called by another, and one claim all the same."""
    f, caller = "src/f.py::f", "src/api.py::pay"
    steps = [_step("s1", "anna", f), _step("s2", "anna", "src/api.py")]
    live = [_live("r1", "cleo", caller)]

    answer = forecast(steps, live, elsewhere=live, graph=CallGraph([Call(caller, f, 1.0)]), findings_max=4)

    assert [(len(each.findings), each.is_cut) for each in answer.steps] == [(1, False), (1, False)]
