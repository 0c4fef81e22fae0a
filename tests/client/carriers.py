"""What stands between a client and a service in tests: scripted answers without a socket, and a proxy that breaks things."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import trio

Step = httpx.Response | Exception | None
"""One answer: a response, an error of the transport, or None for a service that never answers."""


def answer(status: int, body: object, **headers: str) -> httpx.Response:
    """Return an answer with a JSON body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=msgspec.json.encode(body), headers=fields)


def refused(status: int, code: str, **headers: str) -> httpx.Response:
    """Return a refusal."""
    return answer(status, {"error": code, "message": "Do something else."}, **headers)


class Script(httpx.AsyncBaseTransport):
    """Answers as it was told to, in order, and the last one again and again; keeps what it was asked."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = list(steps)
        self.asked: list[httpx.Request] = []
        self.at_s: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await request.aread()
        self.asked.append(request)
        self.at_s.append(trio.current_time())
        step = self.steps[min(len(self.asked), len(self.steps)) - 1]
        await trio.lowlevel.checkpoint()
        if step is None:
            await trio.sleep_forever()
        if isinstance(step, Exception):
            raise step
        assert step is not None
        return httpx.Response(step.status_code, content=step.content, headers=step.headers)


async def until(look: Callable[[], Awaitable[bool]], patience_s: float = 15.0) -> None:
    """Return once `look` says so; fail after the deadline."""
    with trio.fail_after(patience_s):
        while not await look():  # noqa: ASYNC110 - what is waited for is in the service, which has no event for it.
            await trio.sleep(0.01)


Cut = Callable[[int], int | None]
"""From the number of a connection to how many bytes of the service's it lets pass before it breaks; None for all."""


@dataclass
class Proxy:
    """Carries bytes between clients and a service, and breaks connections. `url` is where clients find it."""

    target: str
    cut: Cut
    url: str = ""
    connections: int = 0
    cuts: int = 0
    is_open: bool = True
    is_remote: bool = False
    """Its clients are on another machine, for all that the service can tell, and need a key."""
    _streams: set[trio.SocketStream] = field(default_factory=set)

    async def handle(self, near: trio.SocketStream) -> None:
        """Carry one connection."""
        number, self.connections = self.connections, self.connections + 1
        parts = urlsplit(self.target)
        try:
            if not self.is_open:
                _reset(near)
                return
            far = await trio.open_tcp_stream(parts.hostname or "", parts.port or 0)
        except OSError:
            _reset(near)
            return
        self._streams |= {near, far}
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, near, far, None, nursery.cancel_scope)
            nursery.start_soon(self._carry, far, near, self.cut(number), nursery.cancel_scope)
        self._streams -= {near, far}

    def shut(self) -> None:
        """Break all connections, and let no further one through."""
        self.is_open = False
        self.hang_up()

    def hang_up(self) -> None:
        """Break all connections."""
        for stream in self._streams:
            _reset(stream)

    def _named(self, data: bytes | bytearray) -> bytes | bytearray:
        """Return what a client sent with the service's own address in it, as its gate demands."""
        named = self.target.removeprefix("http://") + ("\r\nX-Forwarded-For: 203.0.113.10" if self.is_remote else "")
        return data.replace(self.url.removeprefix("http://").encode(), named.encode())

    async def _carry(
        self, source: trio.SocketStream, sink: trio.SocketStream, left: int | None, scope: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                piece = self._named(data) if left is None else data[:left]
                if piece:
                    await sink.send_all(piece)
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        self.cuts += 1
                        _reset(sink)
                        break
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # Whichever side went, the other one hears of it now.
        scope.cancel()


def _reset(stream: trio.SocketStream) -> None:
    """End a connection as a crash does: what was sent arrives, and then nothing."""
    with suppress(OSError):
        stream.socket.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def proxy_to(target: str, cut: Cut = lambda _number: None, *, is_remote: bool = False) -> AsyncIterator[Proxy]:
    """Run a proxy while the block lasts."""
    proxy = Proxy(target, cut, is_remote=is_remote)
    async with trio.open_nursery() as nursery:
        listeners: list[Any] = await nursery.start(trio.serve_tcp, proxy.handle, 0)
        port = listeners[0].socket.getsockname()[1]
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
        nursery.cancel_scope.cancel()
