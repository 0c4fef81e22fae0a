"""Thread hops: how a whole transaction gets off the trio thread and its result back. The only trio of the store.

Once the work runs it runs to its end, and its value is returned even into a cancelled scope (hazards.md 1 to 3, 6).
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import outcome
import trio

TOGETHER_MAX: Final = (
    8  # works of one hop, so that the first waits for seven others at most; a hop costs as much as a short read.
)

Result = TypeVar("Result")


class Hop(Protocol):
    """Runs work that blocks, one piece at a time."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Return what the work returns, or raise what it raises."""


def thread_hop() -> Hop:
    """Return a hop with a limiter of its own: projects must not queue behind each other's disks."""
    limiter = trio.CapacityLimiter(1)

    async def hop(work: Callable[[], Result], /) -> Result:
        return await trio.to_thread.run_sync(work, limiter=limiter)

    return hop


def inline_hop() -> Hop:
    """Return a hop that stays on the trio thread, for mocked clocks, which leap while a thread works (hazards.md 44)."""

    async def hop(work: Callable[[], Result], /) -> Result:
        await trio.lowlevel.checkpoint()
        return work()

    return hop


class SharedHop:
    """A hop that takes along whoever waits for it: for works that are short beside a hop, such as reads.

    Works run in order of arrival, one at a time; one that may be long goes alone.
    Cancellation: a work that has not begun never does; the result of one that has is dropped.
    """

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._waiting: deque[_Passenger[Any]] = deque()  # Any: each has a result of its own.
        self._is_under_way = False

    async def __call__(self, work: Callable[[], Result], /, *, alone: bool = False) -> Result:
        """Return what the work returns, or raise what it raises. Args: alone, in a hop of its own: nobody is to wait for it."""
        mine = _Passenger(work, is_alone=alone)
        self._waiting.append(mine)
        try:
            while mine.result is None:
                if self._is_under_way:
                    await mine.called.wait()
                    mine.called = trio.Event()
                else:
                    await self._go()
        finally:
            mine.is_wanted = False
            self._call_next()  # It may have been called to make the next hop itself.
        return mine.result.unwrap()

    async def _go(self) -> None:
        """Make one hop with the first of those who wait."""
        aboard: list[_Passenger[Any]] = []  # Any: as above.
        self._is_under_way = True
        try:
            await self._hop(lambda: self._run(aboard))
        finally:
            self._is_under_way = False
            for each in aboard:
                each.called.set()

    def _run(self, aboard: "list[_Passenger[Any]]") -> None:  # Any: as above.
        # In the thread: the loop only appends meanwhile, and both is safe with a deque.
        while self._waiting and len(aboard) < TOGETHER_MAX:
            if aboard and (aboard[0].is_alone or self._waiting[0].is_alone):
                return
            each = self._waiting.popleft()
            if each.is_wanted:
                aboard.append(each)
                each.result = outcome.capture(each.work)

    def _call_next(self) -> None:
        """See to it that somebody makes the next hop, if anybody is left."""
        if self._is_under_way:
            return
        while self._waiting and not self._waiting[0].is_wanted:
            self._waiting.popleft()
        if self._waiting:
            self._waiting[0].called.set()


class _Passenger(Generic[Result]):
    """One work, and who waits for it."""

    __slots__ = ("called", "is_alone", "is_wanted", "result", "work")

    def __init__(self, work: Callable[[], Result], *, is_alone: bool) -> None:
        self.work, self.is_alone = work, is_alone
        self.result: outcome.Outcome[Result] | None = None
        self.is_wanted = True
        self.called = trio.Event()
        """It has its result, or is to make the next hop."""
