"""The original's Go SDK on the wire: the bytes that it writes, over one connection that stays open, and what it reads.

The head has Go's own order: Host, User-Agent, Content-Length, the SDK's headers by name, Accept-Encoding. The SDK never says
which agent it is. Source: contract.md, appendix A.
"""

import json
from dataclasses import dataclass
from http.client import HTTPResponse
from types import TracebackType
from typing import Any, Final, Self

from server_process import ServerProcess

WEBSOCKET_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT: Final = 0x1
CLOSE: Final = 0x8
FINAL: Final = 0x80


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # Any: whatever JSON the answer holds.
        """Return the body as JSON, after checking that it is announced as such and not compressed."""
        assert self.headers["content-type"] == "application/json"
        assert "content-encoding" not in self.headers
        return json.loads(self.body)


class GoSdk:
    """A client as the original's. Resources: used as a context manager; its connection is closed afterwards."""

    def __init__(self, server: ServerProcess, key: str = "", *extra: str) -> None:
        self._host = f"127.0.0.1:{server.port}"
        # `extra` is what a proxy would add: by it a call over loopback counts as one from elsewhere.
        self._own = [*extra, *([f"Authorization: Bearer {key}"] if key else [])]
        self._connection = server.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: str | None = None) -> Answer:
        """Make one call and return its answer."""
        sent = b"" if body is None else body.encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", "User-Agent: Go-http-client/1.1"]
        if body is not None:
            lines.append(f"Content-Length: {len(sent)}")
        lines += self._own
        if body is not None:
            lines.append("Content-Type: application/json")
        lines += ["Accept-Encoding: gzip", "", ""]
        self._connection.sendall("\r\n".join(lines).encode() + sent)
        return self._answer(method)

    def dial(self, path: str) -> Answer:
        """Ask for a WebSocket, as the library does that the SDK uses, and return the answer to the handshake."""
        lines = [
            f"GET {path} HTTP/1.1", f"Host: {self._host}", "User-Agent: Go-http-client/1.1", *self._own,
            "Connection: Upgrade",
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            f"Sec-WebSocket-Key: {WEBSOCKET_KEY}", "Sec-WebSocket-Version: 13", "Upgrade: websocket",
            "Accept-Encoding: gzip", "", "",
        ]  # fmt: skip
        self._connection.sendall("\r\n".join(lines).encode())
        # Byte by byte: what follows a 101 at once is the first frame, and not part of the head.
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        first, *fields = head.decode().strip().split("\r\n")
        headers = dict(self._field(line) for line in fields)
        return Answer(int(first.split(" ")[1]), headers, self._exactly(int(headers.get("content-length", "0"))))

    def say(self, value: object) -> None:
        """Send a JSON message as that library does: a frame with all of it, and an empty one that ends it."""
        self._frame(TEXT, json.dumps(value, separators=(",", ":")).encode() + b"\n")
        self._frame(FINAL, b"")

    def close(self) -> tuple[int, bytes]:
        """Close the socket as the SDK does and return opcode and payload of the server's answer to it."""
        self._frame(FINAL | CLOSE, (1000).to_bytes(2, "big") + b"client closing")
        while True:
            opcode, payload = self._next_frame()
            if opcode == CLOSE:
                return opcode, payload

    def next_event(self) -> Any:  # Any: whatever JSON the message holds.
        """Return the next message of the socket."""
        return json.loads(self.next_text())

    def next_text(self) -> bytes:
        """Return the next message of the socket as it came."""
        opcode, payload = self._next_frame()
        assert opcode == TEXT, f"opcode {opcode}: {payload!r}"
        return payload

    def _answer(self, method: str) -> Answer:
        response = HTTPResponse(self._connection, method=method)
        response.begin()
        body = response.read()
        assert not response.will_close, "the SDK's connection stays open"
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def _frame(self, first: int, payload: bytes) -> None:
        assert len(payload) < 126
        self._connection.sendall(bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload)  # A mask of zeros.

    def _next_frame(self) -> tuple[int, bytes]:
        first, length = self._exactly(2)
        assert first & FINAL, "a whole message in each frame"
        assert not first & 0x70, "no extension was negotiated"
        if length >= 126:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        return first & 0x0F, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = self._connection.recv(count - len(found))
            assert more, "the server hung up"
            found += more
        return found

    @staticmethod
    def _field(line: str) -> tuple[str, str]:
        name, _, value = line.partition(":")
        return name.lower(), value.strip()
