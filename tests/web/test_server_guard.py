"""The life of an HTTP connection over a real socket: guard, keep-alive, deadlines, bounds, stop."""

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import hypercorn.trio
import pytest
import trio
from guarded_server import HEAD, PATIENCE_S, Client, get, post, quart_app, resident_bytes, running, toy_app
from hypercorn.config import Config

from intermute.web.server import ServerLimits

QUICK = ServerLimits(
    head_timeout_s=0.2,
    idle_timeout_s=0.2,
    body_timeout_s=0.2,
    send_timeout_s=0.3,
    linger_timeout_s=0.2,
    farewell_timeout_s=0.2,
    graceful_timeout_s=0.3,
)
BOTH = pytest.mark.parametrize("make_app", [toy_app, quart_app])


@pytest.fixture
async def stock_hypercorn() -> AsyncIterator[Client]:
    """A connection to the same Quart application on Hypercorn as it comes: the negative control."""
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout, config.keep_alive_timeout = ["127.0.0.1:0"], None, 0.1, 0.2
    async with trio.open_nursery() as nursery:
        start = partial(hypercorn.trio.serve, quart_app(), config, shutdown_trigger=trio.sleep_forever)
        urls = await nursery.start(start)
        async with await trio.open_tcp_stream("127.0.0.1", int(urls[0].rpartition(":")[2])) as stream:
            yield Client(stream)
        nursery.cancel_scope.cancel()


async def test_application_failure_costs_its_own_request() -> None:
    """A crash of the application is a 500 with a body, logged once, and the connection goes on for others."""
    async with running(toy_app()) as server:
        bystander, client = await server.connect(), await server.connect()

        answer = await client.ask(get("/crash"))

        assert (answer.status, answer.error) == (500, "internal_error")
        assert server.events == ["app.failed"]
        assert "crashed on purpose" in str(server.log[0][1]["traceback"])
        assert (await bystander.ask(get("/health"))).status == 200


async def test_application_without_answer_is_a_500() -> None:
    """A call that returns without answering is told to the client."""
    async with running(toy_app()) as server:
        client = await server.connect()

        assert (await client.ask(get("/silent"))).error == "internal_error"


async def test_guard_reports_a_failing_connection_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in our own connection code ends that connection alone and is one event."""

    def broken_check(*_: object) -> None:
        raise RuntimeError("bug in the guard")

    async with running(toy_app()) as server:
        bystander, client = await server.connect(), await server.connect()
        assert (await bystander.ask(get("/health"))).status == 200
        # Patching, against style.md 37: a bug that we know of would be fixed, so one has to be made.
        monkeypatch.setattr("intermute.web.server.guard.check_upgrade", broken_check)

        await client.send(b"GET /ws HTTP/1.1\r\n" + HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await client.end()

        assert server.events == ["connection.failed"]
        assert (await bystander.ask(get("/health"))).status == 200


async def test_disconnect_is_not_logged() -> None:
    """A client that leaves in the middle of anything is no event."""
    gate = trio.Event()
    async with running(toy_app(gate), replace(QUICK, idle_timeout_s=9)) as server:
        for data in (b"", b"GET /he", get("/slow"), post("/echo", b"12345")[:-2], get("/large?9000000")):
            client = await server.connect()
            await client.send(data)
            await trio.testing.wait_all_tasks_blocked()
            client.stream.socket.close()
        bystander = await server.connect()
        assert (await bystander.ask(get("/health"))).status == 200
        await trio.testing.wait_all_tasks_blocked(0.05)

    assert server.events == []


@BOTH
async def test_connection_serves_many_requests(make_app: Any) -> None:
    """Keep-alive works for the whole cycle: bodies, then the next request."""
    async with running(make_app()) as server:
        client = await server.connect()

        bodies = [(await client.ask(post("/echo", b"x" * size))).body for size in (0, 1, 70_000, 5)]

        assert [len(body) for body in bodies] == [0, 1, 70_000, 5]


@BOTH
async def test_connection_close_is_honoured(make_app: Any) -> None:
    """After `Connection: close` the answer is complete and the socket ends."""
    async with running(make_app()) as server:
        client = await server.connect()

        answer = await client.ask(get("/health", "Connection: close"))

        assert (answer.body, answer.fields["connection"]) == (b"ok", "close")
        assert await client.end() == b""


@BOTH
async def test_idle_connection_is_closed(make_app: Any) -> None:
    """A keep-alive connection ends after the idle limit; so does one that never says a word."""
    async with running(make_app(), QUICK) as server:
        client, mute = await server.connect(), await server.connect()
        assert (await client.ask(get("/health"))).status == 200

        with trio.fail_after(2):
            assert await client.end() == b""
            assert await mute.end() == b""

    assert ServerLimits().idle_timeout_s in (5, 6, 7)


@pytest.mark.parametrize("fields", [(), ("Connection: close",)])
async def test_stock_hypercorn_keeps_the_connection(stock_hypercorn: Client, fields: tuple[str, ...]) -> None:
    """Negative control: neither the idle limit of 0.2 s nor `Connection: close` ends it."""
    assert (await stock_hypercorn.ask(get("/health", *fields))).status == 200

    with trio.move_on_after(0.8) as waiting:
        await stock_hypercorn.end()

    assert waiting.cancelled_caught


async def test_slow_head_is_refused() -> None:
    """A head that drips is answered 408 and closed, however often a byte comes."""
    async with running(toy_app(), replace(QUICK, idle_timeout_s=5)) as server:
        client = await server.connect()

        async def drip() -> None:
            for byte in get("/health", "X-Slow: " + "y" * 500):
                await client.stream.send_all(bytes([byte]))
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            answer = await client.answer()
            nursery.cancel_scope.cancel()

        assert (answer.status, answer.error) == (408, "head_timeout")


async def test_slow_body_is_refused() -> None:
    """A body that drips is answered 408 and closed."""
    async with running(toy_app(), QUICK) as server:
        client = await server.connect()
        await client.send(post("/echo", b"x" * 5000)[:-4000])

        async def drip() -> None:
            while True:
                await client.stream.send_all(b"x")
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            answer = await client.answer()
            nursery.cancel_scope.cancel()

        assert (answer.status, answer.error) == (408, "body_timeout")


async def test_steady_body_is_refused_at_the_deadline() -> None:
    """The deadline is the whole body's: progress does not move it."""
    async with running(toy_app(), QUICK) as server:
        client = await server.connect()
        packet = post("/echo", b"x" * 100_000)

        async def trickle() -> None:
            for start in range(0, len(packet), 2000):
                await client.stream.send_all(packet[start : start + 2000])
                await trio.sleep(0.02)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            answer = await client.answer()
            nursery.cancel_scope.cancel()

        assert (answer.status, answer.error) == (408, "body_timeout")


