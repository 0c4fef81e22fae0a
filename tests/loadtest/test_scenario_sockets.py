"""The lean reader of WebSockets: the same messages however the bytes are split, pings answered, ends told as they are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from loadtest.engine.connection import LoadFailed
from loadtest.engine.frames import BINARY, CLOSE, PING, PONG, TEXT, Frames, close_reason, pong
from loadtest.engine.site import Site
from loadtest.engine.sockets import ABNORMAL, Sockets

HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(first: int, payload: bytes) -> bytes:
    """Return a frame as a server sends it."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


payloads = st.one_of(st.binary(max_size=130), st.sampled_from((125, 126, 127, 65_535, 65_536)).map(bytes))
Sent = tuple[list[tuple[int, bytes]], bytes]
"""What is to be read, and the bytes that say so."""


@st.composite
def conversations(draw: st.DrawFn) -> Sent:
    """Draw messages, some of them in parts with a ping between the parts."""
    expected: list[tuple[int, bytes]] = []
    sent = b""
    for opcode in draw(st.lists(st.sampled_from((TEXT, BINARY, PING, PONG)), max_size=6)):
        if opcode >= CLOSE:
            payload = draw(st.binary(max_size=125))
            expected.append((opcode, payload))
            sent += frame(0x80 | opcode, payload)
            continue
        parts = draw(st.lists(payloads, min_size=1, max_size=3))
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            sent += frame((0x80 if is_last else 0) | (opcode if number == 0 else 0), part)
            if not is_last and draw(st.booleans()):
                expected.append((PING, b"between"))
                sent += frame(0x80 | PING, b"between")
        expected.append((opcode, b"".join(parts)))
    return expected, sent


@given(conversations(), st.lists(st.integers(min_value=0, max_value=70_000), max_size=12))
def test_frames_are_the_same_however_the_bytes_are_split(conversation: Sent, cuts: list[int]) -> None:
    """TCP may cut anywhere, inside a head as well as inside a payload."""
    expected, sent = conversation
    places = sorted({0, len(sent), *(min(cut, len(sent)) for cut in cuts)})
    frames = Frames()

    found = [each for begin, end in pairwise(places) for each in frames.feed(sent[begin:end])]

    assert found == expected


def test_frames_are_the_same_byte_by_byte() -> None:
    """The least that can come at once is one byte."""
    sent = frame(0x81, b"x" * 200) + frame(0x89, b"p") + frame(0x01, b"a") + frame(0x80, b"b")
    frames = Frames()

    found = [each for at in range(len(sent)) for each in frames.feed(sent[at : at + 1])]

    assert found == [(TEXT, b"x" * 200), (PING, b"p"), (TEXT, b"ab")]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x81\x85\0\0\0\0hello",
        frame(0xC1, b"compressed"),
        frame(0x83, b"opcode 3"),
        frame(0x80, b"the rest of nothing"),
        frame(0x01, b"begun") + frame(0x81, b"begun again"),
        frame(0x09, b"a ping in pieces"),
        frame(0x89, b"p" * 126),
    ],
    ids=["masked", "reserved bit", "opcode", "continued", "interrupted", "control in pieces", "long control"],
)
def test_frames_that_no_server_may_send_fail_the_load(sent: bytes) -> None:
    """A wrong frame is not skipped: what comes after it would be read wrongly."""
    with pytest.raises(LoadFailed):
        Frames().feed(sent)


def test_close_frame_has_code_and_reason() -> None:
    """A close without a code is told as 1005."""
    assert close_reason(b"\x03\xf0too slow") == (1008, "too slow")
    assert close_reason(b"") == (1005, "")


class Notes:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.end: tuple[int, str] | None = None

    def hear(self, message: bytes, _heard_s: float) -> None:
        """Write it down."""
        self.heard.append(message)

    def ended(self, code: int, reason: str) -> None:
        """Write it down."""
        self.end = (code, reason)


@asynccontextmanager
async def _double(pieces: Sequence[bytes], got: bytearray, directory: Path) -> AsyncIterator[Site]:
    """Serve sockets that send these pieces, keep what they read after the handshake in `got`, and end."""

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        for piece in pieces:
            await stream.send_all(piece)
        if any(piece[0] == 0x80 | PING for piece in pieces):
            got.extend(await stream.receive_some())
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield Site(port=listener.socket.getsockname()[1], seed=1, is_quick=True, directory=directory)
        nursery.cancel_scope.cancel()


async def _listen(pieces: Sequence[bytes], directory: Path, *listeners: Notes) -> bytes:
    got = bytearray()
    async with _double(pieces, got, directory) as site:
        with Sockets(site) as sockets:
            for each in listeners:
                await sockets.open("/ws/events?project=x", each)
            with trio.fail_after(5):
                await sockets.run()
    return bytes(got)


async def test_sockets_hear_what_comes_with_the_handshake_and_after(tmp_path: Path) -> None:
    """Several sockets, each with its own bytes; the first event may be in the same packet as the 101."""
    notes = [Notes() for _ in range(5)]

    await _listen([HANDSHAKE + frame(0x81, b"one")[:3], frame(0x81, b"one")[3:], frame(0x81, b"two")], tmp_path, *notes)

    assert [each.heard for each in notes] == [[b"one", b"two"]] * 5
    assert [each.end for each in notes] == [(ABNORMAL, "the connection ended")] * 5


async def test_sockets_answer_a_ping_with_its_payload(tmp_path: Path) -> None:
    """A ping is answered by a masked pong, and is no message."""
    notes = Notes()

    got = await _listen([HANDSHAKE, frame(0x89, b"are you there")], tmp_path, notes)

    assert got == pong(b"are you there")
    assert got[:2] == bytes((0x8A, 0x80 | len(b"are you there")))
    assert notes.heard == []


async def test_sockets_tell_how_they_were_closed(tmp_path: Path) -> None:
    """The listener learns the code and the reason, and what came before."""
    notes = Notes()

    await _listen([HANDSHAKE, frame(0x81, b"one"), frame(0x88, b"\x03\xf0too slow")], tmp_path, notes)

    assert (notes.heard, notes.end) == ([b"one"], (1008, "too slow"))


async def test_sockets_that_are_refused_fail_the_load(tmp_path: Path) -> None:
    """An ordinary answer to the handshake is told, not taken for a socket."""
    answer = b'HTTP/1.1 503 No\r\nContent-Length: 22\r\n\r\n"too_many_subscribers"'
    async with _double([answer], bytearray(), tmp_path) as site:
        with Sockets(site) as sockets, pytest.raises(LoadFailed, match="too_many_subscribers"):
            await sockets.open("/ws/events?project=x", Notes())
