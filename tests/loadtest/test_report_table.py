"""The terminal's table: whole lines in a pipe, a hundred columns in a terminal, and no text from outside that is obeyed."""

import io
import re

import msgspec
import pytest
from rich.console import Console
from sample_report import HOSTILE, hostile_report, sample_report, with_violation

from loadtest.report import table
from loadtest.report.model import Report
from loadtest.report.summary import verdict


def test_piped_table_has_a_line_an_operation() -> None:
    """Each operation stands on one line with its figures, whatever the width of the pipe's console is."""
    lines = _piped(sample_report()).splitlines()

    [unique] = [line for line in lines if line.strip().startswith("unique ") and "9.11" in line]
    assert unique.split() == ["unique", "3,976", "0.331", "9.11", "215", "61"]
    [receipt] = [line for line in lines if "receipt, 1,000 sockets" in line]
    assert receipt.split()[-3:] == ["20", "22.2", "60.6"]


def test_piped_table_has_no_colours() -> None:
    """A pipe gets text alone."""
    assert "\x1b" not in _piped(with_violation(sample_report()))


def test_table_fits_a_hundred_columns() -> None:
    """In a terminal of that width no line is longer, and no figure is cut."""
    out = io.StringIO()

    table.print_report(sample_report(), Console(file=out, width=100, force_terminal=True, color_system=None))

    text = out.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    for shown in ("3,976", "0.331", "9.11", "2,460", "8.3", "215", "MISSED", "not told"):
        assert shown in text


def test_table_leaves_the_console_as_it_was() -> None:
    """What the caller prints next is as wide as before."""
    console = Console(file=io.StringIO(), width=90)

    table.print_report(sample_report(), console)

    assert console.width == 90


def test_table_names_what_was_not_2xx() -> None:
    """Both loops' refusals of one operation are added up, and what succeeded is not listed."""
    [line] = [line for line in _piped(sample_report()).splitlines() if "send message" in line]

    assert line.rstrip().endswith("429: 5, 503: 3")
    assert "201" not in line


def test_rate_that_was_offered_has_no_ratio() -> None:
    """Only a closed loop finds out what the service can do: 20 messages a second are no share of the echo."""
    [push] = [
        line for line in _piped(sample_report()).splitlines() if line.strip().startswith("push  ") and "84" in line
    ]

    assert push.split() == ["push", "20.9", "-", "-", "-", "84"]


def test_missed_targets_come_first() -> None:
    """The missed target, then the one that could not be told, each with the reason."""
    report = msgspec.structs.replace(sample_report(), scenarios=sample_report().scenarios[::-1])

    lines = [line for line in _piped(report).splitlines() if re.match(r"(MISSED|not told|met) ", line)]

    assert "the disk flushed" in lines[0]
    assert "no /proc" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["met"] * 4


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (sample_report(), "passed: no promise was broken; 4 of 6 targets met, 1 missed, 1 not told"),
        (
            with_violation(sample_report()),
            "FAILED: a promise was broken in contended; 4 of 6 targets met, 1 missed, 1 not told",
        ),
        (msgspec.structs.replace(sample_report(), scenarios=[]), "passed: no promise was broken; no targets"),
    ],
)
def test_last_line_is_the_verdict(report: Report, expected: str) -> None:
    """A broken promise fails the run, a missed target does not; both are counted."""
    assert _piped(report).splitlines()[-1] == expected
    assert verdict(report) == expected


def test_violation_prints_its_history_in_order() -> None:
    """The promise, what happened, and every line of what the clients saw."""
    lines = _piped(with_violation(sample_report(), "x" * 300, "the end")).splitlines()

    start = lines.index("BROKEN in contended: never two holders at once")
    assert lines[start + 1].startswith("src/api/hot-3.py was held by")
    assert lines[start + 2] == "  1.101 s  agent-12 asks src/api/hot-3.py"
    assert lines[start + 4 : start + 6] == ["  " + "x" * 300, "  the end"]


def test_texts_from_outside_are_not_obeyed() -> None:
    """Control characters are spelled out, and what looks like markup is printed as it is."""
    text = _piped(with_violation(sample_report(), HOSTILE, "[bold]not bold[/bold] :smile:", "two\nlines"))

    assert "  <script>alert('</script>')</script>\\x1b[2J\n" in text
    assert "  [bold]not bold[/bold] :smile:\n" in text
    assert "  two\\nlines\n" in text
    assert "\x1b" not in _piped(hostile_report())


def test_hostile_names_are_not_obeyed_in_a_terminal() -> None:
    """A scenario's name in a terminal with colours clears no screen."""
    out = io.StringIO()

    table.print_report(hostile_report(), Console(file=out, width=100, force_terminal=True))

    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b[1m" in out.getvalue()


def _piped(report: Report) -> str:
    out = io.StringIO()
    table.print_report(report, Console(file=out))
    return out.getvalue()
