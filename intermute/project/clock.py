"""The clocks: where monotonic and wall time come from, and why stored time never runs backwards."""

import time
from collections.abc import Callable
from typing import Final, Protocol

import trio

from intermute.core import limits
from intermute.core.ids import Micros
from intermute.core.times import Now

_BOOTTIME: Final = time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else None  # Linux alone has it.


class Clock(Protocol):
    """Both clocks at once; an argument of everything that lives in time, so that a test can hold it."""

    def mono_s(self) -> float:
        """Return monotonic seconds: what leases and timers run on."""

    def wall_us(self) -> Micros:
        """Return the wall time in microseconds UTC: what is shown and stored."""

    def suspended_s(self) -> float:
        """Return for how many seconds in all the machine has been suspended, which monotonic time leaves out."""


class SystemClock:
    """The machine's clocks; monotonic time is trio's, so that a mocked run moves both timers and leases."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns

    def mono_s(self) -> float:
        """Return trio's time in seconds."""
        return trio.current_time()

    def wall_us(self) -> Micros:
        """Return the system's time."""
        return Micros(self._wall_ns() // 1000)

    def suspended_s(self) -> float:
        """Return how far the clock that goes on in suspension is ahead; 0 where the system has only one of the two."""
        return 0.0 if _BOOTTIME is None else time.clock_gettime(_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class ProjectClock:
    """One project's time: wall time that never decreases, whatever the machine's clock does (design.md 3.10)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last_wall_us = Micros(0)
        self._noted_s = clock.suspended_s()

    def now(self) -> Now:
        """Read both clocks once."""
        self.last_wall_us = Micros(max(self.last_wall_us + 1, self._clock.wall_us()))
        return Now(self._clock.mono_s(), self.last_wall_us)

    def suspended_s(self) -> float:
        """Return for how long the machine was suspended since that was noted last; 0 where it is too short to matter."""
        since_s = self._clock.suspended_s() - self._noted_s
        return since_s if since_s > limits.SUSPENDED_S_MIN else 0.0

    def note_suspension(self, suspended_s: float) -> None:
        """Note that everybody has been told of a suspension."""
        self._noted_s += suspended_s
