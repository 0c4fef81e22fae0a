"""Starts, stops and watches over children; a crash of one is not an event in the life of another.

Erlang/OTP's dynamic supervisor, one-for-one, above one trio nursery (Source: Elixir `dynamic_supervisor.ex`; trio
issues 136 and 569 for why it is not in trio).
"""

import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from supervisor.child_spec import ChildSpec
from supervisor.errors import (
    ChildEscalated,
    ChildExists,
    ChildNotStarted,
    ChildStillRunning,
    SupervisorClosed,
    UnknownChild,
)
from supervisor.health import ChildHealth, ChildState, StateChange
from supervisor.lifecycle import Lifecycle

STOPPED_KEPT_MAX: Final = 64  # children that ended and are still shown in health; a guess: a screen of /health.


def _ignore(name: str, old: ChildState, new: ChildState, error: BaseException | None) -> None:
    """Log nothing."""


class Supervisor:
    """Runs children as its specs say. Open it with `open_supervisor` or `nursery.start(supervisor.run)`."""

    def __init__(self, on_state_change: StateChange = _ignore) -> None:
        self._on_state_change = on_state_change
        self._lifecycles: dict[str, Lifecycle] = {}
        self._nursery: trio.Nursery | None = None
        self._context = contextvars.Context()
        self._escalated: ChildEscalated | None = None
        self._is_closed = False

    async def run(self, *, task_status: trio.TaskStatus["Supervisor"] = trio.TASK_STATUS_IGNORED) -> None:
        """Supervise until cancelled.

        Raises:
            ChildEscalated: see `OnExhausted.ESCALATE`; alone, not in a group.

        Cancellation: every child is cancelled; returns when all have truly ended.
        """
        async with self.serving():
            task_status.started(self)
            await trio.sleep_forever()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Supervise for the length of the block; at its end all children are stopped and waited for.

        An error of the block itself arrives in a group (hazards.md 23): such blocks only wait.
        """
        assert self._nursery is None, "a supervisor is opened once"
        # Children are started by whoever needs them first and must not inherit that task's variables (hazards.md 34).
        self._context = contextvars.copy_context()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            yield
            await self.stop_all()
        if self._escalated is not None:
            raise self._escalated

    # ---- one child

    def spawn(self, spec: ChildSpec) -> None:
        """Begin to run the child and return at once.

        Raises:
            SupervisorClosed: after `stop_all`.
            ChildExists: a child of this name has not ended.
        """
        if self._is_closed:
            raise SupervisorClosed(spec.name)
        assert self._nursery is not None, "the supervisor is not open"
        present = self._lifecycles.pop(spec.name, None)
        if present is not None and present.state is not ChildState.STOPPED:
            self._lifecycles[spec.name] = present
            raise ChildExists(spec.name, present.state)
        lifecycle = Lifecycle(spec, self._on_state_change)
        self._lifecycles[spec.name] = lifecycle
        if spec.mailbox is not None:
            spec.mailbox.reopen()
        self._context.copy().run(self._nursery.start_soon, self._keep, lifecycle)

    async def start(self, spec: ChildSpec) -> None:
        """Begin to run the child and wait until it has started.

        Raises:
            SupervisorClosed, ChildExists: see `spawn`.
            ChildNotStarted: the first run ended before; the child stays supervised, so it may back off or be parked.

        Cancellation: the child stays and goes on starting.
        """
        self.spawn(spec)
        await self.wait_started(spec.name)

    async def wait_started(self, name: str) -> None:
        """Wait until the child has started for the first time; at once if it has.

        Raises:
            UnknownChild: no such name.
            ChildNotStarted: see `start`.
        """
        await self._wait_started(self._find(name), run=1)

    async def stop(self, name: str) -> None:
        """End the child for good; a child that has ended already is fine.

        Raises:
            UnknownChild: no such name.
            ChildStillRunning: the deadline passed. The child stays `stopping`, its name stays taken.
        """
        lifecycle = self._find(name)
        lifecycle.request_stop()
        await self._wait_ended(lifecycle, trio.current_time())
        if lifecycle.state is not ChildState.STOPPED:
            raise self._still_running(lifecycle)

    async def restart(self, name: str) -> None:
        """End the present run, without cost to the budget, and wait until the next one has started.

        Raises:
            UnknownChild: no such name, or it has ended.
            ChildStillRunning: the run did not end in time; the next one begins when it does.
            ChildNotStarted: the next run ended before it started.
        """
        lifecycle = self._find_alive(name)
        next_run = lifecycle.runs + 1
        lifecycle.request_restart(None)
        with trio.move_on_after(lifecycle.spec.stop_timeout_s):
            await lifecycle.wait_until(lambda: lifecycle.runs >= next_run or lifecycle.state is ChildState.STOPPED)
        if lifecycle.runs < next_run and lifecycle.state is not ChildState.STOPPED:
            raise self._still_running(lifecycle)
        await self._wait_started(lifecycle, next_run)

    def request_restart(self, name: str, error: Exception) -> None:
        """End the present run as if it had crashed with the error, and return at once.

        Raises:
            UnknownChild: no such name, or it has ended.
        """
        self._find_alive(name).request_restart(error)

    def revive(self, name: str) -> None:
        """End the child's parking or back-off now, with a fresh budget; a running child is left alone.

        Raises:
            UnknownChild: no such name, or it has ended.
        """
        self._find_alive(name).revive()

    def mark_stalled(self, name: str, busy_serial: int) -> None:
        """Show the child as stalled while the named work lasts (the watchdog's verdict).

        Raises:
            UnknownChild: no such name, or it has ended.
        """
        self._find_alive(name).mark_stalled(busy_serial)

    # ---- all children

    def health(self) -> tuple[ChildHealth, ...]:
        """Return every child, in order of start; the last `STOPPED_KEPT_MAX` that ended are among them."""
        return tuple(lifecycle.health() for lifecycle in self._lifecycles.values())

    async def stop_all(self) -> tuple[str, ...]:
        """Stop all children at once, take no new ones, return the names of those that did not end in time.

        These are also told to `on_state_change` (see `StateChange`).
        """
        self._is_closed = True  # A child spawned from here on would be waited for without end.
        began_at_s = trio.current_time()
        lifecycles = list(self._lifecycles.values())
        for lifecycle in reversed(lifecycles):
            lifecycle.request_stop()
        for lifecycle in lifecycles:
            await self._wait_ended(lifecycle, began_at_s)
        late = [lifecycle for lifecycle in lifecycles if lifecycle.state is not ChildState.STOPPED]
        for lifecycle in late:
            lifecycle.report(self._still_running(lifecycle))
        return tuple(lifecycle.spec.name for lifecycle in late)

    # ---- inside

    async def _keep(self, lifecycle: Lifecycle) -> None:
        assert self._nursery is not None, "spawn checks it"
        try:
            await lifecycle.run()
        except ChildEscalated as escalated:
            # Raised by `serving` after the nursery has closed, so that it comes alone; the first one counts.
            self._escalated = self._escalated or escalated
            self._nursery.cancel_scope.cancel()
        finally:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        ended = [name for name, lifecycle in self._lifecycles.items() if lifecycle.state is ChildState.STOPPED]
        for name in ended[: max(0, len(ended) - STOPPED_KEPT_MAX)]:
            del self._lifecycles[name]

    def _find(self, name: str) -> Lifecycle:
        lifecycle = self._lifecycles.get(name)
        if lifecycle is None:
            raise UnknownChild(name)
        return lifecycle

    def _find_alive(self, name: str) -> Lifecycle:
        lifecycle = self._find(name)
        if lifecycle.state is ChildState.STOPPED:
            raise UnknownChild(name)
        return lifecycle

    async def _wait_started(self, lifecycle: Lifecycle, run: int) -> None:
        await lifecycle.wait_until(lambda: lifecycle.last_started_run >= run or lifecycle.state not in _UNDECIDED)
        if lifecycle.last_started_run < run:
            raise ChildNotStarted(lifecycle.spec.name, lifecycle.last_error)

    async def _wait_ended(self, lifecycle: Lifecycle, began_at_s: float) -> None:
        with trio.move_on_at(began_at_s + lifecycle.spec.stop_timeout_s):
            await lifecycle.wait_until(lambda: lifecycle.state is ChildState.STOPPED)

    def _still_running(self, lifecycle: Lifecycle) -> ChildStillRunning:
        return ChildStillRunning(lifecycle.spec.name, lifecycle.spec.stop_timeout_s, lifecycle.health().busy_with)


_UNDECIDED: Final = (ChildState.STARTING, ChildState.STOPPING)
"""States in which a run that has not said so may still come to start."""


@asynccontextmanager
async def open_supervisor(on_state_change: StateChange = _ignore) -> AsyncIterator[Supervisor]:
    """Open a supervisor for the length of the block: `async with open_supervisor(log) as supervisor`.

    Raises:
        ChildEscalated: alone, not in a group.

    Resources: leaving the block stops all children and waits until they have truly ended, however long that takes.
    """
    supervisor = Supervisor(on_state_change)
    async with supervisor.serving():
        yield supervisor