@BOTH
async def test_split_and_pipelined_requests_are_served(make_app: Any) -> None:
    """A head may come byte by byte, a body with its head, and requests one behind the other."""
    packet = post("/echo", b"first") + get("/health") + post("/echo", b"x" * 90_000) + get("/health")
    async with running(make_app()) as server:
        client = await server.connect()

        for byte in packet[:120]:
            await client.send(bytes([byte]))
        await client.send(packet[120:])

        assert [(await client.answer()).body[:5] for _ in range(4)] == [b"first", b"ok", b"xxxxx", b"ok"]


async def test_continue_is_sent_when_expected() -> None:
    """A client that waits for 100 gets it, and then its answer."""
    async with running(quart_app()) as server:
        client = await server.connect()
        packet = post("/echo", b"hello", "Expect: 100-continue")

        interim = await client.ask(packet[:-5])
        final = await client.ask(b"hello")

        assert (interim.status, final.body) == (100, b"hello")


async def test_early_answer_survives_an_unread_body() -> None:
    """An answer before the body's end arrives whole, says close, and the connection ends."""
    async with running(toy_app()) as server:
        client = await server.connect()

        answer = await client.ask(post("/early", b"x" * 500_000)[:-1])

        assert (answer.status, answer.fields["connection"]) == (413, "close")
        assert await client.end() == b""


async def test_h2c_upgrade_is_ignored() -> None:
    """The upgrade to HTTP/2 that curl and Java offer is answered in HTTP/1.1."""
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    async with running(quart_app()) as server:
        client = await server.connect()

        assert (await client.ask(get("/health", *fields))).body == b"ok"
        assert (await client.ask(get("/health"))).body == b"ok"


async def test_stalled_reader_is_aborted() -> None:
    """A client that never reads loses its connection after the send limit, and that is logged."""
    async with running(toy_app(), QUICK) as server:
        client = await server.connect()
        await client.send(get("/large?30000000"))

        with trio.fail_after(2):
            await server.logged("connection.stalled")

        with pytest.raises(trio.BrokenResourceError):
            while await client.more():
                pass


async def test_slow_reader_gets_everything() -> None:
    """A reader that is slow but moves is served, however long it takes."""
    size = 700_000
    async with running(toy_app(), replace(QUICK, send_timeout_s=0.15)) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(0)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        await stream.socket.connect(server.listener.socket_listener.socket.getsockname())
        received = 0
        async with stream:
            await stream.send_all(get(f"/large?{size}", "Connection: close"))
            while data := await stream.receive_some(20_000):
                received += len(data)
                await trio.sleep(0.02)

    assert received > size
    assert server.events == []


async def test_idle_connection_is_cheap() -> None:
    """An idle keep-alive connection costs no more than stock Hypercorn's 17.6 KiB, the client's half included twice."""
    async with running(toy_app()) as server:
        await (await server.connect()).ask(get("/health"))
        before_bytes = resident_bytes()

        for _ in range(200):
            await (await server.connect()).ask(get("/health"))

        assert (resident_bytes() - before_bytes) / 200 < 2 * 17.6 * 1024


async def test_server_is_patient_by_default() -> None:
    """The defaults are those that were promised."""
    limits = ServerLimits()

    assert (limits.head_timeout_s, limits.body_timeout_s, limits.send_timeout_s) == (5, 15, 5)
    assert (limits.connections_max, limits.accept_backlog, limits.head_limit_bytes) == (4096, 2048, 16_384)
    assert limits.send_timeout_s <= PATIENCE_S
