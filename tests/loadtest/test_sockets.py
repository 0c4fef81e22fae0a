"""The lean WebSocket reader, against a server by another library."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from scripted_server import scripted, site_at
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Ping, Pong, TextMessage

from loadtest.engine.connection import LoadFailed
from loadtest.engine.sockets import ABNORMAL, Sockets

Peer = Callable[[WSConnection, trio.SocketStream], Awaitable[None]]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.end: tuple[int, str] | None = None

    def hear(self, message: bytes, _heard_s: float) -> None:
        """Keep it."""
        self.messages.append(message)

    def ended(self, code: int, reason: str) -> None:
        """Keep why."""
        self.end = (code, reason)


@asynccontextmanager
async def socket_server(peer: Peer) -> AsyncIterator[int]:
    """Accept one socket and do as the test says with it; yield the port."""

    async def serve(stream: trio.SocketStream) -> None:
        frames = WSConnection(ConnectionType.SERVER)
        frames.receive_data(await stream.receive_some())
        await stream.send_all(frames.send(AcceptConnection()))
        await peer(frames, stream)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def listen(port: int, scratch: Path) -> Heard:
    """Open a socket and read until the server ends it."""
    heard = Heard()
    with Sockets(site_at(port, scratch)) as sockets, trio.fail_after(5):
        await sockets.open("/ws/events?project=x", heard)
        await sockets.run()
    return heard


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 300_000])
async def test_message_of_any_length_is_heard_whole(length: int, tmp_path: Path) -> None:
    """All three forms of a frame's length, and messages longer than what is read at once."""

    async def peer(frames: WSConnection, stream: trio.SocketStream) -> None:
        await stream.send_all(frames.send(TextMessage("x" * length)) + frames.send(TextMessage("next")))
        await stream.send_all(frames.send(CloseConnection(4410, "trimmed")))

    async with socket_server(peer) as port:
        heard = await listen(port, tmp_path)

    assert heard.messages == [b"x" * length, b"next"]
    assert heard.end == (4410, "trimmed")


async def test_frames_in_pieces_are_put_together(tmp_path: Path) -> None:
    """Wherever the network cuts, and however many frames a message has."""

    async def peer(frames: WSConnection, stream: trio.SocketStream) -> None:
        parts = frames.send(TextMessage("ab", message_finished=False)) + frames.send(TextMessage("cd"))
        for byte in parts + frames.send(CloseConnection(1001)):
            await stream.send_all(bytes((byte,)))
            await trio.lowlevel.checkpoint()

    async with socket_server(peer) as port:
        heard = await listen(port, tmp_path)

    assert heard.messages == [b"abcd"]


async def test_ping_is_answered(tmp_path: Path) -> None:
    """A reader that is alive says so, with what it was asked."""
    answered: list[bytes] = []

    async def peer(frames: WSConnection, stream: trio.SocketStream) -> None:
        await stream.send_all(frames.send(Ping(b"there?")))
        frames.receive_data(await stream.receive_some())
        answered.extend(bytes(event.payload) for event in frames.events() if isinstance(event, Pong))
        await stream.send_all(frames.send(CloseConnection(1000)))

    async with socket_server(peer) as port:
        await listen(port, tmp_path)

    assert answered == [b"there?"]


async def test_socket_that_ends_without_a_word_is_told(tmp_path: Path) -> None:
    """A server that was killed leaves no close frame."""

    async def peer(_frames: WSConnection, stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with socket_server(peer) as port:
        heard = await listen(port, tmp_path)

    assert heard.end == (ABNORMAL, "the connection ended")


async def test_refused_handshake_fails_with_the_answer(tmp_path: Path) -> None:
    """A socket that is not accepted is no socket."""

    async def refuse(_number: int) -> bytes:
        return b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}"

    async with scripted(refuse) as port:
        with pytest.raises(LoadFailed, match="410 Gone"):
            await listen(port, tmp_path)
