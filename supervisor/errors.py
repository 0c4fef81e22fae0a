"""What a supervisor tells its callers and its owner."""

from supervisor.health import ChildState


class SupervisorError(Exception):
    """Base of the errors below."""


class UnknownChild(SupervisorError):
    """No child of this name is alive here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no child {name!r}")
        self.name = name


class SupervisorClosed(SupervisorError):
    """The supervisor is stopping its children and takes no new one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"child {name!r} came too late: the supervisor is stopping")
        self.name = name


class ChildExists(SupervisorError):
    """The name is taken by a child that has not ended; a child held by a thread counts as one."""

    def __init__(self, name: str, state: ChildState) -> None:
        super().__init__(f"child {name!r} is already there ({state})")
        self.name, self.state = name, state


class ChildNotStarted(SupervisorError):
    """The run ended before it said that it had started; the child stays supervised as its spec says."""

    def __init__(self, name: str, error_text: str | None) -> None:
        super().__init__(f"child {name!r} did not start: {error_text or 'it ended first'}")
        self.name, self.error_text = name, error_text


class ChildStillRunning(SupervisorError):
    """The stop deadline passed and the run has not ended: it is inside a thread, or shielded."""

    def __init__(self, name: str, stop_timeout_s: float, busy_with: str | None) -> None:
        super().__init__(
            f"child {name!r} did not end within {stop_timeout_s:g} s (busy with: {busy_with or 'unknown'})"
        )
        self.name, self.stop_timeout_s, self.busy_with = name, stop_timeout_s, busy_with


class ChildEscalated(SupervisorError):
    """A child spent its restart budget and its spec makes that the supervisor's end. `__cause__` is its last error."""

    def __init__(self, name: str, last_error: str | None) -> None:
        super().__init__(f"child {name!r} spent its restart budget: {last_error or 'it keeps returning'}")
        self.name, self.last_error = name, last_error


class StartTimedOut(SupervisorError):
    """The run did not call `started()` in time; counts as a crash."""

    def __init__(self, name: str, start_timeout_s: float) -> None:
        super().__init__(f"child {name!r} did not start within {start_timeout_s:g} s")
        self.name, self.start_timeout_s = name, start_timeout_s


class ChildStuck(SupervisorError):
    """The child was busy with one thing for too long and the lever did not help; counts as a crash."""

    def __init__(self, name: str, busy_with: str, busy_for_s: float) -> None:
        super().__init__(f"child {name!r} was busy with {busy_with!r} for {busy_for_s:.1f} s")
        self.name, self.busy_with, self.busy_for_s = name, busy_with, busy_for_s
