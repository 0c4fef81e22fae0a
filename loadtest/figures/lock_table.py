"""Measures the lock table inside one process: check times by table size, and memory per entry.

The one module of the load test that looks inside the service: a check takes microseconds, which no request can show.

The table is one that the service could have granted: every holder keeps to directories of its own. 80 % of the entries
are single files, 15 % directories, 5 % globs. Checks come from agents that hold nothing, half for a free path and half
for one that is held by somebody; in the same proportions of kinds. A second table adds readers of `**/*_test.py` and the
like (5 %), all of whom clash with every writer, and is asked by readers and by writers that want the first 16 conflicts.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Callable

from intermute.core.lock_table import LockTable, Mode
from intermute.core.patterns import Pattern, parse

SIZES = (100, 1_000, 10_000, 100_000)
CHECKS = 4_000
ROOT_GLOBS = ("**/*_{0}_test.py", "**/test_{0}_*.py", "**/{0}/*.generated.go", "**/*.{0}.ts")
ROOT_GLOB_NAMES_COUNT = 25  # so 100 different ones: real tables repeat the same few.
CONFLICTS_SHOWN = 16

_AREAS = ("src", "lib", "apps", "packages", "services", "tests", "docs", "tools")
_PARTS = ("api", "core", "auth", "billing", "ui", "store", "search", "events", "queue", "config", "model", "report")
_STEMS = ("index", "handler", "client", "parser", "writer", "schema", "view", "routes", "cache", "session", "worker")
_ENDINGS = (".py", ".go", ".ts", ".tsx", ".md", ".json")


def run(count: int = 100_000, seed: int = 7, *, is_memory_measured: bool = False) -> dict[str, float]:
    """Return `check_p50_us_N`, `check_p99_us_N` and `add_us_N` for each size N up to `count`, and more, by name."""
    print(f"lock table: seed {seed}")
    figures: dict[str, float] = {}
    for size in [size for size in SIZES if size < count] + [count]:
        table, add_us = _built(size, seed)
        times = _check_times_us(table, seed, lambda draw: draw.choice((Mode.S, Mode.X, Mode.X)), None)
        figures[f"check_p50_us_{size}"] = _quantile(times, 0.50)
        figures[f"check_p99_us_{size}"] = _quantile(times, 0.99)
        figures[f"add_us_{size}"] = add_us
    _add_root_readers(table, count // 20)
    figures["check_p50_us_reader_among_root_globs"] = _quantile(
        _check_times_us(table, seed, lambda _: Mode.S, CONFLICTS_SHOWN), 0.5
    )
    writers = _check_times_us(table, seed, lambda _: Mode.X, CONFLICTS_SHOWN)
    figures["check_p50_us_writer_among_root_globs"] = _quantile(writers, 0.5)
    if is_memory_measured:
        figures["bytes_per_entry"] = _bytes_per_entry(count, seed)
    return {name: round(value, 2) for name, value in figures.items()}


def _built(count: int, seed: int) -> tuple[LockTable, float]:
    draw = random.Random(seed)
    table = LockTable()
    wanted = [(f"r{n}", parse(_target(draw, n)), f"agent-{_package_of(n)}") for n in range(count)]
    started_s = time.perf_counter()
    for entry_id, pattern, holder in wanted:
        table.add(entry_id, pattern, holder, Mode.X)
    return table, (time.perf_counter() - started_s) / count * 1e6


def _package_of(n: int) -> int:
    return n // 40


def _target(draw: random.Random, n: int) -> str:
    """Return the n-th pattern: its package is its holder's, so nobody is in another's way."""
    package = _package_of(n)
    home = f"{_AREAS[package % len(_AREAS)]}/{_PARTS[package % len(_PARTS)]}_{package}"
    name = f"{draw.choice(_PARTS)}/{draw.choice(_STEMS)}_{n}"
    kind = draw.random()
    if kind < 0.80:
        return f"{home}/{name}{draw.choice(_ENDINGS)}"
    if kind < 0.95:
        return f"{home}/{name}/**"
    return draw.choice((f"{home}/**/*_test_{n}.py", f"{home}/{name}_*.ts", f"{home}/*/{draw.choice(_STEMS)}?.go"))


def _add_root_readers(table: LockTable, count: int) -> None:
    for n in range(count):
        text = ROOT_GLOBS[n % len(ROOT_GLOBS)].format(_PARTS[n % len(_PARTS)] + str(n % ROOT_GLOB_NAMES_COUNT))
        table.add(f"root{n}", parse(text), f"reader-{n}", Mode.S)


def _check_times_us(
    table: LockTable, seed: int, mode_of: Callable[[random.Random], Mode], limit: int | None
) -> list[float]:
    draw = random.Random(seed + 1)
    held = list(table)
    asked: list[Pattern] = []
    for _ in range(CHECKS):
        is_held = draw.random() < 0.5
        n = draw.randrange(len(held))
        asked.append(parse(held[n].pattern.text) if is_held else parse(_target(draw, n)))
    times = []
    gc.collect()
    for pattern in asked:
        mode = mode_of(draw)
        started_ns = time.perf_counter_ns()
        table.conflicts(pattern, mode, "asker", limit=limit)
        times.append((time.perf_counter_ns() - started_ns) / 1_000)
    return times


def _bytes_per_entry(count: int, seed: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table, _ = _built(count, seed)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / len(table)
    finally:
        tracemalloc.stop()


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    for figure, value in run(is_memory_measured=True).items():
        print(f"{figure:45} {value}")
