"""A WebSocket over a real socket: handshake, bounds of its input, close codes (guarantees.md T12, T13)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from guarded_server import Client, Running, ToyLane, get, quart_app, resident_bytes, running, toy_app, upgrade
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from intermute.web.server import LaneFor, ServerLimits

QUICK = ServerLimits(linger_timeout_s=0.1, farewell_timeout_s=0.1, graceful_timeout_s=0.2, unread_timeout_s=0.2)
LIMIT = QUICK.message_limit_bytes
BOTH = pytest.mark.parametrize("make_app", [toy_app, quart_app])
EVERY = pytest.mark.parametrize(
    ("make_app", "lanes"), [(toy_app, None), (quart_app, None), (quart_app, ToyLane())], ids=["asgi", "quart", "lane"]
)
"""Both applications, and the sockets of the fast lane, behind which Quart is not asked."""
CAREFUL_AND_FAST = pytest.mark.parametrize("lanes", [None, ToyLane()], ids=["careful", "lane"])


async def opened(server: Running, path: str = "/ws") -> Client:
    client = await server.connect()
    assert (await client.open_websocket(path)).status == 101
    return client


async def send_until_reset(client: Client, data: bytes) -> None:
    try:
        while True:
            await client.stream.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


@EVERY
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
async def test_message_up_to_the_limit_is_delivered(make_app: Any, lanes: LaneFor | None, size: int) -> None:
    """A message of the limit comes back whole."""
    async with running(make_app(), lanes=lanes) as server:
        client = await opened(server)
        await client.send(client.frames.send(TextMessage(data="x" * size)))

        received = 0
        while received < size:
            frame = await client.next_frame()
            assert isinstance(frame, TextMessage)
            received += len(frame.data)

        assert received == size


@EVERY
@pytest.mark.parametrize("char", ["x", "é"])
async def test_message_over_the_limit_is_closed_with_1009(make_app: Any, lanes: LaneFor | None, char: str) -> None:
    """One byte more is too much; the limit counts bytes, not characters."""
    text = char * (LIMIT // len(char.encode()) + 1)
    async with running(make_app(), QUICK, lanes=lanes) as server:
        client = await opened(server)

        await client.send(client.frames.send(TextMessage(data=text)))

        assert await client.close_code() == 1009


@CAREFUL_AND_FAST
async def test_input_after_the_limit_is_not_kept(lanes: LaneFor | None) -> None:
    """Whatever is sent after a message over the limit costs no memory, and the connection ends."""
    async with running(quart_app(), QUICK, lanes=lanes) as server:
        client = await opened(server)
        # A frame that promises 2^40 bytes, and its first 64 KiB, over and over.
        await client.send(b"\x82\xff" + (1 << 40).to_bytes(8) + b"\0\0\0\0")
        before_bytes = resident_bytes()

        with trio.fail_after(3):
            await send_until_reset(client, b"\0" * 65536)

        assert resident_bytes() - before_bytes < 8 * 1024 * 1024


@BOTH
async def test_unread_messages_end_the_socket_not_the_memory(make_app: Any) -> None:
    """An application that does not read stops the reader, and after a while the client is told 1008."""
    app = toy_app(trio.Event()) if make_app is toy_app else make_app()
    async with running(app, QUICK) as server:
        client = await opened(server, "/ws/deaf")
        message = client.frames.send(TextMessage(data="x" * 60_000))
        before_bytes = resident_bytes()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_until_reset, client, message)
            assert await client.close_code() in {1008, None}  # our unread input may reset the close frame away.
            nursery.cancel_scope.cancel()

        assert resident_bytes() - before_bytes < 16 * 1024 * 1024


@CAREFUL_AND_FAST
@pytest.mark.parametrize(("count", "code"), [(49, 1000), (50, 1000), (51, 1008)])
@pytest.mark.parametrize("frame", [Ping(payload=b"p"), Pong()])
async def test_control_frames_are_rationed(lanes: LaneFor | None, frame: Ping | Pong, count: int, code: int) -> None:
    """A burst of fifty is answered; one more closes with 1008."""
    limits = replace(QUICK, control_frames_per_s=0.001)
    async with running(toy_app(), limits, lanes=lanes) as server:
        client = await opened(server)

        await client.send(b"".join(client.frames.send(frame) for _ in range(count)))
        await client.send(client.frames.send(CloseConnection(code=1000)))

        assert await client.close_code() == code


@CAREFUL_AND_FAST
async def test_fragments_are_counted(lanes: LaneFor | None) -> None:
    """A message in endless empty fragments is closed with 1008; one in 256 is delivered."""
    limits = replace(QUICK, fragments_max=256)
    async with running(toy_app(), limits, lanes=lanes) as server:
        good, bad = await opened(server), await opened(server)
        fragment = TextMessage(data="", message_finished=False)

        await good.send(b"".join(good.frames.send(fragment) for _ in range(255)))
        await bad.send(b"".join(bad.frames.send(fragment) for _ in range(257)))

        assert await good.echo("end") == "end"
        assert await bad.close_code() == 1008


@CAREFUL_AND_FAST
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked.
        (b"\xc1\x80\0\0\0\0", 1002),  # RSV1, the bit of the compression that was not agreed.
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # not UTF-8.
        (b"\x80\x80\0\0\0\0", 1002),  # a continuation of nothing.
        (b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, 1002),  # a ping of 126 bytes.
    ],
)
async def test_bad_frame_is_closed_with_its_code(lanes: LaneFor | None, data: bytes, code: int) -> None:
    """A client that breaks the frame protocol is told how."""
    async with running(toy_app(), QUICK, lanes=lanes) as server:
        client = await opened(server)

        await client.send(data)

        assert await client.close_code() == code
        assert server.events == []


@EVERY
async def test_close_is_answered(make_app: Any, lanes: LaneFor | None) -> None:
    """The client's close code comes back and the socket ends."""
    async with running(make_app(), QUICK, lanes=lanes) as server:
        client = await opened(server)

        await client.send(client.frames.send(CloseConnection(code=3000, reason="bye")))

        assert await client.close_code() == 3000
        assert await client.more() == b""


