"""The plain lane of a connection: requests that mean one thing at first sight are read and answered without a framework.

Whatever is not plain is left to the careful lane with every byte of it, before anything has been done about it: other
versions and methods, transfer codings, `Expect`, escapes in the path, large bodies, whatever any of the parsers
could read in two ways, and all that is to be refused for its form. So the refusals are written once, there. A plain upgrade
to a WebSocket ends the plain part as well, and goes to whom the lane names (`push.py`).

Source: issue 7; decisions/0018-plain-lane.md. The bounds are those of the careful lane (`ServerLimits`).
"""

from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Final, NamedTuple, Protocol

import msgspec
import trio

from intermute.web.server.dates import date_line
from intermute.web.server.framing import Refused
from intermute.web.server.heads import PlainHead, read_plain
from intermute.web.server.limits import ServerLimits
from intermute.web.server.push import PushSocket
from intermute.web.server.wire import Wire

_HEAD_END: Final = b"\r\n\r\n"
CLOSING: Final = "Connection: close"
_FIRST_BYTES: Final = frozenset(b"GPD")


class PlainReply(msgspec.Struct, frozen=True):
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
    """The plain part of one connection; `serve` once, at its beginning, and `look` at it now and then.

    One task reads, answers and sends. Who left is noticed by a second one, which is there only while an answer takes long.
    """

    def __init__(self, wire: Wire, limits: ServerLimits, lane: Lane) -> None:
        self._wire, self._limits, self._lane = wire, limits, lane
        self._buffer = bytearray()
        self._answering: Answering | None = None
        self._upgrade: Upgrade | None = None
        self._whole_bytes = 0
        """Length of the request whose head has been read, body included."""
        self._head_bytes = 0
        self._closes = False
        self._serving = trio.CancelScope()
        self._deadline_s = inf
        """By when the next request has to be whole, or to begin."""
        self._answering_since_s: float | None = None
        self._watch: _Watch | None = None
        self._is_late = False
        self._nursery: trio.Nursery
        self.is_last = False
        """The connection ends after the answer in hand."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is in hand."""
        return self._answering is None

    def look(self, now_s: float) -> None:
        """Give up a peer that is too slow, and have somebody notice when the peer of a slow answer leaves.

        Called for all connections at `ServerLimits.look_interval_s`: a deadline for each request would cost more than
        reading it.
        """
        if self._answering_since_s is None:
            if now_s >= self._deadline_s:
                self._is_late = True
                self._serving.cancel()
        elif self._watch is None and now_s - self._answering_since_s >= self._limits.look_interval_s:
            self._watch = _Watch()
            self._nursery.start_soon(self._run_watch, self._watch)

    async def serve(self, nursery: trio.Nursery) -> bytes | Upgrade | None:
        """Serve until something comes that is not plain, and return it, or the upgrade; None at the connection's end.

        Raises: Refused, where a head or a body did not come in time.
        """
        self._nursery = nursery
        self._deadline_s = trio.current_time() + self._limits.idle_timeout_s
        with self._serving:
            while not self.is_last:
                is_plain = self._advance() if self._buffer else True
                if is_plain and not self._is_whole:
                    is_plain = await self._read_rest()
                if not is_plain:
                    return self._upgrade or bytes(self._buffer)
                if not self._is_whole or self._is_late:
                    break
                await self._answer()
        if self._is_late:
            self._check_begun()
        return None

    # ---- reading

    @property
    def _is_whole(self) -> bool:
        """Whether a request is here from its first byte to its last."""
        return self._answering is not None and len(self._buffer) >= self._whole_bytes

    async def _read_rest(self) -> bool:
        """Read until a request is whole, or the connection at its end; False where what came is not plain."""
        while not self._is_whole:
            data = await self._wire.receive_next()
            if not data:
                return True
            if not self._buffer:
                self._deadline_s = trio.current_time() + self._limits.head_timeout_s
            self._buffer += data
            if not self._advance():
                return False
        return True

    def _check_begun(self) -> None:
        """Let a connection go that is merely quiet. Raises: Refused, where a request has begun."""
        if self._answering is not None:
            raise Refused(408, "body_timeout", f"Send the whole body within {self._limits.body_timeout_s:g} seconds.")
        if self._buffer:
            raise Refused(408, "head_timeout", f"Send the whole head within {self._limits.head_timeout_s:g} seconds.")

    def _advance(self) -> bool:
        """Go as far as the bytes that are here allow; False where they are not plain, or upgrade the connection."""
        if self._answering is not None:
            return True
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return self._may_become_plain()
        if end + len(_HEAD_END) > self._limits.head_limit_bytes or not self._take_head(end + len(_HEAD_END)):
            return False
        if len(self._buffer) < self._whole_bytes:
            self._deadline_s = trio.current_time() + self._limits.body_timeout_s
        return True

    def _may_become_plain(self) -> bool:
        buffer = self._buffer
        is_plain_so_far = buffer[0] in _FIRST_BYTES and buffer.count(b"\n") == buffer.count(b"\r\n")
        return is_plain_so_far and len(buffer) <= self._limits.head_limit_bytes

    def _take_head(self, head_bytes: int) -> bool:
        """Read a head and find who answers; False where it is not plain, nobody's, or no request for an answer."""
        head = read_plain(bytes(self._buffer[:head_bytes]), self._limits.head_fields_max)
        if head is None:
            return False
        fields = head.fields
        if fields.websocket_key is not None:
            # What came along may not be sent before the answer, and is refused by the careful lane.
            opening = self._lane.open(head) if len(self._buffer) == head_bytes else None
            self._upgrade = None if opening is None else Upgrade(opening, fields.websocket_key)
            return False
        if fields.body_bytes > self._limits.plain_body_bytes:
            return False
        self._answering = self._lane.find(head)
        if self._answering is None:
            return False
        self._closes = fields.closes
        self._head_bytes, self._whole_bytes = head_bytes, head_bytes + fields.body_bytes
        return True

    # ---- answering

    async def _answer(self) -> None:
        """Answer the request that is whole, and make ready for the next one."""
        assert self._answering is not None
        body = bytes(self._buffer[self._head_bytes : self._whole_bytes])
        del self._buffer[: self._whole_bytes]
        self._answering_since_s = trio.current_time()
        reply = await self._answering(body)
        self.is_last = self.is_last or self._closes
        if rest := self._wire.send_now(reply_bytes(reply, CLOSING if self.is_last else None)):
            await self._wire.send(rest)
        if self._watch is not None:
            await self._watch.end()
            self._watch = None
        self._answering = self._answering_since_s = None
        begins_s = self._limits.head_timeout_s if self._buffer else self._limits.idle_timeout_s
        self._deadline_s = trio.current_time() + begins_s
        if self._buffer:  # Nobody who sends ahead keeps the loop for itself.
            await trio.lowlevel.checkpoint()

    async def _run_watch(self, watch: "_Watch") -> None:
        """Read on while an answer is worked on, within a bound: whoever leaves waits for no answer."""
        with watch.scope:
            while len(self._buffer) < self._limits.receive_bytes:
                data = await self._wire.receive_next()
                if not data:
                    self._serving.cancel()
                    break
                self._buffer += data
        watch.ended.set()


class _Watch:
    """A task that reads while an answer takes long; nobody else may read until it has ended."""

    __slots__ = ("ended", "scope")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()

    async def end(self) -> None:
        """End it, and wait until it has."""
        self.scope.cancel()
        await self.ended.wait()


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
