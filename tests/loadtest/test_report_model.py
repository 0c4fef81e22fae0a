"""The report's file: what was written is read again, and anything else is refused with a sentence that says what to do."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sample_report import hostile_report, sample_report, with_violation

from loadtest.report import model
from loadtest.report.model import Report, ReportRefused


@pytest.mark.parametrize("report", [sample_report(), with_violation(sample_report()), hostile_report()])
def test_report_is_read_as_it_was_written(report: Report, tmp_path: Path) -> None:
    """Nothing is lost on the way through the file."""
    path = tmp_path / "report.json"

    model.write(path, report)

    assert model.read(path) == report


def test_report_names_its_format_first() -> None:
    """Whoever opens the file sees what it is."""
    assert model.encode(sample_report()).startswith(b'{"format":"intermute-loadtest/1","started_at":')


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b'"intermute-loadtest/1"',
        b'{"format": 1}',
        b'{"format":"other/3"}',
    ],
)
def test_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is no report, or one of another format, is refused by its name and with the command that writes one."""
    path = tmp_path / "foreign.json"
    path.write_bytes(content)

    with pytest.raises(ReportRefused, match=r"foreign\.json .*python -m loadtest --json FILE"):
        model.read(path)


def test_older_format_is_named(tmp_path: Path) -> None:
    """A report of another version says which one it is and which one is read."""
    path = tmp_path / "old.json"
    path.write_text(json.dumps(_document() | {"format": "intermute-loadtest/0"}))

    with pytest.raises(ReportRefused, match=r"'intermute-loadtest/0', and 'intermute-loadtest/1' is read here"):
        model.read(path)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    """A path without a file, and a directory, are refused like a wrong file."""
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(ReportRefused, match=r"cannot be read .*python -m loadtest --json FILE"):
            model.read(path)


def test_endless_file_is_refused(tmp_path: Path) -> None:
    """A file at the bound is read, one byte more is not: it would be held in memory whole."""
    content = model.encode(sample_report())
    path = tmp_path / "report.json"
    path.write_bytes(content)

    assert model.read(path, bytes_max=len(content)) == sample_report()
    with pytest.raises(ReportRefused, match="longer than"):
        model.read(path, bytes_max=len(content) - 1)


def test_report_with_a_field_missing_is_refused() -> None:
    """Each field without a default is needed, on each level."""
    document = _document()
    del document["scenarios"][0]["rounds"][0]["per_s"]

    with pytest.raises(ReportRefused, match=r"no whole report .*per_s.*scenarios\[.*write it anew"):
        model.decode(json.dumps(document).encode(), "x.json")


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        (("surprise",), 1, "surprise"),
        (("scenarios", 0, "surprise"), 1, "surprise"),
        (("seed",), "7", "seed"),
        (("scenarios", 0, "operations", 0, "loop"), "half-open", "loop"),
        (("scenarios", 0, "operations", 0, "histogram", "counts"), [1], "one edge more"),
        (("scenarios", 0, "operations", 0, "timeline", "counts"), [1], "of one length"),
        (("scenarios", 0, "operations", 0, "per_round", "p99"), [1.0], "each of the 3 rounds"),
        (("scenarios", 0, "operations", 0, "timeline", "bin_s"), 0, "longer than nothing"),
    ],
)
def test_report_that_does_not_fit_is_refused(path: tuple[str | int, ...], value: object, wrong: str) -> None:
    """A field too many, a wrong type, and lists that do not fit together are named."""
    document = _document()
    place: Any = document  # JSON of any depth.
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(ReportRefused, match=wrong):
        model.decode(json.dumps(document).encode(), "x.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figure_that_is_no_number_is_not_written(value: float, tmp_path: Path) -> None:
    """JSON has no such number: the run hears it now, and whoever compares with the file later does not."""
    report = msgspec.structs.replace(sample_report(), took_s=value)

    with pytest.raises(ReportRefused, match="took_s"):
        model.write(tmp_path / "report.json", report)

    assert list(tmp_path.iterdir()) == []


def _document() -> dict[str, Any]:
    """Return a report as plain JSON."""
    document: dict[str, Any] = json.loads(model.encode(sample_report()))  # JSON of any depth.
    return document
