"""Checks as text: one line a finding, for people, agents and the log of a build.

The first word of a line is `CONFLICT`, `free`, `warning` or `more`. What somebody else chose (names, reasons, paths) cannot
break a line nor steer a terminal.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from intermute.core.api.checks import CheckedTargets, TargetView
from intermute.core.api.reservations import Checked, CheckReservations, ConflictView
from intermute.core.targets import parse_targets

_REASON_CHARS_MAX: Final = 120  # characters of a reason that a line shows; the JSON form has all of it.


def check_text(question: CheckReservations, view: Checked) -> str:
    """Return the answer to a check of one path as lines. `question` is one that has been answered."""
    asked = parse_targets(
        [("pattern", question.pattern)] if question.pattern is not None else [],
        [("path", question.path)] if question.path is not None else [],
    )
    taken = {conflict.requested for conflict in view.conflicts}
    targets = [
        TargetView(text=pattern.text, free=pattern.text not in taken, held_by=[])
        for pattern in asked
        # A list that was cut may be silent about a target that is taken.
        if pattern.text in taken or not view.more_conflicts
    ]
    return _text(targets, view.conflicts, (), is_cut=view.more_conflicts)


def targets_text(_question: object, view: CheckedTargets) -> str:
    """Return the answer to a check of many paths as lines."""
    return _text(view.targets, view.conflicts, view.warnings or (), is_cut=view.more_conflicts)


def _text(
    targets: Iterable[TargetView], conflicts: Iterable[ConflictView], warnings: Iterable[str], *, is_cut: bool
) -> str:
    by_target: dict[str, list[ConflictView]] = {}
    for conflict in conflicts:
        by_target.setdefault(conflict.requested, []).append(conflict)
    lines = [line for target in targets for line in _target_lines(target, by_target.get(target.text, []))]
    if is_cut:
        lines.append("more     is held than is listed here: ask for fewer paths at once")
    lines += [f"warning  {_one_line(warning)}" for warning in warnings]
    return "".join(f"{line}\n" for line in lines)


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
