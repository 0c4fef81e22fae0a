"""The parts of the page, in the order in which an operator asks: did it pass, what is missed, what moved, and why."""

from collections.abc import Sequence
from typing import Final

from loadtest.report import summary
from loadtest.report.compare import Compared, Comparison, Finding, cells
from loadtest.report.markup import Column, Content, Markup, badge, bullets, element, joined, table
from loadtest.report.model import Operation, Report, Scenario, Target
from loadtest.report.notation import ABSENT, counted, number, outcome, printable, shortened

_KINDS: Final = {"met": "good", "MISSED": "bad", "not told": "unsure"}
_FINDINGS: Final = {Finding.BETTER: "good", Finding.WORSE: "bad", Finding.CHANGED: "unsure"}


def title(report: Report) -> str:
    """Return the page's title."""
    return f"Load test of {printable(report.started_at)}"


def opening(report: Report) -> Markup:
    """Return the verdict, what was run, and the history of every broken promise."""
    broken = summary.broken(report)
    extent = "quick run" if report.quick else "full run"
    asked = f" at {report.url}" if report.url else ""
    parts: list[Content] = [
        element("h1", title(report)),
        element(
            "p",
            f"intermute {report.service.version}, {report.service.lane} lane{asked}; {extent} of {number(report.took_s)} s, "
            f"seed {report.seed}, {report.machine.cores} cores",
            class_="quiet",
        ),
        element("p", summary.verdict(report), class_=f"verdict {'bad' if broken else 'good'}"),
        element("noscript", element("p", "The pictures need JavaScript; the tables do not.", class_="quiet")),
    ]
    for scenario in broken:
        assert scenario.violation is not None
        violation = scenario.violation
        parts += [
            element("h2", f"Broken in {shortened(scenario.name)}: {violation.promise}"),
            element("p", violation.explanation),
            element("h3", "What the clients saw"),
            element("pre", joined(violation.history), tabindex="0"),
        ]
    return element("header", joined(parts))


def targets(report: Report) -> Markup:
    """Return the targets, the missed ones first."""
    found = summary.targets(report)
    heading = element("h2", "Targets")
    if not found:
        return element("section", heading, element("p", "These scenarios have none."))
    columns = [
        Column(each, is_number=each == "value") for each in ("scenario", "outcome", "target", "value", "wanted", "why")
    ]
    rows = [(shortened(scenario.name), *_target(target)) for scenario, target in found]
    caption = "Ratios of this run; a missed target does not fail it, for the machine may be shared."
    return element("section", heading, table(caption, columns, rows))


def comparison(found: Comparison) -> Markup:
    """Return the run beside the earlier one: what is outside the noise, and on demand every figure."""
    parts: list[Content] = [element("h2", "Beside the earlier run"), element("p", found.verdict)]
    if found.warnings:
        parts += [element("p", badge("Beware", "unsure"), ", for the runs differ:"), bullets(found.warnings)]
    if found.outside:
        parts.append(
            _compared(
                "Outside the noise, which is as wide as the rounds of both runs and their references moved.",
                found.outside,
            )
        )
    for where, names in (("this run", found.only_now), ("the earlier run", found.only_earlier)):
        if names:
            parts += [element("p", f"Only in {where}:"), bullets(names)]
    parts.append(_compared("The references: the machine, not the service.", found.references))
    whole = _compared("Ratios to the references of each run where a figure has one.", found.figures)
    parts.append(element("details", element("summary", f"All {len(found.figures)} figures"), whole))
    return element("section", joined(parts))


def overview(report: Report) -> Markup:
    """Return a line for each scenario and operation."""
    names = ("per s", "x echo", "x one commit per request", "p50 ms", "p99 ms", "CPU us a request", "RSS MB")
    columns = [
        Column("scenario", is_number=False),
        *(Column(name) for name in names),
        Column("not 2xx", is_number=False),
    ]
    rows: list[Sequence[Content]] = []
    for place, each in enumerate(report.scenarios, 1):
        found = summary.rates(each)
        rate = (number(found.per_s), number(found.times_echo), number(found.times_single))
        link = element("a", shortened(each.name), href=f"#scenario-{place}")
        rows.append((link, *rate, "", "", number(found.cpu_us), number(found.rss_mb), ""))
        rows += [_operation(each, operation) for operation in summary.shown_operations(each)]
    caption = (
        "Medians of the rounds. An operation is in an open loop, at the rate offered; its latencies are from the intended "
        "start on (closed loop: from the sending on)."
    )
    return element("section", element("h2", "Scenarios"), table(caption, columns, rows))


def surroundings(report: Report) -> Markup:
    """Return what it ran on, and how it was asked to run."""
    machine = report.machine
    known = {
        "cores": str(machine.cores),
        "processor": machine.cpu,
        "system": machine.system,
        "disk": machine.disk,
        "Python": machine.python,
        **{f"option {name}": str(value) for name, value in report.options.items()},
    }
    columns = [Column("what", is_number=False), Column("value", is_number=False)]
    rows = [(shortened(name), value) for name, value in known.items()]
    return element("section", element("h2", "Machine and options"), table("As the run saw them.", columns, rows))


def _target(target: Target) -> tuple[Content, ...]:
    value = None if target.is_met is None else target.value
    word = outcome(target)
    return (badge(word, _KINDS[word]), shortened(target.name), number(value), shortened(target.wanted), target.why)


def _compared(caption: str, rows: Sequence[Compared]) -> Markup:
    names = ("scenario", "figure", "earlier", "now", "unit", "change", "noise", "finding")
    columns = [Column(name, is_number=name in {"earlier", "now", "change", "noise"}) for name in names]
    shown: list[Sequence[Content]] = []
    for row in rows:
        *plain, finding = cells(row)
        shown.append((*plain, badge(finding, _FINDINGS[row.finding]) if finding else ""))
    return table(caption, columns, shown)


def _operation(scenario: Scenario, operation: Operation) -> Sequence[Content]:
    closed = ", closed loop" if operation.loop == "closed" else ""
    offered = "" if operation.offered_per_s is None else number(operation.offered_per_s)
    latency = operation.latency_ms
    p50, p99 = (number(latency.p50), number(latency.p99)) if operation.count else (ABSENT, ABSENT)
    refused = counted(summary.unsuccessful(scenario, operation.name))
    name = element("span", f"{shortened(operation.name)}{closed}", class_="part")
    return (name, offered, "", "", p50, p99, "", "", refused)
