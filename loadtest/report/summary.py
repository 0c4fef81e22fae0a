"""What a report says in short: its verdict, each scenario's rates, and the answers that were no success. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from loadtest.report.figures import ratios
from loadtest.report.model import Operation, Report, Round, Scenario, Target


@dataclass(frozen=True, slots=True)
class Rates:
    """The medians of a scenario's rounds; None for what was not measured."""

    per_s: float | None
    times_echo: float | None
    times_single: float | None
    """Of the service with one commit per request."""
    cpu_us: float | None
    rss_mb: float | None


def rates(scenario: Scenario) -> Rates:
    """Return what the rounds of a scenario say together; a ratio is that of each round to its own reference."""
    rounds = scenario.rounds
    per_s = [each.per_s for each in rounds]
    return Rates(
        per_s=_median(per_s),
        times_echo=_median(ratios(per_s, _column(rounds, lambda each: each.echo_per_s)))
        if is_capacity(scenario)
        else None,
        times_single=_median(ratios(per_s, _column(rounds, lambda each: each.one_commit_per_request_per_s)))
        if is_capacity(scenario)
        else None,
        cpu_us=measured(rounds, lambda each: each.server_cpu_us),
        rss_mb=measured(rounds, lambda each: each.server_rss_mb),
    )


def is_capacity(scenario: Scenario) -> bool:
    """Tell whether the rate says what the service can do: where every loop is open, it is only what was offered."""
    return not scenario.operations or any(operation.loop == "closed" for operation in scenario.operations)


def measured(rounds: Sequence[Round], figure: Callable[[Round], float]) -> float | None:
    """Return the median of a figure over the rounds that have it."""
    return _median([value for value in _column(rounds, figure) if value > 0])


def shown_operations(scenario: Scenario) -> list[Operation]:
    """Return one operation a name: that of the open loop where there is one, for its latencies omit nothing."""
    opened = {operation.name for operation in scenario.operations if operation.loop == "open"}
    return [each for each in scenario.operations if each.loop == "open" or each.name not in opened]


def unsuccessful(scenario: Scenario, name: str) -> dict[str, int]:
    """Return how many answers of an operation were not 2xx, in both loops together."""
    found: Counter[str] = Counter()
    for operation in scenario.operations:
        if operation.name == name:
            found.update(operation.statuses)
    return {status: found[status] for status in sorted(found) if found[status] and not status.startswith("2")}


def targets(report: Report) -> list[tuple[Scenario, Target]]:
    """Return the targets of all scenarios: the missed ones first, then those that could not be told."""
    pairs = [(scenario, target) for scenario in report.scenarios for target in scenario.targets]
    return sorted(pairs, key=lambda pair: (pair[1].is_met is not False, pair[1].is_met is True))


def broken(report: Report) -> list[Scenario]:
    """Return the scenarios that found a promise broken."""
    return [scenario for scenario in report.scenarios if scenario.violation is not None]


def verdict(report: Report) -> str:
    """Return the outcome in one line: promises first, then targets."""
    names = [scenario.name for scenario in broken(report)]
    kept = f"FAILED: a promise was broken in {', '.join(names)}" if names else "passed: no promise was broken"
    outcomes = [target.is_met for _, target in targets(report)]
    if not outcomes:
        return f"{kept}; no targets"
    text = f"{kept}; {outcomes.count(True)} of {len(outcomes)} targets met"
    if missed := outcomes.count(False):
        text += f", {missed} missed"
    if untold := outcomes.count(None):
        text += f", {untold} not told"
    return text


def _column(rounds: Iterable[Round], figure: Callable[[Round], float]) -> list[float]:
    return [figure(each) for each in rounds]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
