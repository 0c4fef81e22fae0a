"""What a request costs in a project with very many stored messages, beside the same in one with a thousand.

Issue 7: the cost of a request is flat, within 15 %, from 1,000 to 1,000,000 messages. The cost is the service's processor
time, which other work on the machine hardly changes. Alone: `python -m loadtest.figures.flat 1000000 7`.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from loadtest.engine.connection import LoadFailed, request
from loadtest.engine.server import Server, running
from loadtest.figures.load import Worker, load
from loadtest.figures.mail import Sender
from loadtest.figures.message_files import write_messages
from loadtest.figures.workloads import Checker, Reserver

FEW: Final = 1_000
_ORDER: Final = ("few", "many", "many", "few")
"""So that what drifts meanwhile favours neither."""
_ROWS: Final = 20
"""Of a page: there are 49 inboxes, and in the smaller project each has some twenty messages."""


class Pager:
    """Reads the first page of an inbox that has more than one."""

    def __init__(self, port: int, project: str, number: int) -> None:
        self._request = request(port, "GET", f"/api/inbox/a{number % 49}?project={project}&limit={_ROWS}")

    async def prepare(self, _connection: object) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Ask for the same page again."""
        return self._request

    def take(self, status: int, body: bytes) -> None:
        """Demand a full page."""
        if status != 200 or body.count(b'"id":') != _ROWS:
            raise LoadFailed(f"an inbox page was answered {status}: {body[:500]!r}")


def flat_figures(directory: Path, connections: int, seconds: float, many: int, seed: int) -> dict[str, float]:
    """Measure what requests cost in both projects; return the costs among many, times those among few. Raises: LoadFailed."""
    directory.mkdir(exist_ok=True)
    for name, count in (("few", FEW), ("many", many)):
        write_messages(directory / "data", name, count, seed)
    with running(directory) as server:
        held = _held(server, connections)
        kinds: dict[str, Callable[[str, int], Worker]] = {
            "page": lambda project, number: Pager(server.port, project, number),
            "check": lambda project, number: Checker(server.port, project, number, held),
            "reserve": lambda project, number: Reserver(server.port, project, 1_000 + number),
            "send": lambda project, number: Sender(server.port, project, number),
        }
        figures = {
            f"flat_{kind}_ratio": _ratio(server, make, connections, seconds / len(_ORDER))
            for kind, make in kinds.items()
        }
    return {**figures, "flat_messages": float(many)}


def _held(server: Server, connections: int) -> list[str]:
    """Reserve in both projects, and return the paths that are held in both."""
    held: list[set[str]] = []
    for project in ("few", "many"):
        reservers = [Reserver(server.port, project, number) for number in range(connections)]
        trio.run(load, server.port, 0.3, reservers)
        held.append({path for each in reservers for path in each.acknowledged.values()})
    return sorted(held[0] & held[1])


def _ratio(server: Server, make: Callable[[str, int], Worker], connections: int, seconds: float) -> float:
    """Return what a request costs among many, times what it costs among few."""
    cpu_s, answers = dict.fromkeys(_ORDER, 0.0), dict.fromkeys(_ORDER, 0)
    for project in ("few", "many"):
        # Unmeasured: its pages of the file come into memory.
        trio.run(load, server.port, seconds / 4, [make(project, 500 + number) for number in range(connections)])
    for turn, project in enumerate(_ORDER):
        workers = [make(project, 10_000 * (turn + 1) + number) for number in range(connections)]
        before_s = server.cpu_s()
        answers[project] += len(trio.run(load, server.port, seconds, workers).times_ms)
        cpu_s[project] += server.cpu_s() - before_s
    return (cpu_s["many"] / answers["many"]) / (cpu_s["few"] / answers["few"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix=".loadtest-", dir=Path.cwd()) as scratch:
        print(json.dumps(flat_figures(Path(scratch), 64, 16.0, int(sys.argv[1]), int(sys.argv[2])), indent=1))
