"""A double of the service that has five events, and pushes them rightly but for what it is told to do to its first socket."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal

import trio

from loadtest.engine.site import Site

CURSORS: Final = (3, 4, 7, 8, 9)
Harm = Literal["nothing", "cuts", "closes", "swallows", "repeats", "reorders"]
_SINCE: Final = re.compile(rb"since_cursor=(\d+)")
_HARMED: Final = {"swallows": (3, 7, 8, 9), "repeats": (3, 4, 4, 7, 8, 9), "reorders": (3, 7, 4, 8, 9)}


def _event(cursor: int) -> bytes:
    return json.dumps({"created_at": "2026-11-21T15:11:41.300888Z", "cursor": cursor, "type": "x"}).encode()


def _frame(first: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((first, len(payload))) + payload


class _Double:
    def __init__(self, harm: Harm) -> None:
        self._harm = harm
        self._sockets = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer the requests of one connection, until it becomes a socket."""
        data = b""
        async for received in stream:
            data += received
            if data.endswith(b"\r\n\r\n"):
                found = _SINCE.search(data)
                since = int(found[1]) if found else 0
                if data.startswith(b"GET /ws/"):
                    await self._push(stream, since)
                    return
                events = [json.loads(_event(cursor)) for cursor in CURSORS if cursor > since]
                body = json.dumps({"events": events}).encode()
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                data = b""

    async def _push(self, stream: trio.SocketStream, since: int) -> None:
        self._sockets += 1
        harm = self._harm if self._sockets == 1 else "nothing"
        await stream.send_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        for cursor in _HARMED.get(harm, CURSORS):
            if harm in ("cuts", "closes") and cursor > CURSORS[1]:
                if harm == "closes":
                    await stream.send_all(_frame(0x88, b"\x03\xf0too slow"))
                await stream.aclose()
                return
            if cursor > since:
                await stream.send_all(_frame(0x81, _event(cursor)))
        await trio.sleep_forever()


@asynccontextmanager
async def double(harm: Harm, directory: Path, *, has_faults: bool) -> AsyncIterator[Site]:
    """Serve while the block runs; the site is where."""
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, _Double(harm).serve, 0, host="127.0.0.1"))
        port: int = listener.socket.getsockname()[1]
        yield Site(port=port, seed=1, is_quick=True, directory=directory, has_faults=has_faults)
        nursery.cancel_scope.cancel()
