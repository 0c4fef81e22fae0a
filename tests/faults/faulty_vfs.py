"""A disk that fails on demand: an apsw VFS under every file that is opened while it is in place.

It counts what reaches the disk (write, sync, truncate, delete, and opening a file anew; reads apart from them) and lets the
n-th fail, take long or be lost, once or from then on. A sync is counted and not carried out: nothing here is about power
(see `power.py`), and a hundred runs must be fast. Source: hazards.md, SQLite facts; guarantees.md G3.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

import apsw

_REAL = "unix"
"""The VFS that does the work; named, since the default is this one while it is in place."""


class Failure(StrEnum):
    """How the disk fails."""

    EIO = "eio"
    FULL = "full"
    SHORT = "short"
    """A read of the log returns half of what is there. Of the file itself this is no fault to SQLite, which takes the missing
    half for zeros and may answer wrongly: it happens only where the file was cut off from outside (guarantees.md G18)."""
    SLOW = "slow"
    """The operation succeeds, and `Disk.when_slow` is called before it."""
    LOST = "lost"
    """A write or sync is reported as done, and is not: a disk that lies, which no promise survives."""


_CAN_HIT: Final = {
    Failure.EIO: frozenset({"read", "log read", "write", "sync", "truncate", "delete", "open"}),
    Failure.FULL: frozenset({"write"}),
    Failure.SHORT: frozenset({"log read"}),
    Failure.SLOW: frozenset({"read", "log read", "write", "sync", "truncate", "delete", "open"}),
    Failure.LOST: frozenset({"write", "sync"}),
}


class Disk:
    """What the test holds of the faulty disk."""

    def __init__(self) -> None:
        self.operations = 0
        self.failures = 0
        self.log: list[str] = []
        self.when_slow: Callable[[], None] = lambda: None
        self._fail_at: int | None = None
        self._is_sticky = False
        self._failure = Failure.EIO
        self._only: str | None = None
        self._flushes_go_on = threading.Event()
        self._flushes_go_on.set()
        self._held = ""
        self.flush_hangs = threading.Event()
        """Set once a flush hangs."""

    def fail(
        self, at: int, failure: Failure = Failure.EIO, *, is_sticky: bool = False, only: str | None = None
    ) -> None:
        """Fail the operation with this number, counted from now, or from it on everything; of one kind, or of all.

        Reads are counted only where `only` is "read" or "log read".
        """
        self.operations, self._fail_at, self._failure, self._is_sticky = 0, at, failure, is_sticky
        self._only = only

    def heal(self) -> None:
        """Work again."""
        self._fail_at = None

    def hang(self, name: str) -> None:
        """Let the next flush of a file whose name contains this hang, until `let_go`."""
        self._held = name
        self._flushes_go_on.clear()

    def let_go(self) -> None:
        """Let it go on."""
        self._flushes_go_on.set()

    def flush(self, name: str) -> None:
        """Take as long as a flush does."""
        if self._held in name and not self._flushes_go_on.is_set():
            self.flush_hangs.set()
            self._flushes_go_on.wait()

    def count(self, what: str) -> Failure | None:
        """Count one operation; tell whether it is its turn to be short or lost. Raises: apsw.IOError, apsw.FullError."""
        if what != self._only and (self._only is not None or what.endswith("read")):
            return None
        self.operations += 1
        if self._fail_at is None or self.operations < self._fail_at:
            return None
        if (self.operations > self._fail_at and not self._is_sticky) or what not in _CAN_HIT[self._failure]:
            return None
        self.failures += 1
        self.log.append(what)
        if self._failure is Failure.FULL:
            raise apsw.FullError("disk full")
        if self._failure is Failure.EIO:
            raise apsw.IOError(f"disk error: {what}")
        if self._failure is Failure.SLOW:
            self.when_slow()
        return self._failure


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._disk = disk
        self._read = "log read" if apsw.SQLITE_OPEN_WAL & flags[0] else "read"
        self._name = name if isinstance(name, str) else name.filename()
        super().__init__(_REAL, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name.
        failure = self._disk.count(self._read)
        data = super().xRead(amount, offset)
        return data[: len(data) // 2] if failure is Failure.SHORT else data

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name.
        if self._disk.count("write") is not Failure.LOST:
            super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - apsw's signature.
        self._disk.count("sync")
        self._disk.flush(self._name)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name.
        self._disk.count("truncate")
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
        self._disk.count("open")
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name.
        self._disk.count("delete")
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
        disk.let_go()
        vfs.unregister()
