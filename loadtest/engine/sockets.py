"""Many WebSockets, read by one task: no library for each frame, since a thousand of them hear of every message at once.

The handshake is one request made by hand. What the service sends comes unmasked and mostly in one frame; pings are answered.
Source: RFC 6455, sections 4 and 5.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Final, Protocol

import trio

from loadtest.engine.connection import LoadFailed, connect
from loadtest.engine.site import Site

RECEIVE_BYTES: Final = 256 * 1024
HANDSHAKE_WITHIN_S: Final = 10.0
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # the sample of the RFC; nothing depends on it being random here.
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FINAL: Final = 0x80
ABNORMAL: Final = 1006
"""The code of a socket that ended without a word."""


class Listener(Protocol):
    """Who hears what comes over one socket."""

    def hear(self, message: bytes, heard_s: float) -> None:
        """Take a message, read at this time of the clients' clock. Raises: Violation."""

    def ended(self, code: int, reason: str) -> None:
        """Hear that the service ended the socket; by the code 1006 if without a word. Raises: LoadFailed, Violation."""


class Sockets:
    """Open sockets and their listeners. A context, which closes them; `run` has to be running for anybody to hear."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, _Reader] = {}

    def __enter__(self) -> "Sockets":
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers.values():
            reader.socket.close()
        self._readers.clear()
        self._selector.close()

    def __len__(self) -> int:
        return len(self._readers)

    async def open(self, target: str, listener: Listener) -> None:
        """Open a socket on a route (`/ws/events?project=x`). Raises: Broken; LoadFailed, where it is refused."""
        connection = await connect(self._site.port, self._site.host)
        head = self._site.request(
            "GET",
            target,
            headers={
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": _KEY,
                "Sec-WebSocket-Version": "13",
            },
        )
        reader: _Reader | None = None
        try:
            with trio.fail_after(HANDSHAKE_WITHIN_S):
                rest = await connection.upgrade(head)
            reader = _Reader(connection.detach(), listener)
        except trio.TooSlowError:
            raise LoadFailed(f"no answer to the handshake of {target} in {HANDSHAKE_WITHIN_S} s") from None
        finally:
            if reader is None:
                connection.close()
        self._readers[reader.socket.fileno()] = reader
        self._selector.register(reader.socket, selectors.EVENT_READ)
        if rest:
            self._feed(reader, rest)

    async def run(self) -> None:
        """Read what comes, until no socket is left. Raises: LoadFailed, Violation, from a listener."""
        while self._readers:
            await trio.lowlevel.wait_readable(self._selector.fileno())  # epoll and kqueue have it.
            for key, _ in self._selector.select(0):
                reader = self._readers[key.fd]
                try:
                    data = reader.socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    self._feed(reader, data)
                else:
                    self._end(reader, ABNORMAL, "the connection ended")

    def _feed(self, reader: "_Reader", data: bytes) -> None:
        heard_s = time.perf_counter()
        for opcode, payload in reader.frames(data):
            if opcode in (_TEXT, _BINARY):
                reader.listener.hear(payload, heard_s)
            elif opcode == _PING:
                _pong(reader.socket, payload)
            elif opcode == _CLOSE:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else ABNORMAL
                self._end(reader, code, payload[2:].decode(errors="replace"))
                return

    def _end(self, reader: "_Reader", code: int, reason: str) -> None:
        self._selector.unregister(reader.socket)
        del self._readers[reader.socket.fileno()]
        reader.socket.close()
        reader.listener.ended(code, reason)


def _pong(sock: socket.socket, payload: bytes) -> None:
    """Answer a ping, masked with zeros; one that finds no room is as good as lost, and the next one will come."""
    with contextlib.suppress(OSError):
        sock.send(bytes((_FINAL | _PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)


class _Reader:
    """One socket: its bytes that are no whole frame yet, and its message that is no whole message yet."""

    def __init__(self, sock: socket.socket, listener: Listener) -> None:
        self.socket, self.listener = sock, listener
        self._buffer = b""
        self._parts: list[bytes] = []
        self._opcode = _TEXT

    def frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the messages and control frames that are whole with these bytes, each with its opcode."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while (found := _frame(buffer, at)) is not None:
            first, payload, at = found
            opcode = first & 0x0F
            if opcode >= _CLOSE or (first & _FINAL and not self._parts):
                yield opcode, payload
            else:
                self._opcode = opcode or self._opcode
                self._parts.append(payload)
                if first & _FINAL:
                    whole, self._parts = b"".join(self._parts), []
                    yield self._opcode, whole
        self._buffer = buffer[at:]


def _frame(buffer: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Return the first byte and the payload of the frame there, and where the next one begins; None if it is not whole."""
    have = len(buffer) - at
    if have < 2:
        return None
    length, head = buffer[at + 1], 2
    if length == 126:
        length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
    elif length == 127:
        length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
    end = at + head + length
    if have < head or len(buffer) < end:
        return None
    return buffer[at], buffer[at + head : end], end
