"""Runs the measurement of the lock table in a process of its own: its 100,000 entries must not slow the load's client."""

import json
import subprocess
import sys
from typing import Final

from loadtest import lock_table

TIME_LIMIT_S: Final = 240.0  # seconds; it took 10 s to 120 s on two cores, most of it for root globs.


def lock_table_figures(count: int, seed: int) -> dict[str, float]:
    """Return the figures of a check against this many entries; none, and a line that says so, if it takes too long."""
    words = [sys.executable, "-m", "loadtest.in_process", str(count), str(seed)]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=TIME_LIMIT_S, check=True)
    except subprocess.TimeoutExpired:
        print(f"... lock table: not done in {TIME_LIMIT_S:.0f} s, left out", file=sys.stderr)
        return {}
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "lock_table_entries": float(count),
        "lock_table_check_p50_us": found[f"check_p50_us_{count}"],
        "lock_table_check_p99_us": found[f"check_p99_us_{count}"],
    }


if __name__ == "__main__":
    print(json.dumps(lock_table.run(int(sys.argv[1]), int(sys.argv[2]))))
