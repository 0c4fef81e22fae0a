"""What one application call has still to read: bounded, and never a place where the reader can be left waiting.

Hypercorn uses a memory channel of ten events. It does not bound bytes, and when the application returns without
reading, the task that fills it waits for ever; here an inbox that is over swallows everything.
"""

from collections import deque
from typing import cast

import trio
from hypercorn.typing import ASGIReceiveEvent

from intermute.web.server.limits import ServerLimits


class Inbox:
    """The ASGI `receive` side of one application call."""

    __slots__ = ("_events", "_is_over", "_last", "_limits", "_ready", "_room", "_unread_bytes")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._events: deque[ASGIReceiveEvent] = deque()
        self._unread_bytes = 0
        self._last: ASGIReceiveEvent | None = None
        self._is_over = False
        self._ready = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    async def put(self, event: ASGIReceiveEvent) -> None:
        """Hand an event over; wait while the inbox is full. A disconnect is the last event and never waits.

        Cancellation: the event is not handed over.
        """
        if event["type"] in {"http.disconnect", "websocket.disconnect"}:
            self._last = event
            self._ready.unpark_all()
            return
        while self._is_full and not self._is_over:
            await self._room.park()
        if not self._is_over:
            self._events.append(event)
            self._unread_bytes += _size_bytes(event)
            self._ready.unpark_all()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next event; after the last one, the disconnect again and again.

        Always a checkpoint, so that an application which loops over disconnects cannot freeze the process.
        """
        await trio.lowlevel.checkpoint()
        while not self._events:
            if self._last is not None:
                return self._last
            await self._ready.park()
        event = self._events.popleft()
        self._unread_bytes -= _size_bytes(event)
        self._room.unpark_all()
        return event

    def close(self) -> None:
        """Forget everything and take no more: the application has returned."""
        self._is_over = True
        self._events.clear()
        self._room.unpark_all()

    @property
    def _is_full(self) -> bool:
        return len(self._events) >= self._limits.unread_events_max or self._unread_bytes >= (
            self._limits.unread_limit_bytes
        )


def _size_bytes(event: ASGIReceiveEvent) -> int:
    fields = cast("dict[str, bytes | str | None]", event)  # a union of TypedDicts has no common `get`.
    content = fields.get("body") or fields.get("bytes") or fields.get("text") or b""
    # Characters for bytes is near enough: a message's size is bounded exactly before it gets here.
    return len(content)
