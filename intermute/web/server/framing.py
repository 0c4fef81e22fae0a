"""Strict HTTP/1.1 framing: one meaning for every byte sequence, or a refusal.

h11 parses; this module refuses first what h11 0.16 lets through and what another server could read differently: bare
line feeds, folded header lines, chunk extensions, both lengths at once, repeated lengths and hosts, absolute targets
and HTTP/2. Two readings of one request are how requests are smuggled past a proxy.

Source: guarantees.md T1, T14; RFC 9112 sections 2.2, 3.2, 5.2, 6.3 and 7.1.1; decisions/0005-guarded-hypercorn.md.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence

import h11
from h11._receivebuffer import ReceiveBuffer  # the one hook before parsing; h11 is pinned and the tests would notice.

from intermute.web.server.limits import ServerLimits

# Sixteen hexadecimal digits are 2^64; no extension, no space.
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}\r\n")
_CHUNK_LINE_MAX_BYTES = 18
_AT_MOST_ONCE = (b"host", b"content-length", b"transfer-encoding", b"sec-websocket-key", b"sec-websocket-version")
# Decoded as ASCII further down, in Hypercorn, h11 and wsproto.
_ASCII_ONLY = frozenset({b"connection", b"upgrade", b"expect", b"transfer-encoding"})
_WEBSOCKET_VERSION = b"13"


class Refused(Exception):
    """The peer broke the protocol or a bound; the connection answers with this and ends."""

    def __init__(self, status: int, code: str, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = tuple(headers)


class StrictConnection(h11.Connection):
    """An h11 server connection that raises `Refused` before it parses anything ambiguous."""

    def __init__(self, limits: ServerLimits) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=limits.head_limit_bytes)
        self._receive_buffer: ReceiveBuffer = _StrictBuffer(limits)

    @property
    def unparsed_bytes(self) -> int:
        """Input that was received and not yet turned into an event."""
        return len(self._receive_buffer)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event of the peer.

        Raises:
            Refused: the peer's bytes are not a request we accept; nothing more can be read from it.
        """
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            # h11's text may quote the peer's bytes, so it is not passed on (guarantees.md T18).
            raise Refused(error.error_status_hint, "malformed_request", _MALFORMED) from error
        if isinstance(event, h11.Request):
            _check_request(event)
        return event


class _StrictBuffer(ReceiveBuffer):
    """h11's input buffer, which hands out lines only if they end in CRLF and mean one thing."""

    def __init__(self, limits: ServerLimits) -> None:
        super().__init__()
        self._limits = limits

    def maybe_extract_lines(self) -> list[bytearray] | None:
        # Called for the head of a request and for the trailer fields after a chunked body.
        if self._data[:2] == b"\r\n":
            return super().maybe_extract_lines()
        end = self._data.find(b"\r\n\r\n")
        block = self._data if end < 0 else self._data[: end + 4]
        if len(block) > self._limits.head_limit_bytes:
            raise Refused(431, "headers_too_large", f"Send at most {self._limits.head_limit_bytes} bytes of headers.")
        if block.count(b"\n") != block.count(b"\r\n"):
            raise Refused(400, "bare_line_feed", "End every line of the request with CRLF, not with LF alone.")
        if end < 0:
            return None
        lines = block[:-4].split(b"\r\n")
        _check_lines(lines, self._limits.head_fields_max)
        self._extract(end + 4)
        return lines

    def maybe_extract_next_line(self) -> bytearray | None:
        # Called for the line before each chunk, and for nothing else.
        end = self._data.find(b"\r\n")
        line = self._data if end < 0 else self._data[: end + 2]
        is_good = _CHUNK_LINE.fullmatch(line) if end >= 0 else len(line) < _CHUNK_LINE_MAX_BYTES and b"\n" not in line
        if not is_good:
            raise Refused(400, "bad_chunk", "Send each chunk's size as hexadecimal digits and CRLF, with no extension.")
        return None if end < 0 else self._extract(end + 2)


def refusal_body(code: str, message: str) -> bytes:
    """Write the one error body of this service."""
    return json.dumps({"error": code, "message": message}).encode()


def refusal_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of an error body after which the connection ends."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]


def wants_websocket(request: h11.Request) -> bool:
    """Tell whether the request asks to become a WebSocket; any other upgrade is ignored (RFC 9110, 7.8)."""
    tokens: set[bytes] = set()
    upgrades: list[bytes] = []
    for name, value in request.headers:
        if name == b"connection":
            tokens.update(token.strip().lower() for token in value.split(b","))
        elif name == b"upgrade":
            upgrades.append(value.strip().lower())
    return request.method == b"GET" and b"upgrade" in tokens and upgrades == [b"websocket"]


def check_upgrade(request: h11.Request) -> None:
    """Check a WebSocket handshake.

    Raises:
        Refused: HTTP/1.0, no key, another version than 13, or a body.
    """
    fields = dict(request.headers)
    if request.http_version != b"1.1" or b"sec-websocket-key" not in fields:
        raise Refused(400, "bad_handshake", "Open a WebSocket with HTTP/1.1 and a Sec-WebSocket-Key.")
    if fields.get(b"sec-websocket-version") != _WEBSOCKET_VERSION:
        version = (b"sec-websocket-version", _WEBSOCKET_VERSION)
        raise Refused(400, "bad_handshake", "Open the WebSocket with Sec-WebSocket-Version: 13.", [version])
    if b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0":
        raise Refused(400, "bad_handshake", "Send no body with a WebSocket handshake.")


def _check_lines(lines: Sequence[bytearray], fields_max: int) -> None:
    if len(lines) > fields_max + 1:
        raise Refused(431, "headers_too_large", f"Send at most {fields_max} header fields.")
    if any(line.startswith((b" ", b"\t")) for line in lines):
        raise Refused(400, "folded_header", "Put each header field on one line; folded lines are not accepted.")
    counts = Counter(bytes(line.partition(b":")[0].lower()) for line in lines)
    for name in _AT_MOST_ONCE:
        if counts[name] > 1:
            raise Refused(400, "repeated_header", f"Send the header {name.decode()} once.")
    if counts[b"content-length"] and counts[b"transfer-encoding"]:
        raise Refused(400, "two_lengths", "Send either Content-Length or Transfer-Encoding, not both.")
    if lines[0].endswith((b" HTTP/1.1", b" HTTP/1.0")) and not counts[b"host"]:
        raise Refused(400, "missing_host", "Send the header Host with the name and port that you connect to.")


def _check_request(request: h11.Request) -> None:
    if request.http_version not in {b"1.0", b"1.1"}:
        raise Refused(505, "http_version", "Use HTTP/1.1; this server speaks neither HTTP/2 nor anything else.")
    if not request.target.startswith(b"/"):
        raise Refused(400, "bad_target", "Send the path alone as the request target, starting with a slash.")
    for name, value in request.headers:
        if (name in _ASCII_ONLY or name.startswith(b"sec-websocket-")) and not value.isascii():
            raise Refused(400, "not_ascii", f"Use ASCII in the header {name.decode()}.")
        if name == b"transfer-encoding" and request.http_version == b"1.0":
            raise Refused(400, "malformed_request", "Use HTTP/1.1 to send a chunked body.")


_MALFORMED = "Send a well-formed HTTP/1.1 request on a new connection; this one could not be read."
