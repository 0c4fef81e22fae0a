"""The supervisor: starts, restarts, parking, revival. Time is trio's mock clock."""

import contextvars
from collections.abc import AsyncIterator

import pytest
import trio
from supervised import Flaky, Log, flaky_spec, health, stay
from trio.testing import MockClock

from supervisor import (
    Child,
    ChildExists,
    ChildNotStarted,
    ChildSpec,
    ChildState,
    Restart,
    Supervisor,
    open_supervisor,
)


@pytest.fixture
def log() -> Log:
    """A fresh log."""
    return Log()


@pytest.fixture
async def supervisor(log: Log, autojump_clock: MockClock) -> AsyncIterator[Supervisor]:
    """An open supervisor on the mock clock."""
    async with open_supervisor(log) as opened:
        yield opened


async def test_start_returns_when_the_child_has_started(
    supervisor: Supervisor, log: Log, autojump_clock: MockClock
) -> None:
    """`start` waits for the child's own word."""

    async def slow(child: Child) -> None:
        await trio.sleep(3)
        child.started()
        await trio.sleep_forever()

    await supervisor.start(ChildSpec(name="a", main=slow))

    assert trio.current_time() == 3
    assert log.states == [ChildState.RUNNING]
    assert health(supervisor).state is ChildState.RUNNING
    assert health(supervisor).started_at_s == 0


async def test_start_first_run_crashing_is_told(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """The starter hears the error; the child is tried again as its spec says."""

    async def broken(child: Child) -> None:
        raise OSError("no file")

    with pytest.raises(ChildNotStarted, match="OSError: no file"):
        await supervisor.start(flaky_spec(broken))

    assert health(supervisor).state is ChildState.BACKING_OFF
    assert health(supervisor).next_restart_in_s == 1


async def test_start_too_slow_counts_as_crash(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A run that does not say that it has started is ended at the deadline."""

    async def silent(child: Child) -> None:
        await trio.sleep_forever()

    with pytest.raises(ChildNotStarted, match="did not start within 10 s"):
        await supervisor.start(flaky_spec(silent))

    assert trio.current_time() == 10
    assert health(supervisor).state is ChildState.BACKING_OFF


async def test_start_of_a_taken_name_is_refused(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """One name, one child."""
    await supervisor.start(ChildSpec(name="a", main=stay))

    with pytest.raises(ChildExists):
        await supervisor.start(ChildSpec(name="a", main=stay))

    assert health(supervisor).state is ChildState.RUNNING


async def test_spawn_does_not_inherit_the_caller_variables(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A child started on behalf of a request knows nothing of the request (hazards.md 34)."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []

    async def look(child: Child) -> None:
        seen.append(request.get())
        await stay(child)

    request.set("mine")
    await supervisor.start(ChildSpec(name="a", main=look))

    assert seen == ["none"]


async def test_crash_restarts_after_growing_waits(supervisor: Supervisor, log: Log, autojump_clock: MockClock) -> None:
    """Each restart waits longer; the children beside it are not touched."""
    main = Flaky(crashes=3)
    await supervisor.start(ChildSpec(name="b", main=stay))

    await supervisor.start(flaky_spec(main))
    await trio.sleep(20)

    assert main.began_at_s == [0, 1, 3, 7]
    assert health(supervisor).restarts == 3
    assert health(supervisor).last_error == "ValueError: crash 3"
    assert health(supervisor, "b").restarts == 0
    assert [str(error) for error in log.errors] == ["crash 1", "crash 2", "crash 3"]


async def test_crash_in_a_group_of_one_is_unwrapped(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A child with a nursery inside shows its one error, not the wrapping."""

    async def grouped(child: Child) -> None:
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Flaky(crashes=1), child)

    await supervisor.start(flaky_spec(grouped))
    await trio.sleep(0.5)

    assert health(supervisor).last_error == "ValueError: crash 1"


async def test_crashes_beyond_the_budget_park(supervisor: Supervisor, log: Log, autojump_clock: MockClock) -> None:
    """The fourth crash in 30 s parks the child until it is revived; it stays in health."""
    main = Flaky(crashes=4)

    await supervisor.start(flaky_spec(main))
    await trio.sleep(1000)

    assert len(main.began_at_s) == 4
    assert health(supervisor).state is ChildState.PARKED
    assert health(supervisor).next_restart_in_s is None
    supervisor.revive("a")
    await trio.sleep(1)
    assert health(supervisor).state is ChildState.RUNNING


async def test_crashes_spread_over_time_never_park(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """The budget is a rate: a crash every 20 s is survived for ever."""
    main = Flaky(crashes=50, lives_s=20)

    await supervisor.start(flaky_spec(main))
    await trio.sleep(5000)

    assert health(supervisor).restarts == 50
    assert health(supervisor).state is ChildState.RUNNING


async def test_parked_child_comes_back_by_itself(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """With `revive_after_s` the rests double from 1 s to 60 s (G16) and end when the cause is gone."""
    main = Flaky(crashes=60)

    await supervisor.start(flaky_spec(main, revive_after_s=1))
    await trio.sleep(10_000)

    waits_s = [later - sooner for sooner, later in zip(main.began_at_s, main.began_at_s[1:], strict=False)]
    assert waits_s[:8] == [1, 2, 4, 1, 2, 4, 8, 16]
    assert max(waits_s) == 60
    assert health(supervisor).state is ChildState.RUNNING


async def test_parking_rest_starts_anew_after_a_long_life(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A child that lived longer than the window is parked for the first rest again, not for the next longer one."""
    main = Flaky(crashes=5)
    await supervisor.start(flaky_spec(main, revive_after_s=1))
    await trio.sleep(100)
    assert health(supervisor).state is ChildState.RUNNING
    main.crashes, main.lives_s = 10, 0
    main.began_at_s.clear()

    await supervisor.restart("a")
    await trio.sleep(7.5)

    assert main.began_at_s[:4] == [100, 101, 103, 107]
    assert health(supervisor).next_restart_in_s == 0.5


async def test_revive_grants_a_fresh_start(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Whoever revives vouches for the cause: a whole budget again, and the first rest after it."""
    main = Flaky(crashes=99)
    await supervisor.start(flaky_spec(main, revive_after_s=8))
    await trio.sleep(14.5)  # Parked at 7, back at 15.
    assert health(supervisor).next_restart_in_s == 0.5

    supervisor.revive("a")
    await trio.sleep(7.5)

    assert main.began_at_s == [0, 1, 3, 7, 14.5, 15.5, 17.5, 21.5]
    assert health(supervisor).next_restart_in_s == 7.5


@pytest.mark.parametrize(
    ("restart", "is_crash", "is_restarted"),
    [
        (Restart.PERMANENT, True, True),
        (Restart.PERMANENT, False, True),
        (Restart.TRANSIENT, True, True),
        (Restart.TRANSIENT, False, False),
        (Restart.TEMPORARY, True, False),
        (Restart.TEMPORARY, False, False),
    ],
)
async def test_end_of_run_follows_the_restart_type(
    supervisor: Supervisor, restart: Restart, is_crash: bool, is_restarted: bool, autojump_clock: MockClock
) -> None:
    """Erlang/OTP's table of restart types."""
    runs = 0

    async def main(child: Child) -> None:
        nonlocal runs
        runs += 1
        child.started()
        if runs > 1:
            await trio.sleep_forever()
        if is_crash:
            raise ValueError("crash")

    await supervisor.start(flaky_spec(main, restart=restart))
    await trio.sleep(10)

    assert runs == (2 if is_restarted else 1)
    assert health(supervisor).state is (ChildState.RUNNING if is_restarted else ChildState.STOPPED)
