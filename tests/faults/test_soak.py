"""The long run starts, prints its seed and writes its report; its parts are tested next to what they use."""

import json
from pathlib import Path

import pytest
import soak

_LEFT_OUT = ["--histories", "0", "--kills", "0", "--cases", "0", "--packets", "0"]


def test_soak_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A very short run of the parts in process finds nothing and says what it has tried."""
    report = tmp_path / "report.json"
    sizes = ["--walk", "400", "--cuts", "5", *_LEFT_OUT]

    assert soak.main([*sizes, "--seed", "7", "--report", str(report)]) == 0

    found = json.loads(report.read_text())
    assert set(found) == {"walk", "cuts"}
    assert (found["walk"]["seed"], found["cuts"]["cuts"], found["cuts"]["problems"]) == (7, 5, [])
    assert "seed 7" in capsys.readouterr().out


def test_soak_fails_if_a_part_finds_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: one problem makes the exit code 1."""
    monkeypatch.setitem(soak._PARTS, "cuts", (lambda *_: {"problems": ["lost"]}, 1, "a part that finds something"))

    assert soak.main(["--walk", "0", *_LEFT_OUT, "--report", str(tmp_path / "report.json")]) == 1
