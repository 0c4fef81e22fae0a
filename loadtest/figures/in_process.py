"""Runs what is measured inside the service in processes of its own: 100,000 entries must not slow the load's client."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from loadtest.figures import lock_table

TIME_LIMIT_S: Final = 240.0  # seconds; the lock table took 10 s to 120 s on two cores, most of it for root globs.
CLAIMS_TIME_LIMIT_S: Final = 600.0  # seconds; the claims took 90 s on two cores.


def lock_table_figures(count: int, seed: int) -> dict[str, float]:
    """Return the figures of a check against this many entries; none, and a line that says so, if it takes too long."""
    found = _measured(["loadtest.figures.in_process", str(count), str(seed)], TIME_LIMIT_S)
    if not found:
        return {}
    return {
        "lock_table_entries": float(count),
        "lock_table_check_p50_us": found[f"check_p50_us_{count}"],
        "lock_table_check_p99_us": found[f"check_p99_us_{count}"],
    }


def claims_figures(count: int, seed: int, *, is_quick: bool) -> dict[str, float]:
    """Return the figures of deciding among up to this many claims; none, as above, if it takes too long."""
    return _measured(
        ["loadtest.figures.claims_curve", str(count), str(seed), "quick" if is_quick else "full"], CLAIMS_TIME_LIMIT_S
    )


def isolation_figures(directory: Path, *, is_quick: bool) -> dict[str, float]:
    """Return how projects fare while another one is in trouble; none, as above, if it takes too long."""
    return _measured(["loadtest.figures.isolation", str(directory), "0.1" if is_quick else "1.5"], TIME_LIMIT_S)


def _measured(words: list[str], time_limit_s: float) -> dict[str, float]:
    try:
        done = subprocess.run([sys.executable, "-m", *words], stdout=subprocess.PIPE, timeout=time_limit_s, check=True)
    except subprocess.TimeoutExpired:
        print(f"... {words[0]}: not done in {time_limit_s:.0f} s, left out", file=sys.stderr)
        return {}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(lock_table.run(int(sys.argv[1]), int(sys.argv[2]))))
