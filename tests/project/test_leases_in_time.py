"""What time does to leases and agents: design.md 8, guarantees.md G8 to G10, claims.md S01 and S19."""

import pytest
from handler_bench import LOCAL, Bench, bench_of
from pytest import approx, raises

from intermute.core import limits
from intermute.core.api.agents import GetAgent, ListAgents
from intermute.core.api.checks import CheckReservations
from intermute.core.api.reservations import GetReservation, ReleaseReservation, RenewReservation, Reserve
from intermute.core.errors import ReservationConflict, ReservationEnded
from intermute.core.times import SECOND_US
from intermute.project.handlers.liveness import next_deadline_s
from intermute.store import agents as agent_rows

SILENCE_S = limits.AGENT_SILENCE_S


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def endings(bench: Bench) -> list[tuple[str, str]]:
    """Return type and reason of all endings in the log."""
    return [
        (event.type, event.data["reason"])
        for event in bench.events()
        if event.type in ("reservation.expired", "reservation.released")
    ]


def stored_seen_us(bench: Bench, name: str) -> int:
    """Return when the disk says that an agent was last seen."""
    [found] = [agent for agent in agent_rows.load(bench.connection, lambda _id, _seen: 0.0) if agent.name == name]
    return found.last_seen_us


def test_lease_holds_until_its_deadline(bench: Bench) -> None:
    """A moment before the deadline the lease stands (G8)."""
    bench.reserve("anna", "a", ttl_s=60)
    bench.wait(59.999)

    with raises(ReservationConflict):
        bench.reserve("ben", "a")


def test_lease_is_over_exactly_at_its_deadline(bench: Bench) -> None:
    """At the deadline itself the path is free, with no tick before the next command (S01)."""
    granted = bench.reserve("anna", "a", ttl_s=60)
    bench.wait(60)

    bench.reserve("ben", "a")

    assert endings(bench) == [("reservation.expired", "expired")]
    assert bench.ask(GetReservation(reservation_id=granted.id)).ended == "expired"


def test_lease_ends_once(bench: Bench) -> None:
    """One lease gives one event, however often it was renewed and looked at."""
    granted = bench.reserve("anna", "a", ttl_s=60)
    for _ in range(5):
        bench.run(RenewReservation(reservation_id=granted.id, ttl_seconds=60))
    bench.wait(60)

    bench.tick()
    bench.tick()

    assert endings(bench) == [("reservation.expired", "expired")]


def test_lease_that_was_adopted_ends_once(bench: Bench) -> None:
    """A lease that passed from a name to its agent has one deadline."""
    bench.reserve("carl", "a", ttl_s=60)
    bench.register("carl")
    bench.wait(60)

    bench.tick()

    assert endings(bench) == [("reservation.expired", "expired")]


def test_lease_renewed_late_is_told_that_it_expired(bench: Bench) -> None:
    """Who renews at the deadline hears that the lease expired, not that somebody released it."""
    granted = bench.reserve("anna", "a", ttl_s=60)
    bench.wait(60)

    with raises(ReservationEnded) as refused:
        bench.run(RenewReservation(reservation_id=granted.id))

    assert refused.value.how == "expired"


def test_lease_survives_a_step_of_the_wall_clock(bench: Bench) -> None:
    """The wall clock may jump by years: leases run on monotonic time (G9)."""
    bench.reserve("anna", "a", ttl_s=600)
    bench.wait(1, wall_s=10 * 365 * 86_400)
    bench.heartbeat("anna")
    bench.tick()

    with raises(ReservationConflict) as refused:
        bench.reserve("ben", "a")

    assert refused.value.wait_s == 599


def test_lease_of_a_silent_agent_ends(bench: Bench) -> None:
    """After exactly 5 silent minutes an agent loses what it holds, with the reason (G10)."""
    bench.reserve("anna", "a")
    bench.wait(SILENCE_S - 0.001)
    bench.tick()
    assert endings(bench) == []
    bench.wait(0.001)

    bench.tick()

    assert endings(bench) == [("reservation.expired", "owner_stale")]


