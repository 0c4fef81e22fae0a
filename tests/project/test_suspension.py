"""A laptop that was closed and opened again, and a wall clock that was set: nobody loses anything by that (G8, G9)."""

import time
from pathlib import Path

import pytest
import trio
from open_projects import Service, serving, stored_events
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import GetAgent, Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.handing_over import ForceRelease
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import GetReservation, Reserve
from intermute.core.errors import ForceReleaseRefused, ReservationConflict
from intermute.project.clock import ProjectClock, SystemClock
from supervisor import ChildSpec

HOUR_S = 3600
YEAR_S = 365 * 86_400
SILENCE_S = limits.AGENT_SILENCE_S
STEPS_S = [HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S]


async def held(service: Service, agent: str = "anna", path: str = "a", ttl_s: int = HOUR_S) -> str:
    """Register an agent and reserve a path for it; return the reservation's id."""
    await service.run(RegisterAgent(name=agent))
    return str((await service.run(Reserve(agent_id=agent, path_pattern=path, ttl_seconds=ttl_s))).id)


async def is_held(service: Service, path: str = "a") -> bool:
    """Tell whether somebody holds the path."""
    return bool((await service.run(CheckReservations(pattern=path))).conflict)


async def watching(service: Service) -> None:
    """Let suspensions be looked for from now on."""
    await service.supervisor.start(ChildSpec(name="clock", main=service.registry.watch_suspension))


