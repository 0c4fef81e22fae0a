"""Checks as text: one line a finding, for people, agents and the log of a build.

The first word of a line is `CONFLICT`, `free`, `instead`, `warning` or `more`. What somebody else chose
(names, reasons, paths) cannot break a line nor steer a terminal.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from intermute.core.api.checks import Checked, TargetView
from intermute.core.api.claims import Alternative, ConflictView

_REASON_CHARS_MAX: Final = 120  # characters of a reason that a line shows; the JSON form has all of it.


def checked_text(_question: object, view: Checked) -> str:
    """Return the answer to a check as lines."""
    by_target: dict[int, list[ConflictView]] = {}
    for conflict in view.conflicts:
        by_target.setdefault(conflict.requested.n, []).append(conflict)
    lines = [line for target in view.targets for line in _target_lines(target, by_target.get(target.n, []))]
    if view.more_conflicts:
        lines.append("more     is held than is listed here: ask for fewer paths at once")
    lines += [_instead(alternative) for alternative in view.alternatives or ()]
    lines += [_warning(warning) for warning in view.warnings or ()]
    lines += [f"warning  {_one_line(note)}" for note in view.notes or ()]
    return "".join(f"{line}\n" for line in lines)


def _instead(alternative: Alternative) -> str:
    return f"instead  {_one_line(alternative.target)} would be granted as {alternative.name} ({alternative.mode})"


def _warning(finding: ConflictView) -> str:
    return (
        f"warning  {_one_line(finding.requested.target)} {finding.kind} with {_one_line(finding.held.target)} of"
        f" {_one_line(finding.held_by)}, confidence {finding.confidence:g}"
    )


def _target_lines(target: TargetView, conflicts: Iterable[ConflictView]) -> Iterator[str]:
    shown = _one_line(target.text)
    if target.free:
        yield f"free     {shown}"
        return
    is_listed = False
    for conflict in conflicts:
        is_listed = True
        reason = f" ({_cut(_one_line(conflict.reason))})" if conflict.reason else ""
        yield (
            f"CONFLICT {shown} held by {_one_line(conflict.held_by)}{reason} for {_duration(conflict.retry_after_s)},"
            f" {conflict.mode} {_one_line(conflict.pattern)}, example {_one_line(conflict.example)}"
        )
    if not is_listed:
        yield f"CONFLICT {shown} held by {', '.join(map(_one_line, target.held_by))}"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _cut(text: str) -> str:
    return text if len(text) <= _REASON_CHARS_MAX else f"{text[: _REASON_CHARS_MAX - 1]}…"


def _duration(seconds: int) -> str:
    if seconds < 100:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"
