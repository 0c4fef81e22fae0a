"""Waiting for a turn, as the handlers decide it: issue 3 point 5, claims.md 7."""

import pytest
from handler_bench import LOCAL, Bench, bench_of, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.handing_over import TransferReservation
from intermute.core.api.reservations import ListWaiting, ReleaseReservation, Reserve
from intermute.core.errors import PatternTooBroad, ReservationConflict, ReservationEnded, ReservationLimit
from intermute.core.wishes import OnConflict
from intermute.project.handlers.turns import Queued


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben and carl."""
    return bench_of("anna", "ben", "carl")


def wait_for(bench: Bench, agent: str, *patterns: str, seconds: float = 600, mode: str = "X") -> str:
    """Ask for what is taken, and return the ticket."""
    command = Reserve(
        agent_id=agent, patterns=list(patterns), mode=mode, on_conflict=OnConflict.WAIT, wait_seconds=seconds
    )
    reply = bench.run(command)
    assert isinstance(reply, Queued)
    return reply.ticket


def test_waiter_that_fell_silent_is_not_granted(bench: Bench) -> None:
    """What a silent agent loses does not go to another silent one, who would lose it at once."""
    bench.reserve("anna", "a")
    wait_for(bench, "ben", "a")
    wait_for(bench, "carl", "a")
    bench.wait(1)
    bench.heartbeat("carl")
    bench.wait(limits.AGENT_SILENCE_S - 1)

    bench.tick()

    granted = [event.data["held_by"] for event in bench.events() if event.type == "reservation.granted"]
    assert granted == ["carl"]


def test_settling_a_queue_of_broad_requests_never_fails(bench: Bench) -> None:
    """What waits may cost more to look up than one request may: a change past the queue is still decided."""
    for number in range(600):
        bench.reserve(f"crowd{number // 100}", f"d{number:04}/x.py")
    bench.reserve("anna", "zz")
    mine = bench.reserve("anna", "mine")
    for number in range(60):
        wait_for(bench, f"reader{number}", "zz/a.py", f"*/y{number}*", mode="S")

    bench.run(TransferReservation(reservation_id=mine.id, to="ben"))

    assert len(bench.ask(ListWaiting()).waiting) == 60
    with raises(ReservationConflict):  # And not that this plain path were too broad.
        bench.reserve("ben", "theirs")


def test_request_too_broad_to_be_looked_up_at_every_end_may_not_wait(bench: Bench) -> None:
    """Each end looks at those it was in the way of, so a waiter has to be cheaper to look up than a request."""
    for number in range(1100):
        bench.reserve(f"crowd{number // 100}", f"d{number:04}/x.py")
    bench.reserve("anna", "zz")

    with raises(PatternTooBroad):
        bench.run(Reserve(agent_id="ben", patterns=["*/y*", "*/z*", "zz"], mode="S", on_conflict=OnConflict.WAIT))

    assert len(bench.state.waiting) == 0
    assert wait_for(bench, "ben", "zz")


def test_agent_that_takes_a_name_is_no_longer_in_its_own_way(bench: Bench) -> None:
    """Whoever waits for what its new name holds goes on at once, since it holds that now."""
    session = bench.register("zed", session_id="0d6a3c5e-1a8b-4a0e-8a55-000000000009")
    bench.reserve("yak", "a")
    ticket = wait_for(bench, session.agent_id, "a")

    bench.wait(limits.AGENT_SILENCE_S - 1)
    bench.run(RegisterAgent(name="yak", session_id=session.session_id), proving(session))

    assert bench.state.leases.get(ticket) is not None


def test_taking_a_name_breaks_the_circle_that_it_closes(bench: Bench) -> None:
    """An agent that takes over what its new name holds may be waited for by somebody whom it waits for."""
    session = bench.register("zed", session_id="0d6a3c5e-1a8b-4a0e-8a55-000000000009")
    bench.reserve("yak", "a")
    bench.reserve("anna", "b")
    wait_for(bench, "anna", "a")
    wait_for(bench, session.agent_id, "b")

    bench.run(RegisterAgent(name="yak", session_id=session.session_id), proving(session))

    assert bench.ask(ListWaiting()).waits_for == {"anna": ["yak"]}


def test_only_who_is_part_of_a_circle_is_refused(bench: Bench) -> None:
    """Of an agent that waits in two places, the place that has nothing to do with the circle is kept."""
    mine = bench.reserve("anna", "a")
    bench.reserve("ben", "b")
    bench.reserve("dora", "d")
    tied = wait_for(bench, "carl", "b")
    wait_for(bench, "ben", "a")
    apart = wait_for(bench, "carl", "d")

    bench.run(TransferReservation(reservation_id=mine.id, to="carl"))

    kept = [each.ticket for each in bench.ask(ListWaiting()).waiting]
    assert apart in kept
    assert len(kept) == 2
    assert tied in kept  # The latest in the circle is ben.


def test_the_latest_of_a_circle_is_refused_though_it_waits_elsewhere_later(bench: Bench) -> None:
    """The request that closes the circle goes, not a later one of the same agent."""
    given = bench.reserve("anna", "a")
    bench.reserve("ben", "b")
    bench.reserve("dora", "d")
    wait_for(bench, "ben", "a")
    tied = wait_for(bench, "carl", "b")
    apart = wait_for(bench, "carl", "d")

    bench.run(TransferReservation(reservation_id=given.id, to="carl"))

    kept = [each.ticket for each in bench.ask(ListWaiting()).waiting]
    assert apart in kept
    assert tied not in kept


@pytest.mark.parametrize(("held", "is_refused"), [(198, False), (199, True)])
def test_places_in_the_queue_count_as_reservations(bench: Bench, held: int, is_refused: bool) -> None:
    """Who waits will hold what it waits for: the limit is not passed by waiting."""
    bench.reserve("ben", "b")
    for number in range(held):
        bench.reserve("anna", f"a/{number}")
    wait_for(bench, "anna", "b")

    [outcome] = bench.batch((Reserve(agent_id="anna", path_pattern="c"), LOCAL))

    assert isinstance(outcome, ReservationLimit) == is_refused


def test_place_that_was_given_up_is_not_taken_again(bench: Bench) -> None:
    """Who asks for a ticket that was given up hears so, and waits no more."""
    bench.reserve("anna", "a")
    ticket = wait_for(bench, "ben", "a")

    bench.run(ReleaseReservation(reservation_id=ticket, agent_id="ben"))

    again = Reserve(agent_id="ben", path_pattern="a", on_conflict=OnConflict.WAIT, ticket=ticket)
    with raises(ReservationEnded):
        bench.run(again)
    assert bench.ask(ListWaiting()).waiting == []


def test_holder_hears_once_that_the_same_agent_wants_the_same(bench: Bench) -> None:
    """Who waits for a moment again and again does not fill the log; another agent is news, and so is half a minute later."""
    bench.reserve("anna", "a")

    def wanted() -> list[str]:
        return [event.data["wanted_by_name"] for event in bench.events() if event.type == "reservation.wanted"]

    for _ in range(3):
        wait_for(bench, "ben", "a", seconds=1)
        bench.wait(2)
        bench.tick()
    assert wanted() == ["ben"]
    wait_for(bench, "carl", "a", seconds=1)
    bench.wait(limits.WANTED_EVERY_S)
    bench.tick()
    wait_for(bench, "ben", "a", seconds=1)

    assert wanted() == ["ben", "carl", "ben"]
