"""Renewing, releasing, listing, checking: design.md 8, contract.md 1.7."""

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of, claiming
from pytest import raises

from intermute.core.agents import Caller
from intermute.core.api.checks import CheckReservations
from intermute.core.api.reservations import (
    GetReservation,
    ListReservations,
    ReleaseAll,
    ReleaseReservation,
    RenewReservation,
    Reserve,
)
from intermute.core.errors import (
    InvalidRequest,
    NotYours,
    ReservationEnded,
    UnknownReservation,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def test_renew_runs_anew_from_now(bench: Bench) -> None:
    """A renewal counts from now, keeps the fence, and is an event."""
    granted = bench.reserve("anna", "a", ttl_s=600)
    bench.wait(500)

    renewed = bench.run(RenewReservation(reservation_id=granted.id, ttl_seconds=60), claiming("anna"))

    assert (renewed.expires_in_ms, renewed.fence, renewed.id) == (60_000, granted.fence, granted.id)
    assert bench.events()[-1].type == "reservation.renewed"


def test_renew_may_shorten(bench: Bench) -> None:
    """A renewed lease ends when the renewal says, earlier or later."""
    granted = bench.reserve("anna", "a", ttl_s=600)
    bench.run(RenewReservation(reservation_id=granted.id, ttl_seconds=10))
    bench.wait(10)

    bench.tick()

    assert bench.state.leases.get(granted.id) is None


@pytest.mark.parametrize("end", [RenewReservation, ReleaseReservation])
@pytest.mark.parametrize(
    ("caller", "agent_id", "is_refused"),
    [
        (claiming("anna"), None, False),
        (LOCAL, "anna", False),
        (LOCAL, None, False),
        (LOCAL, "ben", True),
        (claiming("ben"), None, True),
        (claiming("ben"), "anna", True),
        (claiming("anna"), "ben", False),
        (REMOTE, None, True),
        (REMOTE, "anna", False),
    ],
)
def test_reservation_obeys_its_holder(
    bench: Bench,
    end: type[RenewReservation | ReleaseReservation],
    caller: Caller,
    agent_id: str | None,
    is_refused: bool,
) -> None:
    """The header counts before the query; only a local caller that names nobody may act for the holder."""
    granted = bench.reserve("anna", "a")

    [outcome] = bench.batch((end(reservation_id=granted.id, agent_id=agent_id), caller))

    assert isinstance(outcome, NotYours) == is_refused


def test_release_says_what_ended(bench: Bench) -> None:
    """A release answers with the id, tells everyone, and the path is free."""
    granted = bench.reserve("anna", "a")

    released = bench.run(ReleaseReservation(reservation_id=granted.id))

    event = bench.events()[-1]
    assert released.released == [granted.id]
    assert (event.type, event.data["reservation_id"], event.data["reason"]) == (
        "reservation.released",
        granted.id,
        "released",
    )
    bench.reserve("ben", "a")


def test_release_refusals_come_in_the_originals_order(bench: Bench) -> None:
    """Unknown, then not yours, then ended (contract.md 1.7)."""
    granted = bench.reserve("anna", "a")
    bench.run(ReleaseReservation(reservation_id=granted.id))

    with raises(UnknownReservation):
        bench.run(ReleaseReservation(reservation_id="nothing"), claiming("ben"))
    with raises(NotYours):
        bench.run(ReleaseReservation(reservation_id=granted.id), claiming("ben"))
    with raises(ReservationEnded) as refused:
        bench.run(ReleaseReservation(reservation_id=granted.id), claiming("anna"))
    assert refused.value.how == "released"


def test_release_twice_in_one_batch_ends_once(bench: Bench) -> None:
    """The second of two releases that arrive together is told that it is over."""
    granted = bench.reserve("anna", "a")
    release = ReleaseReservation(reservation_id=granted.id)

    _, second = bench.batch((release, LOCAL), (release, LOCAL))

    assert isinstance(second, ReservationEnded)
    assert [event.type for event in bench.events()].count("reservation.released") == 1


def test_release_all_gives_everything_back(bench: Bench) -> None:
    """One call ends all that one agent holds, and nothing of another."""
    mine = [bench.reserve("anna", f"a{number}").id for number in range(3)]
    bench.reserve("ben", "b")

    assert bench.run(ReleaseAll(agent_id="anna")).released == mine
    assert bench.held("ben") == ["b"]
    with raises(InvalidRequest):
        bench.run(ReleaseAll())


def test_list_shows_active_ones_of_the_project_and_history_of_an_agent(bench: Bench) -> None:
    """Without an agent what is active, with one all it ever had; the newest first, in pages."""
    gone = bench.reserve("anna", "a")
    bench.run(ReleaseReservation(reservation_id=gone.id))
    bench.reserve("anna", "b")
    bench.reserve("ben", "c")

    def listed(query: ListReservations) -> list[tuple[str, bool]]:
        return [(each.path_pattern, each.is_active) for each in bench.ask(query).reservations]

    assert listed(ListReservations()) == [("c", True), ("b", True)]
    assert listed(ListReservations(agent="anna")) == [("b", True), ("a", False)]
    assert listed(ListReservations(agent="anna", active=True)) == [("b", True)]
    assert listed(ListReservations(active=False)) == [("c", True), ("b", True), ("a", False)]
    page = bench.ask(ListReservations(limit=1))
    assert listed(ListReservations(cursor=page.next_cursor)) == [("b", True)]


def test_get_shows_how_a_reservation_ended(bench: Bench) -> None:
    """An ended reservation stays readable, with when and how it ended."""
    granted = bench.reserve("anna", "a")
    bench.run(ReleaseReservation(reservation_id=granted.id))

    view = bench.ask(GetReservation(reservation_id=granted.id))

    assert (view.is_active, view.ended) == (False, "released")
    assert view.released_at is not None
    with raises(UnknownReservation):
        bench.ask(GetReservation(reservation_id="nothing"))


def test_check_leaves_the_askers_own_out(bench: Bench) -> None:
    """Whoever names itself hears of others alone; a check holds nothing."""
    bench.reserve("anna", "src/**")

    assert bench.ask(CheckReservations(pattern="src/a.py")).conflict
    assert not bench.ask(CheckReservations(pattern="src/a.py", agent="anna")).conflict
    assert not bench.ask(CheckReservations(pattern="src/a.py"), claiming("anna")).conflict
    assert bench.ask(CheckReservations(pattern="src/a.py", agent="ben")).conflict


@pytest.mark.parametrize(
    ("query", "conflict"),
    [
        (CheckReservations(pattern="a"), True),
        (CheckReservations(pattern="a", exclusive="false"), False),
        (CheckReservations(pattern="a", exclusive="0"), True),
        (CheckReservations(pattern="a", mode="shared"), False),
    ],
)
def test_check_is_exclusive_unless_told(bench: Bench, query: CheckReservations, conflict: bool) -> None:
    """Anything but `false` asks for exclusive, as in the original."""
    bench.reserve("anna", "a", shared=True)

    assert bench.ask(query).conflict == conflict


def test_check_shows_no_unstored_grant(bench: Bench) -> None:
    """A grant that is still on its way to the disk is not shown: a power cut could take it back (design.md 3.2)."""
    _, transactions = bench.decide((Reserve(agent_id="anna", path_pattern="a"), LOCAL))

    before = bench.ask(CheckReservations(pattern="a"))
    bench.store(transactions)

    assert not before.conflict
    assert bench.ask(CheckReservations(pattern="a")).conflict


def test_check_shows_what_is_not_yet_released(bench: Bench) -> None:
    """A release that is still on its way to the disk does not free the path for a check."""
    granted = bench.reserve("anna", "a/*.py")
    _, transactions = bench.decide((ReleaseReservation(reservation_id=granted.id), LOCAL))

    before = bench.ask(CheckReservations(pattern="a/b.py"))
    bench.store(transactions)

    assert [each.reservation_id for each in before.conflicts] == [granted.id]
    assert not bench.ask(CheckReservations(pattern="a/b.py")).conflict


def test_check_ignores_what_came_and_went_unstored(bench: Bench) -> None:
    """A grant that ended in the same batch was never there."""
    _, _ = bench.decide((Reserve(agent_id="anna", path_pattern="a"), LOCAL), (ReleaseAll(agent_id="anna"), LOCAL))

    assert not bench.ask(CheckReservations(pattern="a")).conflict