def test_lease_of_a_silent_agent_is_the_only_one_to_end(bench: Bench) -> None:
    """Others keep theirs."""
    bench.reserve("anna", "a")
    kept = bench.reserve("ben", "b")
    bench.wait(SILENCE_S - 10)
    bench.heartbeat("ben")
    bench.wait(10)

    bench.tick()

    assert [each.id for each in bench.state.leases] == [kept.id]


def test_lease_of_an_unregistered_holder_runs_to_its_end(bench: Bench) -> None:
    """Who never registered cannot send heartbeats, so its silence says nothing; the grant warns of it."""
    granted = bench.run(Reserve(agent_id="carl", path_pattern="a", ttl_seconds=3600))
    bench.wait(3599)
    bench.tick()
    assert bench.state.leases.get(granted.id) is not None
    bench.wait(1)

    bench.tick()

    assert "not registered" in granted.notes[0]
    assert endings(bench) == [("reservation.expired", "expired")]


@pytest.mark.parametrize("act", ["heartbeat", "renew", "reserve", "send"])
def test_agent_is_heard_by_what_it_does(bench: Bench, act: str) -> None:
    """A heartbeat is a sign of life, and so is every command of the agent."""
    granted = bench.reserve("anna", "a", ttl_s=86_400)
    bench.wait(200)
    match act:
        case "heartbeat":
            bench.heartbeat("anna")
        case "renew":
            bench.run(RenewReservation(reservation_id=granted.id, ttl_seconds=86_400))
        case "reserve":
            bench.reserve("anna", "b")
        case _:
            bench.send("anna", "ben")
    bench.wait(200)

    bench.tick()

    assert bench.ask(GetAgent(agent="anna")).active
    assert bench.state.leases.get(granted.id) is not None


def test_agent_is_live_until_exactly_five_minutes(bench: Bench) -> None:
    """`active` turns false at 5 silent minutes."""
    bench.wait(SILENCE_S - 0.001)
    assert [each.active for each in bench.ask(ListAgents()).agents] == [True, True]

    bench.wait(0.001)

    assert [each.active for each in bench.ask(ListAgents(active=False)).agents] == [False, False]


def test_heartbeat_stores_nothing(bench: Bench) -> None:
    """A heartbeat changes memory alone: no event, no batch (design.md 3.5)."""
    head, batch, changes = bench.state.head, bench.state.batch, bench.connection.total_changes()

    bench.heartbeat("anna")

    assert (bench.state.head, bench.state.batch, bench.connection.total_changes()) == (head, batch, changes)


def test_heartbeat_reaches_the_disk_with_the_flush(bench: Bench) -> None:
    """What agents said of themselves is written by the tick that flushes, once."""
    before_us = stored_seen_us(bench, "anna")
    bench.wait(100)
    bench.heartbeat("anna")
    bench.tick()
    assert stored_seen_us(bench, "anna") == before_us

    bench.tick(flushes_heartbeats=True)

    assert stored_seen_us(bench, "anna") >= before_us + 100 * SECOND_US
    assert bench.state.unflushed_heartbeats == set()


def test_restart_gives_a_lease_a_minute(bench: Bench) -> None:
    """A lease that ran out while the server was down keeps a minute, so that its holder can renew it (G8)."""
    granted = bench.reserve("anna", "a", ttl_s=60)
    bench.wait(3600)

    bench.restart()

    lease = bench.state.leases.get(granted.id)
    assert lease is not None
    assert lease.deadline_s == bench.mono_s + limits.RESTART_GRACE_S


def test_restart_keeps_what_is_left_of_a_lease(bench: Bench) -> None:
    """A lease with more than a minute left keeps it to the second."""
    granted = bench.reserve("anna", "a", ttl_s=600)
    bench.wait(100)

    bench.restart()

    lease = bench.state.leases.get(granted.id)
    assert lease is not None
    assert lease.deadline_s == approx(bench.mono_s + 500, abs=0.001)


