"""Fixed references of the same machine and minute: what one commit costs on this disk, and one answer on this loopback.

Figures of different machines cannot be compared; their ratios to these can.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
import trio

from loadtest.client import Connection, LoadFailed, request

_ROW: Final = "x" * 300  # about what one reservation and its event take together.
_BODY: Final = b'{"x":"' + b"x" * 350 + b'"}'  # about as long as the answer to a reservation.
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


def commits_per_s(directory: Path, seconds: float) -> float:
    """Return the durable commits a second of one writer: one row each, WAL, synchronous=FULL."""
    path = directory / f"reference-{time.monotonic_ns()}.db"
    connection = apsw.Connection(str(path))
    try:
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT) STRICT",
        ):
            connection.execute(statement)
        count, started_s = 0, time.perf_counter()
        while time.perf_counter() - started_s < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows (text) VALUES (?)", (_ROW,))
            connection.execute("COMMIT")
            count += 1
        return count / (time.perf_counter() - started_s)
    finally:
        connection.close()


@contextmanager
def echo_server() -> Iterator[int]:
    """Run a bare trio TCP server that answers every request with the same bytes; yield its port."""
    child = subprocess.Popen(
        [sys.executable, "-m", "loadtest.references"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.communicate()


class EchoAsker:
    """Asks the reference server; its request is as long as one for a reservation."""

    def __init__(self, port: int) -> None:
        self._request = request(port, "POST", "/api/reservations", {"x": "x" * 130})

    async def prepare(self, connection: Connection) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Return the same request every time."""
        return self._request

    def take(self, status: int, body: bytes) -> None:
        """Demand success."""
        if status != 200 or body != _BODY:
            raise LoadFailed(f"the reference server answered {status}: {body[:100]!r}")


async def _answer_all(stream: trio.SocketStream) -> None:
    """Answer each request of one connection; each comes in one piece, since clients wait for their answers."""
    try:
        async for data in stream:
            if data.endswith(b"}"):
                await stream.send_all(_ANSWER)
    except trio.BrokenResourceError:
        return


async def _serve() -> None:
    """Serve until the parent, who holds the other end of standard input, is gone."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _answer_all, [listener])
        print(listener.socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_serve)
