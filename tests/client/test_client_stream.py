"""One socket of events: what ends it, and what it passes over. The service is wsproto's other side, in memory."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)

from intermute.client.stream import ANSWERS_WITHIN_S, QUIET_S, Stream, StreamEnded

Raw = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class Peer:
    """The other end of a socket."""

    def __init__(self, raw: Raw) -> None:
        self.raw, self.frames = raw, WSConnection(ConnectionType.SERVER)

    async def send(self, *events: Event) -> None:
        """Send frames in one piece."""
        await self.raw.send_all(b"".join(self.frames.send(event) for event in events))

    async def received(self) -> list[Event]:
        """Return the frames of the next piece that comes."""
        self.frames.receive_data(bytes(await self.raw.receive_some()))
        return list(self.frames.events())


async def opened(*with_answer: Event) -> tuple[Stream, Peer]:
    """Return a socket after its handshake, with what came along with the answer, and its other end."""
    near, far = memory_stream_pair()
    stream, peer = Stream(near), Peer(far)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.shake_hands, "127.0.0.1", "/ws/events?since_cursor=0", {"X-Agent-ID": "anna"})
        [request] = await peer.received()
        assert isinstance(request, Request)
        assert (b"x-agent-id", b"anna") in request.extra_headers
        await peer.send(AcceptConnection(), *with_answer)
    return stream, peer


async def test_event_that_comes_with_the_handshake_is_kept() -> None:
    """An event in the same piece as the answer to the handshake is the first one."""
    stream, _ = await opened(TextMessage(data="one"))

    assert await stream.next_text() == "one"


async def test_event_in_fragments_is_one_event() -> None:
    """Fragments are put together, also with a ping between them, which is answered."""
    stream, peer = await opened()
    await peer.send(TextMessage(data="o", message_finished=False), Ping(payload=b"?"), TextMessage(data="ne"))

    assert await stream.next_text() == "one"
    assert await peer.received() == [Pong(payload=b"?")]


async def test_events_before_the_close_are_given_out_first() -> None:
    """What was sent before the close arrives before the end does, and the end says why."""
    stream, peer = await opened()
    await peer.send(TextMessage(data="one"), CloseConnection(code=1001, reason="shutting_down: come back"))

    assert await stream.next_text() == "one"
    with pytest.raises(StreamEnded, match="1001 shutting_down: come back"):
        await stream.next_text()


async def test_silent_peer_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """A peer that neither sends nor answers a ping is found out within 40 s, and not before."""
    stream, _ = await opened()
    started_s = trio.current_time()

    with pytest.raises(StreamEnded, match="silent"):
        await stream.next_text()

    assert trio.current_time() - started_s == pytest.approx(QUIET_S + ANSWERS_WITHIN_S)


async def test_quiet_peer_that_answers_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """A peer without news that answers pings is waited for, however long that takes."""
    stream, peer = await opened()

    async def answer_pings() -> None:
        for _ in range(10):
            [ping] = await peer.received()
            assert isinstance(ping, Ping)
            await peer.send(ping.response())
        await peer.send(TextMessage(data="news"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_pings)
        assert await stream.next_text() == "news"

    assert trio.current_time() >= 10 * QUIET_S


@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"\xff\xff\xff\xff", "1002 Invalid opcode"), (b"", "closed"), (b"\x82\x01x", "no text")],
)
async def test_nonsense_ends_the_socket(sent: bytes, why: str) -> None:
    """What is no event stream ends the socket instead of being taken for an event."""
    stream, peer = await opened()
    if sent:
        await peer.raw.send_all(sent)
    else:
        await peer.raw.send_stream.aclose()

    with pytest.raises(StreamEnded, match=why):
        await stream.next_text()


async def test_cancelled_read_takes_nothing() -> None:
    """A reader that is cancelled while it waits finds everything there afterwards."""
    stream, peer = await opened()
    await peer.send(TextMessage(data="one"), BytesMessage(data=b""))

    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.next_text()

    assert scope.cancelled_caught
    with pytest.raises(StreamEnded, match="no text"):
        await stream.next_text()


async def test_pong_that_was_cut_short_ends_the_socket() -> None:
    """A reader that is cancelled in the middle of answering a ping does not go on with half a frame behind it."""
    near, far = memory_stream_pair()
    stream, peer = Stream(near), Peer(far)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.shake_hands, "127.0.0.1", "/ws/events", {})
        await peer.received()
        await peer.send(AcceptConnection())
    await peer.send(Ping(), TextMessage(data="one"))

    with trio.CancelScope() as scope:
        near.send_stream.send_all_hook = _cancelling(scope)
        await stream.next_text()

    with pytest.raises(StreamEnded, match="cut short"):
        await stream.next_text()


def _cancelling(scope: trio.CancelScope) -> Callable[[], Awaitable[object]]:
    async def hook() -> None:
        scope.cancel()
        await trio.lowlevel.checkpoint()

    return hook
