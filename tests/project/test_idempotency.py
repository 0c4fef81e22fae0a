"""The same request sent again under its idempotency key (claims.md S03)."""

from typing import Any

import pytest
from handler_bench import LOCAL, Bench, bench_of
from pytest import raises

from intermute.core.api.agents import RegisterAgent
from intermute.core.api.handing_over import TransferReservation
from intermute.core.api.reservations import ReleaseReservation, RepeatedReservation, Reserve
from intermute.core.errors import IdempotencyKeyReused


@pytest.fixture
def bench() -> Bench:
    """A project with anna and ben."""
    return bench_of("anna", "ben")


def asked(agent: str = "anna", path: str = "a", **more: Any) -> Reserve:
    """Return a request under the key k."""
    return Reserve(agent_id=agent, paths=[path], idempotency_key="k", **more)


def test_same_request_again_is_the_same_reservation(bench: Bench) -> None:
    """One reservation, one event; also after a restart, and however the agent is spelled."""
    first = bench.run(asked())
    head = bench.state.head

    again = [bench.run(asked()), bench.run(asked(bench.state.agents.canonical("anna")))]
    bench.restart()
    again.append(bench.run(asked()))

    assert [each.id for each in again] == [first.id] * 3
    assert all(isinstance(each, RepeatedReservation) for each in again)
    assert bench.state.head == head


def test_same_request_twice_in_one_batch_is_one(bench: Bench) -> None:
    """The second finds the first, although nothing is stored yet."""
    first, second = bench.batch((asked(), LOCAL), (asked(), LOCAL))

    assert (second.id, isinstance(second, RepeatedReservation)) == (first.id, True)


def test_other_request_under_the_key_is_refused(bench: Bench) -> None:
    """A key stands for one request; another agent's key is another one."""
    bench.run(asked())

    with raises(IdempotencyKeyReused):
        bench.run(asked(path="b"))
    assert not isinstance(bench.run(asked("ben", "b")), RepeatedReservation)


def test_repeated_request_tells_what_has_become_of_it(bench: Bench) -> None:
    """Released meanwhile: the answer is that one, ended, and nothing is reserved anew."""
    first = bench.run(asked())
    bench.run(ReleaseReservation(reservation_id=first.id))

    again = bench.run(asked())

    assert (again.id, again.is_active, again.ended) == (first.id, False, "released")
    assert len(bench.state.leases) == 0


def test_key_stays_with_who_asked_when_the_reservation_is_handed_over(bench: Bench) -> None:
    """Anna's request stays hers though ben has the reservation; ben's own use of the same key is his."""
    first = bench.run(asked())
    bench.run(TransferReservation(reservation_id=first.id, agent_id="anna", to="ben"))

    assert bench.run(asked()).id == first.id
    assert bench.run(asked("ben", "b")).id != first.id


@pytest.mark.parametrize("is_ended", [False, True])
@pytest.mark.parametrize("in_one_batch", [False, True])
def test_key_used_under_a_name_is_that_of_who_registers_under_it(
    bench: Bench, *, is_ended: bool, in_one_batch: bool
) -> None:
    """Carl asked before he registered; his second sending is known, whether or not the first is still active."""
    first = bench.run(asked("carl"))
    if is_ended:
        bench.run(ReleaseReservation(reservation_id=first.id))

    if in_one_batch:
        from_name = RegisterAgent(name="carl")
        _, again = bench.batch((from_name, LOCAL), (asked("carl"), LOCAL))
    else:
        bench.register("carl")
        again = bench.run(asked("carl"))

    assert (again.id, again.is_active) == (first.id, not is_ended)
