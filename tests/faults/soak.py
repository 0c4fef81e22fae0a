"""The long versions of the fault tests: `make soak`, or `make soak ARGS="--kills 50 --cuts 500"` for a shorter one.

Each part prints its seed and its figures, all of them go into a JSON report, and a part that finds something makes the exit
code 1. A seed gives the same workload, cuts and points again; where threads and processes race, not the same interleaving.
"""

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from api_cases import run_cases
from disk_walk import FAULTS, count_operations, problems
from failing_server import POINTS
from histories import take_history
from kills import AT_RANDOM, LIVES_OF_A_PROJECT, run_kills
from power_cuts import cut_often
from server_process import ServerProcess
from throwing import OPTIONS, prepare, throw_packets

Figures = dict[str, Any]  # Any: whatever JSON holds.

CUTS_OF_A_RECORDING: Final = 500
"""Cuts of one recorded run before another one is recorded."""
_PROBLEMS_MAX: Final = 100
"""Problems of one part in the report, where a single defect may give thousands."""
_ENDS: Final = tuple(
    f"{action} {point} {{number}}"
    for action in ("kill", "crash")
    for point in POINTS
    # There a crash would meet a method of the mailbox half way, where nothing can raise, or not the actor at all.
    if action == "kill" or point.split()[1] in {"BEGIN", "COMMIT", "reply", "push"}
)


def walk(root: Path, seed: int, step: int) -> Figures:
    """Fail every `step`-th operation of the scenario, in every way."""
    found: list[str] = []
    tried: Counter[str] = Counter()
    for fault in FAULTS:
        operations = count_operations(root / f"{fault}", fault)
        for at in range(1 + seed % step, operations + 1, step):
            wrong, _ = problems(root / f"{fault}-{at}", at, fault)
            found += [f"{fault} at {at}: {each}" for each in wrong]
            tried[str(fault)] += 1
            shutil.rmtree(root / f"{fault}-{at}")
    return {"faults": sum(tried.values()), "tried": tried, "problems": found}


def cuts(root: Path, seed: int, count: int) -> Figures:
    """Cut the power this often, in several runs; then some of the cuts again, with less than full synchronisation."""
    found: list[str] = []
    tried: Counter[str] = Counter()
    for number, done in enumerate(range(0, count, CUTS_OF_A_RECORDING)):
        wrong, losses = cut_often(root / str(number), seed + number, min(CUTS_OF_A_RECORDING, count - done))
        found += [f"seed {seed + number}: {each}" for each in wrong]
        tried += losses
        shutil.rmtree(root / str(number))
    controls = {}
    for synchronous in ("NORMAL", "OFF"):
        wrong, _ = cut_often(root / synchronous, seed, min(count, 100), synchronous=synchronous)
        controls[synchronous] = len({each.split(",")[0] for each in wrong}) / min(count, 100)
        if not wrong:
            found.append(f"control: synchronous={synchronous} has lost nothing")
    return {"cuts": count, "tried": tried, "share_of_cuts_that_lose": controls, "problems": found}


def histories(root: Path, seed: int, count: int) -> Figures:
    """Take and judge this many histories, each with a death or a crash of its own."""
    found: list[str] = []
    deaths = crashes = operations = 0
    configurations: list[int] = []
    for number in range(count):
        chance = random.Random(seed + number)
        failpoints = "" if number % 4 == 0 else chance.choice(_ENDS).format(number=chance.randrange(1, 60))
        try:
            taken = take_history(root, seed + number, failpoints=failpoints, kills=number % 2)
        except AssertionError as error:
            found.append(f"seed {seed + number}, {failpoints!r}: {error}")
            continue
        finally:
            shutil.rmtree(root, ignore_errors=True)
        if not taken.verdict.is_good:
            found.append(f"seed {seed + number}, {failpoints!r}: {taken.verdict}")
        deaths, crashes = deaths + taken.deaths, crashes + taken.crashes
        operations += len(taken.history)
        configurations.append(taken.verdict.configurations)
    most = max(configurations, default=0)
    return {
        "histories": count, "operations": operations, "deaths": deaths, "crashes": crashes,
        "configurations_most": most, "problems": found,
    }  # fmt: skip


