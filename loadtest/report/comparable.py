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

UNITS_A_SECOND: Final = {"s": 1.0, "ms": 1e3, "us": 1e6}

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
        floor = P50_FLOOR if measure.unit in UNITS_A_SECOND else FLOOR
        yield _as_ratio(scenario, measure.name, measure.unit, measure.values, measure.better, floor)


def _as_ratio(
    scenario: Scenario, name: str, unit: str, values: Sequence[float | None], better: Better, floor: float = FLOOR
) -> Figure:
    """Return a figure in its ratio to the echo, where it has one. A round without a value is left out."""
    echoes_per_s = [each.echo_per_s for each in scenario.rounds]
    pairs = [(value, echo) for value, echo in zip(values, echoes_per_s, strict=False) if value is not None and echo > 0]
    if len(values) == len(echoes_per_s) and pairs:
        if unit == "/s":
            return Figure(scenario.name, name, "x echo", [value / echo for value, echo in pairs], better, floor)
        if unit in UNITS_A_SECOND:
            echoes = [value * echo / UNITS_A_SECOND[unit] for value, echo in pairs]
            return Figure(scenario.name, name, "echoes", echoes, better, floor)
    return Figure(scenario.name, name, unit, [value for value in values if value is not None], better, floor)
