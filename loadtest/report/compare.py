"""A run beside an earlier one, and what of it is outside the noise.

The rule. A figure is the median over its rounds; its spread is their range (greatest less least), as a share of the
median. The noise of a comparison is the greatest of
- the sum of both runs' spreads,
- the figure's floor, three times that where a run has a single value, whose range of 0 says nothing,
- how far the references moved between the two runs that the figure hangs on: the echo, and for latencies the disk.
A figure is outside the noise where the greater of the two medians is more than (1 + noise) times the lesser: the verdict
is the same whichever run is called the earlier one, and a run beside itself is never outside.

Why the sum: with rounds of equal normal noise and no difference, |median - median| exceeds the sum of the ranges in 1.4 %
of the comparisons with three rounds, and in 13 % with two; the root of the sum of their squares in 3.6 % and in 19 %
(40,000 draws each). Why a floor: the range of two or three rounds is often small by chance, and it does not see what
differs between two processes. With rounds that vary by 2 % and a floor of 5 %, 0.1 % and 0.8 % are left. Why the references: a
machine that is three times slower, or has other work, is not so by one factor for all that it does. Two runs of one
program on a busy machine, between which the echo fell to a third, had ratios to it that differed by two to four.

So a figure whose rounds disagree by half can double unseen, and so can every ratio beside a run of a machine half as fast:
the noise stands beside each change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from rich.console import Console

from loadtest.report.comparable import Better, Figure, figures_of, references_of
from loadtest.report.figures import Spread, spread
from loadtest.report.model import Report
from loadtest.report.notation import number, percent, shortened
from loadtest.report.surroundings import differences
from loadtest.report.table import add_row, new_table, print_table, say

DRIFT: Final = 0.10
"""How far the median of a reference moves before it is said: the references are the mean of many rounds (a guess, revisit)."""

SINGLE: Final = 3
"""How many floors a figure of a single value has for noise (a guess, revisit)."""


class Finding(StrEnum):
    """What a comparison says of one figure."""

    WITHIN = "within"
    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """Outside the noise, of a figure of which neither more nor less is better."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both runs."""

    scenario: str
    name: str
    unit: str
    earlier: Spread
    now: Spread
    change: float | None
    """As a share of the earlier value; None where one of them is 0 or below."""
    noise: float
    finding: Finding


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs have in common, and what not."""

    earlier_started_at: str
    warnings: Sequence[str]
    references: Sequence[Compared]
    """As they were measured, not as ratios: they are the machine."""
    figures: Sequence[Compared]
    only_now: Sequence[str]
    only_earlier: Sequence[str]

    @property
    def outside(self) -> list[Compared]:
        """The figures outside the noise: the worse ones first."""
        found = [each for each in self.figures if each.finding is not Finding.WITHIN]
        return sorted(found, key=lambda each: each.finding is not Finding.WORSE)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        found = [each.finding for each in self.figures]
        outside = ", ".join(f"{found.count(each)} {each}" for each in Finding if each is not Finding.WITHIN)
        return f"{len(found)} figures beside the run of {self.earlier_started_at}; outside the noise: {outside}"


def compare(report: Report, earlier: Report) -> Comparison:
    """Return the run beside the earlier one. Where they differ in more than the service, the warnings say so."""
    now, then = _named(figures_of(report)), _named(figures_of(earlier))
    now_references, then_references = _named(references_of(report)), _named(references_of(earlier))
    references = [
        _compared(now_references[key], then_references[key]) for key in now_references if key in then_references
    ]
    return Comparison(
        earlier_started_at=earlier.started_at,
        warnings=[*differences(report, earlier), *_drifts(references)],
        references=references,
        figures=[_compared(now[key], then[key]) for key in now if key in then],
        only_now=_only(now | now_references, then | then_references),
        only_earlier=_only(then | then_references, now | now_references),
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the comparison; what is outside the noise comes last, where the eye is."""
    for warning in comparison.warnings:
        say(console, f"beware: {warning}", style="yellow")
    for title, rows in (("references", comparison.references), ("beside the earlier run", comparison.figures)):
        columns = [("scenario", False), ("figure", False), ("earlier", True), ("now", True), ("unit", False)]
        table = new_table(title, [*columns, ("change", True), ("noise", True), ("", False)])
        for row in rows:
            add_row(table, *cells(row))
        if rows:
            print_table(console, table)
    if comparison.only_now:
        say(console, f"only in this run: {'; '.join(comparison.only_now)}")
    if comparison.only_earlier:
        say(console, f"only in the earlier run: {'; '.join(comparison.only_earlier)}")
    for row in comparison.outside:
        scenario, name, earlier, now, unit, change, noise, finding = cells(row)
        line = f"{finding}: {scenario}, {name}: {earlier} -> {now} {unit} ({change}, noise {noise})"
        say(console, line, style="bold red" if row.finding is Finding.WORSE else "")
    say(console, comparison.verdict, style="bold")


