"""Durable reservations over HTTP, with group commit and with one commit a request, in the same minutes.

Two servers run side by side and are loaded in turn (A B A B), each time in a new project, so that drift of the disk hits
both. Afterwards every acknowledged reservation has to be listed, and listed again after SIGKILL and a restart.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from loadtest.engine.references import commits_per_s
from loadtest.engine.samples import quantile
from loadtest.engine.server import Server, running
from loadtest.figures.load import Measured, load
from loadtest.figures.workloads import Beater, Checker, Reserver, demand_listed, listed

BATCHED: Final = "batched"
SINGLE: Final = "single"
_FLAGS: Final = {BATCHED: (), SINGLE: ("--batch-max", "1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how wide."""

    connections: int
    rounds: int
    seconds: float
    reference_s: float


@dataclass(slots=True)
class Side:
    """One of the two servers and all that its loads have shown."""

    server: Server
    runs: list[Measured] = field(default_factory=list)
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    cpu_s: float = 0.0

    def figures(self, name: str) -> dict[str, float]:
        """Return rate, latencies and processor time of all runs together."""
        times_ms = [time_ms for run in self.runs for time_ms in run.times_ms]
        return {
            f"{name}_per_s": len(times_ms) / sum(run.seconds for run in self.runs),
            f"{name}_p50_ms": quantile(times_ms, 0.50),
            f"{name}_p99_ms": quantile(times_ms, 0.99),
            f"{name}_server_cpu_us": self.cpu_s / len(times_ms) * 1e6,
        }


def durability_figures(directory: Path, plan: Plan) -> dict[str, float]:
    """Run everything that needs the two servers; return the figures by name. Raises: LoadFailed, ServerFailed."""
    figures: dict[str, float] = {}
    with (
        running(directory / BATCHED, *_FLAGS[BATCHED]) as batched,
        running(directory / SINGLE, *_FLAGS[SINGLE]) as single,
    ):
        sides = {BATCHED: Side(batched), SINGLE: Side(single)}
        commits = [commits_per_s(directory, plan.reference_s)]
        for number in range(plan.rounds):
            for side in sides.values():
                trio.run(_reserve, side, f"round-{number}", plan)
            commits.append(commits_per_s(directory, plan.reference_s))
        for name, side in sides.items():
            figures |= side.figures(name)
        figures["commits_per_s"] = sum(commits) / len(commits)
        figures["ratio_batched_to_single"] = figures["batched_per_s"] / figures["single_per_s"]
        figures["ratio_batched_to_commits"] = figures["batched_per_s"] / figures["commits_per_s"]
        figures |= _read_figures(sides[BATCHED], plan)
        figures["loaded_rss_mb"] = batched.rss_mb()
        figures["reservations_kept"] = sum(len(kept) for kept in sides[BATCHED].acknowledged.values())
        batched.kill()
    _verify_after_kill(directory / BATCHED, sides[BATCHED].acknowledged)
    return figures


async def _reserve(side: Side, project: str, plan: Plan) -> None:
    """Load one server with reservations in a new project, then hold its list against what it acknowledged."""
    workers = [Reserver(side.server.port, project, number) for number in range(plan.connections)]
    cpu_before_s = side.server.cpu_s()
    side.runs.append(await load(side.server.port, plan.seconds, workers))
    side.cpu_s += side.server.cpu_s() - cpu_before_s
    acknowledged = {key: path for worker in workers for key, path in worker.acknowledged.items()}
    demand_listed(acknowledged, await listed(side.server.port, project), "after the load")
    side.acknowledged[project] = acknowledged


def _read_figures(side: Side, plan: Plan) -> dict[str, float]:
    """Measure checks and heartbeats on the table that the reservations have left."""
    project, acknowledged = next(iter(side.acknowledged.items()))
    held, port, numbers = list(acknowledged.values()), side.server.port, range(plan.connections)
    figures: dict[str, float] = {}
    for name, workers in (
        ("check", [Checker(port, project, number, held) for number in numbers]),
        ("heartbeat", [Beater(port, "beats", number) for number in numbers]),
    ):
        cpu_before_s = side.server.cpu_s()
        measured = trio.run(load, port, plan.seconds, workers)
        figures |= {
            f"{name}_per_s": measured.per_s,
            f"{name}_p50_ms": measured.quantile_ms(0.50),
            f"{name}_p99_ms": measured.quantile_ms(0.99),
            f"{name}_server_cpu_us": (side.server.cpu_s() - cpu_before_s) / len(measured.times_ms) * 1e6,
        }
    return figures


def _verify_after_kill(directory: Path, acknowledged: dict[str, dict[str, str]]) -> None:
    with running(directory) as server:
        for project, expected in acknowledged.items():
            demand_listed(expected, trio.run(listed, server.port, project), "after SIGKILL and restart")
