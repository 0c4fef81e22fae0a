"""What the outside may know of a child: its state, its last error, what it is busy with."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ChildState(StrEnum):
    """Where a child is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    PARKED = "parked"
    STOPPING = "stopping"
    """Told to end and not yet ended; stays so for as long as a thread or a shield holds the child."""
    STOPPED = "stopped"


StateChange = Callable[[str, ChildState, ChildState, BaseException | None], None]
"""Called with name, old state, new state and error; it logs, and must not raise. Stopping → stopping with an error
says that the stop deadline passed."""


@dataclass(frozen=True, slots=True)
class ChildHealth:
    """One child at one instant; instants are seconds of `trio.current_time()`."""

    name: str
    state: ChildState
    restarts: int
    last_error: str | None
    started_at_s: float | None
    """When the present run began, or None between runs."""
    next_restart_in_s: float | None
    """How long a back-off or a parking still lasts, or None: not resting, or parked until it is revived."""
    busy_for_s: float | None
    busy_with: str | None
    busy_serial: int | None
    """Names one piece of work, so that two looks can tell whether it is still the same."""
    is_in_thread: bool
    is_stalled: bool
    """Inside a thread, over the limit, and the lever did not help (`watchdog`)."""
    mailbox_depth: int | None
