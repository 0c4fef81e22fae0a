"""Storage faults: what the outside world did to a file, told apart from our own mistakes.

A fault is answered as unavailable; anything else that SQLite raises (a constraint, a wrong statement) is a bug of ours
and is left alone. Source: style.md 22, hazards.md SQLite facts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

import apsw

from intermute.store.ballast import NO_ROOM


class FaultKind(StrEnum):
    """What happened, as far as it changes the answer."""

    BUSY = "busy"
    FULL = "full"
    IO = "io"
    CORRUPT = "corrupt"


class StoreFault(Exception):
    """The disk, or somebody else on it, failed us. After one during a commit the outcome is unknown until we looked."""

    def __init__(self, kind: FaultKind, text: str, *, is_cut_short: bool = False) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text
        self.is_cut_short = is_cut_short
        """Whether a write was not done to its end, for want of room."""


_KINDS: Final[tuple[tuple[type[Exception], FaultKind], ...]] = (
    (apsw.BusyError, FaultKind.BUSY),
    (apsw.LockedError, FaultKind.BUSY),
    (apsw.FullError, FaultKind.FULL),
    (apsw.CorruptError, FaultKind.CORRUPT),
    (apsw.NotADBError, FaultKind.CORRUPT),
    (
        UnicodeDecodeError,
        FaultKind.CORRUPT,
    ),  # Bytes on the disk that nobody can have stored; what clients send is text by now.
    (apsw.IOError, FaultKind.IO),
    (apsw.CantOpenError, FaultKind.IO),
    (apsw.ReadOnlyError, FaultKind.IO),
    (apsw.PermissionsError, FaultKind.IO),
    (apsw.NoMemError, FaultKind.IO),
    (apsw.InterruptError, FaultKind.IO),
    (OSError, FaultKind.IO),
)
_DAMAGE: Final = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS, apsw.SQLITE_IOERR_DATA})
_FAULTS: Final = tuple(error for error, _ in _KINDS)


_SHORT_WRITE: Final = apsw.SQLITE_IOERR_WRITE
_FLUSHES: Final = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})
"""After these nobody knows what is on the disk, whatever the reason: never taken for a mere lack of room."""


@contextmanager
def as_faults(connection: apsw.Connection | None = None) -> Iterator[None]:
    """Turn what SQLite and the system say of the outside world into StoreFault.

    SQLite says FULL of a full disk alone, and a mere I/O error of a file that may not grow (a limit of the process, or
    the index in shared memory); the connection knows what the system said of it.
    """
    try:
        yield
    except _FAULTS as error:
        kind = _kind_of(error)
        if kind is FaultKind.IO and _errno_of(error, connection) in NO_ROOM:
            kind = FaultKind.FULL
        is_cut_short = kind is FaultKind.FULL and (
            isinstance(error, apsw.FullError) or getattr(error, "extendedresult", None) == _SHORT_WRITE
        )
        raise StoreFault(kind, f"{type(error).__name__}: {error}", is_cut_short=is_cut_short) from error


def told(problem: Exception) -> str:
    """Return what an operator is told of a problem: of a full disk what to do, too."""
    if isinstance(problem, StoreFault):
        is_full, text = problem.kind is FaultKind.FULL, problem.text
    else:
        is_full, text = isinstance(problem, OSError) and problem.errno in NO_ROOM, str(problem)
    return f"the disk is full ({text}): make space, then run this again" if is_full else str(problem)


def _kind_of(error: Exception) -> FaultKind:
    # Extended codes are of the general class: a file that ends too early is damage, not a disk that may work again.
    if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) in _DAMAGE:
        return FaultKind.CORRUPT
    return next(kind for known, kind in _KINDS if isinstance(error, known))


def _errno_of(error: Exception, connection: apsw.Connection | None) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    if connection is None or getattr(error, "extendedresult", None) in _FLUSHES:
        return None
    return connection.system_errno
