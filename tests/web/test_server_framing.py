"""One meaning for every byte sequence, or a refusal with a sentence (guarantees.md T1, T14)."""

import json

import h11
import pytest
from guarded_server import HEAD, get, post, running, toy_app

from intermute.web.server import ServerLimits
from intermute.web.server.framing import Refused, StrictConnection

CHUNKED = b"POST /echo HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BIG = b"X-Big: " + b"y" * 16_384 + b"\r\n"
REFUSALS: dict[str, tuple[bytes, int, str]] = {
    "bare LF after the request line": (b"GET /health HTTP/1.1\n" + HEAD + b"\r\n", 400, "bare_line_feed"),
    "bare LF throughout": (b"GET /health HTTP/1.1\nHost: x\n\n", 400, "bare_line_feed"),
    "folded header": (get("/health", "X-A: 1", " folded"), 400, "folded_header"),
    "folded first header": (b"GET /health HTTP/1.1\r\n\tX: 1\r\n" + HEAD + b"\r\n", 400, "folded_header"),
    "chunk extension": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", 400, "bad_chunk"),
    "space after chunk size": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400, "bad_chunk"),
    "bare LF after chunk size": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400, "bad_chunk"),
    "endless chunk size": (CHUNKED + b"0" * 40, 400, "bad_chunk"),
    "bare LF in the trailers": (CHUNKED + b"0\r\nX: 1\n\r\n", 400, "bare_line_feed"),
    "length and chunked": (post("/echo", b"0\r\n\r\n", "Transfer-Encoding: chunked"), 400, "two_lengths"),
    "two lengths": (post("/echo", b"hello", "Content-Length: 6"), 400, "repeated_header"),
    "the same length twice": (post("/echo", b"hello", "Content-Length: 5"), 400, "repeated_header"),
    "length list": (get("/health", "Content-Length: 5, 6"), 400, "malformed_request"),
    "length with sign": (get("/health", "Content-Length: +5"), 400, "malformed_request"),
    "length of 5,000 digits": (get("/health", "Content-Length: " + "9" * 5000), 400, "malformed_request"),
    "two hosts": (get("/health", "Host: evil"), 400, "repeated_header"),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400, "missing_host"),
    "no host in HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", 400, "missing_host"),
    "absolute target": (get("http://evil.example/health"), 400, "bad_target"),
    "asterisk target": (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", 400, "bad_target"),
    "target of CONNECT": (b"CONNECT evil:80 HTTP/1.1\r\n" + HEAD + b"\r\n", 400, "bad_target"),
    "target without slash": (get("?x"), 400, "bad_target"),
    "HTTP/2 prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"),
    "HTTP/3.7": (b"GET /health HTTP/3.7\r\n" + HEAD + b"\r\n", 505, "http_version"),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0"), 400, "malformed_request"),
    "unknown coding": (get("/health", "Transfer-Encoding: gzip"), 501, "malformed_request"),
    "space before colon": (get("/health", "X-A : 1"), 400, "malformed_request"),
    "NUL in a header": (get("/health", "X-A: \x00"), 400, "malformed_request"),
    "upgrade not ASCII": (b"GET / HTTP/1.1\r\n" + HEAD + b"Upgrade: \xff\r\n\r\n", 400, "not_ascii"),
    "head of 16 KiB": (b"GET /health HTTP/1.1\r\n" + HEAD + BIG + b"\r\n", 431, "headers_too_large"),
    "endless head": (b"GET /health HTTP/1.1\r\n" + HEAD + BIG, 431, "headers_too_large"),
    "too many fields": (get("/health", *["a:"] * 100), 431, "headers_too_large"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_ambiguous_request_is_refused(case: str) -> None:
    """It is answered with its status, a code, a sentence that says what to do, and a close."""
    packet, status, code = REFUSALS[case]
    async with running(toy_app()) as server:
        client = await server.connect()

        answer = await client.ask(packet)

        assert (answer.status, answer.error, answer.fields["connection"]) == (status, code, "close")
        assert json.loads(answer.body)["message"].endswith(".")
        assert await client.end() == b""
        assert server.events == []


@pytest.mark.parametrize("case", ["bare LF throughout", "folded header", "chunk extension", "length and chunked"])
def test_h11_alone_accepts_the_ambiguous_request(case: str) -> None:
    """Negative control: h11 as it comes reads these; if it stops to, our own check can go."""
    connection = h11.Connection(h11.SERVER)

    connection.receive_data(REFUSALS[case][0])

    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), (h11.Data, h11.EndOfMessage))


@pytest.mark.parametrize(("extra_bytes", "is_accepted"), [(-1, True), (0, True), (1, False)])
def test_head_limit_is_exact(extra_bytes: int, is_accepted: bool) -> None:
    """A head of exactly the limit is read, one byte more is not."""
    limits = ServerLimits()
    padding = limits.head_limit_bytes + extra_bytes - len(get("/", "X: "))
    connection = StrictConnection(limits)
    connection.receive_data(get("/", "X: " + "y" * padding) + b"the next request")

    if is_accepted:
        assert isinstance(connection.next_event(), h11.Request)
    else:
        with pytest.raises(Refused):
            connection.next_event()


async def test_second_request_is_checked_like_the_first() -> None:
    """What arrives behind a good request is held to the same rules."""
    async with running(toy_app()) as server:
        client = await server.connect()

        await client.send(get("/health") + get("/health", "X-A: 1", " folded"))

        assert (await client.answer()).status == 200
        assert (await client.answer()).error == "folded_header"
        assert await client.end() == b""


async def test_chunked_body_with_trailers_is_read() -> None:
    """The strict reader still reads what is well-formed."""
    async with running(toy_app()) as server:
        client = await server.connect()

        answer = await client.ask(CHUNKED + b"5\r\nhello\r\n000A\r\n, trailers\r\n0\r\nX-Sum: 1\r\n\r\n")

        assert answer.body == b"hello, trailers"
