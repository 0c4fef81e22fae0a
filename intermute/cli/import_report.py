"""The report of an import, for a person or for a program."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from intermute.core.original.report import Line, ProjectReport

_LINES_MAX: Final = 20  # rows that the text names for each project; --json has more.


def as_text(file: Path, reports: Sequence[ProjectReport], others: Mapping[str, int], *, is_trial: bool) -> str:
    """Return the report as lines."""
    done = "would be taken" if is_trial else "taken"
    lines = [f"{file}: {len(reports)} projects" + (", a dry run: nothing was changed" if is_trial else "")]
    for report in reports:
        lines += _of_project(report, done)
    lines += [f"not taken over: {count} {what}" for what, count in others.items()]
    return "\n".join(lines)


def _of_project(report: ProjectReport, done: str) -> list[str]:
    if report.problem is not None:
        return [f"PROBLEM {report.project}: {report.problem}"]
    called = [name for name in report.called if name != report.project]
    lines = [f"ok      {report.project}" + (f" (in the file: {', '.join(map(repr, called))})" if called else "")]
    for kind, tally in report.kinds.items():
        parts = [(tally.taken, done), (tally.already_here, "here already"), (tally.left_out, "left out")]
        counts = ", ".join(f"{count} {what}" for count, what in parts if count)
        if counts:
            lines.append(f"        {kind}: {counts}")
    lines += [f"        left out {count} of {reason}" for reason, count in report.reasons.most_common(_LINES_MAX)]
    lines += _named("left out", report.left_out)
    lines += _named("changed ", report.changed)
    return lines


def _named(how: str, rows: Sequence[Line]) -> list[str]:
    shown = [f"        {how} {row.kind} {row.id}: {row.says}" for row in rows[:_LINES_MAX]]
    more = [f"        {how} and more, which --json names"] if len(rows) > _LINES_MAX else []
    return shown + more


def as_json(file: Path, reports: Sequence[ProjectReport], others: Mapping[str, int], *, is_trial: bool) -> str:
    """Return the report as one JSON object."""
    content = {
        "file": str(file),
        "dry_run": is_trial,
        "projects": [{**msgspec.to_builtins(report), "taken": report.taken} for report in reports],
        "not_taken_over": dict(others),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
