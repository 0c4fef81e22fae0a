"""Wakes tasks at exact times. The kernel's poll, on which trio sleeps, counts in whole milliseconds and is up to one late,
which is as long as an answer takes; Linux has a timer that is exact to some microseconds.
"""

import ctypes
import heapq
import os
import sys
import time
from itertools import count
from types import TracebackType
from typing import Final, Self

import trio

_CLOCK_MONOTONIC: Final = 1
_NOT_BLOCKING: Final = 0o4000
_COUNT_BYTES: Final = 8
_SOON_NS: Final = 1_000  # a timer that is set to zero is switched off.


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class Timer:
    """Tasks that wait for a time of `time.perf_counter`; as exact as trio where the system has no such timer.

    Resources: `run` has to be running while tasks wait; a context, which frees the descriptor.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._fd = -1 if self._libc is None else int(self._libc.timerfd_create(_CLOCK_MONOTONIC, _NOT_BLOCKING))
        self._waiting: list[tuple[float, int, trio.Event]] = []
        self._order = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    async def wait_until(self, due_s: float) -> None:
        """Return at this time, or soon where it is over."""
        if self._fd < 0:
            await trio.sleep(max(0.0, due_s - time.perf_counter()))
            return
        mine = trio.Event()
        entry = (due_s, next(self._order), mine)
        heapq.heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            self._set(due_s)
        await mine.wait()

    async def run(self) -> None:
        """Wake whoever is due, until it is cancelled."""
        while self._fd >= 0:
            await trio.lowlevel.wait_readable(self._fd)
            os.read(self._fd, _COUNT_BYTES)
            now_s = time.perf_counter()
            while self._waiting and self._waiting[0][0] <= now_s:
                heapq.heappop(self._waiting)[2].set()
            if self._waiting:
                self._set(self._waiting[0][0])

    def _set(self, due_s: float) -> None:
        assert self._libc is not None
        left_ns = max(int((due_s - time.perf_counter()) * 1e9), _SOON_NS)
        setting = _Setting(_Time(0, 0), _Time(*divmod(left_ns, 1_000_000_000)))
        if self._libc.timerfd_settime(self._fd, 0, ctypes.byref(setting), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
