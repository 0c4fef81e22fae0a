"""Putting another file in a project's place: a backup, what was in quarantine, or nothing at all.

Only with the service stopped. The new file is made beside the old one and takes its place in one rename, so that a process
killed at any point leaves the old state or the new one; repeating the command is harmless. What was there is kept.

A number that a client was given must never come again, though the file that knew it may be lost: the epoch grows beyond
every one that is known, and the cursor (with it every fence) goes on from the present time in microseconds, or from one
beyond every head that is known, whichever is more. No project stores a million events a second, so the clock was never
behind the cursor. The first event there is `project.restored`. Source: guarantees.md G5, G7, G21.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from intermute.core.events import Event, EventType
from intermute.core.ids import Micros, ProjectName, project_digest
from intermute.store import events, projects
from intermute.store.backups import BackupRefused, Manifest
from intermute.store.connection import (
    close,
    create_private,
    log_of,
    open_writer,
    shared_memory_of,
    was_stopped_uncleanly,
)
from intermute.store.diagnosis import Finding, examine
from intermute.store.directory import DataDirectory
from intermute.store.faults import FaultKind, StoreFault, as_faults
from intermute.store.files import make_private, sync_directory
from intermute.store.migrate import migrate
from intermute.store.seal import break_seal, digest_of

REPLACED: Final = "replaced"
"""The folder below the data directory where files are kept that another took the place of."""

_EPOCHS_MAX: Final = 2**31  # restores of one project.
_HEADS_MAX: Final = 2**53  # what every client can read exactly; the clock reaches it in 2255.


@dataclass(frozen=True, slots=True)
class Installed:
    """What came of it."""

    epoch: int
    head: int
    kept: tuple[Path, ...]
    """Where what was there before is now."""


def restore(directory: DataDirectory, manifest: Manifest, target: Path, at_us: Micros) -> Installed:
    """Put a backup, which was checked, in its project's place. Raises: StoreFault, OSError, BackupRefused."""

    def prepare(new: Path) -> None:
        _copy_private(target / manifest.file, new)
        if digest_of(new) != manifest.sha256:
            raise BackupRefused(f"{manifest.file} could not be copied whole: try again, or use another backup")

    source = {"source": "backup", "backup_at": manifest.made_at}
    return _install(directory, ProjectName(manifest.project), prepare, source, at_us)


def put_back(directory: DataDirectory, project: ProjectName, at_us: Micros) -> Installed:
    """Put a project's own file back from quarantine, once it is whole. Raises: StoreFault, OSError, BackupRefused."""
    file = directory.quarantine.file_of(project)
    if not directory.quarantine.holds(project):
        raise BackupRefused(f"project {project!r} is not in quarantine: see `intermute quarantine list`")
    found = examine(file) if file.exists() else None
    if found is None or not found.is_well or found.project != project:
        wrong = found.integrity if found else "it is not there"
        raise BackupRefused(f"{file} is not whole: {wrong}; repair it, restore a backup, or start anew")

    def prepare(new: Path) -> None:
        _copy_private(file, new)
        if was_stopped_uncleanly(file):
            _copy_private(log_of(file), log_of(new))

    return _install(directory, project, prepare, {"source": "quarantine"}, at_us)


def start_anew(directory: DataDirectory, project: ProjectName, at_us: Micros) -> Installed:
    """Let a project begin without what it held. Raises: StoreFault, OSError, BackupRefused."""
    if not directory.quarantine.holds(project):
        raise BackupRefused(f"project {project!r} is not in quarantine: see `intermute quarantine list`")

    def prepare(new: Path) -> None:
        connection = open_writer(new)
        try:
            migrate(connection, at_us)
            with as_faults():
                projects.create(connection, project, at_us)
        finally:
            close(connection, checkpoint=True)

    return _install(directory, project, prepare, {"source": "nothing"}, at_us)


