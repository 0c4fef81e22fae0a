"""Mail over HTTP: how long a broadcast to many takes until its sender knows, and a search among many messages.

Source: issue 6, "Speed".
"""

import json
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import trio

from loadtest.engine.connection import Connection, LoadFailed, connect, request
from loadtest.engine.samples import quantile
from loadtest.engine.server import running
from loadtest.figures.load import load
from loadtest.figures.message_files import COMMON, searches, write_messages

BROADCASTS_PER_SENDER: Final = 10  # within a minute; then the next agent speaks.
BROADCASTS: Final = 60
_SEARCHES: Final = 600
_COMMON_SEARCHES: Final = 30


class Sender:
    """Sends one message of 40 words after the other: what the index costs is in it."""

    def __init__(self, port: int, project: str, number: int) -> None:
        self._port, self._project, self._number, self._sent = port, project, number, 0

    async def prepare(self, _connection: object) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Write to another agent."""
        self._sent += 1
        body = " ".join(f"word{(self._sent * 31 + at * at) % 5000}" for at in range(40))
        fields = {
            "project": self._project,
            "from": f"a{self._number}",
            "to": [f"b{self._number}"],
            "subject": "load test",
            "body": body,
        }
        return request(self._port, "POST", "/api/messages", fields)

    def take(self, status: int, body: bytes) -> None:
        """Demand that it was stored."""
        if status != 200:
            raise LoadFailed(f"a message was answered {status}: {body[:500]!r}")


def mail_figures(directory: Path, connections: int, seconds: float, many: int, seed: int) -> dict[str, float]:
    """Measure sending, broadcasting and searching; return the figures by name. Raises: LoadFailed, ServerFailed."""
    directory.mkdir()
    write_messages(directory / "data", "many", many, seed)
    agents = max(10, many // 100)
    with running(directory) as server:
        port = server.port
        # First: what was written before it is being moved into the file for some time, by the disk as well.
        search_ms, common_ms = trio.run(_searching, port, many, seed)
        sent = trio.run(load, port, seconds, [Sender(port, "sent", number) for number in range(connections)])
        broadcast_ms = trio.run(_broadcasting, port, agents)
    return {
        "send_per_s": sent.per_s,
        "send_p50_ms": sent.quantile_ms(0.5),
        "send_p99_ms": sent.quantile_ms(0.99),
        "broadcast_agents": float(agents),
        "broadcast_p50_ms": quantile(broadcast_ms, 0.5),
        "broadcast_p99_ms": quantile(broadcast_ms, 0.99),
        "search_messages": float(many),
        "search_p50_ms": quantile(search_ms, 0.5),
        "search_p99_ms": quantile(search_ms, 0.99),
        "search_common_p50_ms": quantile(common_ms, 0.5),
    }


async def _broadcasting(port: int, agents: int) -> list[float]:
    """Register one agent more than are to hear, broadcast from one after the other, and return the times in ms."""
    connection = await connect(port)
    try:
        for number in range(agents + 1):
            fields = {"project": "crowd", "name": f"agent-{number}"}
            await connection.ask(request(port, "POST", "/api/agents", fields), 200)
        times_ms = []
        for number in range(BROADCASTS):
            sender = number // BROADCASTS_PER_SENDER
            fields = {"project": "crowd", "from": f"agent-{sender}", "topic": "load", "body": f"broadcast {number}"}
            taken_ms, body = await _timed(connection, request(port, "POST", "/api/broadcast", fields))
            times_ms.append(taken_ms)
            if json.loads(body)["delivered"] != agents:
                raise LoadFailed(f"a broadcast to {agents} was answered {body[:500]!r}")
        await _demand_heard(connection, port, agents)
    finally:
        connection.close()
    return times_ms


async def _demand_heard(connection: Connection, port: int, agents: int) -> None:
    """Have the last agent count its mail: it never spoke, so it has all of it. Raises: LoadFailed."""
    counts = await connection.ask(request(port, "GET", f"/api/inbox/agent-{agents}/counts?project=crowd"), 200)
    if counts["unread"] != BROADCASTS:
        raise LoadFailed(f"of {BROADCASTS} broadcasts the last agent has {counts['unread']}")


async def _searching(port: int, many: int, seed: int) -> tuple[list[float], list[float]]:
    """Look for what is there, over one connection; return the times in ms, and those for a word that is everywhere."""
    connection = await connect(port)
    try:
        times_ms = [await _found(connection, port, wanted) for wanted in searches(min(many, _SEARCHES), seed)]
        common_ms = [await _found(connection, port, COMMON) for _ in range(_COMMON_SEARCHES)]
    finally:
        connection.close()
    return times_ms, common_ms


async def _found(connection: Connection, port: int, wanted: str) -> float:
    taken_ms, body = await _timed(
        connection, request(port, "GET", f"/api/messages/search?project=many&q={quote(wanted)}")
    )
    if not json.loads(body)["messages"]:
        raise LoadFailed(f"{wanted!r} is there, and was not found")
    return taken_ms


async def _timed(connection: Connection, wanted: bytes) -> tuple[float, bytes]:
    started_s = time.perf_counter()
    answer = await connection.call(wanted)
    taken_ms = (time.perf_counter() - started_s) * 1000
    return taken_ms, answer.demand(200).body
