"""The ballast: room on the disk that is taken while there is some, to be given up when there is none.

A full disk stops even the checkpoint that would free the room of a write-ahead log, so the room for that is put aside
before (hazards.md, SQLite facts; guarantees.md G19). It is really taken: a file with holes would take nothing.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from intermute.core import limits

_BLOCK_BYTES: Final = 64 * 1024
"""The ballast is taken in pieces of this many bytes; a multiple of every usual block of a file system."""
_NOT_OFFERED: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a file cannot grow: the disk is full, or the user's share of it, or the file's largest size."""

Allocate = Callable[[int, int, int], None]
_ALLOCATE: Final = os.posix_fallocate if hasattr(os, "posix_fallocate") else None  # macOS has none.


class Ballast:
    """The file that takes the room. All methods block."""

    def __init__(
        self,
        path: Path,
        wanted_bytes: int = limits.BALLAST_BYTES,
        allocate: Allocate | None = _ALLOCATE,
    ) -> None:
        self._path, self.wanted_bytes, self._allocate = path, wanted_bytes, allocate

    def free_bytes(self) -> int | None:
        """Return how much else may be written there, or None where the file system does not say. Raises: OSError."""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize if found.f_blocks else None

    def size_bytes(self) -> int:
        """Return how much room it takes now; of a file with holes only what is really there. Raises: OSError."""
        try:
            found = self._path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return 0
        return min(found.st_size, found.st_blocks * 512)

    def take(self, *, spares_bytes: int) -> int:
        """Take what is wanting, if as much as that stays free; return the size it has then. Raises: OSError."""
        wanting = self.wanted_bytes - self.size_bytes()
        free = self.free_bytes()
        if wanting > 0 and (free is None or free >= wanting + spares_bytes):
            self._grow(wanting)
        return self.size_bytes()

    def take_back(self, had_bytes: int) -> int:
        """Take as much as there is of what it had when it was given up; return the size it has then. Raises: OSError.

        Never more: room that somebody makes meanwhile is for writes, and would be missing for ever on a small disk.
        """
        wanting = had_bytes - self.size_bytes()
        free = self.free_bytes()
        most = wanting if free is None else min(wanting, free)
        while most >= _BLOCK_BYTES and not self._grow(most // _BLOCK_BYTES * _BLOCK_BYTES):
            most //= 2
        return self.size_bytes()

    def give_up(self) -> int:
        """Leave the room to others, and return how much it was. Raises: OSError."""
        had_bytes = self.size_bytes()
        self._path.unlink(missing_ok=True)
        return had_bytes

    def _grow(self, by_bytes: int) -> bool:
        """Tell whether it could be done; if not, it is as large as before."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)
            before = self.size_bytes()
            os.ftruncate(file, before)  # A file with holes is begun anew where they begin.
            try:
                self._fill(file, before, by_bytes)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                os.ftruncate(file, before)
                return False
            return True
        finally:
            os.close(file)

    def _fill(self, file: int, offset: int, count: int) -> None:
        if self._allocate is not None:
            try:
                self._allocate(file, offset, count)
            except OSError as error:
                if error.errno not in _NOT_OFFERED:
                    raise
            else:
                return
        os.lseek(file, offset, os.SEEK_SET)
        while count > 0:  # Random, since zeros may be stored as nothing.
            count -= os.write(file, os.urandom(min(count, _BLOCK_BYTES)))
        os.fsync(file)
