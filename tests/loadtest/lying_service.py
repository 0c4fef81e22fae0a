"""A double of the service, in one process and in memory, that keeps its promises but for one lie: `lying_service.py LIE`.

It knows just what `contended`, `hierarchy`, `unique` and `overload` ask. Run as a program it prints its port and serves until
its standard input is closed.
"""

import json
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import trio
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, Request, TextMessage

LIES: Final = ("none", "grants twice", "forgets", "swallows", "repeats", "hurries", "stale fence", "resurrects")
EVERY: Final = 10  # of so many occasions one is a lie.
Fields = dict[str, Any]  # Any: JSON.
Reply = tuple[int, Fields, dict[str, str]]


class Truth:
    """What a service that keeps its promises would know, and the one that it tells wrongly."""

    def __init__(self, lie: str) -> None:
        assert lie in LIES
        self._lie = lie
        self._occasions = 0
        self._agents: dict[str, str] = {}
        self._held: dict[str, Fields] = {}
        self._lost: set[str] = set()
        self._fence = 0
        self.events: list[Fields] = []
        self.news = trio.Event()

    def lies(self, lie: str) -> bool:
        """Tell whether this is an occasion for the lie."""
        if lie != self._lie:
            return False
        self._occasions += 1
        return self._occasions % EVERY == 0

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Fields) -> Reply:
        """Return status, body and header fields."""
        match method, path.removeprefix("/api/").split("/"):
            case "GET", ["", "health"]:
                return 200, {"status": "ok"}, {}
            case "POST", ["agents"]:
                return 200, {"agent_id": self._agents.setdefault(body["name"], f"id-{body['name']}")}, {}
            case "POST", ["reservations"]:
                return self._reserve(body)
            case "DELETE", ["reservations", reservation]:
                return self._release(reservation)
            case "GET", ["reservations"]:
                rows = [row for key, row in self._held.items() if key not in self._lost]
                return 200, {"reservations": rows}, {}
            case "GET", ["reservations", "check"]:
                mine = {"pattern": query["path"], "mode": "exclusive", "agent_id": query["agent"]}
                return 200, {"conflict": any(_clash(mine, row) for row in self._held.values())}, {}
            case "GET", ["events"]:
                since = int(query["since_cursor"])
                return 200, {"events": self.events[since : since + 1000]}, {}
        return 404, {"error": f"the double knows no {method} {path}"}, {}

    def _reserve(self, body: Fields) -> Reply:
        if self.lies("hurries"):
            return 429, {"error": "overloaded"}, {"Retry-After": "0"}
        pattern = body.get("path") or body["pattern"]
        mine = {"pattern": pattern, "mode": body.get("mode", "exclusive"), "agent_id": body["agent_id"]}
        clashes = [row for row in self._held.values() if _clash(mine, row)]
        if clashes and not self.lies("grants twice"):
            return 409, {"conflicts": [{"agent_id": row["agent_id"]} for row in clashes]}, {}
        self._fence += 0 if self.lies("stale fence") else 1
        key = f"r-{len(self.events)}"
        self._held[key] = {"id": key, "path_pattern": pattern, "fence": self._fence, **mine}
        if self.lies("forgets"):
            self._lost.add(key)
        self._tell("reservation.created")
        return 201, self._held[key], {}

    def _release(self, reservation: str) -> Reply:
        if not self.lies("resurrects"):
            del self._held[reservation]
        self._tell("reservation.released")
        return 200, {}, {}

    def _tell(self, kind: str) -> None:
        self.events.append({"cursor": len(self.events) + 1, "type": kind})
        self.news.set()
        self.news = trio.Event()


def _clash(one: Fields, other: Fields) -> bool:
    if one["agent_id"] == other["agent_id"] or one["mode"] == other["mode"] == "shared":
        return False
    return bool(_covers(one["pattern"]) & _covers(other["pattern"]))


@cache
def _covers(pattern: str) -> frozenset[str]:
    """Return the files of the tree of `hierarchy` that a pattern covers; a path outside of it covers itself."""
    tree = [
        f"src/area_{a}/part_{p}/{'test' if f % 2 else 'module'}_{f}.py"
        for a in range(8)
        for p in range(8)
        for f in range(8)
    ]
    if pattern.endswith("/**"):
        return frozenset(path for path in tree if path.startswith(pattern[:-2]))
    if "*" not in pattern:
        return frozenset((pattern,))
    segments = pattern.split("/")
    return frozenset(
        path
        for path in tree
        if len(path.split("/")) == len(segments) and all(map(fnmatchcase, path.split("/"), segments))
    )


async def _serve(truth: Truth, stream: trio.SocketStream) -> None:
    buffer = b""
    try:
        while True:
            while b"\r\n\r\n" not in buffer:
                data = await stream.receive_some()
                if not data:
                    return
                buffer += data
            head, _, rest = buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            while len(rest) < length:
                rest += await stream.receive_some()
            method, target, _ = first.split(" ")
            url = urlsplit(target)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if "upgrade" in headers:
                await _push(truth, stream, buffer, int(query["since_cursor"]))
                return
            body, buffer = rest[:length], rest[length:]
            status, fields, more = truth.answer(method, url.path, query, json.loads(body or b"{}"))
            content = json.dumps(fields, separators=(",", ":")).encode()
            extra = "".join(f"{name}: {value}\r\n" for name, value in more.items())
            reply = f"HTTP/1.1 {status} \r\n{extra}Content-Length: {len(content)}\r\n\r\n"
            await stream.send_all(reply.encode() + content)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def _push(truth: Truth, stream: trio.SocketStream, handshake: bytes, since: int) -> None:
    """Send events over a WebSocket for as long as it is open."""
    frames = WSConnection(ConnectionType.SERVER)
    frames.receive_data(handshake)
    assert isinstance(next(frames.events()), Request)
    await stream.send_all(frames.send(AcceptConnection()))
    while True:
        news = truth.news
        fresh = truth.events[since:]
        since += len(fresh)
        for event in fresh:
            message = frames.send(TextMessage(json.dumps(event)))
            times = 0 if truth.lies("swallows") else 2 if truth.lies("repeats") else 1
            await stream.send_all(message * times)
        await news.wait()


async def _main(lie: str, tell: Callable[[str], None]) -> None:
    truth = Truth(lie)

    async def serve(stream: trio.SocketStream) -> None:
        await _serve(truth, stream)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        tell(str(listener.socket.getsockname()[1]))
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":

    def say(port: str) -> None:
        print(port, flush=True)

    trio.run(_main, sys.argv[1], say)
