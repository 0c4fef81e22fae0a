"""The figures of a run that can be laid beside another run's: each a value a round, as a ratio to that round's reference.

A rate is a share of the echo's. Times are counted in echoes: how many of them the same machine answered in that time, in
the same minute. A measure is treated as what its unit says; memory, counts and ratios stand as they are. Where a run has
no echo, or a measure has values for some rounds only, they are as measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadtest.report.model import Report, Scenario
from loadtest.report.summary import is_capacity, shown_operations

FLOOR: Final = 0.05
"""The least noise of rates, processor time, memory and measures: what differs between two processes of one program."""
P50_FLOOR: Final = 0.10
P99_FLOOR: Final = 0.20
"""Of latencies: what waits in a queue varies more than what leaves it, and a tail is few samples (a guess, revisit)."""

_TIMES: Final = frozenset({"s", "ms", "us"})

Better = Literal["more", "less", "none"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one run; never without a value."""

    scenario: str
    name: str
    unit: str
    values: Sequence[float]
    better: Better
    floor: float = FLOOR
    references: Sequence[Sequence[float]] = ()
    """What it hangs on: the rounds' values of each reference. Where one moved between two runs, so may the figure."""


def figures_of(report: Report) -> list[Figure]:
    """Return the figures of the service, scenario by scenario."""
    found = [figure for scenario in report.scenarios for figure in _of_scenario(scenario)]
    return [figure for figure in found if figure.values]


def references_of(report: Report) -> list[Figure]:
    """Return the references as they were measured: they are the machine. Each has the values of all scenarios."""
    rounds = [each for scenario in report.scenarios for each in scenario.rounds]
    columns = {
        ("echo", "/s"): [each.echo_per_s for each in rounds],
        ("durable commits", "/s"): [each.commits_per_s for each in rounds],
        ("one durable commit", "ms"): [each.commit_ms for each in rounds],
        ("one commit per request", "/s"): [each.one_commit_per_request_per_s for each in rounds],
    }
    found = [
        Figure("references", name, unit, [value for value in values if value > 0], "none")
        for (name, unit), values in columns.items()
    ]
    return [figure for figure in found if figure.values]


def _of_scenario(scenario: Scenario) -> Iterator[Figure]:
    rounds = scenario.rounds
    if is_capacity(scenario):
        yield _as_ratio(scenario, "rate", "/s", [each.per_s for each in rounds], "more")
    cpu_us = [each.server_cpu_us or None for each in rounds]
    yield _as_ratio(scenario, "server CPU a request", "us", cpu_us, "less")
    rss_mb = [each.server_rss_mb or None for each in rounds]
    yield _as_ratio(scenario, "server RSS", "MB", rss_mb, "less")
    for operation in shown_operations(scenario):
        label = f"{operation.name}, {operation.loop} loop"
        yield _as_ratio(scenario, f"{label}, p50", "ms", operation.per_round.p50, "less", P50_FLOOR)
        yield _as_ratio(scenario, f"{label}, p99", "ms", operation.per_round.p99, "less", P99_FLOOR)
    for measure in scenario.measures:
        floor = P50_FLOOR if measure.unit in _TIMES else FLOOR
        yield _as_ratio(scenario, measure.name, measure.unit, measure.values, measure.better, floor)


def _as_ratio(
    scenario: Scenario, name: str, unit: str, values: Sequence[float | None], better: Better, floor: float = FLOOR
) -> Figure:
    """Return a figure in its ratio to the echo, where it has one. A round without a value is left out."""
    pairs = [
        (value, each)
        for value, each in zip(values, scenario.rounds, strict=False)
        if value is not None and each.echo_per_s
    ]
    if len(values) != len(scenario.rounds) or not pairs:
        return Figure(scenario.name, name, unit, [value for value in values if value is not None], better, floor)
    plain = [value for value, _ in pairs]
    echoes_per_s = [each.echo_per_s for _, each in pairs]
    commits_ms = [each.commit_ms for _, each in pairs if each.commit_ms]
    match unit:
        case "/s":
            shares = [value / each.echo_per_s for value, each in pairs]
            return Figure(scenario.name, name, "x echo", shares, better, floor, [echoes_per_s])
        case "us":
            echoes = [value * each.echo_per_s / 1e6 for value, each in pairs]
            return Figure(scenario.name, name, "echoes", echoes, better, floor, [echoes_per_s])
        case "ms" | "s":
            second = 1e3 if unit == "ms" else 1.0
            echoes = [value * each.echo_per_s / second for value, each in pairs]
            # What somebody waits for is also the disk, where it is a write.
            return Figure(scenario.name, name, "echoes", echoes, better, floor, [echoes_per_s, commits_ms])
        case "x":
            return Figure(scenario.name, name, unit, plain, better, floor, [echoes_per_s])
        case _:
            return Figure(scenario.name, name, unit, plain, better, floor)
