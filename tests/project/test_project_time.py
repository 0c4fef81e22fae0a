"""A project in time: the ticker, heartbeats on their way to the disk, restarts, clocks that step (guarantees.md G8 to G10)."""

from datetime import datetime
from pathlib import Path

import trio
from open_projects import Service, serving, stored_events, stored_row
from pytest import approx, raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import GetAgent, Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.handing_over import ForceRelease, TransferReservation
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import GetReservation, ListReservations, Reserve
from intermute.core.errors import ForceReleaseRefused, ReservationConflict

HOUR_S = 3600
YEAR_S = 365 * 86_400


async def reserve(service: Service, agent: str, path: str, ttl_s: int = HOUR_S) -> str:
    """Reserve one path and return the reservation's id."""
    granted = await service.run(Reserve(agent_id=agent, path_pattern=path, ttl_seconds=ttl_s))
    return str(granted.id)


async def is_free(service: Service, path: str) -> bool:
    """Tell whether a check finds nothing in the way."""
    return not (await service.run(CheckReservations(pattern=path))).conflict


async def test_ticker_ends_a_lease_at_its_deadline(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Nobody has to ask: at the deadline the lease ends and everyone hears of it."""
    async with serving(tmp_path) as service:
        await reserve(service, "anna", "a", ttl_s=60)
        head = service.project.hub.head
        began_s = trio.current_time()

        await service.project.hub.wait_beyond(head)

        assert trio.current_time() - began_s == approx(60, abs=0.01)
        assert stored_events(tmp_path)[-1] == "reservation.expired"
        assert await is_free(service, "a")


async def test_ticker_knows_the_silence_of_a_receiver(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What is given to an agent that is nearly gone ends with its five minutes, though the giver sends no heartbeats."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="ben"))
        await trio.sleep(100)
        held = await reserve(service, "a-name", "a", ttl_s=10 * HOUR_S)
        await reserve(service, "another-name", "b", ttl_s=limits.AGENT_SILENCE_S - 50)  # The ticker sleeps until then.
        await service.run(TransferReservation(reservation_id=held, to="ben"))
        head = service.project.hub.head
        began_s = trio.current_time()

        await service.project.hub.wait_beyond(head)

        assert trio.current_time() - began_s == approx(limits.AGENT_SILENCE_S - 100, abs=0.01)
        assert (await service.run(GetReservation(reservation_id=held))).ended == "owner_stale"


async def test_force_release_by_silence_begins_anew_with_the_service(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After a stop the holder gets its time to be heard again; then it is taken, and stays taken."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        held = await reserve(service, "anna", "a")
        await trio.sleep(120)
    force = ForceRelease(reservation_id=held, reason="silent", agent_id="ben", if_silent_seconds=60)

    async with serving(tmp_path) as service:
        assert isinstance(await service.outcome(force), ForceReleaseRefused)
        await trio.sleep(61)

        assert (await service.run(force)).released == [held]
        await service.stop_project()
        assert (await service.run(GetReservation(reservation_id=held))).ended == "forced"


async def test_ticker_sleeps_until_the_next_deadline(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Between deadlines nothing runs: no poll, no look at a clock, no write."""
    async with serving(tmp_path) as service:
        await reserve(service, "anna", "a", ttl_s=10 * HOUR_S)
        await trio.sleep(1)
        readings, row = service.clock.readings, stored_row(tmp_path)

        await trio.sleep(9 * HOUR_S)

        assert service.clock.readings == readings
        assert stored_row(tmp_path) == row


async def test_ticker_of_a_quiet_project_never_wakes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A project without leases and heartbeats costs nothing."""
    async with serving(tmp_path) as service:
        await service.run(SendMessage(sender="anna", to=["ben"]))
        readings = service.clock.readings

        await trio.sleep(100 * HOUR_S)

        assert service.clock.readings == readings


async def test_ticker_takes_a_nearer_deadline(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A lease that ends sooner than what the ticker sleeps for wakes it in time."""
    async with serving(tmp_path) as service:
        await reserve(service, "anna", "far", ttl_s=10 * HOUR_S)
        await trio.sleep(100)
        await reserve(service, "ben", "near", ttl_s=10)

        await trio.sleep(10.01)

        assert [await is_free(service, path) for path in ("near", "far")] == [True, False]


async def test_ticker_ends_leases_of_the_silent(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Five minutes after its last sign of life an agent loses what it holds, with the reason (G10)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        held = await reserve(service, "anna", "a")
        await trio.sleep(200)
        await service.run(Heartbeat(agent="anna"))

        await trio.sleep(limits.AGENT_SILENCE_S - 0.01)
        assert not await is_free(service, "a")
        await trio.sleep(0.02)

        assert (await service.run(GetReservation(reservation_id=held))).ended == "owner_stale"
        assert await is_free(service, "a")


async def test_heartbeat_keeps_a_lease_for_hours(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A heartbeat a minute is enough."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await reserve(service, "anna", "a", ttl_s=10 * HOUR_S)

        for _ in range(5 * 60):
            await trio.sleep(60)
            await service.run(Heartbeat(agent="anna"))

        assert not await is_free(service, "a")


async def test_heartbeats_share_a_commit(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A hundred heartbeats at once add nothing to the log, and cost at most one commit (design.md 3.5)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await trio.sleep(100)
        before = stored_row(tmp_path)

        for _ in range(100):
            await service.run(Heartbeat(agent="anna"))

        after = stored_row(tmp_path)
        assert after.head == before.head
        assert after.batch <= before.batch + 1


async def test_heartbeat_reaches_the_disk_in_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After 30 s what was heard is stored, in one commit for everyone, without an event."""
    async with serving(tmp_path) as service:
        for name in ("anna", "ben"):
            await service.run(RegisterAgent(name=name))
        await trio.sleep(100)
        before = stored_row(tmp_path)
        for name in ("anna", "ben"):
            await service.run(Heartbeat(agent=name))

        await trio.sleep(limits.LIVENESS_FLUSH_S + 0.01)

        after = stored_row(tmp_path)
        assert (after.head, after.batch) == (before.head, before.batch + 1)


async def test_heartbeats_of_hours_are_flushed_twice_a_minute(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However many heartbeats come, the disk sees one commit in 30 s."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        before = stored_row(tmp_path).batch
        for _ in range(600):
            await trio.sleep(1)
            await service.run(Heartbeat(agent="anna"))

        assert stored_row(tmp_path).batch - before <= 600 / limits.LIVENESS_FLUSH_S + 1


async def test_restart_gives_holders_a_minute(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Whoever held something when the server went down has a minute to renew after it is back (G8)."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await reserve(service, "anna", "a", ttl_s=60)
        await service.stop_project()
        await trio.sleep(HOUR_S)

        await service.run(ListReservations())
        await trio.sleep(limits.RESTART_GRACE_S - 0.01)
        assert not await is_free(service, "a")
        await trio.sleep(0.02)

        assert await is_free(service, "a")


async def test_restart_forgets_no_heartbeat_that_was_flushed(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An agent that was live when the server went down is live when it is back."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await trio.sleep(200)
        await service.run(Heartbeat(agent="anna"))
        await trio.sleep(limits.LIVENESS_FLUSH_S + 0.01)
        await service.stop_project()
        await trio.sleep(200)

        assert (await service.run(GetAgent(agent="anna"))).active


async def test_wall_clock_step_back_orders_nothing_anew(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Stored time never runs backwards, over a restart as well (G9, hazards.md 48)."""
    async with serving(tmp_path) as service:
        times: list[datetime] = []
        for offset_s in (0.0, -HOUR_S, -10 * YEAR_S, 5.0, -1.0):
            service.clock.offset_s = offset_s
            await service.run(SendMessage(sender="anna", to=["ben"]))
            await service.stop_project()
        page = await service.run(Inbox(agent="ben"))
        times = [datetime.fromisoformat(message.created_at) for message in page.messages]

        assert len(set(times)) == 5
        assert times == sorted(times)


async def test_wall_clock_step_ends_no_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A clock that jumps by years in either direction neither ends a lease nor keeps it (G9)."""
    async with serving(tmp_path) as service:
        await reserve(service, "anna", "a", ttl_s=100)
        for offset_s in (10 * YEAR_S, -10 * YEAR_S):
            service.clock.offset_s = offset_s
            await trio.sleep(45)
            with raises(ReservationConflict):
                await reserve(service, "ben", "a")

        await trio.sleep(10.01)

        assert await is_free(service, "a")
