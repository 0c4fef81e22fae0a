"""Throws the packets of `packets.py` at a real server, while two bystanders use it and must notice nothing.

A bystander has one HTTP connection and one WebSocket open all the time: every message that it sends over the one it hears of
over the other. Afterwards the process is the same, it has as many descriptors as before, and its memory has a bound.
Source: guarantees.md G22.
"""

import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import trio
from known_keys import KEYS_FILE
from packets import HOST, Packet, packet
from server_process import PATIENCE_S, ServerProcess, until
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from loadtest.engine.connection import Connection, LoadFailed, connect, request

OPTIONS: Final = ("--allow-host", HOST)
RSS_MAX_MIB: Final = 64
"""What the packets may cost in memory for good. A guess, revisit: projects, agents and messages are made on the way."""
_THROWERS: Final = 8
_PACKETS_OF_A_ROUND: Final = 25
"""Packets between two messages of the bystander."""
_LOOK_S: Final = 0.02
_PROJECT: Final = "bystander"


@dataclass
class Thrown:
    """What was thrown, and what came of it."""

    packets: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By the status of the first answer, or `none`."""
    rounds: int = 0
    """Messages that the bystander has sent and heard of."""
    rss_growth_mib: float = 0.0
    problems: list[str] = field(default_factory=list)
    ports: dict[int, int] = field(default_factory=dict)
    """By the client's port: the number of the last packet that came from it, as the log names ports."""


def prepare(home: Path) -> None:
    """Write the keys that the packets use; to be called before the server starts."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "keys.yaml").write_text(KEYS_FILE)


def throw_packets(server: ServerProcess, seed: int, count: int, first: int = 0) -> Thrown:
    """Throw so many packets and return what was seen; the number of the first one can be that of a problem."""
    thrown = Thrown()
    try:
        trio.run(_throw_all, server, seed, range(first, first + count), thrown)
    except* (
        LoadFailed,
        ConnectionClosed,
        OSError,
        trio.TooSlowError,
        trio.BrokenResourceError,
        AssertionError,
    ) as group:
        thrown.problems += [f"a bystander: {each!r}" for each in _leaves(group)]
        with contextlib.suppress(subprocess.TimeoutExpired):  # It may be about to end.
            code = server.process.wait(PATIENCE_S)
            thrown.problems.append(f"the server ended with {code} after about {thrown.packets} packets")
    thrown.problems += _in_the_log(server, thrown)
    return thrown


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


async def _throw_all(server: ServerProcess, seed: int, numbers: range, thrown: Thrown) -> None:
    async with _bystanders(server) as (http, socket):
        await _round(server, http, socket, thrown)
        # The project of the packets is open before they come, so that its files are no difference.
        await http.ask(request(server.port, "POST", "/api/agents", {"project": "acme", "name": "anna"}), 200)
        descriptors, rss_mib = _descriptors(server), _rss_mib(server)
        left = iter(numbers)
        while thrown.packets < len(numbers):
            async with trio.open_nursery() as nursery:
                of_round = iter(list(islice(left, _PACKETS_OF_A_ROUND)))
                for _ in range(_THROWERS):
                    nursery.start_soon(_thrower, server.port, seed, of_round, thrown)
                await _round(server, http, socket, thrown)
        # Their own deadlines end what is left of them.
        await trio.to_thread.run_sync(lambda: until(lambda: _descriptors(server) <= descriptors, "as few as before"))
        thrown.rss_growth_mib = round(_rss_mib(server) - rss_mib, 1)
        if thrown.rss_growth_mib > RSS_MAX_MIB:
            thrown.problems.append(f"memory has grown by {thrown.rss_growth_mib} MiB")
        await _round(server, http, socket, thrown)


async def _thrower(port: int, seed: int, numbers: Iterator[int], thrown: Thrown) -> None:
    for number in numbers:
        thrown.packets += 1
        try:
            with trio.fail_after(PATIENCE_S):
                thrown.answers[await _throw(port, packet(seed, number), thrown)] += 1
        except trio.TooSlowError:
            thrown.problems.append(
                f"packet {number} of seed {seed}: the connection was still open after {PATIENCE_S} s"
            )


async def _throw(port: int, thing: Packet, thrown: Thrown) -> str:
    """Send a packet, then the end of the stream, and read to its end; return the status of the first answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        thrown.ports[stream.socket.getsockname()[1]] = thing.number
        heard = b""
        with contextlib.suppress(trio.BrokenResourceError):
            for at, piece in enumerate(thing.pieces):
                await stream.send_all(piece)
                if at == 0 and thing.waits:
                    with trio.move_on_after(_LOOK_S):  # An incomplete one has no answer.
                        heard += await stream.receive_some(65_536)
            await stream.send_eof()
            while data := await stream.receive_some(65_536):
                heard = heard or data
        return heard[9:12].decode("latin1") if heard.startswith(b"HTTP/1.1 ") else "none"


@asynccontextmanager
async def _bystanders(server: ServerProcess) -> AsyncIterator[tuple[Connection, WebSocketConnection]]:
    http = await connect(server.port)
    host, path = f"127.0.0.1:{server.port}", f"/ws/events?project={_PROJECT}"
    try:
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream, trio.open_nursery() as nursery:
            opened = await wrap_client_stream(nursery, stream, host, path)
            yield http, opened
            await opened.aclose()
    finally:
        http.close()


async def _round(server: ServerProcess, http: Connection, socket: WebSocketConnection, thrown: Thrown) -> None:
    """Send a message over HTTP and hear of it over the WebSocket, and of nothing else."""
    fields = {"project": _PROJECT, "from": "anna", "to": ["ben"], "id": f"m{thrown.rounds}"}
    with trio.fail_after(PATIENCE_S):
        await http.ask(request(server.port, "POST", "/api/messages", fields), 200)
        heard = str(await socket.get_message())
    if json.loads(heard)["type"] != "message.created" or f'"{fields["id"]}"' not in heard:
        thrown.problems.append(f"a bystander has heard {heard} instead of {fields}")
    thrown.rounds += 1


def _descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def _rss_mib(server: ServerProcess) -> float:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _in_the_log(server: ServerProcess, thrown: Thrown) -> list[str]:
    """Return what the log says that somebody should look at, with the packets that it came from."""
    found = []
    for line in server.lines:
        if '"level": "error"' in line or "connection.failed" in line or "crashed" in line:
            numbers = [number for port, number in thrown.ports.items() if f" {port}" in line or f"{port}]" in line]
            found.append(f"packets {numbers}: {line.strip()[:6000]}")
    return found
