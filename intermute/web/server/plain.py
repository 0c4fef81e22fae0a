"""The plain lane of a connection: requests that mean one thing at first sight are read and answered without a framework.

Whatever is not plain is left to the careful lane with every byte of it, before anything has been done about it: other
versions and methods, transfer codings, `Expect`, escapes in the path, large bodies, whatever any of the parsers
could read in two ways, and all that is to be refused for its form. So the refusals are written once, there. A plain upgrade
to a WebSocket ends the plain part as well, and goes to whom the lane names (`push.py`).

Source: issue 7; decisions/0018-plain-lane.md. The bounds are those of the careful lane (`ServerLimits`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple, Protocol

import trio

from intermute.web.server.dates import date_line
from intermute.web.server.framing import Refused
from intermute.web.server.heads import HeadParser, PlainHead
from intermute.web.server.limits import ServerLimits
from intermute.web.server.push import PushSocket
from intermute.web.server.wire import Wire

_HEAD_END: Final = b"\r\n\r\n"
CLOSING: Final = "Connection: close"
_FIRST_BYTES: Final = frozenset(b"GPD")


@dataclass(frozen=True, slots=True)
class PlainReply:
    """An answer; `content_type` None where it has no body and no word about one."""

    status: int
    content_type: str | None
    body: bytes
    headers: Sequence[tuple[str, str]] = ()


Answering = Callable[[bytes], Awaitable[PlainReply]]
"""What answers one request, given its body."""
Opening = Callable[[PushSocket], Awaitable[PlainReply | None]]
"""What accepts one WebSocket and serves it to its end, or returns the answer that refuses it."""


class Lane(Protocol):
    """Finds who takes the requests of one connection; None leaves one to the careful lane."""

    def find(self, head: PlainHead) -> Answering | None:
        """Return what answers a request."""

    def open(self, head: PlainHead) -> Opening | None:
        """Return what serves a WebSocket."""


class Upgrade(NamedTuple):
    """A WebSocket that is to be opened on the connection; nothing else has come on it."""

    opening: Opening
    key: str


class PlainConnection:
    """The plain part of one connection; `serve` once, at its beginning."""

    def __init__(self, wire: Wire, limits: ServerLimits, lane: Lane) -> None:
        self._wire, self._limits, self._lane = wire, limits, lane
        self._buffer = bytearray()
        self._parser = HeadParser()
        self._answering: Answering | None = None
        self._upgrade: Upgrade | None = None
        self._whole_bytes = 0
        """Length of the request whose head has been read, body included."""
        self._head_bytes = 0
        self._closes = False
        self._work: tuple[Answering, bytes] | None = None
        self._work_came = trio.lowlevel.ParkingLot()
        self._worker = trio.CancelScope()
        self._waiting = trio.CancelScope()
        self._deadline_s = inf
        """By when the next request has to be whole, or to begin."""
        self._is_plain = True
        self.is_last = False
        """The connection ends after the answer in hand."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is in hand."""
        return self._work is None and self._answering is None

    async def serve(self, nursery: trio.Nursery) -> bytes | Upgrade | None:
        """Serve until something comes that is not plain, and return it, or the upgrade; None at the connection's end.

        Raises: Refused, where a head or a body did not come in time.
        """
        nursery.start_soon(self._run_worker)
        self._deadline_s = trio.current_time() + self._limits.idle_timeout_s
        try:
            while not (self.is_last and self.is_idle):
                # One scope for many requests: its deadline is looked at when it passes, and is moved on then.
                with trio.CancelScope(deadline=self._next_look_s()) as self._waiting:
                    while await self._read_more():
                        pass
                if not self._waiting.cancelled_caught:
                    return self._upgrade or (None if self._is_plain else bytes(self._buffer))
                if self._work is None and self._deadline_s <= trio.current_time() and not self.is_last:
                    self._check_begun()
                    return None
        finally:
            self._worker.cancel()
        return None

    # ---- reading

    def _next_look_s(self) -> float:
        """Return when to look whether the peer is too slow; while the worker has something in hand, it is not."""
        return self._deadline_s if self._work is None else trio.current_time() + self._limits.idle_timeout_s

    async def _read_more(self) -> bool:
        """Take what has come one step further, and wait for more; False where the connection, or its plain part, is over."""
        if self._work is None:
            if self._buffer and not self._advance():
                self._is_plain = False
                return False
            if self._deadline_s < self._waiting.deadline:
                self._waiting.deadline = self._deadline_s
        if self._work is not None and len(self._buffer) >= self._limits.receive_bytes:
            await trio.sleep_forever()  # Until the worker is done.
        data = await self._wire.receive_next()
        if not data:
            return False  # Whoever left waits for no answer.
        if not self._buffer and self._work is None:
            self._deadline_s = trio.current_time() + self._limits.head_timeout_s
        self._buffer += data
        return True

    def _check_begun(self) -> None:
        """Let a connection go that is merely quiet. Raises: Refused, where a request has begun."""
        if self._answering is not None:
            raise Refused(408, "body_timeout", f"Send the whole body within {self._limits.body_timeout_s:g} seconds.")
        if self._buffer:
            raise Refused(408, "head_timeout", f"Send the whole head within {self._limits.head_timeout_s:g} seconds.")

    def _advance(self) -> bool:
        """Go as far as the bytes that are here allow; False where they are not plain, or upgrade the connection."""
        if self._answering is None:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return self._may_become_plain()
            if end + len(_HEAD_END) > self._limits.head_limit_bytes or not self._take_head(end + len(_HEAD_END)):
                return False
            if len(self._buffer) < self._whole_bytes:
                self._deadline_s = trio.current_time() + self._limits.body_timeout_s
        if len(self._buffer) >= self._whole_bytes:
            assert self._answering is not None
            body = bytes(self._buffer[self._head_bytes : self._whole_bytes])
            del self._buffer[: self._whole_bytes]
            self._work, self._answering = (self._answering, body), None
            self._work_came.unpark()
        return True

    def _may_become_plain(self) -> bool:
        buffer = self._buffer
        is_plain_so_far = buffer[0] in _FIRST_BYTES and buffer.count(b"\n") == buffer.count(b"\r\n")
        return is_plain_so_far and len(buffer) <= self._limits.head_limit_bytes

    def _take_head(self, head_bytes: int) -> bool:
        """Read a head and find who answers; False where it is not plain, nobody's, or no request for an answer."""
        found = self._parser.parse(bytes(self._buffer[:head_bytes]), self._limits.head_fields_max)
        if found is None:
            return False
        head, body_bytes, self._closes = found
        if head.websocket_key is not None:
            # What came along may not be sent before the answer, and is refused by the careful lane.
            opening = self._lane.open(head) if len(self._buffer) == head_bytes else None
            self._upgrade = None if opening is None else Upgrade(opening, head.websocket_key)
            return False
        if body_bytes > self._limits.plain_body_bytes:
            return False
        self._answering = self._lane.find(head)
        if self._answering is None:
            return False
        self._head_bytes, self._whole_bytes = head_bytes, head_bytes + body_bytes
        return True

    # ---- answering

    async def _run_worker(self) -> None:
        with self._worker:
            while True:
                while self._work is None:
                    await self._work_came.park()
                answering, body = self._work
                reply = await answering(body)
                self.is_last = self.is_last or self._closes
                if rest := self._wire.send_now(reply_bytes(reply, CLOSING if self.is_last else None)):
                    await self._wire.send(rest)
                self._work = None
                self._deadline_s = trio.current_time() + self._limits.idle_timeout_s
                if self.is_last or self._buffer:
                    self._waiting.cancel()


def reply_bytes(reply: PlainReply, closing: str | None) -> bytes:
    """Return an answer as it goes over the wire; the last one says that it is, with a line of its head."""
    lines = [f"HTTP/1.1 {reply.status} "]
    if reply.content_type is not None:
        lines += [f"content-type: {reply.content_type}", f"content-length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(date_line())
    if closing is not None:
        lines.append(closing)
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + reply.body
