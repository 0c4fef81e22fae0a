"""The load: many connections, each asking again as soon as it is answered. Lean, so that the server is what is measured.

Requests are bytes made by hand, answers are cut at Content-Length and not parsed further unless a worker needs them.
"""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import trio

RECEIVE_BYTES = 64 * 1024
ANSWER_TIMEOUT_S = 30.0  # an unanswered request fails the run; it is far over the service's own limits.
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class LoadFailed(Exception):
    """The service answered what the load does not expect; the text says what."""


class Worker(Protocol):
    """What one connection asks, and what it makes of the answers."""

    async def prepare(self, connection: "Connection") -> None:
        """Do what the next request needs; not measured."""

    def next_request(self) -> bytes:
        """Return the next request."""

    def take(self, status: int, body: bytes) -> None:
        """Look at the answer. Raises: LoadFailed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load has shown."""

    seconds: float
    times_ms: list[float]

    @property
    def per_s(self) -> float:
        """Answers a second, over all connections."""
        return len(self.times_ms) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Return the time within which this share of the requests was answered."""
        return quantile(self.times_ms, share)


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share lies; 0 of nothing."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


class Connection:
    """One connection to the server, one request at a time."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock
        self._buffer = b""

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body of its answer. Raises: LoadFailed."""
        sent = await self._socket.send(request)
        while sent < len(request):
            sent += await self._socket.send(request[sent:])
        buffer = self._buffer
        while (head := buffer.find(_HEAD_END)) < 0:
            buffer += await self._receive()
        start = buffer[:head].lower().find(_LENGTH)
        if start < 0:
            raise LoadFailed(f"no Content-Length in {buffer[:head]!r}")
        length = int(buffer[start + len(_LENGTH) : head].split(b"\r\n", 1)[0])
        end = head + len(_HEAD_END) + length
        while len(buffer) < end:
            buffer += await self._receive()
        self._buffer = buffer[end:]
        return int(buffer[9:12]), buffer[head + len(_HEAD_END) : end]

    async def ask(self, request: bytes, *expected: int) -> dict[str, Any]:  # Any: JSON.
        """Send a request and return its answer parsed. Raises: LoadFailed, for a status that is not expected."""
        status, body = await self.call(request)
        if status not in expected:
            raise LoadFailed(f"{request[:80]!r} was answered {status}: {body[:500]!r}")
        answer: dict[str, Any] = json.loads(body)  # Any: as above.
        return answer

    async def _receive(self) -> bytes:
        try:
            data = await self._socket.recv(RECEIVE_BYTES)
        except OSError as error:
            raise LoadFailed(f"the server broke a connection in use: {error}") from error
        if not data:
            raise LoadFailed("the server closed a connection in use")
        return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()


async def connect(port: int) -> Connection:
    """Open a connection to the server on loopback."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await sock.connect(("127.0.0.1", port))
    return Connection(sock)


def request(port: int, method: str, target: str, fields: Mapping[str, object] | None = None) -> bytes:
    """Return the bytes of a request; `fields` become its JSON body."""
    body = b"" if fields is None else json.dumps(fields, separators=(",", ":")).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\n"
    if body:
        head += "Content-Type: application/json\r\n"
    if method != "GET":
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def load(port: int, seconds: float, workers: Sequence[Worker]) -> Measured:
    """Let every worker ask over a connection of its own for so long. Raises: LoadFailed."""
    connections = [await connect(port) for _ in workers]
    times_ms: list[float] = []
    failures: list[LoadFailed] = []
    try:
        for worker, connection in zip(workers, connections, strict=True):
            await worker.prepare(connection)
        started_s = time.perf_counter()
        with trio.move_on_after(seconds + ANSWER_TIMEOUT_S) as limit:
            async with trio.open_nursery() as nursery:
                for worker, connection in zip(workers, connections, strict=True):
                    nursery.start_soon(_ask_until, started_s + seconds, worker, connection, times_ms, failures)
        if failures or limit.cancelled_caught:
            raise failures[0] if failures else LoadFailed(f"a request got no answer in {ANSWER_TIMEOUT_S} s")
        return Measured(time.perf_counter() - started_s, times_ms)
    finally:
        for connection in connections:
            connection.close()


async def _ask_until(
    end_s: float, worker: Worker, connection: Connection, times_ms: list[float], failures: list[LoadFailed]
) -> None:
    """Ask until the time is up or anybody failed."""
    try:
        while time.perf_counter() < end_s and not failures:
            await worker.prepare(connection)
            wanted = worker.next_request()
            sent_s = time.perf_counter()
            status, body = await connection.call(wanted)
            times_ms.append((time.perf_counter() - sent_s) * 1000)
            worker.take(status, body)
    except LoadFailed as failed:
        failures.append(failed)
