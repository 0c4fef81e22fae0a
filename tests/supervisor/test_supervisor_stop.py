"""Stopping and restarting: deadlines, children that a thread holds, errors raised on the way out."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import (
    Child,
    ChildExists,
    ChildNotStarted,
    ChildSpec,
    ChildState,
    ChildStillRunning,
    Mailbox,
    MailboxClosed,
    Supervisor,
    UnknownChild,
    open_supervisor,
)
from supervisor.lifecycle import Lifecycle

Change = tuple[str, ChildState, ChildState, BaseException | None]


class Held:
    """A child inside a thread: it cannot be cancelled until `release` is set.

    A shield stands for the thread, since mock clocks leap while a real one works (hazards.md 44).
    """

    def __init__(self) -> None:
        self.release = trio.Event()
        self.living = 0
        self.most = 0
        self.runs = 0

    async def __call__(self, child: Child) -> None:
        """Run once."""
        self.runs += 1
        self.living += 1
        self.most = max(self.most, self.living)
        child.started()
        try:
            with child.busy("commit", in_thread=True), trio.CancelScope(shield=True):
                await self.release.wait()
            await trio.sleep_forever()
        finally:
            self.living -= 1


@pytest.fixture
def changes() -> list[Change]:
    """All state changes."""
    return []


@pytest.fixture
async def supervisor(changes: list[Change], autojump_clock: MockClock) -> AsyncIterator[Supervisor]:
    """An open supervisor on the mock clock."""
    async with open_supervisor(lambda *change: changes.append(change)) as opened:
        yield opened


def state(supervisor: Supervisor) -> ChildState:
    """Return the state of the one child."""
    [child] = supervisor.health()
    return child.state


async def test_stop_cancels_and_waits(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """When `stop` returns, the child's clean-up is done."""
    cleaned: list[float] = []

    async def tidy(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(5, shield=True):
                await trio.sleep(2)
            cleaned.append(trio.current_time())

    await supervisor.start(ChildSpec(name="a", main=tidy))

    await supervisor.stop("a")

    assert cleaned == [2]
    assert state(supervisor) is ChildState.STOPPED
    await supervisor.stop("a")


async def test_stop_of_a_resting_child_is_immediate(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A child in back-off has nothing to wait for."""

    async def crash(child: Child) -> None:
        raise ValueError("crash")

    with pytest.raises(ChildNotStarted):
        await supervisor.start(ChildSpec(name="a", main=crash))

    await supervisor.stop("a")

    assert trio.current_time() == 0
    assert state(supervisor) is ChildState.STOPPED


async def test_stop_before_the_first_step_never_runs(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A child stopped in the moment it was spawned does not run at all."""
    held = Held()
    supervisor.spawn(ChildSpec(name="a", main=held))

    await supervisor.stop("a")

    assert held.runs == 0


async def test_stop_with_failing_cleanup_does_not_restart(
    supervisor: Supervisor, changes: list[Change], autojump_clock: MockClock
) -> None:
    """An error on the way out is told, and is no reason to restart (hazards.md 22)."""

    async def messy(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("clean-up failed")

    await supervisor.start(ChildSpec(name="a", main=messy))

    await supervisor.stop("a")
    await trio.sleep(100)

    assert [new for _, _, new, _ in changes] == [ChildState.RUNNING, ChildState.STOPPING, ChildState.STOPPED]
    assert str(changes[-1][3]) == "clean-up failed"


async def test_stop_of_a_held_child_does_not_pretend(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Past the deadline the caller is told; the child stays `stopping` and its name taken until it truly ended."""
    held = Held()
    spec = ChildSpec(name="a", main=held, stop_timeout_s=5)
    await supervisor.start(spec)

    with pytest.raises(ChildStillRunning, match="busy with: commit"):
        await supervisor.stop("a")

    assert trio.current_time() == 5
    assert state(supervisor) is ChildState.STOPPING
    with pytest.raises(ChildExists):
        await supervisor.start(spec)
    held.release.set()
    await wait_all_tasks_blocked()
    assert state(supervisor) is ChildState.STOPPED
    await supervisor.start(spec)
    assert (held.runs, held.most) == (2, 1)


async def test_stop_of_a_held_child_closes_its_mailbox_at_once(
    supervisor: Supervisor, autojump_clock: MockClock
) -> None:
    """Nobody waits in the mailbox of a child that will not come back."""
    held, box = Held(), Mailbox[int, int](3, "a")
    await supervisor.start(ChildSpec(name="a", main=held, mailbox=box))
    with pytest.raises(ChildStillRunning):
        await supervisor.stop("a")

    with pytest.raises(MailboxClosed, match="stopping"):
        await box.ask(1, timeout_s=8)

    held.release.set()


async def test_restart_of_a_held_child_waits_for_its_end(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """The next run begins when the old one has ended, never before."""
    held = Held()
    await supervisor.start(ChildSpec(name="a", main=held))

    with pytest.raises(ChildStillRunning):
        await supervisor.restart("a")

    assert held.runs == 1
    held.release.set()
    await wait_all_tasks_blocked()
    assert (held.runs, held.most) == (2, 1)
    assert state(supervisor) is ChildState.RUNNING


async def test_two_lifecycles_would_overlap_a_held_child(autojump_clock: MockClock) -> None:
    """Negative control: replacing instead of waiting lets two runs live at once, and `Held` sees it."""
    held = Held()
    spec = ChildSpec(name="a", main=held)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(Lifecycle(spec, lambda *_: None).run)
        await wait_all_tasks_blocked()
        held.release.set()
        nursery.cancel_scope.cancel()

    assert held.most == 2


async def test_restart_is_free_of_charge(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """An operator's restarts never park a child."""
    held = Held()
    held.release.set()
    await supervisor.start(ChildSpec(name="a", main=held))

    for _ in range(10):
        await supervisor.restart("a")

    assert held.runs == 11
    assert state(supervisor) is ChildState.RUNNING
    assert trio.current_time() == 0


async def test_restart_with_an_error_counts_as_a_crash(
    supervisor: Supervisor, changes: list[Change], autojump_clock: MockClock
) -> None:
    """A restart for cause spends the budget and shows its error."""
    held = Held()
    held.release.set()
    await supervisor.start(ChildSpec(name="a", main=held, max_restarts=0))

    supervisor.request_restart("a", ValueError("stuck"))
    await wait_all_tasks_blocked()

    assert state(supervisor) is ChildState.PARKED
    assert str(changes[-1][3]) == "stuck"


async def test_stop_all_is_concurrent_and_names_the_late(
    supervisor: Supervisor, changes: list[Change], autojump_clock: MockClock
) -> None:
    """Two held children cost one deadline, are named, and are told to the application."""
    helds = {name: Held() for name in ("a", "b")}
    for name, held in helds.items():
        await supervisor.start(ChildSpec(name=name, main=held))
    free = Held()
    free.release.set()
    await supervisor.start(ChildSpec(name="c", main=free))

    late = await supervisor.stop_all()

    assert late == ("a", "b")
    assert trio.current_time() == 5
    told = [name for name, old, new, error in changes if old is new and isinstance(error, ChildStillRunning)]
    assert told == ["a", "b"]
    for held in helds.values():
        held.release.set()


async def test_leaving_the_block_stops_the_children(autojump_clock: MockClock, changes: list[Change]) -> None:
    """The end of the block is a stop, not a cancellation of everything: each child is told, then waited for."""
    held = Held()
    held.release.set()

    async with open_supervisor(lambda *change: changes.append(change)) as supervisor:
        await supervisor.start(ChildSpec(name="a", main=held))

    assert [new for _, _, new, _ in changes] == [ChildState.RUNNING, ChildState.STOPPING, ChildState.STOPPED]


async def test_leaving_the_block_waits_for_held_children(autojump_clock: MockClock) -> None:
    """The block does not end before its children have truly ended."""
    held = Held()

    async def let_go() -> None:
        await trio.sleep(30)
        held.release.set()

    async with trio.open_nursery() as nursery:
        async with open_supervisor() as supervisor:
            await supervisor.start(ChildSpec(name="a", main=held))
            nursery.start_soon(let_go)

        assert trio.current_time() == 30
        assert held.living == 0


async def test_revive_of_an_ended_child_is_refused(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Only the living are revived."""
    held = Held()
    held.release.set()
    await supervisor.start(ChildSpec(name="a", main=held))
    await supervisor.stop("a")

    with pytest.raises(UnknownChild):
        supervisor.revive("a")
    with pytest.raises(UnknownChild):
        await supervisor.restart("a")
