"""Opening a project's file: one writer, one reader, both careful.

apsw brings its own SQLite, and no other copy of SQLite may touch these files in this process (hazards.md, SQLite facts).
The file is created 0600 before SQLite sees it, so there is no moment in which others could open it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from intermute.core import limits
from intermute.store.faults import as_faults

SQLITE_OLDEST: Final = (3, 51, 3)
"""Before it a reset of the log could corrupt a file that two connections share (hazards.md, SQLite facts)."""

_WRITER_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -4096",  # KiB; a writer touches few pages, and there may be 256 of these connections.
    "PRAGMA journal_size_limit = 16777216",  # bytes; guarantees.md G15: recovery is bounded by the log's size.
    "PRAGMA trusted_schema = OFF",
)
_READER_PRAGMAS: Final = (
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8192",  # KiB
    "PRAGMA query_only = ON",
    "PRAGMA trusted_schema = OFF",
)


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite inside apsw."""
    return tuple(int(part) for part in apsw.sqlite_lib_version().split("."))


def open_writer(path: Path) -> apsw.Connection:
    """Return the one connection that may write this file, creating it if it is not there.

    Raises: StoreFault. Resources: the caller closes it, in the thread that used it last.
    """
    with as_faults():
        create_private(path)
        return _opened(path, _WRITER_PRAGMAS)


def open_reader(path: Path, *, leaves_log: bool = False) -> apsw.Connection:
    """Return a connection that can only read; with `leaves_log` its closing moves nothing into the file. Raises: StoreFault.

    Whoever only looks leaves the log: that it is there tells the next writer of an unclean stop.
    """
    with as_faults():
        # Read-write at the file level, since a read-only handle cannot take part in the write-ahead log's index.
        connection = _opened(path, _READER_PRAGMAS)
        if leaves_log and was_stopped_uncleanly(
            path
        ):  # An empty one is made by the opening, and goes with the closing.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def log_of(path: Path) -> Path:
    """Return the file of the write-ahead log."""
    return path.with_name(path.name + "-wal")


def shared_memory_of(path: Path) -> Path:
    """Return the file of the log's index; it holds nothing that the log does not."""
    return path.with_name(path.name + "-shm")


def was_stopped_uncleanly(path: Path) -> bool:
    """Tell whether the log holds something: whoever closes the file in good order empties it first."""
    try:
        return log_of(path).stat().st_size > 0
    except FileNotFoundError:
        return False


def create_private(path: Path) -> None:
    """Create a file for its owner only, unless it is there; its name outlasts a power cut. Raises: OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    # The new name must survive a power cut together with what will be written under it (guarantees.md G2).
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _opened(path: Path, pragmas: tuple[str, ...]) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW)
    try:
        with as_faults(connection):
            _prepare(connection, pragmas)
    except BaseException:
        # The error's traceback would keep it open, and its end would write to the file at some later moment, in any thread.
        abandon(connection)
        raise
    return connection


def _prepare(connection: apsw.Connection, pragmas: tuple[str, ...]) -> None:
    connection.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
    for pragma in pragmas:
        connection.execute(pragma).fetchall()


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[apsw.Connection]:
    """Run several reads on one state of the file."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        if connection.in_transaction:  # SQLite itself ends it after some faults.
            connection.execute("ROLLBACK")


def abandon(connection: apsw.Connection, *, leaves_log: bool = False) -> None:
    """Close a connection after a fault; what closing says is of no interest beside what went wrong before."""
    with suppress(apsw.Error):
        if leaves_log:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close(force=True)


def close(connection: apsw.Connection, *, checkpoint: bool = False, leaves_log: bool = False) -> None:
    """Close the connection, after moving the whole log into the file if asked to, or leaving it in any case.

    Raises: StoreFault; the connection is closed all the same.
    """
    with as_faults():
        try:
            if leaves_log:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            if checkpoint and not connection.in_transaction:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close(force=True)
