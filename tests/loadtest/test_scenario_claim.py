"""`claim` and its checker: a task that is given twice, taken away, brought back or lost is found, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from answers import answer, silent_site
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.promises.claims_once import ClaimsOnce, Standing
from loadtest.promises.history import History, Violation
from loadtest.scenarios.claim import ClaimTasks
from loadtest.scenarios.taker import Pool, Taker

FREE = Standing("", is_done=False)


@pytest.fixture
def claims() -> ClaimsOnce:
    """A checker that knows the task t."""
    made = ClaimsOnce(History())
    made.made("t")
    return made


def test_claim_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end, and has found an empty pool and filled it."""
    scenario = ClaimTasks()

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    assert all(samples.times_ms(operation, "closed") for operation in ("next", "make"))


def test_claims_in_turn_are_right(claims: ClaimsOnce) -> None:
    """A task that was given back is claimed by another agent, which finishes it."""
    claims.claimed(1, "anna", "t", "anna")
    claims.giving_back(2, "anna", "t")
    claims.claimed(3, "ben", "t", "ben")
    claims.refused(4, "anna", "t", "ben", claims.claim_of("t"))
    claims.finishing(5, "ben", "t")
    claims.finished(6, "ben", "t")

    claims.demand({"t": Standing("ben", is_done=True)})

    assert claims.checked > 0


def _given_twice(claims: ClaimsOnce) -> None:
    claims.claimed(2, "ben", "t", "ben")


def _said_to_be_another_ones(claims: ClaimsOnce) -> None:
    claims.claimed(2, "anna", "t", "ben")


def _came_back_while_being_finished(claims: ClaimsOnce) -> None:
    claims.finishing(2, "anna", "t")
    claims.claimed(3, "ben", "t", "ben")


def _came_back_when_done(claims: ClaimsOnce) -> None:
    claims.finishing(2, "anna", "t")
    claims.finished(3, "anna", "t")
    claims.claimed(4, "anna", "t", "anna")


def _refused_because_of_oneself(claims: ClaimsOnce) -> None:
    claims.refused(2, "anna", "t", "anna", claims.claim_of("t"))


def _refused_because_of_a_third(claims: ClaimsOnce) -> None:
    claims.refused(2, "ben", "t", "carl", claims.claim_of("t"))


def _taken_away(claims: ClaimsOnce) -> None:
    claims.demand({"t": FREE})


def _listed_as_another_ones(claims: ClaimsOnce) -> None:
    claims.demand({"t": Standing("ben", is_done=False)})


def _lost(claims: ClaimsOnce) -> None:
    claims.demand({})


def _end_lost(claims: ClaimsOnce) -> None:
    claims.finishing(2, "anna", "t")
    claims.finished(3, "anna", "t")
    claims.demand({"t": Standing("anna", is_done=False)})


def _claimed_by_nobody(claims: ClaimsOnce) -> None:
    claims.giving_back(2, "anna", "t")
    claims.demand({"t": Standing("ben", is_done=False)})


def _free_one_lost(claims: ClaimsOnce) -> None:
    claims.giving_back(2, "anna", "t")
    claims.demand({})


def _taken_while_being_finished(claims: ClaimsOnce) -> None:
    claims.finishing(2, "anna", "t")
    claims.demand({"t": FREE})


@pytest.mark.parametrize(
    "lie",
    [
        _given_twice,
        _said_to_be_another_ones,
        _came_back_while_being_finished,
        _came_back_when_done,
        _refused_because_of_oneself,
        _refused_because_of_a_third,
        _taken_away,
        _listed_as_another_ones,
        _lost,
        _end_lost,
        _claimed_by_nobody,
        _free_one_lost,
        _taken_while_being_finished,
    ],
)
def test_claim_that_cannot_be_is_found(claims: ClaimsOnce, lie: Callable[[ClaimsOnce], None]) -> None:
    """Control: each lie is told with the history of the task."""
    claims.claimed(1, "anna", "t", "anna")

    with pytest.raises(Violation, match="every task is claimed once") as broken:
        lie(claims)

    assert any("anna was told" in line or "was told that anna has claimed it" in line for line in broken.value.history)


@pytest.mark.parametrize("is_done", [True, False])
def test_end_without_an_answer_may_have_happened(claims: ClaimsOnce, is_done: bool) -> None:
    """A task that is being finished is its agent's, whether it is done by now or not."""
    claims.claimed(1, "anna", "t", "anna")
    claims.finishing(2, "anna", "t")

    claims.demand({"t": Standing("anna", is_done)})


def test_claim_without_an_answer_may_have_happened(claims: ClaimsOnce) -> None:
    """An agent that got no answer may have been given one task, and no more than one."""
    claims.made("u")
    claims.unknown(1, "ben")

    claims.demand({"t": Standing("ben", is_done=False), "u": FREE})

    with pytest.raises(Violation):
        claims.demand({"t": Standing("ben", is_done=False), "u": Standing("ben", is_done=False)})


def test_taker_finds_a_task_that_is_given_twice(tmp_path: Path) -> None:
    """Control: a service that gives one task to two agents is caught when the second answer is read."""
    site = silent_site(tmp_path)
    pool = Pool("p", ClaimsOnce(site.watch.history))
    first, second = Taker(site, pool, "first"), Taker(site, pool, "second")
    for taker, agent in ((first, "anna"), (second, "ben")):
        taker.begin(agent)
        assert taker.ask()[0] == "next"

    first.take(answer(200, {"id": "t", "agent": "anna"}), 0.0, 1.0)

    with pytest.raises(Violation, match="every task is claimed once"):
        second.take(answer(200, {"id": "t", "agent": "ben"}), 0.0, 2.0)


def test_taker_asks_again_for_what_it_may_have_ended(tmp_path: Path) -> None:
    """A finish without an answer is asked again, and the task is the taker's until then."""
    site = silent_site(tmp_path, has_faults=True)
    taker = Taker(site, Pool("p", ClaimsOnce(site.watch.history)), "first")
    taker.begin("anna")
    taker.ask()
    taker.take(answer(200, {"id": "t", "agent": "anna"}), 0.0, 1.0)

    asked = taker.ask()
    taker.lose(1.0, 2.0)

    assert asked[0] in ("finish", "give back")
    assert taker.ask() == asked
