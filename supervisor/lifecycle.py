"""The life of one child: run, judge the end, rest, run again.

Rules: one task drives it and is the only one that starts a run, so two runs never overlap. It asks "was I stopping
it?" before "shall I restart it?" (hazards.md 22). A run that does not end when cancelled, since a thread or a shield
holds it, keeps its state until it truly ends. No local of the waiting task keeps a dead run's error, and with it the
run's frames and connections, alive.
"""

import math
from collections.abc import Callable
from enum import Enum, auto

import trio

from supervisor.child import Child
from supervisor.child_spec import ChildSpec, Restart
from supervisor.error_text import error_text, unwrap
from supervisor.errors import ChildEscalated, StartTimedOut
from supervisor.health import ChildHealth, ChildState, StateChange
from supervisor.restart_plan import RestartPlan


class _Wish(Enum):
    """What the run in progress was told."""

    NONE = auto()
    RESTART = auto()
    STOP = auto()


class Lifecycle:
    """Drives one child; `run` is its task, the other methods may be called from any task."""

    def __init__(self, spec: ChildSpec, on_state_change: StateChange) -> None:
        self.spec = spec
        self.state = ChildState.STARTING
        self.runs = 0
        self.last_started_run = 0
        self.last_error: str | None = None
        self._on_state_change = on_state_change
        self._plan = RestartPlan(spec)
        self._wish = _Wish.NONE
        self._wish_error: Exception | None = None
        self._child: Child | None = None
        self._scope: trio.CancelScope | None = None
        self._run_began_at_s: float | None = None
        self._rest_until_s: float | None = None
        self._wake = trio.Event()
        self._stalled_serial: int | None = None
        self._changed = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Keep the child running until it is stopped, ends for good, or escalates.

        Raises:
            ChildEscalated: the budget is spent and the spec says so.
            BaseException: what is not a crash (KeyboardInterrupt, Cancelled from outside) goes through.
        """
        try:
            while self._wish is not _Wish.STOP:
                rest_s = await self._run_once()
                if rest_s is None:
                    return
                await self._rest(rest_s)
        finally:
            self._end(None)

    # ---- wishes from outside

    def request_stop(self) -> None:
        """Cancel the run in progress; there is no further one."""
        if self.state is ChildState.STOPPED:
            return
        self._wish = _Wish.STOP
        self._close("stopping")  # Before the run ends: it may be held by a thread, and nobody shall wait for that.
        self._set_state(ChildState.STOPPING)
        self._wake.set()
        if self._scope is not None:
            self._scope.cancel()

    def request_restart(self, error: Exception | None) -> None:
        """Cancel the run in progress and begin another one; a resting child is revived.

        Args:
            error: why; it counts as a crash of the run, and the request being executed is its culprit. With None the
                restart is free.
        """
        if self._wish is _Wish.STOP:
            return
        if self._scope is None:
            self.revive()
            return
        self._wish, self._wish_error = _Wish.RESTART, error
        self._set_state(ChildState.STOPPING)
        self._scope.cancel()

    def revive(self) -> None:
        """End a back-off or a parking now, with a fresh budget; otherwise do nothing."""
        if self.state in (ChildState.BACKING_OFF, ChildState.PARKED):
            self._plan.forgive()
            self._wake.set()

    def mark_stalled(self, serial: int) -> None:
        """Show the child as stalled in health for as long as the named work lasts."""
        self._stalled_serial = serial

    def report(self, error: BaseException) -> None:
        """Tell the application of an error that changes no state."""
        self._on_state_change(self.spec.name, self.state, self.state, error)

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Wait for a condition on the public attributes; it is looked at after each change of state."""
        while not is_true():
            await self._changed.park()

    def health(self) -> ChildHealth:
        """Return what the outside may know, as of now."""
        now_s = trio.current_time()
        work = None if self._child is None else self._child.oldest_work
        is_in_thread = self._child is not None and self._child.is_in_thread
        rest_s = None if self._rest_until_s is None else max(0.0, self._rest_until_s - now_s)
        return ChildHealth(
            name=self.spec.name,
            state=self.state,
            restarts=max(0, self.runs - 1),
            last_error=self.last_error,
            started_at_s=self._run_began_at_s,
            next_restart_in_s=None if rest_s == math.inf else rest_s,
            busy_for_s=None if work is None else now_s - work.since_s,
            busy_with=None if work is None else work.what,
            busy_serial=None if work is None else work.serial,
            is_in_thread=is_in_thread,
            is_stalled=is_in_thread and work is not None and work.serial == self._stalled_serial,
            mailbox_depth=None if self.spec.mailbox is None else self.spec.mailbox.depth,
        )

    # ---- one run

    async def _run_once(self) -> float | None:
        """Run main once; return how long to rest before the next run, or None if this was the last."""
        child = self._child = Child(self.spec.name, self._on_started)
        self.runs += 1
        self._wish, self._wish_error = _Wish.NONE, None
        self._run_began_at_s = trio.current_time()
        self._scope = trio.CancelScope(deadline=self._run_began_at_s + self.spec.start_timeout_s)
        self._set_state(ChildState.STARTING)
        crash: Exception | None = None
        try:
            with self._scope as scope:
                await self.spec.main(child)
            if scope.cancelled_caught and self._wish is _Wish.NONE:
                crash = StartTimedOut(self.spec.name, self.spec.start_timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever a child dies of ends here (style.md 24).
            crash = error
        except BaseExceptionGroup as group:
            # A crash while somebody cancels us from outside: the crash is the child's, the rest is not ours to keep.
            crash, others = group.split(Exception)
            self._settle_run(crash)
            assert others is not None, "a group of Exceptions only is an Exception"
            raise others from None
        except BaseException:
            self._settle_run(None)
            raise
        try:
            return self._settle_run(crash)
        finally:
            del crash  # It holds this frame: a cycle would keep the dead run alive until the next collection.

    def _on_started(self) -> None:
        assert self._scope is not None, "started() after the run's end"
        if not self._scope.cancel_called:
            self._scope.deadline = math.inf
            self.last_started_run = self.runs
            self._set_state(ChildState.RUNNING)

    def _settle_run(self, crash: Exception | None) -> float | None:
        """Judge the end of the run: settle the mailbox, note the error, set the state; return the rest as above."""
        now_s = trio.current_time()
        assert self._run_began_at_s is not None, "a run ends after it began"
        self._plan.note_life(now_s - self._run_began_at_s)
        self._child = self._scope = self._run_began_at_s = None
        is_stopping = self._wish is _Wish.STOP or trio.current_effective_deadline() == -math.inf
        is_restarting = self._wish is _Wish.RESTART and not is_stopping
        # An error raised while it was being stopped replaces Cancelled; it is told, and is not a reason to restart.
        verdict = self._wish_error if is_restarting else None if is_stopping else crash
        is_blamed = self.spec.mailbox is not None and self.spec.mailbox.end_run(verdict)
        told = verdict or crash
        if told is not None:
            self.last_error = error_text(told)
        if is_restarting and verdict is None:
            if crash is not None:
                self.report(crash)
            return 0.0
        if is_stopping or not self._is_restarted_after(verdict):
            self._end(told)
            return None
        return self._begin_rest(now_s, verdict, is_blamed=is_blamed)

    def _is_restarted_after(self, verdict: Exception | None) -> bool:
        if self.spec.restart is Restart.TRANSIENT:
            return verdict is not None
        return self.spec.restart is Restart.PERMANENT

    def _begin_rest(self, now_s: float, error: Exception | None, *, is_blamed: bool) -> float:
        rest = self._plan.next_rest(now_s, is_blamed=is_blamed)
        if rest is None:
            self._end(error)
            raise ChildEscalated(self.spec.name, self.last_error) from error
        if rest.state is ChildState.PARKED:
            self._close(f"parked after: {self.last_error or 'too many restarts'}")
        self._rest_until_s = now_s + rest.wait_s
        self._wake = trio.Event()
        self._set_state(rest.state, error)
        return rest.wait_s

    # ---- between runs

    async def _rest(self, rest_s: float) -> None:
        try:
            if rest_s > 0:
                with trio.move_on_after(rest_s):
                    await self._wake.wait()
        finally:
            self._rest_until_s = None
        if self.state is ChildState.PARKED and self.spec.mailbox is not None:
            self.spec.mailbox.reopen()

    def _end(self, error: BaseException | None) -> None:
        if self.state is not ChildState.STOPPED:
            self._close("stopped")  # First: from the next line on the name is free, and the mailbox may be reopened.
            self._set_state(ChildState.STOPPED, error)

    def _close(self, reason: str) -> None:
        if self.spec.mailbox is not None:
            self.spec.mailbox.close(reason)

    def _set_state(self, state: ChildState, error: BaseException | None = None) -> None:
        if state is self.state:
            return
        old, self.state = self.state, state
        self._changed.unpark_all()
        self._on_state_change(self.spec.name, old, state, None if error is None else unwrap(error))
