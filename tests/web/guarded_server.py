"""A guarded server on a real socket, two small applications for it, and a client that sends exact bytes."""

import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio
from hypercorn.typing import ASGIFramework
from quart import Response, request, websocket
from quart_trio import QuartTrio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

from intermute.web.server import (
    Answering,
    Ending,
    Lane,
    LaneFor,
    Listener,
    Opening,
    PlainHead,
    PlainReply,
    PushSocket,
    ServerLimits,
    open_tcp_listener,
    serve,
    text_frame,
)

HEAD = b"Host: 127.0.0.1\r\n"
UPGRADE = (
    HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PATIENCE_S = 5.0


def get(path: str, *fields: str) -> bytes:
    """The bytes of a plain GET."""
    return f"GET {path} HTTP/1.1\r\n".encode() + HEAD + "".join(f"{line}\r\n" for line in fields).encode() + b"\r\n"


def post(path: str, body: bytes, *fields: str) -> bytes:
    """The bytes of a POST with a Content-Length."""
    lines = "".join(f"{line}\r\n" for line in (*fields, f"Content-Length: {len(body)}"))
    return f"POST {path} HTTP/1.1\r\n".encode() + HEAD + lines.encode() + b"\r\n" + body


def upgrade(path: str, *fields: str) -> bytes:
    """The bytes of a WebSocket handshake."""
    return f"GET {path} HTTP/1.1\r\n".encode() + UPGRADE + "".join(f"{line}\r\n" for line in fields).encode() + b"\r\n"


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


class Client:
    """One connection; every wait fails after a few seconds."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""
        self.frames = Connection(ConnectionType.CLIENT)

    async def send(self, data: bytes) -> None:
        with trio.fail_after(PATIENCE_S):
            await self.stream.send_all(data)

    async def more(self) -> bytes:
        with trio.fail_after(PATIENCE_S):
            data = bytes(await self.stream.receive_some(65536))
        self.buffer += data
        return data

    async def answer(self) -> Answer:
        """Read one response; its length is given, or it has no body."""
        while b"\r\n\r\n" not in self.buffer:
            assert await self.more(), f"closed instead of an answer: {self.buffer!r}"
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(fields.get("content-length", "0"))
        while len(self.buffer) < length:
            assert await self.more(), "closed within a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(int(first.split()[1]), fields, body)

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def end(self) -> bytes:
        """Read until the server closes; a reset counts."""
        try:
            while await self.more():
                pass
        except trio.BrokenResourceError:
            pass
        return self.buffer

    async def open_websocket(self, path: str = "/ws", *fields: str) -> Answer:
        answer = await self.ask(upgrade(path, *fields))
        self.frames.receive_data(self.buffer)
        return answer

    async def next_frame(self) -> Event | None:
        """Return the next frame; None when the server closed the socket without one."""
        while True:
            for event in self.frames.events():
                return event
            try:
                data = await self.more()
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self.frames.receive_data(data)

    async def close_code(self) -> int | None:
        """Read until the server's close frame and return its code; None when there was none."""
        while (frame := await self.next_frame()) is not None:
            if isinstance(frame, CloseConnection):
                return int(frame.code)
        return None

    async def echo(self, text: str) -> str:
        await self.send(self.frames.send(TextMessage(data=text)))
        frame = await self.next_frame()
        assert isinstance(frame, TextMessage), frame
        return str(frame.data)


@dataclass
class Running:
    """A server under test."""

    listener: Listener
    stop: trio.Event
    nursery: trio.Nursery
    log: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.log]

    async def logged(self, event: str) -> None:
        """Wait until the event is in the log."""
        while event not in self.events:  # noqa: ASYNC110 # the server's log is a plain callback.
            await trio.sleep(0.01)

    async def connect(self) -> Client:
        address = self.listener.socket_listener.socket.getsockname()
        if self.listener.is_unix:
            sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        else:
            sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_STREAM)
        await sock.connect(address)
        self.clients.append(Client(trio.SocketStream(sock)))
        return self.clients[-1]


@asynccontextmanager
async def running(
    app: Any,  # Any: Quart's own type of an application and ASGI's are the same thing under two names.
    limits: ServerLimits | None = None,
    listener: Listener | None = None,
    lanes: LaneFor | None = None,
) -> AsyncIterator[Running]:
    """Serve the application until the block ends, beside it a plain lane if there is one."""
    limits = limits or ServerLimits()
    async with trio.open_nursery() as nursery:
        server = Running(listener or open_tcp_listener("127.0.0.1", 0, limits=limits), trio.Event(), nursery)

        def log(event: str, **fields: object) -> None:
            server.log.append((event, fields))

        serving = partial(serve, app, [server.listener], limits=limits, stop=server.stop, log=log, lanes=lanes)
        await nursery.start(serving)
        try:
            yield server
        finally:
            server.stop.set()
            for client in server.clients:
                client.stream.socket.close()