def test_restart_with_a_clock_in_the_past_bounds_a_lease(bench: Bench) -> None:
    """A stored expiry far ahead is no reason to hold longer than any lease may."""
    granted = bench.reserve("anna", "a", ttl_s=600)
    bench.connection.execute("UPDATE reservations SET expires_at_us = expires_at_us + 1000000000000000")

    bench.restart()

    lease = bench.state.leases.get(granted.id)
    assert lease is not None
    assert lease.deadline_s == bench.mono_s + limits.TTL_MAX_S


def test_restart_gives_a_holder_a_minute_to_be_heard(bench: Bench) -> None:
    """A server that was down cannot know who was silent: whoever holds something has a minute (G8)."""
    bench.reserve("anna", "a", ttl_s=86_400)
    bench.wait(2 * SILENCE_S)
    bench.restart()
    bench.wait(limits.RESTART_GRACE_S - 0.001)
    bench.tick()
    assert endings(bench) == []
    bench.wait(0.001)

    bench.tick()

    assert endings(bench) == [("reservation.expired", "owner_stale")]


def test_restart_does_not_revive_the_long_silent(bench: Bench) -> None:
    """Who was gone long before and holds nothing stays gone."""
    bench.wait(SILENCE_S + limits.LIVENESS_FLUSH_S)

    bench.restart()

    assert not bench.ask(GetAgent(agent="anna")).active


def test_crash_keeps_deadlines_and_heartbeats(bench: Bench) -> None:
    """A new run in the same process knows the monotonic facts of the old one to the instant."""
    granted = bench.reserve("anna", "a", ttl_s=86_400)
    bench.wait(100)
    bench.heartbeat("anna")
    deadline_s = bench.state.leases.next_deadline_s()

    bench.crash()

    agent = bench.state.agents.find("anna")
    assert agent is not None
    assert agent.heard_s == bench.mono_s
    assert bench.state.leases.next_deadline_s() == deadline_s
    assert agent.id in bench.state.unflushed_heartbeats
    assert bench.state.leases.get(granted.id) is not None


@pytest.mark.parametrize("lost", ["renewal", "release"])
def test_crash_before_the_commit_keeps_the_stored_deadline(bench: Bench, lost: str) -> None:
    """A change that was not stored leaves the lease its own deadline, even if the wall clock jumped meanwhile (G8)."""
    granted = bench.reserve("anna", "a", ttl_s=3600)
    deadline_s = bench.state.leases.next_deadline_s()
    bench.wait(10, wall_s=100_000)
    change = RenewReservation if lost == "renewal" else ReleaseReservation
    bench.decide((change(reservation_id=granted.id), LOCAL))

    bench.crash()

    assert bench.state.leases.next_deadline_s() == deadline_s


def test_crash_before_the_commit_forgets_a_grant(bench: Bench) -> None:
    """A grant that was not stored is not there in the next run."""
    bench.decide((Reserve(agent_id="anna", path_pattern="a"), LOCAL))

    bench.crash()

    bench.reserve("ben", "a")


def test_next_deadline_is_the_earliest_of_all(bench: Bench) -> None:
    """The ticker is told of leases, of silence of holders, and of heartbeats to write; of nothing else."""
    bench.state.unflushed_heartbeats.clear()
    assert next_deadline_s(bench.state, bench.mono_s) is None

    bench.reserve("carl", "a", ttl_s=1000)
    assert next_deadline_s(bench.state, bench.mono_s) == bench.mono_s + 1000
    bench.reserve("anna", "b", ttl_s=1000)
    bench.state.unflushed_heartbeats.clear()
    assert next_deadline_s(bench.state, bench.mono_s) == bench.mono_s + SILENCE_S
    bench.heartbeat("ben")
    assert next_deadline_s(bench.state, bench.mono_s) == bench.mono_s + limits.LIVENESS_FLUSH_S


def test_check_at_the_deadline_is_free_after_the_tick(bench: Bench) -> None:
    """The tick at the deadline frees the path for everyone."""
    bench.reserve("anna", "a", ttl_s=60)
    bench.wait(60)

    bench.tick()

    assert not bench.ask(CheckReservations(pattern="a")).conflict
