"""Entities over HTTP: how many are made, read and listed in a second, and what a list costs in a project of many.

Everything that is measured goes over HTTP. Source: issue 4, "Speed".
"""

import json
import time
from pathlib import Path

import trio

from loadtest.engine.connection import LoadFailed, connect, request
from loadtest.engine.samples import quantile
from loadtest.engine.server import running
from loadtest.figures.load import load
from loadtest.figures.task_files import FEW, LISTED, write_tasks


class Creator:
    """Makes one task after the other."""

    def __init__(self, port: int, project: str, number: int) -> None:
        self._port, self._project, self._number, self._sent = port, project, number, 0
        self.made: list[str] = []

    async def prepare(self, _connection: object) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Ask for the next task."""
        self._sent += 1
        fields = {
            "project": self._project,
            "title": f"task {self._number}-{self._sent}",
            "agent": f"agent-{self._number}",
        }
        return request(self._port, "POST", "/api/tasks", fields)

    def take(self, status: int, body: bytes) -> None:
        """Remember its id."""
        if status != 201:
            raise LoadFailed(f"a new task was answered {status}: {body[:500]!r}")
        self.made.append(json.loads(body)["id"])


class Getter:
    """Reads tasks by their ids."""

    def __init__(self, port: int, project: str, number: int, ids: list[str]) -> None:
        self._port, self._project, self._ids, self._sent = port, project, ids, number * 7919
        self._wanted = ""

    async def prepare(self, _connection: object) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Ask for another one."""
        self._sent += 1
        self._wanted = self._ids[self._sent % len(self._ids)]
        return request(self._port, "GET", f"/api/tasks/{self._wanted}?project={self._project}")

    def take(self, status: int, body: bytes) -> None:
        """Demand just this one."""
        if status != 200 or json.loads(body)["id"] != self._wanted:
            raise LoadFailed(f"the task {self._wanted} was answered {status}: {body[:500]!r}")


class Lister:
    """Lists the first 50 tasks of one agent in one status."""

    def __init__(self, port: int, project: str) -> None:
        target = f"/api/tasks?project={project}&status=running&agent=agent-0&limit={LISTED}"
        self._request = request(port, "GET", target)

    async def prepare(self, _connection: object) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Return the same request every time."""
        return self._request

    def take(self, status: int, body: bytes) -> None:
        """Demand all 50."""
        count = body.count(b'"id":')
        if status != 200 or count != LISTED:
            raise LoadFailed(f"a list of {LISTED} was answered {status} with {count}: {body[:300]!r}")


def entity_figures(directory: Path, connections: int, seconds: float, many: int) -> dict[str, float]:
    """Measure making, reading and listing; return the figures by name. Raises: LoadFailed, ServerFailed."""
    directory.mkdir()
    for project, count in (("few", FEW), ("many", many)):
        write_tasks(directory / "data", project, count)
    with running(directory) as server:
        port = server.port
        creators = [Creator(port, "made", number) for number in range(connections)]
        created = trio.run(load, port, seconds, creators)
        ids = [each for creator in creators for each in creator.made]
        got = trio.run(load, port, seconds, [Getter(port, "made", number, ids) for number in range(connections)])
        listed = trio.run(load, port, seconds, [Lister(port, "many") for _ in range(connections)])
        few_ms, many_ms = trio.run(_alternating, port, seconds)
    figures = {"entities_many": float(many)}
    for name, measured in (("create", created), ("get", got), ("list", listed)):
        figures |= {
            f"entity_{name}_per_s": measured.per_s,
            f"entity_{name}_p50_ms": measured.quantile_ms(0.50),
            f"entity_{name}_p99_ms": measured.quantile_ms(0.99),
        }
    return figures | {
        "entity_list_few_p50_ms": quantile(few_ms, 0.5),
        "entity_list_many_p50_ms": quantile(many_ms, 0.5),
        "entity_list_growth": quantile(many_ms, 0.5) / quantile(few_ms, 0.5),
    }


async def _alternating(port: int, seconds: float) -> tuple[list[float], list[float]]:
    """List in the small project and in the large one in turn over one connection; return the times of each in ms."""
    connection = await connect(port)
    times_ms: dict[str, list[float]] = {"few": [], "many": []}
    try:
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            for project, found in times_ms.items():
                lister = Lister(port, project)
                started_s = time.perf_counter()
                answer = await connection.call(lister.next_request())
                found.append((time.perf_counter() - started_s) * 1000)
                lister.take(answer.status, answer.body)
    finally:
        connection.close()
    return times_ms["few"], times_ms["many"]
