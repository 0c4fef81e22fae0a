"""Follows a project's events over a socket while it is loaded, and holds what it heard against the log."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from loadtest.engine.connection import Broken, LoadFailed
from loadtest.engine.site import Site
from loadtest.engine.sockets import ABNORMAL, Sockets
from loadtest.engine.tasks import beside
from loadtest.promises.event_order import EventOrder

CATCH_UP_S: Final = 30.0  # seconds to hear the rest of the log; a reader that is not there by then missed something.
_GOING_AWAY: Final = 1001


class Follower:
    """One reader of all events of a project. It hears over one socket after the other, each from where the last one ended."""

    def __init__(self, site: Site, project: str) -> None:
        self._site, self._project = site, project
        self.order = site.watch.add(EventOrder(site.watch.history, f"reader of {project}"))
        self._news = trio.Event()

    def hear(self, message: bytes, heard_s: float) -> None:
        """Take an event."""
        event = json.loads(message)
        self.order.heard(heard_s, event["cursor"], event["type"])
        self._news.set()
        self._news = trio.Event()

    def ended(self, code: int, reason: str) -> None:
        """Note that the service ended the socket; only one that is killed may."""
        if not self._site.has_faults or code not in (ABNORMAL, _GOING_AWAY):
            raise LoadFailed(f"the service ended the socket of {self._project} with {code} {reason!r}")

    def following(self) -> AbstractAsyncContextManager[None]:
        """Listen while the block runs; what it misses afterwards is heard next time. Raises: LoadFailed, Violation."""
        return beside(self._listen)

    async def demand_all(self) -> None:
        """Read the log over HTTP, listen until its end and compare. Raises: LoadFailed, Violation."""
        log = await self._log()
        async with self.following():
            with trio.move_on_after(CATCH_UP_S):
                while log and self.order.last < log[-1]:
                    await self._news.wait()
        self.order.demand(log)

    async def _listen(self) -> None:
        while True:
            try:
                with Sockets(self._site) as sockets:
                    await sockets.open(f"/ws/events?project={self._project}&since_cursor={self.order.last}", self)
                    await sockets.run()
            except Broken:  # It was killed in the middle of the handshake.
                if not self._site.has_faults:
                    raise

    async def _log(self) -> list[int]:
        """Return the cursors of all events."""
        connection = await self._site.connect()
        found: list[int] = []
        try:
            while True:
                since = found[-1] if found else 0
                target = f"/api/events?project={self._project}&since_cursor={since}&limit=1000"
                page = await connection.ask(self._site.request("GET", target), 200)
                if not page["events"]:
                    return found
                found += [event["cursor"] for event in page["events"]]
        finally:
            connection.close()