async def test_resumed_machine_spares_agents_that_were_nearly_silent(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Whoever was about to send its heartbeat when the lid was closed has a minute for it, to the instant."""
    async with serving(tmp_path) as service:
        await held(service)
        await trio.sleep(SILENCE_S - 1)
        service.clock.suspended += 8 * HOUR_S

        await trio.sleep(1 + limits.HEARTBEAT_S - 0.1)
        assert await is_held(service)
        await trio.sleep(0.2)

        assert not await is_held(service)


async def test_resumed_machine_keeps_those_who_are_heard(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A heartbeat in that minute counts as any other."""
    async with serving(tmp_path) as service:
        await held(service)
        await trio.sleep(SILENCE_S - 1)
        service.clock.suspended += 8 * HOUR_S
        await trio.sleep(50)

        await service.run(Heartbeat(agent="anna"))

        await trio.sleep(SILENCE_S - 1)
        assert (await service.run(GetAgent(agent="anna"))).active
        assert await is_held(service)


@pytest.mark.parametrize(("suspended_s", "is_noted"), [(limits.SUSPENDED_S_MIN, False), (5.001, True), (-100.0, False)])
async def test_resumed_machine_is_told_of(
    tmp_path: Path, autojump_clock: MockClock, suspended_s: float, is_noted: bool
) -> None:
    """Everyone hears of a suspension of more than 5 s within a second, once, though nobody asks for anything."""
    async with serving(tmp_path) as service:
        await watching(service)
        await service.run(RegisterAgent(name="anna"))
        service.clock.suspended += suspended_s
        await trio.sleep(limits.SUSPENSION_LOOK_S + 0.1)

        events = await service.project.events_after(1, 100)
        await trio.sleep(100)

        assert [(each.type, each.data["suspended_s"]) for each in events] == (
            [("clock.resumed", 5.0)] if is_noted else []
        )
        assert stored_events(tmp_path).count("clock.resumed") == is_noted


async def test_resumed_machine_is_told_of_each_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The second suspension is as long as itself, not as both."""
    async with serving(tmp_path) as service:
        await watching(service)
        await service.run(RegisterAgent(name="anna"))
        for suspended_s in (100.0, 20.0):
            service.clock.suspended += suspended_s
            await trio.sleep(2)

        events = await service.project.events_after(1, 100)

        assert [each.data["suspended_s"] for each in events] == [100.0, 20.0]


async def test_resumed_machine_lengthens_and_shortens_no_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A lease lasts as long as the machine was awake, though the wall clock went on (G8)."""
    async with serving(tmp_path) as service:
        await held(service, ttl_s=200)
        await trio.sleep(150)
        service.clock.suspended += 8 * HOUR_S
        service.clock.offset_s += 8 * HOUR_S

        await trio.sleep(49.9)
        assert await is_held(service)
        await trio.sleep(0.2)

        assert not await is_held(service)


async def test_resumed_machine_revives_nobody(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who was gone before it fell asleep stays gone."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await trio.sleep(SILENCE_S + 1)
        service.clock.suspended += 8 * HOUR_S
        await service.run(RegisterAgent(name="ben"))

        assert not (await service.run(GetAgent(agent="anna"))).active


async def test_resumed_machine_lets_silence_count_anew(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Nobody is taken for silent because of a minute before it fell asleep and a moment after."""
    async with serving(tmp_path) as service:
        reservation = await held(service)
        await trio.sleep(100)
        service.clock.suspended += 8 * HOUR_S

        force = ForceRelease(reservation_id=reservation, reason="silent", agent_id="ben", if_silent_seconds=60)

        assert isinstance(await service.outcome(force), ForceReleaseRefused)


def test_suspension_is_read_from_the_system() -> None:
    """On this machine the two clocks differ by what it has slept, which does not change while it is awake."""
    clock = SystemClock()

    before_s = clock.suspended_s()

    assert before_s >= -0.001
    assert abs(clock.suspended_s() - before_s) < 1
    assert ProjectClock(clock).suspended_s() == 0.0
    assert time.get_clock_info("monotonic").monotonic


@pytest.mark.parametrize("step_s", STEPS_S)
async def test_wall_clock_that_was_set_ends_nothing(tmp_path: Path, autojump_clock: MockClock, step_s: int) -> None:
    """Leases, intents and agents last as long as without the step, not a moment less or more (G9)."""
    async with serving(tmp_path) as service:
        lease = await held(service, ttl_s=250)
        await service.run(DeclareIntent(agent_id="anna", patterns=["b"], ttl_seconds=250))
        service.clock.offset_s += step_s

        await trio.sleep(249.9)
        assert (await service.run(GetReservation(reservation_id=lease))).is_active
        assert (await service.run(GetAgent(agent="anna"))).active
        with raises(ReservationConflict):
            await service.run(Reserve(agent_id="ben", path_pattern="a"))
        assert "intent.abandoned" not in stored_events(tmp_path)
        await trio.sleep(0.2)

        assert not await is_held(service)
        assert "intent.abandoned" in stored_events(tmp_path)


@pytest.mark.parametrize("step_s", STEPS_S)
async def test_wall_clock_that_was_set_orders_nothing_anew(
    tmp_path: Path, autojump_clock: MockClock, step_s: int
) -> None:
    """Messages stay in the order of their sending, and stored times grow, over a restart as well."""
    async with serving(tmp_path) as service:
        for number in range(3):
            await service.run(SendMessage(sender="anna", to=["ben"], id=f"m{number}"))
            service.clock.offset_s += step_s if number == 0 else -step_s
            await service.stop_project()
        page = await service.run(Inbox(agent="ben"))

        assert [each.id for each in page.messages] == ["m0", "m1", "m2"]
        assert sorted({each.created_at for each in page.messages}) == [each.created_at for each in page.messages]


@pytest.mark.parametrize("step_s", STEPS_S)
async def test_wall_clock_that_was_set_stops_no_timer(tmp_path: Path, autojump_clock: MockClock, step_s: int) -> None:
    """Silence is noticed after five minutes, whatever the wall clock says."""
    async with serving(tmp_path) as service:
        await held(service, ttl_s=10 * HOUR_S)
        service.clock.offset_s += step_s

        await trio.sleep(SILENCE_S - 0.1)
        assert await is_held(service)
        await trio.sleep(0.2)

        assert not await is_held(service)
