"""WebSocket clients for tests: trio-websocket against the real server, and bare handshakes for what it cannot send."""

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import trio
from calls import Json
from server_process import PATIENCE_S, ServerProcess
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    WebSocketConnection,
    wrap_client_stream,
)

HANDSHAKE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


@asynccontextmanager
async def open_socket(
    server: ServerProcess, path: str, headers: Mapping[str, str] | None = None, **query: object
) -> AsyncIterator[WebSocketConnection]:
    """Open a socket, closed at the end of the block, which must come within the usual patience."""
    extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    resource, host = f"{path}?{urlencode(query)}", f"127.0.0.1:{server.port}"
    with trio.fail_after(PATIENCE_S):
        # The stream is ours: the library leaves it open where the server closed first.
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream, trio.open_nursery() as nursery:
            opened = await wrap_client_stream(nursery, stream, host, resource, extra_headers=extra)
            yield opened
            await opened.aclose()


async def next_events(opened: WebSocketConnection, count: int) -> list[Json]:
    """Return the next events of a socket."""
    return [json.loads(await opened.get_message()) for _ in range(count)]


async def closing(opened: WebSocketConnection) -> CloseReason:
    """Return why the server closed, once it has; what it sent before is dropped."""
    try:
        while True:
            await opened.get_message()
    except ConnectionClosed as closed:
        assert closed.reason is not None, "the connection was dropped without a close frame"
        return closed.reason


def handshake(
    server: ServerProcess, path: str, *lines: str, receive_buffer_bytes: int | None = None
) -> tuple[int, dict[str, str], Any, socket.socket]:
    """Send a bare handshake; return status, headers, JSON body if there is one, and the connection, to be closed."""
    bare = server.connect(receive_buffer_bytes=receive_buffer_bytes)
    top = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *HANDSHAKE, *lines, "", ""]
    bare.sendall("\r\n".join(top).encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += bare.recv(1)
    first, *fields = received.decode().strip().split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    length = int(found.get("content-length", "0"))
    body = b"".join(iter(lambda: bare.recv(1), b"")) if length else b""
    return int(first.split(" ")[1]), found, json.loads(body) if body else None, bare


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """Return one client frame; the mask of zeros leaves the payload as it is."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload
