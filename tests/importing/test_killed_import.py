"""Killed before any step and after any row of an import: the old state or the new one; run again, the new one (issue 6)."""

import shutil
from pathlib import Path

import pytest
from killed_steps import in_store_tests, outcomes
from original_files import OriginalFile

from intermute.store.directory import DataDirectory

ROWS = 5
NEW = " ".join(f"m{number}" for number in range(ROWS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data directory, and a file of the original with five messages of the project `demo`."""
    original = tmp_path / "original"
    data = DataDirectory(original / "data")
    data.prepare()
    made = OriginalFile(original / "old.db")
    for number in range(ROWS):
        made.send("demo", "a", ["b"], "x", subject=f"m{number}")
    made.close()
    return tmp_path


def test_killed_import_makes_a_new_project_or_none(root: Path) -> None:
    """A project that was not there is there with all of it, or not at all."""
    found = outcomes("import", root)

    assert {after for after, _ in found} == {"EMPTY", f"epoch 1: {NEW}"}
    assert {again for _, again in found} == {f"epoch 1: {NEW}"}
    assert len(found) > ROWS + 5


def test_killed_import_changes_a_project_or_does_not(root: Path) -> None:
    """A project that was there has all of it besides, or nothing; never a part."""
    data = root / "original" / "data"
    in_store_tests("-c", "import sys; from pathlib import Path; from stored_projects import tell; "
                   "tell(Path(sys.argv[1]), ['one', 'two'])", str(data))  # fmt: skip

    found = outcomes("import", root)

    assert {after for after, _ in found} == {"epoch 1: one two", f"epoch 1: one two {NEW}"}
    assert {again for _, again in found} == {f"epoch 1: one two {NEW}"}
    shutil.rmtree(root / "copy")
