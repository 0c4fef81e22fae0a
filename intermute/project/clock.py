"""The clocks: where monotonic and wall time come from, and why stored time never runs backwards."""

import time
from collections.abc import Callable
from typing import Protocol

import trio

from intermute.core.ids import Micros
from intermute.core.times import Now


class Clock(Protocol):
    """Both clocks at once; an argument of everything that lives in time, so that a test can hold it."""

    def mono_s(self) -> float:
        """Return monotonic seconds: what leases and timers run on."""

    def wall_us(self) -> Micros:
        """Return the wall time in microseconds UTC: what is shown and stored."""


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


class ProjectClock:
    """One project's time: wall time that never decreases, whatever the machine's clock does (design.md 3.10)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last_wall_us = Micros(0)

    def now(self) -> Now:
        """Read both clocks once."""
        self.last_wall_us = Micros(max(self.last_wall_us + 1, self._clock.wall_us()))
        return Now(self._clock.mono_s(), self.last_wall_us)