def _install(
    directory: DataDirectory,
    project: ProjectName,
    prepare: Callable[[Path], None],
    source: Mapping[str, str],
    at_us: Micros,
) -> Installed:
    path = directory.path_of(project)
    new = path.with_suffix(".db.new")
    before = _known(directory, project, path)
    try:
        for each in (new, log_of(new), shared_memory_of(new)):  # Of a process that was killed here.
            each.unlink(missing_ok=True)
        prepare(new)
        epoch, head = _renew(new, project, before, source, at_us)
        kept = _make_room(directory, project, path, head, at_us)
        break_seal(path)  # It is of the file that goes.
        sync_directory(path.parent)  # No power cut may bring the old log back beside the new file.
        new.replace(path)
    finally:
        for each in (new, log_of(new), shared_memory_of(new)):
            each.unlink(missing_ok=True)
    sync_directory(path.parent)
    ended = directory.quarantine.end(project, head)
    return Installed(epoch, head, tuple(each for each in (kept, ended) if each is not None))


def _known(directory: DataDirectory, project: ProjectName, path: Path) -> tuple[int, int]:
    """Return the largest epoch and head that are known of a project, wherever they stand; zero where there is nothing."""
    files: list[Finding] = [
        examine(each) for each in (path, directory.quarantine.file_of(project)) if each.exists() and each.stat().st_size
    ]
    report = directory.quarantine.reports().get(project_digest(project))
    said = [(found.epoch, found.head) for found in files] + ([(report.epoch, report.head)] if report else [])
    # A damaged file may say anything; what no project can have reached is not believed.
    epochs = [epoch for epoch, _ in said if 0 <= epoch < _EPOCHS_MAX]
    heads = [head for _, head in said if 0 <= head < _HEADS_MAX]
    return max(epochs, default=0), max(heads, default=0)


def _renew(
    new: Path, project: ProjectName, before: tuple[int, int], source: Mapping[str, str], at_us: Micros
) -> tuple[int, int]:
    """Move a file's epoch and cursor beyond all that were ever given out, and return them. Raises: StoreFault."""
    connection = open_writer(new)
    try:
        migrate(connection, at_us)
        with as_faults():
            row = projects.read(connection)
            if row is None or row.name != project:
                raise BackupRefused(f"the file is not of project {project!r}")
            epoch = max(before[0], row.epoch) + 1
            head = max(before[1] + 1, row.head + 1, at_us)
            now_us = Micros(max(at_us, row.wall_us + 1))
            data = {**source, "epoch": epoch, "restored_cursor": row.head}
            told = Event(head, EventType.PROJECT_RESTORED, now_us, None, data)
            _in_one_transaction(connection, told, row, epoch)
    finally:
        close(connection, checkpoint=True)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    return epoch, head


def _in_one_transaction(connection: apsw.Connection, told: Event, row: projects.ProjectRow, epoch: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    digest = events.execute(connection, events.append(told), row.chain_head)
    connection.execute(*projects.advance(told.cursor, row.batch + 1, told.created_at_us, digest))
    connection.execute(*projects.begin_epoch(epoch))
    connection.execute("COMMIT")


def _make_room(directory: DataDirectory, project: ProjectName, path: Path, head: int, at_us: Micros) -> Path | None:
    """See to it that a rename onto the project's file replaces all of it, and return where the old one is kept."""
    if directory.quarantine.holds(project):
        directory.quarantine.collect(project, path)
        return None
    if not path.exists():
        _remove_log(path)
        return None
    try:
        # Its log must not be read into the file that takes its place, so it is moved into its own first.
        close(open_writer(path), checkpoint=True)
    except StoreFault as fault:
        if fault.kind is not FaultKind.CORRUPT:
            raise
    if was_stopped_uncleanly(path):
        directory.quarantine.begin(
            project, path, reason="its log could not be moved into it", at_us=at_us, epoch=0, head=0, head_hash=b""
        )
        return None
    _remove_log(path)
    return _keep(directory, path, head)


def _remove_log(path: Path) -> None:
    for each in (log_of(path), shared_memory_of(path)):
        each.unlink(missing_ok=True)


def _keep(directory: DataDirectory, path: Path, head: int) -> Path:
    folder = directory.root / REPLACED
    make_private(folder)
    for earlier in folder.glob(f"{path.stem}-*.db"):
        if earlier.samefile(path):  # Of a process that was killed between this line and the rename.
            earlier.unlink()
    kept = folder / f"{path.stem}-{head}.db"  # The new head: it never repeats.
    kept.hardlink_to(path)
    sync_directory(folder)
    return kept


def _copy_private(source: Path, new: Path) -> None:
    create_private(new)
    with source.open("rb") as old, new.open("r+b") as copy:
        shutil.copyfileobj(old, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())
