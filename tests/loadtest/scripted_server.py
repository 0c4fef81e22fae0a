"""A server on loopback that answers as a test says, in the test's own task tree."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site

OK = b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}"
Script = Callable[[int], Awaitable[bytes | None]]
"""Takes the number of the request, from 0 on; returns the answer, or None to break the connection."""


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """Serve while the block runs; yield the port. Each request has to come in one piece."""
    count = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal count
        async for _ in stream:
            number, count = count, count + 1
            answer = await script(number)
            if answer is None:
                return
            await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def site_at(port: int, directory: Path, *, has_faults: bool = False) -> Site:
    """Return the site of a scenario there."""
    return Site(port=port, seed=7, is_quick=True, directory=directory, has_faults=has_faults)


class Asker:
    """A worker that asks the same again and again, and keeps what it got."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.answers: list[Answer] = []
        self.lost = 0

    def ask(self) -> tuple[str, bytes]:
        """Return the request."""
        return "ask", self._site.request("GET", "/")

    def take(self, answer: Answer, _sent_s: float, _answered_s: float) -> None:
        """Keep the answer."""
        self.answers.append(answer)

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Count what has no answer."""
        self.lost += 1
