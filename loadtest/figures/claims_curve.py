"""Measures deciding about claims inside one process: check and reserve by the number of claims held, and memory a claim.

Timed is all that the actor's thread does for a request, with its answer: reading the targets, looking up, deciding,
listing conflicts and alternatives. The disk, HTTP and the encoding of the answer are not in it. Every reservation that
is granted is released at once, so the number of claims stays. The collector is set as the service sets it.
"""

import gc
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from intermute.core.api.checks import CheckTargets
from intermute.core.api.reservations import ReleaseReservation, ReservationView, Reserve
from intermute.core.errors import DomainError
from intermute.project.handlers.checks import check_targets
from intermute.project.handlers.reservations import release_reservation
from intermute.project.handlers.reserving import reserve
from intermute.project.transaction import Desk
from loadtest.figures.claims_table import LOCAL, NOW, ClaimsTable, asker, requests
from loadtest.figures.file_lists import Directory, real_directories
from loadtest.figures.worst_cases import worst_pairs, worst_requests

SIZES: Final = (10, 1_000, 10_000, 100_000)
MEMORY_AT_MAX: Final = 20_000  # claims; recording every allocation of 100,000 would take minutes.
COLLECTOR_THRESHOLDS: Final = (20_000, 20, 50)  # as in `intermute/app.py`.

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure at each size: the best of the rounds counts, since others use the machine, too."""

    requests: int
    rounds: int
    drawn_pairs: int


FULL: Final = Plan(requests=4_000, rounds=3, drawn_pairs=400)
QUICK: Final = Plan(requests=400, rounds=1, drawn_pairs=10)


def run(count: int, seed: int, plan: Plan = FULL) -> Figures:
    """Return the figures of the curve up to so many claims, by name: `claims_check_p50_us_N` and the like."""
    lists = real_directories()
    figures: Figures = {
        f"claims_files_{name}": float(sum(len(each.files) for each in found)) for name, found in lists.items()
    }
    sizes = [size for size in SIZES if size < count] + [count]
    memory_at = min(count, MEMORY_AT_MAX)
    figures["claims_bytes_each"] = _bytes_each(lists, memory_at, seed)
    figures["claims_bytes_measured_at"] = float(memory_at)
    gc.collect()
    gc.freeze()
    was = gc.get_threshold()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    try:
        table = ClaimsTable(lists, seed)
        for size in sizes:
            table.grow(size)
            gc.collect()
            figures |= _at(table, random.Random(seed + size), plan)
        figures |= worst_requests(table)
    finally:
        gc.set_threshold(*was)
        gc.unfreeze()
    for name in ("check", "reserve"):
        for label in ("p50", "p99"):
            figures[f"claims_{name}_{label}_us"] = figures[f"claims_{name}_{label}_us_{count}"]
        low, high = (figures[f"claims_{name}_p50_us_{size}"] for size in (min(1_000, count), count))
        figures[f"claims_{name}_growth"] = high / low
    figures["claims_held"] = float(count)
    figures["claims_refused_while_built"] = float(table.refused)
    figures |= worst_pairs(seed, plan.drawn_pairs)
    figures["claims_copies"] = float(1 + max(int(each.file[4:].partition("/")[0]) for each in table.held))
    return figures


def _at(table: ClaimsTable, draw: random.Random, plan: Plan) -> Figures:
    size = len(table.state.leases)
    asked = list(requests(table, plan.requests, draw))
    checks = [wanted.check(asker(number)) for number, wanted in enumerate(asked)]
    reserves = [wanted.reserve(asker(number)) for number, wanted in enumerate(asked)]
    outcomes: Counter[str] = Counter()
    check_us = [_times_us(checks, lambda each: _checked(table, each)) for _ in range(plan.rounds)]
    reserve_us, release_us = [], []
    for _ in range(plan.rounds):
        outcomes.clear()
        granted_us, freed_us = _reserve_times_us(table, reserves, outcomes)
        reserve_us.append(granted_us)
        release_us.append(freed_us)
    assert len(table.state.leases) == size
    figures: Figures = {}
    for name, runs in (("check", check_us), ("reserve", reserve_us), ("release", release_us)):
        for label, share in (("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)):
            figures[f"claims_{name}_{label}_us_{size}"] = min(quantile(times, share) for times in runs)
    for outcome, times in outcomes.items():
        figures[f"claims_outcome_{outcome}_{size}"] = times / plan.requests
    return figures


def _checked(table: ClaimsTable, query: CheckTargets) -> None:
    try:
        check_targets(query, Desk(table.state, NOW, LOCAL))
    except DomainError:
        return  # Too broad a pattern; refusing it is what the check costs then.


def _times_us(queries: Iterable[CheckTargets], do: Callable[[CheckTargets], None]) -> list[float]:
    times = []
    for query in queries:
        started_ns = time.perf_counter_ns()
        do(query)
        times.append((time.perf_counter_ns() - started_ns) / 1_000)
    return times


def _reserve_times_us(
    table: ClaimsTable, commands: Iterable[Reserve], outcomes: Counter[str]
) -> tuple[list[float], list[float]]:
    """Return how long each decision took, and each release of what was granted."""
    decided, released = [], []
    for command in commands:
        tx = table.transaction()
        started_ns = time.perf_counter_ns()
        try:
            view = reserve(command, tx)
            outcome = "granted"
        except DomainError as refusal:
            view, outcome = None, refusal.code
        decided.append((time.perf_counter_ns() - started_ns) / 1_000)
        outcomes[outcome] += 1
        if isinstance(view, ReservationView):
            table.state.stored()
            release = ReleaseReservation(reservation_id=view.id, agent_id=command.agent_id)
            tx = table.transaction()
            started_ns = time.perf_counter_ns()
            release_reservation(release, tx)
            released.append((time.perf_counter_ns() - started_ns) / 1_000)
            table.state.stored()
    return decided, released


def _bytes_each(lists: dict[str, list[Directory]], count: int, seed: int) -> float:
    """Return what the state keeps for each claim, its share of the agents and of the index included."""
    gc.collect()
    tracemalloc.start()
    try:
        table = ClaimsTable(lists, seed)
        before, _ = tracemalloc.get_traced_memory()
        table.grow(count)
        table.held.clear()  # The harness's own.
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / count
    finally:
        tracemalloc.stop()


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share of them lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), QUICK if "quick" in sys.argv else FULL)))
