"""Running `tests/store/kill_points.py`: what a directory holds after each kill, and after running the operation again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_STORE_TESTS: Final = Path(__file__).parents[1] / "store"
_PATIENCE_S: Final = 120.0


def in_store_tests(*arguments: str) -> str:
    """Run Python beside the tests of the store with these arguments, and return what it prints."""
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=_STORE_TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_STORE_TESTS), str(_STORE_TESTS.parents[1])])},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def outcomes(operation: str, root: Path) -> list[tuple[str, str]]:
    """Return what was there after each kill, and after running the operation again; the last one was not killed."""
    lines = in_store_tests("kill_points.py", operation, str(root)).splitlines()
    return [(line.split(" | ")[0], line.split(" | ")[1]) for line in lines]