def kills(root: Path, seed: int, count: int) -> Figures:
    """Kill the service this often, at every point in turn."""
    everywhere = [*POINTS, AT_RANDOM]
    points = [everywhere[number % len(everywhere)] for number in range(count)]
    found: list[str] = []
    ended_at: Counter[str] = Counter()
    acknowledged = died_early = 0
    restart_s: list[float] = []
    # Each piece has data of its own, so that a problem ends its piece and not the whole run.
    for number, start in enumerate(range(0, count, 4 * LIVES_OF_A_PROJECT)):
        try:
            part = run_kills(root, seed + number, points[start : start + 4 * LIVES_OF_A_PROJECT])
        except AssertionError as error:
            found.append(f"seed {seed + number}: {str(error)[:2000]}")
            shutil.move(root, root.with_name(f"failed-{seed + number}"))
            continue
        shutil.rmtree(root)
        ended_at += part.ended_at
        acknowledged, died_early = acknowledged + part.acknowledged, died_early + part.died_early
        restart_s += part.restart_s
    return {
        "kills": sum(ended_at.values()), "ended_at": ended_at, "acknowledged": acknowledged, "died_early": died_early,
        "restart_median_s": round(statistics.median(restart_s or [0]), 3),
        "restart_most_s": round(max(restart_s, default=0), 3), "problems": found,
    }  # fmt: skip


def cases(root: Path, seed: int, count: int) -> Figures:
    """Send this many requests made from the OpenAPI document."""
    with ServerProcess(root) as server:
        tried = run_cases(server.url, seed, count)
        faults = [line[:500] for line in server.lines if '"level": "error"' in line]
    return {
        "cases": tried.cases, "statuses": dict(sorted(tried.statuses.items())), "operations": len(tried.operations),
        "operations_accepted": len(tried.accepted), "problems": [*tried.problems, *faults][:_PROBLEMS_MAX],
    }  # fmt: skip


def packets(root: Path, seed: int, count: int) -> Figures:
    """Throw this many packets at one process."""
    prepare(root)
    with ServerProcess(root, *OPTIONS) as server:
        thrown = throw_packets(server, seed, count)
    return {
        "packets": thrown.packets, "answers": dict(sorted(thrown.answers.items())), "bystander_messages": thrown.rounds,
        "rss_growth_mib": thrown.rss_growth_mib, "problems": thrown.problems[:_PROBLEMS_MAX],
    }  # fmt: skip


_PARTS: Final[dict[str, tuple[Callable[[Path, int, int], Figures], int, str]]] = {
    "walk": (walk, 1, "fail every n-th disk operation in every way"),
    "cuts": (cuts, 10_000, "power cuts"),
    "histories": (histories, 500, "concurrent histories of reservations"),
    "kills": (kills, 1_000, "kills of the service"),
    "cases": (cases, 50_000, "requests made from the OpenAPI document"),
    "packets": (packets, 100_000, "mutated packets of HTTP and WebSocket"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for and write the report; return the exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    for name, (_, size, text) in _PARTS.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"{text}; 0 leaves it out (default {size})")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000, help="default: a new one")
    parser.add_argument("--report", type=Path, default=Path("soak.json"), help="where the figures go")
    options = parser.parse_args(arguments)
    report: dict[str, Figures] = {}
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    for name, (part, _, text) in _PARTS.items():
        if not (size := getattr(options, name)):
            continue
        print(f"{name}: {text}, size {size}, seed {options.seed}", flush=True)
        started_s = time.monotonic()
        figures = part(home / name, options.seed, size)
        report[name] = {"seed": options.seed, **figures, "seconds": round(time.monotonic() - started_s, 1)}
        print(json.dumps(report[name], indent=2), flush=True)
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    has_problems = any(each["problems"] for each in report.values())
    if has_problems:
        print(f"problems found; what is left of the data is in {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    return int(has_problems)


if __name__ == "__main__":
    sys.exit(main())
