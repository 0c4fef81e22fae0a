"""One connection to the service: requests are bytes made by hand, answers are cut at Content-Length and read no further.

Lean, so that the service is what is measured: one `send`, one wait and one `recv` for each answer, with the kernel's
socket and no stream, no parser and no object for a header around it.
"""

import json
import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

import trio

RECEIVE_BYTES = 64 * 1024
ANSWER_TIMEOUT_S = 30.0  # an unanswered request fails the run; it is far over the service's own limits.
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_UNKNOWN = b'"outcome_unknown"'


class LoadFailed(Exception):
    """The service answered what the load does not expect; the text says what."""


class Broken(LoadFailed):
    """The connection ended; what became of a request in flight is unknown."""


class Answer(NamedTuple):
    """An answer as it came; nothing but the status is read until somebody asks."""

    status: int
    body: bytes
    head: bytes
    """Status line and header fields, without the empty line."""

    def json(self) -> Any:  # Any: JSON.
        """Return the body, parsed."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the value of the header field, or None."""
        wanted = name.lower()
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == wanted:
                return value.strip()
        return None

    @property
    def is_unknown(self) -> bool:
        """Tell whether the service itself says that it does not know what became of the request."""
        return self.status == 503 and _UNKNOWN in self.body

    def demand(self, *expected: int) -> "Answer":
        """Return it if its status is expected. Raises: LoadFailed."""
        if self.status not in expected:
            raise LoadFailed(f"expected {' or '.join(map(str, expected))}, got {self.status}: {self.body[:500]!r}")
        return self


class Connection:
    """One connection to the server, one request at a time. Takes a socket of the kernel, connected and not blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""

    async def call(self, request: bytes) -> Answer:
        """Send a request and return its answer. Raises: Broken; LoadFailed, for what is no answer.

        A call that was cancelled leaves the connection useless: close it.
        """
        await self._send(request)
        buffer = self._buffer or await self._receive()
        while (head := buffer.find(_HEAD_END)) < 0:
            buffer += await self._receive()
        start = buffer[:head].lower().find(_LENGTH)
        if start < 0:
            raise LoadFailed(f"no Content-Length in {buffer[:head]!r}")
        length = int(buffer[start + len(_LENGTH) : head].split(b"\r\n", 1)[0])
        begin = head + len(_HEAD_END)
        end = begin + length
        while len(buffer) < end:
            buffer += await self._receive()
        self._buffer = buffer[end:]
        return Answer(int(buffer[9:12]), buffer[begin:end], buffer[:head])

    async def ask(self, request: bytes, *expected: int) -> dict[str, Any]:  # Any: JSON.
        """Send a request and return its answer parsed. Raises: LoadFailed, for a status that is not expected."""
        answer = await self.call(request)
        if answer.status not in expected:
            raise LoadFailed(f"{request[:80]!r} was answered {answer.status}: {answer.body[:500]!r}")
        found: dict[str, Any] = answer.json()  # Any: as above.
        return found

    async def upgrade(self, request: bytes) -> bytes:
        """Send a handshake; return what came after its answer. Raises: Broken; LoadFailed, where it is refused."""
        await self._send(request)
        buffer = b""
        while (head := buffer.find(_HEAD_END)) < 0:
            buffer += await self._receive()
        if buffer[9:12] != b"101":
            raise LoadFailed(f"{request[:80]!r} was answered {buffer[:500]!r}")
        return buffer[head + len(_HEAD_END) :]

    def detach(self) -> socket.socket:
        """Give the socket away; the connection is of no use any more."""
        return self._socket

    async def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise Broken(f"the server broke a connection in use: {error}") from error

    async def _receive(self) -> bytes:
        while True:
            # Waits first: the answer is never there when the request has just been sent.
            await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Broken(f"the server broke a connection in use: {error}") from error
            if not data:
                raise Broken("the server closed a connection in use")
            return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()


async def connect(port: int, host: str = "127.0.0.1") -> Connection:
    """Open a connection to the server. Raises: Broken."""
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        sock = trio.socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await sock.connect(address)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise Broken(f"no connection to {host}:{port}: {error}") from error
    # The kernel's own socket from here on: trio's gives every call a turn of the scheduler, which costs more than the call.
    plain = socket.socket(fileno=os.dup(sock.fileno()))
    sock.close()
    plain.settimeout(0)
    return Connection(plain)


def request(
    port: int,
    method: str,
    target: str,
    fields: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    host: str = "localhost",
) -> bytes:
    """Return the bytes of a request; `fields` become its JSON body."""
    body = b"" if fields is None else json.dumps(fields, separators=(",", ":")).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    for name, value in (headers or {}).items():
        head += f"{name}: {value}\r\n"
    if body:
        head += "Content-Type: application/json\r\n"
    if method != "GET":
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
