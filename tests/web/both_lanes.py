"""One service with the sockets of both lanes: a token more in `Connection` takes a handshake to the careful one."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trio.testing
from guarded_server import Client, Running, running, upgrade
from known_keys import KEYS_FILE
from open_projects import Service, serving
from wsproto.events import CloseConnection, TextMessage

from intermute.web.auth import KeyRing
from intermute.web.fast_lane import FastLane
from intermute.web.front import Front
from intermute.web.gate import Gate
from intermute.web.health import HealthReport
from intermute.web.keys import load_keys
from intermute.web.lane import build_app
from intermute.web.push import Push
from intermute.web.server import ServerLimits
from intermute.web.sockets import Sockets
from intermute.web.system import Surroundings
from supervisor import ChildSpec

QUICK = ServerLimits(linger_timeout_s=0.1, farewell_timeout_s=0.1, graceful_timeout_s=0.2)
LANES = ("fast", "careful")
_DATE = re.compile(rb"date: [^\r]*\r\n")
_CAREFUL = (b"Connection: Upgrade\r\n", b"Connection: Upgrade, careful\r\n")


def without_date(answer: bytes) -> bytes:
    """Return an answer as it is at any time."""
    return _DATE.sub(b"", answer)


def parts(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return the first line, the headers but the date, sorted, and the body of an answer."""
    head, _, body = without_date(answer).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, sorted(name.lower() + value for name, _, value in (line.partition(b":") for line in lines)), body


settled = partial(trio.testing.wait_all_tasks_blocked, 0.02)
"""Long enough for what is on its way through a socket of this machine."""


@dataclass
class House:
    """A service with both lanes, and how often each was asked for a socket."""

    service: Service
    server: Running
    push: Push
    asked: list[str]

    async def ask(self, lane: str, path: str, headers: Mapping[str, str]) -> Client:
        """Send a handshake by one lane."""
        data = upgrade(path, *(f"{name}: {value}" for name, value in headers.items()))
        client = await self.server.connect()
        await client.send(data.replace(*_CAREFUL) if lane == "careful" else data)
        return client

    async def open(self, lane: str, path: str, headers: Mapping[str, str] | None = None) -> Client:
        """Open a socket by one lane."""
        before = len(self.asked)
        client = await self.ask(lane, path, headers or {})
        assert (await client.answer()).status == 101
        assert len(self.asked) - before == (lane == "careful"), "the other lane has it"
        client.frames.receive_data(client.buffer)
        return client


@asynccontextmanager
async def house(root: Path, limits_: ServerLimits = QUICK) -> AsyncIterator[House]:
    """Serve with both lanes for the length of the block."""
    keys_file = root / "keys.yaml"
    keys_file.write_text(KEYS_FILE)
    async with serving(root / "data") as service:

        def log(event: str, **fields: object) -> None:
            service.log.append((event, fields))

        keys = KeyRing(keys_file, load_keys(keys_file), trio.current_time, log)
        around = Surroundings(service.registry, HealthReport(service.registry, service.supervisor))
        front = Front(service.registry, keys, Gate(frozenset({"127.0.0.1"})), around, log)
        push, asked = Push(front, log), list[str]()
        quart = build_app(front, Sockets(front), log)

        async def app(scope: Any, receive: Any, send: Any) -> None:  # Any: see ASGI.
            asked.append(scope["path"])
            await quart(scope, receive, send)

        await service.supervisor.start(ChildSpec(name="push", main=push.run))
        async with running(app, limits_, lanes=FastLane(front, push)) as server:
            yield House(service, server, push, asked)


async def heard(client: Client) -> tuple[list[str], CloseConnection | None]:
    """Read to the end; return the texts and how the server closed, None where it did not say."""
    texts: list[str] = [""]
    while (frame := await client.next_frame()) is not None:
        if isinstance(frame, CloseConnection):
            return texts[:-1], frame
        assert isinstance(frame, TextMessage), frame
        texts[-1] += frame.data
        texts += [""] if frame.message_finished else []
    return texts[:-1], None
