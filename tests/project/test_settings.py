"""A project's switches: case folding, branches, two writers in one file (design.md 6, claims.md 5)."""

from typing import Any

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of
from pytest import raises

from intermute.core.api.audit import ListAudit
from intermute.core.api.checks import CheckTargets
from intermute.core.api.forecasts import ForecastPlan, PlanStep
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.reservations import ReleaseReservation, ReservationView, Reserve
from intermute.core.api.settings import ChangeSettings, GetSettings
from intermute.core.claims import BranchPolicy, SymbolFloor
from intermute.core.errors import InvalidRequest, ReservationConflict, SettingsInUse
from intermute.core.wishes import OnConflict
from intermute.project.handlers.turns import Queued

READ = GetSettings(project="demo")


@pytest.fixture
def bench() -> Bench:
    """A project with anna and ben."""
    return bench_of("anna", "ben")


def choose(bench: Bench, **switches: Any) -> Any:
    """Set switches as the operator."""
    return bench.run(ChangeSettings(project="demo", **switches))


def reserve(bench: Bench, agent: str, **asked: Any) -> Any:
    """Ask for a reservation."""
    return bench.run(Reserve(agent_id=agent, **asked))


def test_settings_have_defaults(bench: Bench) -> None:
    """Nobody has chosen anything: case matters, branches make no difference, two writers are warned."""
    view = bench.ask(READ)

    assert (view.case_folding, view.branch_policy, view.symbol_floor) == (False, "any", "warn")


def test_settings_change_is_an_event_and_a_record(bench: Bench) -> None:
    """What was and what is, by whom and why; in the log and in the audit, under one cursor."""
    anna = bench.state.agents.canonical("anna")

    view = choose(bench, symbol_floor=SymbolFloor.BLOCK, agent_id="anna", reason="we share one checkout")

    assert view.symbol_floor == "block"
    told = bench.events()[-1]
    assert (told.type, told.data["agent_id"]) == ("project.settings", anna)
    assert (told.data["old"], told.data["new"]) == ({"symbol_floor": "warn"}, {"symbol_floor": "block"})
    [record] = bench.ask(ListAudit()).records
    assert (record.cursor, record.actor_name, record.reason) == (told.cursor, "anna", "we share one checkout")


def test_settings_that_are_so_already_change_nothing(bench: Bench) -> None:
    """No event, no record."""
    before = bench.state.head

    choose(bench, symbol_floor=SymbolFloor.WARN)
    choose(bench)

    assert bench.state.head == before


def test_settings_survive_a_restart(bench: Bench) -> None:
    """They are in the file."""
    choose(bench, case_folding=True, branch_policy=BranchPolicy.SAME)

    bench.restart()

    assert bench.ask(READ).case_folding is True
    assert bench.state.policy.branch_policy is BranchPolicy.SAME


def test_settings_are_shown_as_they_are_stored(bench: Bench) -> None:
    """What is being flushed does not count yet for a reader."""
    _, transactions = bench.decide((ChangeSettings(project="demo", case_folding=True), LOCAL))
    assert bench.ask(READ).case_folding is False

    bench.store(transactions)

    assert bench.ask(READ).case_folding is True


@pytest.mark.parametrize("switch", [{"case_folding": True}, {"branch_policy": BranchPolicy.SAME}])
def test_check_judges_by_the_settings_that_are_stored(bench: Bench, switch: dict[str, Any]) -> None:
    """While a release and a change are being flushed, what is stored is held, by the rule that is stored (G5)."""
    held = reserve(bench, "anna", paths=["SRC/a.py"], branch="main")
    ask = CheckTargets(agent_id="ben", paths=["SRC/a.py"], branch="feature")
    plan = ForecastPlan(plan=[PlanStep(step="s1", agent_id="ben", paths=["SRC/a.py"], branch="feature")])
    change = ChangeSettings(project="demo", **switch)

    bench.decide((ReleaseReservation(reservation_id=held.id), LOCAL), (change, LOCAL))

    assert bench.ask(ask).conflict
    assert bench.ask(plan).steps[0].would_grant is False


def test_case_folding_makes_one_path_of_two_spellings(bench: Bench) -> None:
    """Without it these are two files, with it one."""
    held = reserve(bench, "anna", paths=["SRC/Main.py"])
    other = reserve(bench, "ben", paths=["src/main.py"])
    for each in (held, other):
        bench.run(ReleaseReservation(reservation_id=each.id))
    choose(bench, case_folding=True)
    reserve(bench, "anna", paths=["SRC/Main.py"])

    with raises(ReservationConflict):
        reserve(bench, "ben", patterns=["src/*.PY"])
    bench.restart()
    with raises(ReservationConflict):
        reserve(bench, "ben", paths=["src/main.py"])


