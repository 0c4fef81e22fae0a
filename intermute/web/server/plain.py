"""The plain lane of a connection: requests that mean one thing at first sight are read and answered without a framework.

Whatever is not plain is left to the careful lane with every byte of it, before anything has been done about it: other
versions and methods, upgrades, transfer codings, `Expect`, escapes in the path, large bodies, whatever any of the parsers
could read in two ways, and all that is to be refused for its form. So the refusals are written once, there.

Source: issue 7; decisions/0018-plain-lane.md. The bounds are those of the careful lane (`ServerLimits`).
"""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from math import inf
from typing import Final

import httptools
import trio

from intermute.web.server.framing import Refused
from intermute.web.server.limits import ServerLimits
from intermute.web.server.wire import Wire

_HEAD_END: Final = b"\r\n\r\n"
_FIRST_LINE: Final = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_FIRST_BYTES: Final = frozenset(b"GPD")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~@:.-]*[A-Za-z0-9_~@:-][A-Za-z0-9_~@:.-]*)+")
"""Nothing that could be read in two ways: no escapes, no empty segment and none of dots alone, no slash at the end."""
_NOT_PLAIN: Final = frozenset({"transfer-encoding", "upgrade", "expect", "te", "trailer", "http2-settings"})
_ONCE: Final = ("host", "content-length", "connection")
_KEEPS: Final = {"keep-alive": False, "close": True}
_LENGTH: Final = re.compile(r"[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class PlainHead:
    """The head of a plain request: ASCII, names in lower case, values trimmed, a path without escapes."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PlainReply:
    """An answer; `content_type` None where it has no body and no word about one."""

    status: int
    content_type: str | None
    body: bytes
    headers: Sequence[tuple[str, str]] = ()


Answering = Callable[[bytes], Awaitable[PlainReply]]
"""What answers one request, given its body."""
Lane = Callable[[PlainHead], Answering | None]
"""Finds who answers a request; None leaves it to the careful lane."""


class PlainConnection:
    """The plain part of one connection; `serve` once, at its beginning."""

    def __init__(self, wire: Wire, limits: ServerLimits, lane: Lane) -> None:
        self._wire, self._limits, self._lane = wire, limits, lane
        self._buffer = bytearray()
        self._parser = _HeadParser()
        self._answering: Answering | None = None
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

    async def serve(self, nursery: trio.Nursery) -> bytes | None:
        """Serve until something comes that is not plain, and return it; None at the connection's end.

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
                    return None if self._is_plain else bytes(self._buffer)
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
        """Go as far as the bytes that are here allow; False where they are not plain."""
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
        """Read a head and find who answers; False where it is not plain, or nobody's."""
        found = self._parser.parse(bytes(self._buffer[:head_bytes]), self._limits.head_fields_max)
        if found is None:
            return False
        head, body_bytes, self._closes = found
        if body_bytes > self._limits.plain_body_bytes:
            return False
        self._answering = self._lane(head)
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
                if rest := self._wire.send_now(_as_bytes(reply, is_last=self.is_last)):
                    await self._wire.send(rest)
                self._work = None
                self._deadline_s = trio.current_time() + self._limits.idle_timeout_s
                if self.is_last or self._buffer:
                    self._waiting.cancel()


class _HeadParser:
    """Reads heads with llhttp; what llhttp takes more freely than we do is refused before."""

    def __init__(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("ascii").lower(), value.decode("ascii").strip(" \t")))

    def parse(self, head: bytes, fields_max: int) -> tuple[PlainHead, int, bool] | None:
        """Return a head, how long the body is, and whether the connection ends after it; None where it is not plain."""
        lines = head.count(b"\r\n")
        if not head.isascii() or head.count(b"\n") != lines or head.count(b"\r") != lines:
            return None
        if b"\r\n " in head or b"\r\n\t" in head or lines > fields_max + 2 or _FIRST_LINE.match(head) is None:
            return None
        self._url, self._headers = b"", []
        # A new one for each head: the body does not go through it, and after a head with a length it would wait for one.
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        method = parser.get_method().decode("ascii")
        if method not in _METHODS:
            return None
        path, mark, query = self._url.decode("ascii").partition("?")
        if _PATH.fullmatch(path) is None or "#" in query or (mark and not query.isprintable()):
            return None
        return self._framed(PlainHead(method, path, query, self._headers))

    def _framed(self, head: PlainHead) -> tuple[PlainHead, int, bool] | None:
        names = [name for name, _ in head.headers]
        if not _NOT_PLAIN.isdisjoint(names) or "host" not in names or any(names.count(each) > 1 for each in _ONCE):
            return None
        values = dict(head.headers)
        length = values.get("content-length", "0")
        closes = _KEEPS.get(values.get("connection", "keep-alive").lower())
        if closes is None or _LENGTH.fullmatch(length) is None or (head.method == "GET" and length != "0"):
            return None
        return head, int(length), closes


def read_plain(head: bytes, fields_max: int = 100) -> tuple[PlainHead, int, bool] | None:
    """Return a head, how long its body is, and whether the connection ends after it; None where it is not plain."""
    return _HeadParser().parse(head, fields_max)


def _as_bytes(reply: PlainReply, *, is_last: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} "]
    if reply.content_type is not None:
        lines += [f"content-type: {reply.content_type}", f"content-length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(_date(int(time.time())))
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + reply.body


_dates: dict[int, str] = {}


def _date(now_s: int) -> str:
    found = _dates.get(now_s)
    if found is None:
        _dates.clear()
        found = _dates[now_s] = f"date: {formatdate(now_s, usegmt=True)}"
    return found