def toy_app(gate: trio.Event | None = None) -> ASGIFramework:
    """A bare ASGI application; `/slow` answers when the gate opens."""

    async def answer(send: Callable[..., Any], status: int, body: bytes, *fields: tuple[bytes, bytes]) -> None:
        headers = [(b"content-length", str(len(body)).encode()), *fields]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def read(receive: Callable[..., Any]) -> bytes:
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body", False):
                return bytes(body)

    async def http(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        match scope["path"]:
            case "/health":
                await answer(send, 200, b"ok")
            case "/echo":
                await answer(send, 200, await read(receive))
            case "/early":
                await answer(send, 413, b"too large")
            case "/slow":
                assert gate is not None
                await gate.wait()
                await answer(send, 200, b"slow")
            case "/peer":
                peer = scope["extensions"]["intermute.peer"]
                await answer(send, 200, json.dumps([peer, scope["client"]]).encode())
            case "/large":
                await answer(send, 200, b"x" * int(scope["query_string"]))
            case "/crash":
                raise RuntimeError("crashed on purpose")
            case "/silent":
                return
            case _:
                await answer(send, 404, b"not found")

    async def sockets(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await receive()
        if not scope["path"].startswith("/ws"):
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        if scope["path"] == "/ws/deaf":
            assert gate is not None
            await gate.wait()
            return
        if scope["path"] == "/ws/flood":
            while True:
                await send({"type": "websocket.send", "text": "x" * 60_000})
        while (event := await receive())["type"] == "websocket.receive":
            if event["text"] == "crash":
                raise RuntimeError("crashed on purpose")
            await send({"type": "websocket.send", "text": event["text"]})

    async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        assert scope["type"] in {"http", "websocket"}, "no lifespan"
        await (http if scope["type"] == "http" else sockets)(scope, receive, send)

    return app


class ToyLane:
    """A plain lane for some paths of the applications here; what it answers ends with `by lane`."""

    def __init__(self, gate: trio.Event | None = None) -> None:
        self._gate = gate
        self.left = trio.Event()
        """Set once somebody has left before the answer."""
        self.asked: list[str] = []
        """The path and query of each request that was answered, in order."""

    def __call__(self, *_who: object) -> Lane:
        return self

    def open(self, head: PlainHead) -> Opening | None:
        """Return what serves a WebSocket as the applications here do, on the paths that they know."""
        return toy_sockets().get(head.path)

    def find(self, head: PlainHead) -> Answering | None:
        """Return what answers a path of ours."""

        async def answer(body: bytes) -> PlainReply:
            self.asked.append(f"{head.path}?{head.query}")
            match head.path:
                case "/slow":
                    assert self._gate is not None
                    try:
                        await self._gate.wait()
                    except trio.Cancelled:
                        self.left.set()
                        raise
                case "/crash":
                    raise RuntimeError("crashed on purpose")
                case "/large":
                    return PlainReply(200, "text/plain", b"x" * int(head.query))
                case "/nothing":
                    return PlainReply(204, None, b"")
                case "/seen":
                    return PlainReply(200, "application/json", json.dumps([head.query, head.fields.pairs]).encode())
            return PlainReply(200, "text/plain", body + b" by lane", [("X-Path", head.path)])

        known = {"/health", "/echo", "/slow", "/crash", "/large", "/nothing", "/seen"}
        return answer if head.path in known else None


def toy_sockets() -> dict[str, Opening]:
    """The same for the sockets of a lane, by path."""

    async def echo(socket: PushSocket) -> PlainReply | None:
        unsent: list[bytes] = []
        is_sending = False

        async def send() -> None:
            nonlocal is_sending
            while unsent:
                await socket.send(unsent.pop(0))
            is_sending = False

        def hear(message: str | bytes) -> Ending | None:
            nonlocal is_sending
            if message == "crash":
                raise RuntimeError("crashed on purpose")
            unsent.append(text_frame(message.encode() if isinstance(message, str) else message))
            if not is_sending:
                is_sending = True
                socket.start(send)
            return None

        await socket.accept()
        await socket.read(hear)
        return None

    async def flood(socket: PushSocket) -> PlainReply | None:
        async def send() -> None:
            while not socket.is_over:
                await socket.send(text_frame(b"x" * 60_000))

        await socket.accept()
        socket.start(send)
        await socket.read(lambda _: None)
        return None

    async def refuse(_: PushSocket) -> PlainReply | None:
        return PlainReply(401, "application/json", b'{"error":"unauthorized"}')

    return {"/ws": echo, "/ws/agents/x": echo, "/ws/flood": flood, "/ws/refused": refuse}


def quart_app() -> QuartTrio:
    """The same in Quart-trio, which cancels its own tasks at the end of a request."""
    app = QuartTrio("toy")

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.post("/echo")
    async def echo() -> Response:
        return Response(await request.get_data())

    @app.websocket("/ws")
    @app.websocket("/ws/agents/x")
    async def socket_echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/ws/deaf")
    async def deaf() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    @app.websocket("/ws/refused")
    async def refused() -> Response:
        return Response('{"error":"unauthorized"}', 401, content_type="application/json")

    @app.websocket("/ws/flood")
    async def flood() -> None:
        while True:
            await websocket.send("x" * 60_000)

    return app


def resident_bytes() -> int:
    """This process's resident memory."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 # a pseudo file.
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def packet_bytes(packet: dict[str, str]) -> bytes:
    """The bytes of one entry of the corpus."""
    return base64.b64decode(packet["base64"])
