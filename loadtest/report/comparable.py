"""The figures of a run that can be laid beside another run's: each a value a round, as a ratio to that round's reference.

A rate is a share of the echo's. Processor time and latencies are counted in echoes: how many of them the same machine
answered in that time, in the same minute. Memory has no reference, and measures have none either, for nobody here knows
what they depend on. Where a run has no echo, its figures are as measured.
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
    rounds, name = scenario.rounds, scenario.name
    if is_capacity(scenario):
        if _has_echo(scenario):
            shares = [each.per_s / each.echo_per_s for each in rounds if each.echo_per_s > 0]
            yield Figure(name, "rate", "x echo", shares, "more")
        else:
            yield Figure(name, "rate", "/s", [each.per_s for each in rounds], "more")
    cpu_us = [each.server_cpu_us or None for each in rounds]
    yield _time(scenario, "server CPU a request", "us", cpu_us, FLOOR)
    rss_mb = [each.server_rss_mb for each in rounds if each.server_rss_mb > 0]
    yield Figure(name, "server RSS", "MB", rss_mb, "less")
    for operation in shown_operations(scenario):
        label = f"{operation.name}, {operation.loop} loop"
        yield _time(scenario, f"{label}, p50", "ms", operation.per_round.p50, P50_FLOOR)
        yield _time(scenario, f"{label}, p99", "ms", operation.per_round.p99, P99_FLOOR)
    for measure in scenario.measures:
        yield Figure(name, measure.name, measure.unit, measure.values, measure.better)


def _time(scenario: Scenario, name: str, unit: str, values: Sequence[float | None], floor: float) -> Figure:
    """Return a time in echoes, or as measured where there was no echo. A round without a value is left out."""
    if not _has_echo(scenario):
        return Figure(scenario.name, name, unit, [each for each in values if each is not None], "less", floor)
    per_s = {"ms": 1e3, "us": 1e6}[unit]
    echoes = [
        value * each.echo_per_s / per_s
        for value, each in zip(values, scenario.rounds, strict=True)
        if value is not None and each.echo_per_s > 0
    ]
    return Figure(scenario.name, name, "echoes", echoes, "less", floor)


def _has_echo(scenario: Scenario) -> bool:
    return any(each.echo_per_s > 0 for each in scenario.rounds)