def cells(row: Compared) -> tuple[str, ...]:
    """Return what a table shows of a figure: scenario, figure, earlier, now, unit, change, noise and finding."""
    noise = f"{row.noise:.0%}".replace("%", " %")
    values = (number(row.earlier.median), number(row.now.median), shortened(row.unit), percent(row.change), noise)
    return (shortened(row.scenario), shortened(row.name), *values, "" if row.finding is Finding.WITHIN else row.finding)


def _compared(now: Figure, earlier: Figure) -> Compared:
    after, before = spread(now.values), spread(earlier.values)
    less, more = sorted((after.median, before.median))
    change, noise = None, _least_noise(now, earlier)
    if less > 0:
        change = after.median / before.median - 1
        noise = max(noise, after.noise / after.median + before.noise / before.median)
        is_outside = more > less * (1 + noise)
    else:
        # No ratio to nothing: here the spreads are taken as they are.
        is_outside = more - less > after.noise + before.noise
    finding = _finding(now.better, is_more=after.median > before.median) if is_outside else Finding.WITHIN
    return Compared(now.scenario, now.name, now.unit, before, after, change, noise, finding)


def _least_noise(now: Figure, earlier: Figure) -> float:
    """Return what is noise whatever the rounds say."""
    is_single = min(len(now.values), len(earlier.values)) == 1
    floor = max(now.floor, earlier.floor) * (SINGLE if is_single else 1)
    drifts = [
        _factor(median(after), median(before))
        for after, before in zip(now.references, earlier.references, strict=False)
        if after and before
    ]
    return max(floor, *(factor - 1 for factor in drifts), 0.0)


def _factor(one: float, other: float) -> float:
    """Return how many times the lesser the greater is; both are above 0."""
    return max(one / other, other / one)


def _finding(better: Better, *, is_more: bool) -> Finding:
    if better == "none":
        return Finding.CHANGED
    return Finding.BETTER if is_more == (better == "more") else Finding.WORSE


_Key = tuple[str, str, str]


def _named(figures: Iterable[Figure]) -> dict[_Key, Figure]:
    return {(each.scenario, each.name, each.unit): each for each in figures}


def _only(these: dict[_Key, Figure], others: dict[_Key, Figure]) -> list[str]:
    """Return what only these figures have: whole scenarios by their name, else the figure."""
    scenarios = {scenario for scenario, _, _ in others}
    found: dict[str, None] = {}  # In order, and each once.
    for scenario, name, unit in these:
        if scenario not in scenarios:
            found[shortened(scenario)] = None
        elif (scenario, name, unit) not in others:
            found[f"{shortened(scenario)}, {shortened(name)} ({shortened(unit)})"] = None
    return list(found)


def _drifts(references: Iterable[Compared]) -> list[str]:
    return [
        f"{each.name}: {number(each.earlier.median)} {each.unit} then, {number(each.now.median)} now; it was another machine "
        "or a busier one, and the noise of what hangs on it is at least as wide."
        for each in references
        if _factor(each.now.median, each.earlier.median) > 1 + DRIFT
    ]
