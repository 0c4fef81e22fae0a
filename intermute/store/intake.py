"""One project's file during an import: everything that comes in is committed at once, or nothing is.

Only with the service stopped. A project that is there is changed in one transaction of SQLite; a new one is made in a file
beside its place and takes it in one rename. So a process that is killed at any point leaves the old state or the new one.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import apsw

from intermute.core.ids import Micros, ProjectName
from intermute.store import events, projects
from intermute.store.connection import abandon, close, log_of, shared_memory_of
from intermute.store.directory import DataDirectory
from intermute.store.faults import FaultKind, StoreFault, as_faults
from intermute.store.files import sync_directory
from intermute.store.migrate import MigrationRefused
from intermute.store.projects import ProjectRow
from intermute.store.seal import seal
from intermute.store.statements import Statement
from intermute.store.writer import WrongFile, open_project


class IntakeRefused(Exception):
    """Nothing can be taken into this project now; the text says why."""


@dataclass(slots=True)
class Intake:
    """The open transaction. Nothing is stored unless `commit` is called before the block ends."""

    connection: apsw.Connection
    row: ProjectRow
    now_us: Micros
    digest: bytes
    is_kept: bool = False

    def store(self, statements: Iterable[Statement]) -> None:
        """Run the statements of one decision, in order. Raises: StoreFault."""
        with as_faults(self.connection):
            for statement in statements:
                self.digest = events.execute(self.connection, statement, self.digest)

    def commit(self, head: int) -> None:
        """Make all of it last; `head` is the log's last cursor now. Raises: StoreFault."""
        with as_faults(self.connection):
            self.connection.execute(*projects.advance(head, self.row.batch + 1, self.now_us, self.digest))
            self.connection.execute("COMMIT")
        self.is_kept = True


@contextmanager
def intake(
    directory: DataDirectory | None, project: ProjectName, wall_us: Micros, *, is_trial: bool
) -> Iterator[Intake]:
    """Open a project to take things in; a trial works on a copy and leaves everything as it is.

    Raises: IntakeRefused, StoreFault.
    """
    path = None if directory is None else directory.path_of(project)
    if directory is not None and directory.quarantine.holds(project):
        raise IntakeRefused("the project is in quarantine: end that first, see `intermute quarantine --help`")
    if is_trial or path is None:
        with tempfile.TemporaryDirectory(prefix="intermute-import-") as folder, as_faults():
            copy = Path(folder) / "project.db"
            if path is not None and path.exists():
                for source, target in ((path, copy), (log_of(path), log_of(copy))):
                    if source.exists():
                        shutil.copyfile(source, target)
            with _transaction(copy, project, wall_us) as found:
                yield found
    elif path.exists():
        with _transaction(path, project, wall_us, leaves_log_if_full=True) as found:
            yield found
        with _tidying():
            seal(path)
    else:
        with _new(path, project, wall_us) as found:
            yield found


@contextmanager
def _tidying() -> Iterator[None]:
    """Let go what a full disk does not let be done after the commit: whoever opens the file next does it."""
    try:
        yield
    except StoreFault as fault:
        if fault.kind is not FaultKind.FULL:
            raise


@contextmanager
def _transaction(
    path: Path, project: ProjectName, wall_us: Micros, *, leaves_log_if_full: bool = False
) -> Iterator[Intake]:
    try:
        connection, row, _ = open_project(path, project, wall_us)
    except (MigrationRefused, WrongFile) as refused:
        raise IntakeRefused(str(refused)) from refused
    try:
        with as_faults(connection):
            connection.execute("BEGIN IMMEDIATE")
        found = Intake(connection, row, Micros(max(wall_us, row.wall_us + 1)), row.chain_head)
        yield found
        if not found.is_kept:
            connection.execute("ROLLBACK")
    except BaseException as error:
        abandon(connection, leaves_log=isinstance(error, StoreFault) and error.kind is FaultKind.CORRUPT)
        raise
    with _tidying() if leaves_log_if_full else nullcontext():
        close(connection, checkpoint=True)


@contextmanager
def _new(path: Path, project: ProjectName, wall_us: Micros) -> Iterator[Intake]:
    new = path.with_suffix(".db.new")
    every = (new, log_of(new), shared_memory_of(new))
    with as_faults():
        try:
            for each in every:  # Of a process that was killed here.
                each.unlink(missing_ok=True)
            with _transaction(new, project, wall_us) as found:
                yield found
            if found.is_kept:
                with new.open("rb") as file:
                    os.fsync(file.fileno())
                for each in (
                    log_of(path),
                    shared_memory_of(path),
                ):  # They are of no file: nobody may read them into this one.
                    each.unlink(missing_ok=True)
                sync_directory(path.parent)
                new.replace(path)
                sync_directory(path.parent)
                with _tidying():
                    seal(path)
        finally:
            for each in every:
                each.unlink(missing_ok=True)