@pytest.mark.parametrize("holds", ["reservation", "intent"])
def test_case_folding_stays_while_anything_was_compared_under_it(bench: Bench, holds: str) -> None:
    """Two that go together under one rule may clash under the other; the refusal says what to do."""
    if holds == "reservation":
        reserve(bench, "anna", paths=["a"])
    else:
        bench.run(DeclareIntent(agent_id="anna", paths=["a"]))

    with raises(SettingsInUse) as refused:
        choose(bench, case_folding=True)

    assert "release them" in refused.value.message
    assert choose(bench, symbol_floor=SymbolFloor.OFF).symbol_floor == "off"


def test_branch_policy_same_turns_other_branches_into_warnings(bench: Bench) -> None:
    """Under `any` a conflict; under `same` a warning for another branch, and a conflict for the same or an unstated one."""
    reserve(bench, "anna", paths=["a"], branch="main")
    with raises(ReservationConflict):
        reserve(bench, "ben", paths=["a"], branch="feature")

    choose(bench, branch_policy=BranchPolicy.SAME)

    granted = reserve(bench, "ben", paths=["a"], branch="feature")
    assert [(each.verdict, each.branch) for each in granted.warnings] == [("warn", "main")]
    for branch in ("main", None):
        with raises(ReservationConflict):
            reserve(bench, "carl", paths=["a"], branch=branch)


@pytest.mark.parametrize(
    ("floor", "worktrees", "expected"),
    [
        (SymbolFloor.WARN, (None, "w1"), ("same_file_shared_worktree", 0.6)),
        (SymbolFloor.WARN, ("w1", "w1"), ("same_file_shared_worktree", 0.6)),
        (SymbolFloor.WARN, ("w1", "w2"), ("same_file", 0.3)),
        (SymbolFloor.BLOCK, ("w1", "w2"), ("same_file", 0.3)),
        (SymbolFloor.BLOCK, ("w1", "w1"), "refused"),
        (SymbolFloor.OFF, ("w1", "w1"), None),
    ],
)
def test_symbol_floor_is_as_chosen(
    bench: Bench, floor: SymbolFloor, worktrees: tuple[str | None, str | None], expected: object
) -> None:
    """Two writers of different functions in one file: a warning, a conflict in one worktree, or nothing."""
    choose(bench, symbol_floor=floor)
    reserve(bench, "anna", addresses=["a.py::f"], worktree=worktrees[0])
    asked = {"addresses": ["a.py::g"], "worktree": worktrees[1]}

    checked = bench.ask(CheckTargets(agent_id="ben", **asked))  # type: ignore[arg-type]
    assert checked.conflict is (expected == "refused")
    if expected == "refused":
        with raises(ReservationConflict):
            reserve(bench, "ben", **asked)
    else:
        granted = reserve(bench, "ben", **asked)
        found = [(each.kind, each.confidence) for each in granted.warnings or ()]
        assert found == ([] if expected is None else [expected])


def test_settings_that_let_a_waiter_by_do_so_at_once(bench: Bench) -> None:
    """Ben waits because of the floor; with the floor lowered nothing stands in his way."""
    choose(bench, symbol_floor=SymbolFloor.BLOCK)
    reserve(bench, "anna", addresses=["a.py::f"])
    queued = reserve(bench, "ben", addresses=["a.py::g"], on_conflict=OnConflict.WAIT)
    assert isinstance(queued, Queued)

    choose(bench, symbol_floor=SymbolFloor.WARN)

    assert bench.state.leases.get(queued.ticket) is not None


def test_settings_are_not_set_by_nobody(bench: Bench) -> None:
    """From elsewhere one says who one is; the local operator need not."""
    with raises(InvalidRequest):
        bench.run(ChangeSettings(project="demo", case_folding=True), REMOTE)


def test_reservation_under_case_folding_is_shown_as_it_was_asked(bench: Bench) -> None:
    """Folding decides, and the text stays."""
    choose(bench, case_folding=True)

    granted = reserve(bench, "anna", paths=["SRC/Main.py"])

    assert isinstance(granted, ReservationView)
    assert granted.path_pattern == "SRC/Main.py"
