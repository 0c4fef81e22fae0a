"""Room on the disk of all projects: whether there is any, and how the service finds back to normal when there is again.

While the disk is full no write is tried: the ballast that was given up is for the checkpoints, which free room, and not
for the next message. Source: guarantees.md G19.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

from intermute.core import limits
from intermute.store.ballast import Ballast
from intermute.store.faults import StoreFault, as_faults
from intermute.store.hop import Hop
from supervisor import Child

_TAKE_BACK_TIMEOUT_S = 5.0  # seconds; hazards.md 4.


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """Move the log into the file, and give its room back; the reply tells whether all of it was."""


class Room:
    """The room in one data directory. Without a task that keeps it (`keep`) a full disk stays full."""

    def __init__(self, ballast: Ballast, hop: Hop, log: Callable[..., None]) -> None:
        self._ballast, self._hop, self._log = ballast, hop, log
        self._ballast_bytes = 0
        self._free_bytes: int | None = None
        self._full_since_s: float | None = None
        self._what = ""
        self._lent_at_s = -math.inf
        self._news = trio.Event()
        self._lending = trio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether writes have to be refused for want of room."""
        return self._full_since_s is not None

    def note_full(self, what: str) -> None:
        """Take in that a write found no room; from now on none is tried."""
        self._what = what
        if self._full_since_s is None:
            self._full_since_s = trio.current_time()
            self._log("storage.full", fault=what, ballast_bytes=self._ballast_bytes)
        self._news.set()

    def problem(self) -> str | None:
        """Return what is wrong and what to do, or None."""
        if self._full_since_s is None:
            return None
        since_s = round(trio.current_time() - self._full_since_s)
        return f"the disk of the data directory has been full for {since_s} s ({self._what}): make space"

    def report(self) -> dict[str, object]:
        """Return what /health says; from the last look, never from the disk."""
        return {
            "full": self.is_full,
            "full_for_s": None if self._full_since_s is None else round(trio.current_time() - self._full_since_s, 1),
            "free_bytes": self._free_bytes,
            "ballast_bytes": self._ballast_bytes,
        }

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the ballast up for the length of the block: for what frees room, or needs hardly any to serve reads.

        Whatever it takes, the rest is taken back, and nothing else. Raises: StoreFault.
        """
        async with self._lending:
            had_bytes = await self._hop(self._give_up)
            try:
                yield
            finally:
                with trio.move_on_after(_TAKE_BACK_TIMEOUT_S, shield=True):
                    await self._hop(partial(self._take_back, had_bytes))

    async def keep(self, child: Child, *, free: Callable[[], Awaitable[bool]], on_room: Callable[[], None]) -> None:
        """Have `free` make room while the disk is full, and call `on_room` when there is some; the `main` of a child.

        `free` tells whether it has made all that it can: then the ballast is not given up for it again.
        """
        try:
            await self._hop(self._take_spare)
        except StoreFault as fault:
            self._log("storage.ballast_failed", fault=str(fault))
        if self._ballast_bytes < self._ballast.wanted_bytes:
            self._log("storage.ballast_missing", ballast_bytes=self._ballast_bytes, free_bytes=self._free_bytes)
        child.started()
        while True:
            if self.is_full:
                await self._look_for_room(free, on_room)
            self._news = trio.Event()
            with trio.move_on_after(limits.ROOM_LOOK_S if self.is_full else limits.BALLAST_LOOK_S):
                await self._news.wait()
                continue
            if not self.is_full:
                await self._mend()

    async def _look_for_room(self, free: Callable[[], Awaitable[bool]], on_room: Callable[[], None]) -> None:
        try:
            if trio.current_time() >= self._lent_at_s + limits.BALLAST_LENT_EVERY_S:
                self._lent_at_s = trio.current_time()
                async with self.lent():
                    if await free():
                        self._lent_at_s = math.inf  # There is nothing more to be had for it.
            await self._hop(self._measure)
        except StoreFault as fault:
            self._log("storage.ballast_failed", fault=str(fault))
            return
        if self._free_bytes is None or self._free_bytes >= limits.ROOM_BYTES_MIN:
            self._full_since_s, self._lent_at_s = None, -math.inf
            self._log("storage.has_room", free_bytes=self._free_bytes, ballast_bytes=self._ballast_bytes)
            on_room()
            await self._mend()

    async def _mend(self) -> None:
        try:
            async with self._lending:
                await self._hop(self._take_spare)
        except StoreFault as fault:
            self._log("storage.ballast_failed", fault=str(fault))

    def _give_up(self) -> int:
        with as_faults():
            had_bytes = self._ballast.give_up()
            self._ballast_bytes = 0
        return had_bytes

    def _take_back(self, had_bytes: int) -> None:
        with as_faults():
            self._ballast_bytes = self._ballast.take_back(had_bytes)

    def _take_spare(self) -> None:
        with as_faults():
            self._ballast_bytes = self._ballast.take(spares_bytes=limits.ROOM_BYTES_MIN)
            self._free_bytes = self._ballast.free_bytes()

    def _measure(self) -> None:
        with as_faults():
            self._free_bytes = self._ballast.free_bytes()
