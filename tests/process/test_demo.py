"""The demo as a user runs it: `python -m intermute demo` as a child, in a directory that is not ours."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIME_LIMIT_S = 60
FILES = {"src/api/routes.py": "x = 1\n" * 50, "src/api/models.py": "y = 2\n", "docs/index.md": "# Docs\n"}


class Place:
    """A directory with some files to run the demo in, and a temporary directory that must be empty afterwards."""

    def __init__(self, root: Path) -> None:
        self.root, self.scratch = root / "repository", root / "scratch"
        self.scratch.mkdir()
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def start(self, *flags: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "intermute", "demo", *flags],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)

    def contents(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def finish(child: subprocess.Popen[str]) -> str:
    """Return what the demo printed; it has ended well and said nothing on standard error."""
    out, err = child.communicate(timeout=TIME_LIMIT_S)
    assert (child.returncode, err) == (0, ""), out
    return out


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_demo_shows_a_conflict_and_a_hand_over(place: Place) -> None:
    """A reader sees who collided with whom, where, and who got in afterwards, over files that git tracks."""
    place.git("init", "-q")
    place.git("add", ".")

    out = finish(place.start("--fast"))

    assert "3 files that git tracks here" in out
    assert "CONFLICT   src/api/routes.py: held by" in out
    assert "CONFLICT   src/api/**: held by" in out
    assert "example path src/api/routes.py" in out
    assert "acknowledges" in out
    assert "HAND-OVER" in out
    assert out.count("GRANTED    src/api/routes.py") == 2
    assert "3 reservation.created, 3 reservation.released" in out


def test_demo_outside_a_repository_says_so(place: Place) -> None:
    """Without git it takes the files that are there, and does not claim otherwise."""
    out = finish(place.start("--fast"))

    assert "3 files of this directory, of which git tracks none" in out
    assert "HAND-OVER" in out


def test_demo_leaves_nothing_behind(place: Place) -> None:
    """No file is changed or left, and no process survives."""
    before = place.contents()

    child = place.start("--fast")
    finish(child)

    assert place.contents() == before
    assert list(place.scratch.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_demo_interrupted_leaves_nothing_behind(place: Place) -> None:
    """Ctrl-C in the middle ends it at once, with the usual code and without a traceback."""
    before = place.contents()
    child = place.start()
    assert child.stdout is not None
    while "joins" not in child.stdout.readline():
        assert child.poll() is None

    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=TIME_LIMIT_S)

    assert (child.returncode, err) == (130, "")
    assert place.contents() == before
    assert list(place.scratch.iterdir()) == []
