"""A disk that fails on demand: an apsw VFS under every file that is opened while it is in place.

It counts what reaches the disk (write, sync, truncate, delete, and opening a file anew) and fails the n-th of them, once
or from then on. A sync is counted and not carried out: nothing here is about power, and a hundred runs must be fast.
Source: hazards.md, SQLite facts; guarantees.md G3.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import apsw

_REAL = "unix"
"""The VFS that does the work; named, since the default is this one while it is in place."""


class Failure(StrEnum):
    """How the disk fails."""

    EIO = "eio"
    FULL = "full"


class Disk:
    """What the test holds of the faulty disk."""

    def __init__(self) -> None:
        self.operations = 0
        self.failures = 0
        self.log: list[str] = []
        self._fail_at: int | None = None
        self._is_sticky = False
        self._failure = Failure.EIO
        self._only: str | None = None
        self._hung_name: str | None = None
        self._works = threading.Event()
        self.is_hanging = threading.Event()

    def hang(self, name: str) -> None:
        """Let no sync of the files whose names begin so return, until `heal`; for whoever uses threads."""
        self._hung_name = name

    def sync(self, name: str) -> None:
        """Hang, if it is the turn of this file."""
        if self._hung_name is not None and name.startswith(self._hung_name):
            self.is_hanging.set()
            self._works.wait()

    def fail(
        self, at: int, failure: Failure = Failure.EIO, *, is_sticky: bool = False, only: str | None = None
    ) -> None:
        """Fail the operation with this number, counted from now, or from it on everything; of one kind, or of all."""
        self.operations, self._fail_at, self._failure, self._is_sticky = 0, at, failure, is_sticky
        self._only = only

    def heal(self) -> None:
        """Work again."""
        self._fail_at = None
        self._works.set()

    def count(self, what: str, *, can_be_full: bool) -> None:
        """Count one operation, and fail it if it is its turn. Raises: apsw.IOError, apsw.FullError."""
        if self._only not in (None, what):
            return
        self.operations += 1
        if self._fail_at is None or self.operations < self._fail_at:
            return
        if self.operations > self._fail_at and not self._is_sticky:
            return
        if self._failure is Failure.FULL and not can_be_full:
            return
        self.failures += 1
        self.log.append(what)
        if self._failure is Failure.FULL:
            raise apsw.FullError("disk full")
        raise apsw.IOError(f"disk error: {what}")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__(_REAL, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name.
        self._disk.count("write", can_be_full=True)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - apsw's signature.
        self._disk.count("sync", can_be_full=False)
        self._disk.sync(self._name)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name.
        self._disk.count("truncate", can_be_full=False)
        super().xTruncate(newsize)

    def excepthook(self, *_error: object) -> bool:
        """Errors raised here on purpose need no report."""
        return True


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__("faulty", _REAL, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name.
        assert name is not None, "no temporary files: temp_store is MEMORY"
        self._disk.count("open", can_be_full=False)
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name.
        self._disk.count("delete", can_be_full=False)
        super().xDelete(filename, syncdir)

    def excepthook(self, *_error: object) -> bool:
        """As for files."""
        return True


@contextmanager
def faulty_disk() -> Iterator[Disk]:
    """Put the faulty disk under every file that is opened inside the block."""
    disk = Disk()
    vfs = _Vfs(disk)
    try:
        yield disk
    finally:
        disk.heal()
        vfs.unregister()
