"""What is asked: durable reservations of paths that are all different, checks, and heartbeats."""

import json
from collections.abc import Mapping
from typing import Final

from loadtest.engine.connection import Connection, LoadFailed, connect, request

RESERVATIONS_PER_AGENT: Final = 180  # below the service's limit of 200; then the connection registers the next agent.
_PAGE_ROWS: Final = 1000


class Reserver:
    """Reserves one new path after the other, under agents that it registers as it goes."""

    def __init__(self, port: int, project: str, number: int) -> None:
        self._port, self._project, self._number = port, project, number
        self._agent, self._held, self._sent = "", RESERVATIONS_PER_AGENT, 0
        self.acknowledged: dict[str, str] = {}
        """Path by id of every reservation that the service said it had granted."""

    async def prepare(self, connection: Connection) -> None:
        """Register the next agent once the last one holds enough."""
        if self._held == RESERVATIONS_PER_AGENT:
            fields = {"project": self._project, "name": f"writer-{self._number}-{self._sent}"}
            answer = await connection.ask(request(self._port, "POST", "/api/agents", fields), 200)
            self._agent, self._held = answer["agent_id"], 0

    def next_request(self) -> bytes:
        """Ask for a path that nobody else asks for, in a directory of this connection."""
        self._held += 1
        self._sent += 1
        fields = {
            "project": self._project,
            "agent_id": self._agent,
            "path": f"src/area_{self._number}/part_{self._sent % 40}/module_{self._sent}.py",
            "reason": "load test",
        }
        return request(self._port, "POST", "/api/reservations", fields)

    def take(self, status: int, body: bytes) -> None:
        """Remember what was granted; nothing may be refused."""
        if status != 201:
            raise LoadFailed(f"a free path was answered {status}: {body[:500]!r}")
        answer = json.loads(body)
        self.acknowledged[answer["id"]] = answer["path_pattern"]


class Checker:
    """Checks paths, every other one held by somebody."""

    def __init__(self, port: int, project: str, number: int, held: list[str]) -> None:
        self._port, self._project, self._number, self._held = port, project, number, held
        self._sent = 0

    async def prepare(self, connection: Connection) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Ask about a held path and a free one in turn."""
        self._sent += 1
        is_held = self._sent % 2 == 0
        place = self._held[(self._number * 7919 + self._sent) % len(self._held)]
        path = place if is_held else f"{place}.free"
        return request(self._port, "GET", f"/api/reservations/check?project={self._project}&path={path}&agent=asker")

    def take(self, status: int, body: bytes) -> None:
        """Demand the right answer."""
        expected = b'"conflict":true' if self._sent % 2 == 0 else b'"conflict":false'
        if status != 200 or expected not in body:
            raise LoadFailed(f"expected {expected!r}, got {status}: {body[:500]!r}")


class Beater:
    """Sends heartbeats of one agent."""

    def __init__(self, port: int, project: str, number: int) -> None:
        self._port, self._project, self._number = port, project, number
        self._request = b""

    async def prepare(self, connection: Connection) -> None:
        """Register once."""
        if not self._request:
            fields = {"project": self._project, "name": f"beater-{self._number}"}
            answer = await connection.ask(request(self._port, "POST", "/api/agents", fields), 200)
            self._request = request(self._port, "POST", f"/api/agents/{answer['agent_id']}/heartbeat")

    def next_request(self) -> bytes:
        """Return the same request every time."""
        return self._request

    def take(self, status: int, body: bytes) -> None:
        """Demand success."""
        if status != 200:
            raise LoadFailed(f"a heartbeat was answered {status}: {body[:500]!r}")


async def listed(port: int, project: str) -> dict[str, str]:
    """Return path by id of every active reservation that the service lists."""
    found: dict[str, str] = {}
    connection = await connect(port)
    try:
        target = f"/api/reservations?project={project}&limit={_PAGE_ROWS}"
        cursor: int | None = None
        while True:
            page = await connection.ask(
                request(port, "GET", target if cursor is None else f"{target}&cursor={cursor}"), 200
            )
            found |= {row["id"]: row["path_pattern"] for row in page["reservations"]}
            cursor = page.get("next_cursor")
            if cursor is None:
                return found
    finally:
        connection.close()


def demand_listed(acknowledged: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    """Hold what was acknowledged against what is listed: the same, and nothing else. Raises: LoadFailed."""
    lost = acknowledged.items() - found.items()
    strange = found.items() - acknowledged.items()
    if lost or strange:
        raise LoadFailed(
            f"{where}: {len(lost)} acknowledged reservations are not listed and {len(strange)} were never acknowledged; "
            f"for example {sorted(lost)[:3]} and {sorted(strange)[:3]}"
        )
