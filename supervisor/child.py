"""What a running child says of itself: that it has started, and what it is busy with."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import trio

_SERIALS: Final = itertools.count(1)  # One count for all children and runs, so that a serial is never met twice.


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work that a child is busy with."""

    serial: int
    what: str
    since_s: float
    is_in_thread: bool


class Child:
    """The handle of one run, given to `ChildSpec.main`."""

    def __init__(self, name: str, on_started: Callable[[], None]) -> None:
        self.name = name
        self.has_started = False
        self._on_started = on_started
        self._works: dict[int, Work] = {}

    def started(self) -> None:
        """Say that this run stands: the start deadline is lifted and `Supervisor.start` returns. Idempotent."""
        if not self.has_started:
            self.has_started = True
            self._on_started()

    @contextmanager
    def busy(self, what: str, *, in_thread: bool = False) -> Iterator[None]:
        """Mark the block as work, so that the watchdog sees when it lasts too long. Blocks nest.

        With `in_thread` the block awaits a worker thread: the watchdog never restarts the child meanwhile
        (guarantees.md G17).
        """
        serial = next(_SERIALS)
        self._works[serial] = Work(serial, what, trio.current_time(), in_thread)
        try:
            yield
        finally:
            del self._works[serial]

    @property
    def oldest_work(self) -> Work | None:
        """Return the work that has lasted longest, or None if the child is idle."""
        return next(iter(self._works.values()), None)

    @property
    def is_in_thread(self) -> bool:
        """Tell whether some work is inside a thread."""
        return any(work.is_in_thread for work in self._works.values())
