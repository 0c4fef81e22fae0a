"""The report in a terminal: rates, measures, targets, what was checked, and last the verdict, where the eye is.

Texts come from outside: they are printed as they are, without markup, with control characters spelled out. Where the
output is no terminal, a line is as long as it must be, so that `grep` and `cut` find whole lines.
"""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.report import summary
from loadtest.report.figures import spread
from loadtest.report.model import Operation, Report, Scenario
from loadtest.report.notation import ABSENT, counted, number, outcome, printable, shortened, told

_PIPED_WIDTH: Final = 400
"""Of a table that is not printed to a terminal: wider than any, so that nothing is folded."""
_STYLES: Final = {"met": "green", "MISSED": "bold red", "not told": "yellow", "worse": "bold red", "better": "green"}


def print_report(report: Report, console: Console) -> None:
    """Print the report."""
    for line in _surroundings(report):
        say(console, line)
    print_table(console, _rates(report))
    say(console, "indented: open loop at the rate offered, latency from the intended start (closed: from the sending)")
    if any(scenario.measures for scenario in report.scenarios):
        print_table(console, _measures(report))
    if summary.targets(report):
        print_table(console, _targets(report))
    for scenario in report.scenarios:
        if scenario.checked:
            say(console, f"checked in {shortened(scenario.name)}: {counted(scenario.checked)}")
        for fault in scenario.faults:
            say(console, f"done to {shortened(scenario.name)}: {told(fault)}")
    for scenario in summary.broken(report):
        _print_violation(scenario, console)
    say(console, summary.verdict(report), style="bold red" if summary.broken(report) else "bold")


def say(console: Console, line: str, *, style: str = "") -> None:
    """Print one line of text as it is: folded in a terminal, however long elsewhere."""
    console.print(Text(printable(line), style=style), soft_wrap=not console.is_terminal)


def new_table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    """Return an empty table. Columns are (heading, is it of numbers); numbers are never cut."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, is_number in columns:
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add cells of plain text; a word of outcome has its colour."""
    table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in cells))


def print_table(console: Console, table: Table) -> None:
    """Print a table: folded to a terminal's width, and as wide as it is where nobody looks."""
    width = console.width
    if not console.is_terminal:
        # Only so: the width that `print` takes is cut to the console's, which is 80 for a pipe.
        console.width = max(width, _PIPED_WIDTH)
    try:
        console.print(table)
    finally:
        console.width = width


def _surroundings(report: Report) -> list[str]:
    machine = report.machine
    rounds = [each for scenario in report.scenarios for each in scenario.rounds]
    echo = number(summary.measured(rounds, lambda each: each.echo_per_s))
    commits = number(summary.measured(rounds, lambda each: each.commits_per_s))
    commit_ms = number(summary.measured(rounds, lambda each: each.commit_ms))
    single = number(summary.measured(rounds, lambda each: each.one_commit_per_request_per_s))
    url = f", {report.url}" if report.url else ""
    extent = "quick" if report.quick else "full"
    service = f"intermute {report.service.version}, {report.service.lane} lane{url}"
    references = (
        f"echo {echo}/s; one durable commit {commit_ms} ms, {commits}/s; one commit per request (single) {single}/s"
    )
    return [
        f"{service}: {extent} run, seed {report.seed}, {report.started_at}, {number(report.took_s)} s",
        f"{machine.cores} cores, {machine.cpu}, {machine.system}, Python {machine.python}, {machine.disk}",
        f"references, medians: {references}",
    ]


def _rates(report: Report) -> Table:
    names = ("per s", "x echo", "x single", "p50 ms", "p99 ms", "CPU us", "RSS MB")
    columns = [("scenario / operation", False), *((name, True) for name in names), ("not 2xx", False)]
    table = new_table("rates and latencies", columns)
    for scenario in report.scenarios:
        add_row(table, shortened(scenario.name), *_scenario(scenario))
        for operation in summary.shown_operations(scenario):
            closed = ", closed loop" if operation.loop == "closed" else ""
            add_row(table, f"  {shortened(operation.name)}{closed}", *_operation(scenario, operation))
    return table


def _scenario(scenario: Scenario) -> Sequence[str]:
    found = summary.rates(scenario)
    rate = (number(found.per_s), number(found.times_echo), number(found.times_single))
    return (*rate, "", "", number(found.cpu_us), number(found.rss_mb), "")


def _operation(scenario: Scenario, operation: Operation) -> Sequence[str]:
    latency, is_empty = operation.latency_ms, operation.count == 0
    offered = "" if operation.offered_per_s is None else number(operation.offered_per_s)
    p50, p99 = (ABSENT, ABSENT) if is_empty else (number(latency.p50), number(latency.p99))
    return (offered, "", "", p50, p99, "", "", counted(summary.unsuccessful(scenario, operation.name)))


def _measures(report: Report) -> Table:
    table = new_table(
        "measures, medians of the rounds",
        [("scenario", False), ("measure", False), ("value", True), ("noise", True), ("unit", False), ("better", False)],
    )
    for scenario in report.scenarios:
        for measure in scenario.measures:
            found = spread(measure.values) if measure.values else None
            value, noise = (ABSENT, ABSENT) if found is None else (number(found.median), number(found.noise))
            add_row(
                table,
                shortened(scenario.name),
                shortened(measure.name),
                value,
                noise,
                shortened(measure.unit),
                "" if measure.better == "none" else measure.better,
            )
    return table


def _targets(report: Report) -> Table:
    table = new_table(
        "targets",
        [("", False), ("scenario", False), ("target", False), ("value", True), ("wanted", False), ("why", False)],
    )
    for scenario, target in summary.targets(report):
        value = None if target.is_met is None else target.value
        name, wanted, why = shortened(target.name), shortened(target.wanted), printable(target.why)
        add_row(table, outcome(target), shortened(scenario.name), name, number(value), wanted, why)
    return table


def _print_violation(scenario: Scenario, console: Console) -> None:
    assert scenario.violation is not None
    violation = scenario.violation
    say(console, "")
    say(console, f"BROKEN in {scenario.name}: {violation.promise}", style="bold red")
    say(console, violation.explanation)
    for line in violation.history:
        say(console, f"  {line}")
