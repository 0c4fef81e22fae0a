"""One accepted socket: sends that end, reads that do not raise, a close that does not destroy the answer.

Rule: no send waits longer than `send_timeout_s` without bytes leaving, and none is shielded. A send that was
interrupted leaves half a frame behind, so the socket is aborted then.
"""

import os
import socket
import struct
from collections.abc import Callable

import trio

from intermute.web.server.limits import ServerLimits

# Each try sees what left since the one before; five leave a reader four fifths of the timeout to make room.
_TRIES_PER_TIMEOUT = 5
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Wire:
    """The only owner of its socket.

    Resources: `close` or `abort` must be called; both may be called again.
    """

    __slots__ = ("_is_eof", "_limits", "_lock", "_on_abort", "_socket", "is_open", "is_stalled")

    def __init__(self, sock: trio.socket.SocketType, limits: ServerLimits) -> None:
        self._socket = sock
        self._limits = limits
        self._lock = trio.Lock()
        self._on_abort: Callable[[], None] | None = None
        self._is_eof = False
        self.is_open = True
        self.is_stalled = False

    def on_abort(self, callback: Callable[[], None]) -> None:
        """Call back when the socket has been aborted, from whichever task did it."""
        self._on_abort = callback

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the peer has ended, reset or lost the connection."""
        try:
            data = await self._socket.recv(self._limits.receive_bytes)
        except (OSError, trio.ClosedResourceError):
            data = b""
        self._is_eof = not data
        return data

    async def receive_next(self) -> bytes:
        """Do what `receive` does, for a reader that expects to wait: without asking the socket before it has something."""
        if not self.is_open:  # Aborted by a send between two reads: there is no descriptor to wait for.
            self._is_eof = True
            await trio.lowlevel.checkpoint()
            return b""
        try:
            await trio.lowlevel.wait_readable(self._socket)
            data = os.read(self._socket.fileno(), self._limits.receive_bytes)
        except BlockingIOError:
            return await self.receive()
        except (OSError, trio.ClosedResourceError):
            data = b""
        self._is_eof = not data
        return data

    def send_now(self, data: bytes) -> bytes:
        """Send what the kernel takes at once, and return the rest, for `send`; all of it while another send is under way."""
        return data[self.take_now(data) :]

    def take_now(self, data: bytes) -> int:
        """Return how many of the bytes the kernel took at once; none while another send is under way, or after the end."""
        if not self.is_open or self._lock.locked():
            return 0
        try:
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError:
            self.abort()
            return 0

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it; do nothing, but for a checkpoint, once the socket is closed.

        Cancellation: the socket is aborted, because part of the data may have left, or was counted as sent.
        """
        try:
            async with self._lock:
                if self.is_open:
                    await self._send_all(memoryview(data))
        except (OSError, trio.ClosedResourceError):
            self.abort()
        except trio.Cancelled:
            self.abort()
            raise

    async def close(self) -> None:
        """End our side, let the peer finish within the linger bounds, and close.

        Cancellation: the socket is aborted.
        """
        if not self.is_open:
            return
        self.is_open = False
        try:
            self._socket.shutdown(socket.SHUT_WR)
            with trio.move_on_after(self._limits.linger_timeout_s):
                dropped_bytes = 0
                while not self._is_eof and dropped_bytes < self._limits.linger_limit_bytes:
                    dropped_bytes += len(await self.receive())
        except OSError:
            self._is_eof = True  # the peer was faster; there is nobody to wait for.
        except trio.Cancelled:
            self._reset()
            raise
        self._socket.close()

    def abort(self) -> None:
        """Drop the socket now, with a reset; what the kernel still holds is thrown away."""
        if not self.is_open:
            return
        self.is_open = False
        self._reset()
        if self._on_abort is not None:
            self._on_abort()

    def _reset(self) -> None:
        # Fails only on a socket that is closed already.
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._socket.close()

    async def _send_all(self, rest: memoryview) -> None:
        while rest:
            sent_bytes = await self._send_piece(rest[: self._limits.send_piece_bytes])
            if sent_bytes == 0:
                self.is_stalled = True
                self.abort()
                return
            rest = rest[sent_bytes:]

    async def _send_piece(self, piece: memoryview) -> int:
        """Return how much the kernel took; 0 when it took nothing for the whole timeout.

        Linux reports a socket writable only when a third of its buffer is free, which a slow but honest reader may not
        reach in time; a send that is tried again is taken as soon as there is any room (measured: 12 KiB taken after
        4 KiB of 436 were read, while select said no). So try often.
        """
        for _ in range(_TRIES_PER_TIMEOUT):
            with trio.move_on_after(self._limits.send_timeout_s / _TRIES_PER_TIMEOUT):
                return await self._socket.send(piece)
        return 0
