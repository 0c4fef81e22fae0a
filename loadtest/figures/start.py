"""How long the service takes to start, and what it holds in memory when idle."""

import statistics
import time
from pathlib import Path

from loadtest.engine.server import running


def start_figures(directory: Path, runs: int, settle_s: float) -> dict[str, float]:
    """Return the median start-up time and idle memory of some starts, each on an empty directory."""
    starts, memory = [], []
    for number in range(runs):
        with running(directory / f"start-{number}") as server:
            starts.append(server.started_in_s)
            time.sleep(settle_s)
            memory.append(server.rss_mb())
    return {
        "start_s": statistics.median(starts),
        "start_slowest_s": max(starts),
        "idle_rss_mb": statistics.median(memory),
    }
