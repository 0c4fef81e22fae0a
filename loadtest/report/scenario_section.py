"""One scenario on the page: its pictures, and all its figures as tables."""

from collections.abc import Sequence
from typing import Final

from loadtest.report.figures import spread
from loadtest.report.markup import Column, Content, Markup, badge, bullets, element, joined, table
from loadtest.report.model import Measure, Operation, Round, Scenario
from loadtest.report.notation import ABSENT, counted, number, shortened, told

LATENCY_CAPTION: Final = (
    "How long requests took. Open loop: from the intended start on, so a stall is seen by all who would have come; "
    "closed loop, dashed: from the sending on."
)
COURSE_CAPTION: Final = (
    "The run in load time, which leaves out the pauses for references. Dotted lines end a round, red ones are faults."
)
ROUNDS_CAPTION: Final = "Each round beside the references of the same minute: lines that move together are the machine."


def scenario(place: int, found: Scenario, pictures: Sequence[Markup]) -> Markup:
    """Return one scenario: its pictures, then their figures as tables."""
    parts: list[Content] = [element("h2", shortened(found.name), id=f"scenario-{place}"), element("p", found.title)]
    if found.violation is not None:
        parts.append(element("p", badge("BROKEN", "bad"), f" {found.violation.promise}: {found.violation.explanation}"))
    if found.checked:
        parts.append(element("p", f"Checked: {counted(found.checked)}", class_="quiet"))
    if found.faults:
        parts += [element("h3", "Faults"), bullets(told(fault) for fault in found.faults)]
    parts += pictures
    if found.operations:
        parts.append(_operations(found.operations))
    if found.measures:
        parts.append(_measures(found.measures))
    if found.rounds:
        parts.append(_rounds(found.rounds))
    return element("section", joined(parts))


def picture(name: str, label: str, caption: str) -> Markup:
    """Return the place of a picture that the page's script draws."""
    drawn = element("div", id=name, class_="chart", role="img", aria_label=label)
    return element("figure", drawn, element("figcaption", caption))


def _operations(operations: Sequence[Operation]) -> Markup:
    names = ("offered per s", "count", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "longest ms")
    columns = [Column("operation", is_number=False), Column("loop", is_number=False), *(Column(name) for name in names)]
    rows: list[Sequence[Content]] = []
    for each in operations:
        latency = each.latency_ms
        values = (latency.p50, latency.p90, latency.p99, latency.p999, latency.max)
        shown = [number(value) if each.count else ABSENT for value in values]
        offered = "" if each.offered_per_s is None else number(each.offered_per_s)
        rows.append((shortened(each.name), each.loop, offered, f"{each.count:,}", *shown, counted(each.statuses)))
    return table("Operations, all rounds together", [*columns, Column("statuses", is_number=False)], rows)


def _measures(measures: Sequence[Measure]) -> Markup:
    columns = [Column("measure", is_number=False), Column("median"), Column("noise"), Column("unit", is_number=False)]
    rows: list[Sequence[Content]] = []
    for each in measures:
        found = spread(each.values) if each.values else None
        value, noise = (ABSENT, ABSENT) if found is None else (number(found.median), number(found.noise))
        better = "" if each.better == "none" else f"{each.better} is better"
        values = ", ".join(number(value) for value in each.values)
        rows.append((shortened(each.name), value, noise, shortened(each.unit), better, values))
    texts = [Column("better", is_number=False), Column("of the rounds", is_number=False)]
    return table("Measures; the noise is the greatest less the least round", [*columns, *texts], rows)


def _rounds(rounds: Sequence[Round]) -> Markup:
    references_of = ("echo per s", "single commits per s", "one commit ms", "one commit per request per s")
    service_of = ("CPU us a request", "RSS MB", "clients' CPU share")
    names = ("seconds", "requests", "per s", *references_of, *service_of)
    rows: list[Sequence[Content]] = []
    for place, each in enumerate(rounds, 1):
        references = (each.echo_per_s, each.commits_per_s, each.commit_ms, each.one_commit_per_request_per_s)
        measured = (*references, each.server_cpu_us, each.server_rss_mb, each.clients_cpu_share)
        shown = [number(value or None) for value in measured]
        rows.append((f"round {place}", number(each.seconds), f"{each.requests:,}", number(each.per_s), *shown))
    return table("Rounds and their references", [Column("", is_number=False), *(Column(name) for name in names)], rows)
