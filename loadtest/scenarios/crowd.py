"""A crowd of sockets that follow one project: opened in number, read together, counted event by event, held against the log."""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import trio

from loadtest.engine.connection import Broken, LoadFailed
from loadtest.engine.site import PAGE_ROWS, RECONNECT_EVERY_S, RECONNECT_WITHIN_S, Site, spread
from loadtest.engine.sockets import ABNORMAL, Sockets
from loadtest.engine.tasks import beside, together
from loadtest.promises.events_once import EventsOnce, Heard

OPENERS: Final = 16  # handshakes at once.
HEARD_WITHIN_S: Final = 30.0  # a socket that has not heard the end of the log by then will not, and the run fails.
_CURSOR: Final = re.compile(rb'"cursor":\s*(\d+)')


class Ear:
    """One socket of the crowd, as it is listened to."""

    __slots__ = ("_crowd", "heard")

    def __init__(self, crowd: "Crowd", heard: Heard) -> None:
        self._crowd, self.heard = crowd, heard

    def hear(self, message: bytes, heard_s: float) -> None:
        """Take an event: its cursor and its time, and nothing else."""
        found = _CURSOR.search(message)
        if found is None:
            raise LoadFailed(f"{self.heard.name} heard what has no cursor: {message[:200]!r}")
        cursor = int(found[1])
        self.heard.cursors.append(cursor)
        self.heard.times_s.append(heard_s)
        self._crowd.count(cursor, heard_s)

    def ended(self, code: int, reason: str) -> None:
        """Note that the service ended the socket; only one that is killed may."""
        self._crowd.lose(self, code, reason)


class Crowd:
    """All sockets of one project. A context, which closes them; they are heard while `listening`."""

    def __init__(self, site: Site, project: str, once: EventsOnce) -> None:
        self._site, self._project, self._once = site, project, once
        self._sockets = Sockets(site)
        self._lost: dict[Ear, None] = {}
        self._has_lost = trio.Event()
        self._missing: dict[int, int] = {}
        self._awaited: dict[int, trio.Event] = {}
        self.ears: list[Ear] = []
        self.last_heard_s: dict[int, float] = {}
        """When the last of all sockets read an event, by cursor; only of those that all have read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.__exit__(kind, error, trace)

    async def grow(self, size: int, after: int | None = None) -> None:
        """Open sockets until there are so many; they follow the log after a cursor, by default its present end.

        At rest, and when what was heard before has been judged. Raises: LoadFailed.
        """
        after = await self.end_of_log() if after is None else after
        begun = len(self.ears)
        for number in range(begun, size):
            self.ears.append(Ear(self, Heard(f"socket-{number}", after)))
        await self._open(self.ears[begun:])

    def count(self, cursor: int, heard_s: float) -> None:
        """Note that one more socket has heard an event."""
        missing = self._missing.get(cursor, len(self.ears)) - 1
        if missing:
            self._missing[cursor] = missing
            return
        self._missing.pop(cursor, None)
        self.last_heard_s[cursor] = heard_s
        awaited = self._awaited.pop(cursor, None)
        if awaited is not None:
            awaited.set()

    def lose(self, ear: Ear, code: int, reason: str) -> None:
        """Open a lost socket again later. Raises: LoadFailed, where the service was not killed."""
        if not self._site.has_faults or code != ABNORMAL:
            raise LoadFailed(f"the service ended {ear.heard.name} after {ear.heard.last} with {code} {reason!r}")
        self._lost[ear] = None
        self._has_lost.set()

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Listen while the block runs. Raises: LoadFailed, Violation."""
        return beside(self._listen)

    async def heard_by_all(self, cursor: int) -> None:
        """Return when every socket has heard this event, or none of them will. While `listening`."""
        if cursor in self.last_heard_s or not self.ears:
            return
        with trio.move_on_after(HEARD_WITHIN_S):
            await self._awaited.setdefault(cursor, trio.Event()).wait()

    async def judge(self) -> dict[int, float]:
        """Read what was added to the log over HTTP, wait until all have heard it, and hold it against what they heard.

        While `listening`; the load has ended. Returns when each event was made, by cursor, in seconds of the epoch.
        Raises: LoadFailed, Violation.
        """
        since = min((ear.heard.after for ear in self.ears), default=0)
        made_s: dict[int, float] = {}
        while True:
            target = f"/api/events?project={self._project}&limit={PAGE_ROWS}&since_cursor={max(made_s, default=since)}"
            page = await self._asked(self._site.request("GET", target))
            if not page["events"]:
                break
            for event in page["events"]:
                made_s[event["cursor"]] = datetime.fromisoformat(event["created_at"]).timestamp()
        if made_s:
            await self.heard_by_all(max(made_s))
        self._once.demand([ear.heard for ear in self.ears], list(made_s))
        return made_s

    def settle(self) -> None:
        """Forget what has been judged, so that the next load begins afresh."""
        self._once.settle([ear.heard for ear in self.ears])
        self.last_heard_s.clear()

    async def end_of_log(self) -> int:
        """Return the cursor of the last event. Raises: LoadFailed."""
        found = 0
        while True:
            target = f"/api/events?project={self._project}&limit={PAGE_ROWS}&since_cursor={found}"
            page = await self._asked(self._site.request("GET", target))
            if not page["events"]:
                return found
            found = page["events"][-1]["cursor"]

    async def _listen(self) -> None:
        await together((self._read(), self._reopen()))

    async def _read(self) -> None:
        while True:
            await self._sockets.run()
            await trio.sleep(RECONNECT_EVERY_S)  # None is open: the service was killed.

    async def _reopen(self) -> None:
        while True:
            if not self._lost:
                await self._has_lost.wait()
            self._has_lost = trio.Event()
            # Each is lost until it is open again, also where this is cancelled and goes on with the next load.
            await self._open(list(self._lost))

    async def _open(self, ears: list[Ear]) -> None:
        async def some(part: range) -> None:
            for ear in ears[part.start : part.stop]:
                await self._open_one(ear)

        await together(some(part) for part in spread(len(ears), min(OPENERS, len(ears))))

    async def _open_one(self, ear: Ear) -> None:
        patience_s = self._site.now_s() + (RECONNECT_WITHIN_S if self._site.has_faults else 0.0)
        target = f"/ws/events?project={self._project}&since_cursor={ear.heard.last}"
        while True:
            try:
                await self._sockets.open(target, ear)
            except Broken:
                if self._site.now_s() >= patience_s:
                    raise
            else:
                break
            await trio.sleep(RECONNECT_EVERY_S)
        self._lost.pop(ear, None)

    async def _asked(self, wanted: bytes) -> Mapping[str, Any]:  # Any: JSON.
        """Ask over a connection of its own, again where the service may have been killed. Raises: LoadFailed."""
        patience_s = self._site.now_s() + (RECONNECT_WITHIN_S if self._site.has_faults else 0.0)
        while True:
            try:
                connection = await self._site.connect()
                try:
                    return await connection.ask(wanted, 200)
                finally:
                    connection.close()
            except Broken:
                if self._site.now_s() >= patience_s:
                    raise
            await trio.sleep(RECONNECT_EVERY_S)
