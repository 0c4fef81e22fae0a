"""A WebSocket that the server sends to: from its upgrade to its last frame, with one task as long as its peer keeps up.

Text frames come ready-made from whoever sends, so that many sockets can share them; wsproto reads what the peer sends and
makes every other frame. What is negotiated, the bounds and the close codes are those of the careful lane (`streams.py`).

Invariant: the bytes on the wire are whole frames. What is left of a frame that the kernel took in part goes before
everything else, whoever sends next. Source: issue 7; guarantees.md T12, T13; decisions/0023-push-lane.md.
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import generate_accept_token

from intermute.web.server.dates import date_line
from intermute.web.server.limits import ServerLimits
from intermute.web.server.rations import Rations
from intermute.web.server.wire import Wire

_TEXT: Final = 0x81  # the last frame of a message, and the first (RFC 6455, 5.2).
_SHORT_MAX: Final = 125
_LONG_MAX: Final = 0xFFFF
_CLIENT_WENT: Final = b""


class Ending(NamedTuple):
    """Why a WebSocket ends: a code of RFC 6455 and a few words."""

    code: int
    reason: str


Hearing = Callable[[str | bytes], Ending | None]
"""What takes each message of the peer, and may end the WebSocket for it."""


def text_frame(payload: bytes) -> bytes:
    """Return a whole text message of the server in one frame."""
    size = len(payload)
    if size <= _SHORT_MAX:
        return struct.pack("!BB", _TEXT, size) + payload
    if size <= _LONG_MAX:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class PushSocket:
    """One upgraded connection: `accept` it, let somebody send, `read` until its end."""

    __slots__ = (
        "_farewell", "_frames", "_key", "_limits", "_nursery", "_pieces", "_rations", "_rest", "_waiting", "_wire",
        "_work", "is_over",
    )  # fmt: skip

    def __init__(self, wire: Wire, limits: ServerLimits, nursery: trio.Nursery, key: str) -> None:
        self._wire, self._limits, self._nursery, self._key = wire, limits, nursery, key
        self._frames = Connection(ConnectionType.SERVER)
        self._rations = Rations(limits)
        self._pieces: list[str | bytes | bytearray] = []
        self._rest: bytes | memoryview = b""
        self._farewell: CloseConnection | None = None
        self._waiting = trio.CancelScope()
        self._work: trio.CancelScope | None = None
        self.is_over = False
        """Nothing more is sent, but for the last frame."""

    async def accept(self) -> None:
        """Agree to the upgrade; nothing is negotiated."""
        token = generate_accept_token(self._key.encode()).decode()
        lines = ["HTTP/1.1 101 ", f"sec-websocket-accept: {token}", "upgrade: WebSocket", "connection: Upgrade"]
        await self._wire.send("\r\n".join([*lines, date_line(), "\r\n"]).encode())

    # ---- sending

    def offer(self, joined: bytes, frames: Sequence[bytes]) -> int:
        """Send as much as the kernel takes at once of these text frames; return how many of them are on their way.

        Args: joined, all of `frames` in one piece. Of a frame that was taken in part the rest is kept here; until it has
        been sent (`send`), no further one is taken.
        """
        if self._rest or self.is_over:
            return 0
        taken = self._wire.take_now(joined)
        if taken == len(joined):
            return len(frames)
        for number, frame in enumerate(frames):
            if taken < len(frame):
                # Of the shared frame, so that many slow readers of one large event hold it once.
                self._rest = memoryview(frame)[taken:] if taken else b""
                return number + bool(taken)
            taken -= len(frame)
        raise AssertionError("the kernel took more than there was")

    async def send(self, frames: bytes = b"") -> None:
        """Send what is left of an earlier frame, and these, unless the WebSocket is over; it is aborted after `send_timeout_s`
        without progress.

        Cancellation: the connection is aborted.
        """
        if self.is_over:
            await trio.lowlevel.checkpoint()
        else:
            await self._send(frames)

    async def _send(self, frames: bytes) -> None:
        # No await from here to the wire's lock: what is left goes first, whoever else is about to send.
        rest, self._rest = self._rest, b""
        if rest:
            await self._wire.send(rest)
        if frames:
            await self._wire.send(frames)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run this beside the reading, until the WebSocket is over; one such work at a time."""
        if not self.is_over:
            assert self._work is None, "a socket that is behind has one task that sends"
            self._work = trio.CancelScope()
            self._nursery.start_soon(self._run, work, self._work)

    def end(self, ending: Ending) -> None:
        """Close the WebSocket with this, unless it is being closed already."""
        if self._farewell is None:
            self._farewell = CloseConnection(code=ending.code, reason=ending.reason)
            self._waiting.cancel()

    async def _run(self, work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            await work()
        if self._work is scope:
            self._work = None

    # ---- reading

    async def read(self, hear: Hearing) -> None:
        """Take what the peer sends until either side ends it, and say goodbye if there is somebody left to hear it."""
        try:
            while self._farewell is None:
                data = await self._receive()
                if data == _CLIENT_WENT:
                    return
                if data is not None:
                    await self._take(data, hear)
                elif self._farewell is None:
                    await self.send(self._frames.send(Ping()))
            self.is_over = True
            await self._send(self._frames.send(self._farewell))
        finally:
            self.is_over = True
            if self._work is not None:
                self._work.cancel()

    async def _receive(self) -> bytes | None:
        """Return the next bytes, empty at the end; None after a silence that calls for a ping, or when `end` was called."""
        with trio.move_on_after(self._limits.ping_interval_s) as self._waiting:
            return await self._wire.receive_next()
        return None

    async def _take(self, data: bytes, hear: Hearing) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events():
            ending = await self._answered(event, hear)
            if ending is not None and self._farewell is None:
                self._farewell = ending
            if self._farewell is not None:
                return

    async def _answered(self, event: Event, hear: Hearing) -> CloseConnection | None:
        """Do what one frame asks for; return the frame that ends the WebSocket, where it does."""
        if isinstance(event, (TextMessage, BytesMessage)):
            excess = self._rations.of_message(event)
            ending = Ending(*excess) if excess is not None else self._heard(event, hear)
            return None if ending is None else CloseConnection(code=ending.code, reason=ending.reason)
        if isinstance(event, (Ping, Pong)):
            if (excess := self._rations.of_control()) is not None:
                return CloseConnection(code=excess[0], reason=excess[1])
            if isinstance(event, Ping):
                await self.send(self._frames.send(event.response()))
            return None
        assert isinstance(event, CloseConnection), event
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            return event.response()
        return CloseConnection(code=event.code, reason="bad frame")

    def _heard(self, event: TextMessage | BytesMessage, hear: Hearing) -> Ending | None:
        self._pieces.append(event.data)
        if not event.message_finished:
            return None
        pieces, self._pieces = self._pieces, []
        if isinstance(event, TextMessage):
            return hear("".join(pieces))  # type: ignore[arg-type] # wsproto gives text alone for a text message.
        return hear(b"".join(pieces))  # type: ignore[arg-type] # as above.
