"""One thread hop: how a whole transaction gets off the trio thread and its result back. The only trio of the store.

Once the work runs it runs to its end, and its value is returned even into a cancelled scope (hazards.md 1 to 3, 6).
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

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
