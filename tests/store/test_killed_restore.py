"""Killed before any step of a backup or a restore: the old state or the new one, and running it again completes it (G21)."""

from pathlib import Path

import pytest
from killed_steps import outcomes
from stored_projects import DEMO, START_US, prepared, tell, told

from intermute.store.backups import back_up
from intermute.store.connection import abandon, open_writer
from intermute.store.directory import DataDirectory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of four events, the last in the log of a killed server, and a backup of the first two."""
    original = tmp_path / "original"
    data = prepared(original / "data")
    tell(data.root, ["one", "two"])
    back_up(data.path_of(DEMO), original / "backup", START_US)
    tell(data.root, ["three"])
    killed = open_writer(data.path_of(DEMO))
    killed.execute("UPDATE project SET wall_us = wall_us + 1")
    abandon(killed, leaves_log=True)
    return tmp_path


def set_aside(data: Path) -> None:
    """Put the project into quarantine."""
    directory, (row, _) = DataDirectory(data), told(data)
    directory.quarantine.begin(
        DEMO, directory.path_of(DEMO), reason="test", at_us=START_US, epoch=row.epoch, head=row.head, head_hash=b""
    )


def test_killed_backup_leaves_the_old_one_or_the_new_one(root: Path) -> None:
    """At each step the directory holds a backup that is accepted; run again it is the new one."""
    found = outcomes("backup", root)

    assert {after for after, _ in found} == {"head 2", "head 3"}
    assert {again for _, again in found} == {"head 3"}
    assert len(found) > 10


def test_killed_restore_leaves_the_old_state_or_the_new_one(root: Path) -> None:
    """At each step the project is the old one, its log included, or the restored one; run again it is restored."""
    found = outcomes("restore", root)

    assert {after for after, _ in found} == {"epoch 1: one two three", "epoch 2: one two restored"}
    assert {again.partition(": ")[2] for _, again in found} == {"one two restored"}
    assert len(found) > 20


def test_killed_restore_of_a_quarantined_project_refuses_it_or_is_done(root: Path) -> None:
    """At no step is the project there without its facts: it stays in quarantine until it is restored."""
    set_aside(root / "original" / "data")

    found = outcomes("restore-quarantined", root)

    assert {after for after, _ in found} == {"quarantined", "epoch 2: one two restored"}
    assert {again.partition(": ")[2] for _, again in found} == {"one two restored"}


def test_killed_return_from_quarantine_refuses_it_or_is_done(root: Path) -> None:
    """The same for the project's own file; what was in its log comes with it."""
    set_aside(root / "original" / "data")

    found = outcomes("put-back", root)

    assert {after for after, _ in found} == {"quarantined", "epoch 2: one two three restored"}
    assert {again.partition(": ")[2] for _, again in found} == {"one two three restored"}
