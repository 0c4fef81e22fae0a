"""The upgraded connection of the fast lane: whole frames whatever happens, and an end to everything.

What both lanes have in common is in `test_server_websockets.py`; here are the lane's own edges, over raw sockets.
"""

import struct
from dataclasses import replace
from socket import socketpair

import pytest
import trio
import trio.testing
from guarded_server import quart_app, running, toy_app
from push_lane import QUICK, PushLane, opened
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from intermute.web.server import Ending, PushSocket, text_frame
from intermute.web.server.wire import Wire


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x09\x80\0\0\0\0", id="a ping in fragments"),
        pytest.param(b"\x08\x80\0\0\0\0", id="a close in fragments"),
        pytest.param(b"\x89\x00", id="a ping without a mask"),
        pytest.param(b"\xa1\x80\0\0\0\0", id="the second reserved bit"),
        pytest.param(b"\x91\x80\0\0\0\0", id="the third reserved bit"),
        pytest.param(b"\x83\x80\0\0\0\0", id="an unknown kind"),
        pytest.param(b"\x8b\x80\0\0\0\0", id="an unknown control frame"),
        pytest.param(b"\x81\xfe\x00\x7d\0\0\0\0" + b"x" * 125, id="125 bytes in a long length"),
        pytest.param(b"\x81\xff" + struct.pack("!Q", 65_535) + b"\0\0\0\0", id="65535 bytes in a longer one"),
        pytest.param(b"\x81\xff" + struct.pack("!Q", 1 << 63) + b"\0\0\0\0", id="a negative length"),
        pytest.param(b"\x88\x81\0\0\0\0x", id="a close of one byte"),
        pytest.param(b"\x88\x82\0\0\0\0\x03\xed", id="a close with a code that is never sent"),
        pytest.param(b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0", id="a message within a message"),
    ],
)
async def test_frame_that_breaks_the_protocol_is_told_so(data: bytes) -> None:
    """1002, and nothing after it; the next client is served."""
    async with running(toy_app(), QUICK, lanes=PushLane()) as server:
        client = await opened(server)

        await client.send(data)

        assert await client.close_code() == 1002
        await opened(server)
        assert server.events == []


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("cut", [1, 7, None])
async def test_message_of_every_length_is_heard_whole(size: int, cut: int | None) -> None:
    """On both sides of where the head of a frame changes, in one packet or in many, and with a ping in its middle."""
    heard: list[str | bytes] = []
    is_heard = trio.Event()

    async def serve(socket: PushSocket) -> None:
        def hear(message: str | bytes) -> None:
            heard.append(message)
            is_heard.set()

        await socket.accept()
        await socket.read(hear)

    async with running(toy_app(), replace(QUICK, message_limit_bytes=65_536), lanes=PushLane(serve)) as server:
        client = await opened(server)
        half = TextMessage(data="x" * (size // 2), message_finished=False)
        rest = TextMessage(data="x" * (size - size // 2))
        data = b"".join(client.frames.send(each) for each in (half, Ping(payload=b"?"), rest))

        head, tail = (data[:cut], data[cut:]) if cut else (data, b"")
        await client.send(head)
        if tail:
            await trio.testing.wait_all_tasks_blocked(0.001)
            await client.send(tail)

        assert await client.next_frame() == Pong(payload=b"?")
        with trio.fail_after(5):
            await is_heard.wait()
        assert heard == ["x" * size]


async def test_frames_stay_whole_whoever_sends() -> None:
    """Pongs of the reading task never come into the middle of a frame that the kernel took in part, nor is any text lost."""
    text = [f"{number} " + "x" * 30_000 for number in range(40)]

    async def serve(socket: PushSocket) -> None:
        async def send() -> None:
            unsent = [text_frame(each.encode()) for each in text]
            while unsent:
                del unsent[: socket.offer(b"".join(unsent), unsent)]
                await trio.testing.wait_all_tasks_blocked(0.005)  # So that a pong may come before the rest.
                await socket.send()

        await socket.accept()
        socket.start(send)
        await socket.read(lambda _: None)

    limits = replace(QUICK, send_buffer_bytes=16_384, send_timeout_s=5, control_frames_burst=100)
    async with running(toy_app(), limits, lanes=PushLane(serve)) as server:
        client = await opened(server)
        heard: list[str] = []
        pongs, piece = 0, ""
        while len(heard) < len(text):
            await client.send(client.frames.send(Ping(payload=b"?")) if pongs < 60 else b"")
            frame = await client.next_frame()
            if isinstance(frame, Pong):
                pongs += 1
            else:
                assert isinstance(frame, TextMessage), frame
                piece += frame.data
                if frame.message_finished:
                    heard.append(piece)
                    piece = ""

    assert heard == text
    assert pongs > 0


async def test_offer_takes_whole_frames_or_owes_the_rest() -> None:
    """What the kernel took of a frame counts as sent, and its rest goes before everything else; until then nothing is taken."""
    left, right = trio.socket.socketpair()
    wire = Wire(left, QUICK)
    frames = [text_frame(bytes([each]) * 50_000) for each in range(40)]
    async with trio.open_nursery() as nursery:
        socket = PushSocket(wire, QUICK, nursery, "key")
        taken = socket.offer(b"".join(frames), frames)
        assert 0 < taken < len(frames), "the kernel takes some of it"
        assert socket.offer(frames[taken], [frames[taken]]) == 0

        received = bytearray()

        async def read() -> None:
            while len(received) < sum(map(len, frames)):
                received.extend(await right.recv(65_536))

        nursery.start_soon(read)
        await socket.send()
        await socket.send(b"".join(frames[taken:]))

    assert bytes(received) == b"".join(frames)
    wire.abort()
    assert socket.offer(frames[0], frames[:1]) == 0
    right.close()


async def test_offer_does_not_come_into_a_send_under_way() -> None:
    """While a frame of another task is half sent nothing is taken, even where the kernel has room by then."""
    left, right = socketpair()
    wire = Wire(trio.socket.from_stdlib_socket(left), QUICK)
    frame = text_frame(b"x" * 100)
    async with trio.open_nursery() as nursery:
        socket = PushSocket(wire, QUICK, nursery, "key")
        nursery.start_soon(socket.send, text_frame(b"y" * 5_000_000))
        await trio.testing.wait_all_tasks_blocked()

        while len(right.recv(1_000_000)) == 1_000_000:
            pass  # No await: the task that sends has not seen yet that there is room.

        assert socket.offer(frame, [frame]) == 0
        nursery.cancel_scope.cancel()
    right.close()


async def test_nothing_is_sent_after_the_close() -> None:
    """Whoever was about to send when the socket ended sends nothing more, whole frame or rest of one."""
    left, right = socketpair()
    frame = text_frame(b"x")
    async with trio.open_nursery() as nursery:
        socket = PushSocket(Wire(trio.socket.from_stdlib_socket(left), QUICK), QUICK, nursery, "key")
        socket.end(Ending(1000, ""))
        await socket.read(lambda _: None)

        await socket.send(frame)

        assert (socket.is_over, socket.offer(frame, [frame])) == (True, 0)
        socket.start(trio.sleep_forever)
    assert right.recv(1_000) == b"\x88\x02\x03\xe8"
    left.close()
    right.close()


async def test_work_of_a_socket_ends_with_it() -> None:
    """Whatever it waits for, at once and not only with the time that is left to a connection at its end."""
    ended = trio.Event()

    async def serve(socket: PushSocket) -> None:
        async def wait() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.set()

        await socket.accept()
        socket.start(wait)
        await socket.read(lambda _: None)

    async with running(toy_app(), replace(QUICK, farewell_timeout_s=30), lanes=PushLane(serve)) as server:
        client = await opened(server)
        client.stream.socket.close()

        with trio.fail_after(2):
            await ended.wait()


async def test_reader_that_stalls_is_aborted() -> None:
    """Without a byte taken for the bound the connection ends, with a line in the log; another socket never notices."""
    async with running(toy_app(), QUICK, lanes=PushLane()) as server:
        stalled, bystander = await server.connect(), await server.connect()
        assert (await stalled.open_websocket("/ws/flood")).status == 101
        assert (await bystander.open_websocket("/ws")).status == 101

        with trio.fail_after(5):
            while "connection.stalled" not in server.events:
                assert await bystander.echo("alive") == "alive"
                await trio.sleep(0.01)

        assert server.events == ["connection.stalled"]


@pytest.mark.parametrize("resets", [True, False])
async def test_client_that_leaves_in_the_middle_of_a_frame_costs_nothing(resets: bool) -> None:
    """Closed or reset while a frame is half sent: the socket's work ends, nothing is logged, the next one is served."""
    ended = trio.Event()

    async def serve(socket: PushSocket) -> None:
        async def send() -> None:
            try:
                while not socket.is_over:
                    await socket.send(text_frame(b"x" * 60_000))
            finally:
                ended.set()

        await socket.accept()
        socket.start(send)
        await socket.read(lambda _: None)

    async with running(toy_app(), replace(QUICK, send_timeout_s=30), lanes=PushLane(serve)) as server:
        client = await opened(server)
        await client.more()
        if resets:
            client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.stream.socket.close()

        with trio.fail_after(2):
            await ended.wait()
        other = await server.connect()
        assert (await other.open_websocket("/ws")).status == 101
        assert await other.echo("alive") == "alive"
        assert server.events == []


@pytest.mark.parametrize("path", ["/ws", "/ws/agents/x"])
async def test_half_closed_socket_is_ended(path: str) -> None:
    """Whoever closes its own half without a close frame has left: nothing more is said."""
    async with running(quart_app(), QUICK, lanes=PushLane()) as server, running(quart_app(), QUICK) as alone:
        for each in (server, alone):
            client = await each.connect()
            assert (await client.open_websocket(path)).status == 101
            await client.stream.send_eof()
            assert await client.end() == b""


async def test_socket_is_ended_from_above() -> None:
    """With the code and the words of whoever feeds it, once, and the work beside it is over by then."""

    async def serve(socket: PushSocket) -> None:
        await socket.accept()
        socket.end(Ending(4410, "gone"))
        socket.end(Ending(1001, "too late"))
        await socket.read(lambda _: None)

    async with running(toy_app(), QUICK, lanes=PushLane(serve)) as server:
        client = await opened(server)

        assert await client.next_frame() == CloseConnection(code=4410, reason="gone")
        assert await client.more() == b""


async def test_crash_costs_one_socket() -> None:
    """It is logged once, and its connection ends; others go on."""
    async with running(toy_app(), QUICK, lanes=PushLane()) as server:
        bystander, client = await server.connect(), await server.connect()
        for each in (bystander, client):
            assert (await each.open_websocket("/ws")).status == 101

        await client.send(client.frames.send(TextMessage(data="crash")))
        await client.end()

        assert server.events == ["connection.failed"]
        assert await bystander.echo("alive") == "alive"


async def test_stop_leaves_a_socket_to_whoever_feeds_it() -> None:
    """A stopping server closes no socket by itself: its feed says goodbye, and only after the graceful time it is cut."""

    async def serve(socket: PushSocket) -> None:
        await socket.accept()
        fed.append(socket)
        await socket.read(lambda _: None)

    fed: list[PushSocket] = []
    async with running(toy_app(), replace(QUICK, graceful_timeout_s=5), lanes=PushLane(serve)) as server:
        client = await opened(server)
        server.stop.set()
        await trio.testing.wait_all_tasks_blocked(0.01)

        fed[0].end(Ending(1001, "stopping"))

        assert await client.close_code() == 1001
