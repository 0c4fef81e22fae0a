"""How many connections there may be, and how they end when the server stops (guarantees.md G20, T10)."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import hypercorn.trio
import pytest
import trio
from guarded_server import Client, ToyLane, get, quart_app, running, toy_app
from hypercorn.config import Config

from intermute.web.server import LaneFor, Listener, ServerLimits

QUICK = ServerLimits(linger_timeout_s=0.2, farewell_timeout_s=0.2, graceful_timeout_s=0.3)


async def test_connection_over_the_bound_is_told_503() -> None:
    """At n - 1 and n connections all is well; the one after is told 503 and closed; room counts again."""
    async with running(toy_app(), replace(QUICK, connections_max=2)) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        assert (await first.ask(get("/health"))).status == 200
        assert (await second.ask(get("/health"))).status == 200

        answer = await third.answer()

        assert (answer.status, answer.error) == (503, "too_many_connections")
        assert int(answer.fields["retry-after"]) >= 1
        assert await third.end() == b""
        await first.stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (await (await server.connect()).ask(get("/health"))).status == 200


@contextmanager
def no_free_descriptors() -> Iterator[None]:
    """Use up this process's descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    fillers: list[int] = []
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_lack_of_descriptors_is_survived() -> None:
    """EMFILE at accept is waited out and logged once a second; the client that waited is served."""
    async with running(toy_app()) as server:
        sock = trio.socket.socket()
        waiting = Client(trio.SocketStream(sock))
        async with waiting.stream:
            with no_free_descriptors():
                await sock.connect(server.listener.socket_listener.socket.getsockname())
                await trio.sleep(0.25)

            assert (await waiting.ask(get("/health"))).status == 200

        assert server.events == ["server.accept_failed"]


async def test_stop_finishes_the_request_in_hand() -> None:
    """Stopping closes the listener and idle connections at once, and lets a request finish, saying close."""
    gate = trio.Event()
    async with running(toy_app(gate), replace(QUICK, graceful_timeout_s=3)) as server:
        idle, busy = await server.connect(), await server.connect()
        assert (await idle.ask(get("/health"))).status == 200
        await busy.send(get("/slow"))
        await trio.testing.wait_all_tasks_blocked()

        server.stop.set()

        with trio.fail_after(0.5):
            assert await idle.end() == b""
        with pytest.raises(OSError, match="refused"):
            await refused_connect(server.listener)
        gate.set()
        answer = await busy.answer()
        assert (answer.body, answer.fields["connection"]) == (b"slow", "close")


async def refused_connect(listener: Listener) -> None:
    port = int(listener.url.rpartition(":")[2])
    sock = trio.socket.socket()
    with sock:
        await sock.connect(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("make_app", "lanes"), [(toy_app, None), (quart_app, None), (toy_app, ToyLane())], ids=["asgi", "quart", "lane"]
)
async def test_stop_is_not_held_up_by_clients_that_never_read(make_app: Any, lanes: LaneFor | None) -> None:
    """With 200 stalled WebSockets `serve` returns within the graceful time and a second."""
    limits = replace(
        QUICK, idle_timeout_s=9, head_timeout_s=9, send_timeout_s=60, send_buffer_bytes=16_384, graceful_timeout_s=0.3
    )
    async with running(make_app(), limits, lanes=lanes) as server:
        clients = [await server.connect() for _ in range(200)]
        for client in clients:
            assert (await client.open_websocket("/ws/flood")).status == 101
        started_s = trio.current_time()
        server.stop.set()

    assert trio.current_time() - started_s < limits.graceful_timeout_s + 1.0
    assert server.events == []


async def test_stock_hypercorn_is_held_up_by_one_client() -> None:
    """Negative control: with 0.1 s of grace it still waits after ten times as long, until the client itself closes."""
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout = ["127.0.0.1:0"], None, 0.1
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        start = partial(hypercorn.trio.serve, quart_app(), config, shutdown_trigger=stop.wait)
        urls = await nursery.start(start)
        stream = await trio.open_tcp_stream("127.0.0.1", int(urls[0].rpartition(":")[2]))
        assert (await Client(stream).open_websocket("/ws/flood")).status == 101
        await trio.sleep(0.2)
        stop.set()

        await trio.sleep(1.0)

        assert nursery.child_tasks
        await stream.aclose()
