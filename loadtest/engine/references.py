"""Fixed references of the same machine and minute: what one commit costs on this disk, and one answer on this loopback.

Figures of different machines cannot be compared; their ratios to these can. The echo is a bare trio TCP server that reads
requests with httptools and answers with the JSON it was sent: what HTTP and JSON on trio cost a service that does nothing.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw
import httptools
import trio

from loadtest.engine.connection import Answer, LoadFailed, request

_ROW: Final = "x" * 300  # about what one reservation and its event take together.
_ANSWER_BYTES: Final = 640  # about as long as the answer to a reservation (measured).
_FIELDS: Final = {
    "project": "unique",
    "agent_id": "00000000-0000-4000-8000-000000000000",
    "path": "src/area_12/part_34/module_1234.py",
    "reason": "load test",
}
"""What the echo is asked: the same JSON as a reservation of `unique`."""


class Commits:
    """Single durable commits on a disk: one writer, one row each, WAL, synchronous=FULL. A context; leaves its file."""

    def __init__(self, directory: Path) -> None:
        self._connection = apsw.Connection(str(directory / f"reference-{time.monotonic_ns()}.db"))
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT) STRICT",
        ):
            self._connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def one(self) -> float:
        """Commit one row and return how long it took in seconds."""
        started_s = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO rows (text) VALUES (?)", (_ROW,))
        self._connection.execute("COMMIT")
        return time.perf_counter() - started_s

    def load(self, seconds: float) -> tuple[float, float]:
        """Commit for so long; return how many a second, and the median of one in ms."""
        times_s: list[float] = []
        started_s = time.perf_counter()
        while (spent_s := time.perf_counter() - started_s) < seconds or not times_s:
            times_s.append(self.one())
        return len(times_s) / max(spent_s, times_s[0]), statistics.median(times_s) * 1000


def commits_per_s(directory: Path, seconds: float) -> float:
    """Return the single durable commits a second on this disk."""
    with Commits(directory) as commits:
        return commits.load(seconds)[0]


@contextmanager
def echo_server() -> Iterator[int]:
    """Run the echo in a process of its own; yield its port."""
    child = subprocess.Popen(
        [sys.executable, "-m", "loadtest.engine.references"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.communicate()


class EchoAsker:
    """A worker that asks the echo: always the same, a reservation's JSON."""

    def __init__(self, port: int) -> None:
        self._request = request(port, "POST", "/api/reservations", _FIELDS)
        self._body = echoed(self._request.partition(b"\r\n\r\n")[2])

    def ask(self) -> tuple[str, bytes]:
        """Return the request."""
        return "echo", self._request

    def take(self, answer: Answer, _sent_s: float, _answered_s: float) -> None:
        """Demand what was sent."""
        if answer.status != 200 or answer.body != self._body:
            raise LoadFailed(f"the echo answered {answer.status}: {answer.body[:100]!r}")

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Fail: nobody kills the echo."""
        raise LoadFailed("the echo broke a connection")


def echoed(body: bytes) -> bytes:
    """Return the JSON that the echo answers: what it was sent, filled up to the length of a reservation's answer."""
    answer = b'{"echo":%s,"filler":""}' % body
    return answer[:-2] + b"x" * (_ANSWER_BYTES - len(answer)) + answer[-2:]


class _Echo:
    """What httptools tells of the requests of one connection."""

    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_message_begin(self) -> None:
        """Begin the next request."""
        self.body, self.is_complete = b"", False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Note that all of it is there."""
        self.is_complete = True


async def _answer_all(stream: trio.SocketStream) -> None:
    """Answer the requests of one connection, each when the last one has been answered."""
    wanted = _Echo()
    parser = httptools.HttpRequestParser(wanted)
    try:
        async for data in stream:
            parser.feed_data(data)
            if wanted.is_complete:
                body = echoed(wanted.body)
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
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