async def test_application_failure_closes_with_1011() -> None:
    """A crash is told as an internal error, and is one event."""
    async with running(toy_app(), QUICK) as server:
        client = await opened(server)

        await client.send(client.frames.send(TextMessage(data="crash")))

        assert await client.close_code() == 1011
        assert server.events == ["app.failed"]


@EVERY
async def test_compression_is_not_negotiated(make_app: Any, lanes: LaneFor | None) -> None:
    """An offer of permessage-deflate is not taken, a bad one does no harm."""
    async with running(make_app(), lanes=lanes) as server:
        for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits=abc", "x" * 500):
            client = await server.connect()

            answer = await client.open_websocket("/ws", f"Sec-WebSocket-Extensions: {offer}")

            assert (answer.status, "sec-websocket-extensions" in answer.fields) == (101, False)
            assert await client.echo("plain") == "plain"


@CAREFUL_AND_FAST
@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (upgrade("/ws").replace(b"Version: 13", b"Version: 8"), "bad_handshake"),
        (upgrade("/ws").replace(b"1.1", b"1.0", 1), "bad_handshake"),
        (get("/ws", "Connection: Upgrade", "Upgrade: websocket"), "bad_handshake"),
        (upgrade("/ws", "Content-Length: 5"), "bad_handshake"),
        (upgrade("/ws", "Sec-WebSocket-Version: 13"), "repeated_header"),
        (upgrade("/ws") + b"\x81\x80\0\0\0\0", "bad_handshake"),
    ],
)
async def test_bad_handshake_is_refused(lanes: LaneFor | None, packet: bytes, code: str) -> None:
    """It is answered 400 with a sentence, and closed; so are bytes before the upgrade was accepted."""
    async with running(quart_app(), QUICK, lanes=lanes) as server:
        client = await server.connect()

        answer = await client.ask(packet)

        assert (answer.status, answer.error) == (400, code)
        assert await client.end() == b""


@pytest.mark.parametrize(
    ("make_app", "status", "lanes"), [(toy_app, 403, None), (quart_app, 401, None), (quart_app, 401, ToyLane())]
)
async def test_refused_upgrade_ends_the_connection(
    make_app: Callable[[], Any], status: int, lanes: LaneFor | None
) -> None:
    """The application's refusal arrives with its body and `Connection: close`; bytes after it change nothing."""
    async with running(make_app(), QUICK, lanes=lanes) as server:
        client = await server.connect()

        answer = await client.ask(upgrade("/refused" if make_app is toy_app else "/ws/refused"))
        await client.stream.send_all(b"\x81\x80\0\0\0\0")

        assert (answer.status, answer.fields["connection"]) == (status, "close")
        assert answer.error
        assert await client.end() == b""
        assert server.events == []


@CAREFUL_AND_FAST
async def test_silent_peer_is_pinged(lanes: LaneFor | None) -> None:
    """A quiet WebSocket is pinged, again and again, and lives on without an answer."""
    async with running(toy_app(), replace(QUICK, ping_interval_s=0.05), lanes=lanes) as server:
        client = await opened(server)

        assert isinstance(await client.next_frame(), Ping)
        assert isinstance(await client.next_frame(), Ping)


@CAREFUL_AND_FAST
async def test_stalled_websocket_is_aborted_and_others_are_served(lanes: LaneFor | None) -> None:
    """A reader that stops is dropped after the send limit; another one never notices."""
    async with running(quart_app(), replace(QUICK, send_timeout_s=0.3), lanes=lanes) as server:
        await opened(server, "/ws/flood")
        bystander = await opened(server)

        with trio.fail_after(2):
            while "connection.stalled" not in server.events:
                assert await bystander.echo("alive") == "alive"
                await trio.sleep(0.01)


async def test_application_says_goodbye_at_stop() -> None:
    """A WebSocket that the application closes with 1001 at stop ends at once, not after the graceful time."""
    stop = trio.Event()

    async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await stop.wait()
        await send({"type": "websocket.close", "code": 1001, "reason": "stopping"})

    async with running(app, replace(QUICK, graceful_timeout_s=60)) as server:
        client = await opened(server)

        server.stop.set()
        stop.set()

        with trio.fail_after(1):
            assert await client.close_code() == 1001
            client.stream.socket.close()


async def test_send_after_the_peer_left_is_a_checkpoint() -> None:
    """An application that sends in a loop to nobody cannot freeze the process (hazards.md 37)."""
    is_sending = trio.Event()

    async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            await toy_app()(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        is_sending.set()
        while True:
            await send({"type": "websocket.send", "text": "x"})

    async with running(app, replace(QUICK, farewell_timeout_s=5)) as server:
        client = await opened(server)
        await is_sending.wait()
        client.stream.socket.close()

        assert (await (await server.connect()).ask(get("/health"))).status == 200
