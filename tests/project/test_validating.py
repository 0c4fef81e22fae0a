"""Whether a fence still holds, at the edges of time and of the disk (issue 3, point 9)."""

from typing import Any

import pytest
from handler_bench import LOCAL, Bench, proving

from intermute.core.api.checks import Checked, CheckTargets, Standing, Validated, ValidateReservation
from intermute.core.api.handing_over import TransferReservation
from intermute.core.api.reservations import ReleaseReservation, RenewReservation, ReservationView, Reserve
from intermute.core.errors import PatternTooBroad


@pytest.fixture
def bench() -> Bench:
    """A project in which nobody is known yet."""
    return Bench()


def validated(bench: Bench, held: ReservationView, **changes: Any) -> Validated:  # Any: fields of the query.
    """Return whether the reservation holds under its fence."""
    found: Validated = bench.ask(
        ValidateReservation(**{"reservation_id": held.id, "fence": held.fence, **changes})  # As the caller says.
    )
    return found


def test_validate_ends_with_the_lease(bench: Bench) -> None:
    """A lease holds until its deadline and not at it, whether or not its end has been stored by then."""
    held = bench.reserve("anna", "src")
    assert held.expires_in_ms is not None
    bench.wait(held.expires_in_ms / 1000 - 0.5)
    before = validated(bench, held)

    bench.wait(0.5)
    at_deadline = validated(bench, held)
    bench.tick()
    afterwards = validated(bench, held)

    assert (before.valid, before.expires_in_ms) == (True, 500)
    assert (at_deadline.reason, at_deadline.ended, at_deadline.expires_in_ms) == (Standing.ENDED, "expired", None)
    assert (afterwards.reason, afterwards.ended) == (Standing.ENDED, "expired")


def test_validate_counts_a_release_once_it_is_stored(bench: Bench) -> None:
    """While a release is being flushed a power cut could still undo it: it holds until then."""
    held = bench.reserve("anna", "src")
    _, transactions = bench.decide((ReleaseReservation(reservation_id=held.id), LOCAL))
    flushing = validated(bench, held)

    bench.store(transactions)

    assert flushing.valid
    assert (validated(bench, held).reason, validated(bench, held).ended) == (Standing.ENDED, "released")


def test_validate_counts_a_grant_once_it_is_stored(bench: Bench) -> None:
    """A reservation that a power cut could still take back protects nothing."""
    outcomes, transactions = bench.decide((Reserve(agent_id="anna", pattern="src"), LOCAL))
    flushing = validated(bench, outcomes[0])

    bench.store(transactions)

    assert flushing.reason is Standing.UNKNOWN
    assert validated(bench, outcomes[0]).valid


def test_check_is_of_a_place_in_the_log_that_is_stored(bench: Bench) -> None:
    """Its `seq` goes with what it tells: a grant that is being flushed is in neither."""
    before = bench.reserve("ben", "docs")
    _, transactions = bench.decide((Reserve(agent_id="anna", pattern="src"), LOCAL))
    flushing: Checked = bench.ask(CheckTargets(path="src"))

    bench.store(transactions)
    stored: Checked = bench.ask(CheckTargets(path="src"))

    assert (flushing.conflict, flushing.seq) == (False, before.seq)
    assert (stored.conflict, stored.seq) == (True, before.seq + 1)


def test_validate_of_a_stored_row_that_memory_has_not_seen_is_active(bench: Bench) -> None:
    """Between the flush and memory's hearing of it the disk is right."""
    outcomes, transactions = bench.decide((Reserve(agent_id="anna", pattern="src"), LOCAL))
    with bench.connection:
        for statement in (each for transaction in transactions for each in transaction.statements):
            bench.connection.execute(statement.sql, statement.values)

    found = validated(bench, outcomes[0], agent_id="anna")

    assert (found.valid, found.held_by, found.expires_in_ms) == (True, "anna", None)


def test_validate_survives_a_renewal_and_a_restart(bench: Bench) -> None:
    """Neither changes the fence."""
    held = bench.reserve("anna", "src")
    bench.run(RenewReservation(reservation_id=held.id, ttl_minutes=60))

    bench.restart()

    assert validated(bench, held, agent_id="anna").valid


def test_validate_tells_the_giver_of_a_transfer(bench: Bench) -> None:
    """After a transfer the old fence holds for nobody, and the new one for the new holder alone."""
    anna, ben = bench.register("anna"), bench.register("ben")
    held = bench.reserve("anna", "src")

    moved = bench.run(TransferReservation(reservation_id=held.id, to="ben"), proving(anna))

    assert validated(bench, held).reason is Standing.STALE_FENCE
    assert validated(bench, held, agent_id="anna").reason is Standing.NOT_YOURS
    assert validated(bench, held, agent_id=ben.agent_id).reason is Standing.STALE_FENCE
    assert validated(bench, moved, agent_id="ben").valid


def test_check_of_many_costs_no_more_than_one_request_may(bench: Bench) -> None:
    """All targets of a check share one budget of work: a hundred broad patterns are refused, one of them is not."""
    for agent in range(15):
        for number in range(200):
            bench.reserve(f"agent-{agent}", f"d{number}/a{agent}/f")

    one: Checked = bench.ask(CheckTargets(patterns=["*/*/*x"]))

    assert not one.conflict
    with pytest.raises(PatternTooBroad):
        bench.ask(CheckTargets(patterns=[f"*/*/*x{number}" for number in range(100)]))
