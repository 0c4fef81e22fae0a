"""Negative controls: a service that lies once in ten times makes the run fail, and the history is printed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.report import model

TWO_HOLDERS = "never two holders at once, or fences rise"
"""Where the second grant is read first and given back before the first one is read, the fences tell."""
DOUBLE = Path(__file__).parent / "lying_service.py"


@contextmanager
def double(lie: str) -> Iterator[str]:
    """Run the double in a process of its own; yield its URL."""
    child = subprocess.Popen([sys.executable, str(DOUBLE), lie], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.communicate()


def run(scenario: str, url: str, scratch: Path) -> int:
    """Load the double for a moment and return the exit code."""
    words = [scenario, "--quick", "--rounds", "1", "--seconds", "0.4", "--connections", "12", "--url", url]
    return main([*words, "--directory", str(scratch), "--json", str(scratch / "report.json")])


@pytest.mark.parametrize("scenario", ["unique", "hierarchy"])
def test_double_that_does_not_lie_passes(scenario: str, tmp_path: Path) -> None:
    """What the lies below are found by is the lie and not the double."""
    with double("none") as url:
        code = run(scenario, url, tmp_path)

    report = model.read(tmp_path / "report.json")
    assert (code, report.scenarios[0].violation) == (0, None)
    assert sum(report.scenarios[0].checked.values()) > 0
    assert report.url == url


@pytest.mark.parametrize(
    ("lie", "scenario", "promise", "line"),
    [
        ("grants twice", "contended", TWO_HOLDERS, "was granted r-"),
        ("grants twice", "hierarchy", TWO_HOLDERS, "was granted r-"),
        ("forgets", "unique", "every acknowledged write is readable", "was told that"),
        ("resurrects", "hierarchy", "every acknowledged write is readable", "was told that it has ended"),
        ("swallows", "hierarchy", "every event once and in order", "the log around"),
        ("repeats", "hierarchy", "every event once and in order", "heard"),
        ("stale fence", "contended", "fences rise", "with fence"),
        ("hurries", "overload", "honest Retry-After", "Retry-After: 0"),
    ],
)
def test_lie_fails_the_run_and_its_history_is_printed(
    lie: str, scenario: str, promise: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, the promise is named, and what led to it is told."""
    with double(lie) as url:
        code = run(scenario, url, tmp_path)

    printed = capsys.readouterr()
    broken = model.read(tmp_path / "report.json").scenarios[0].violation
    assert code == 1
    assert broken is not None
    assert broken.promise in promise.split(", or "), broken.explanation
    assert any(line in each for each in broken.history)
    assert broken.explanation in printed.err + printed.out
    assert broken.history[0].strip() in printed.err + printed.out
