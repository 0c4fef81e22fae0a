"""Storage faults: what the outside world did to a file, told apart from our own mistakes.

A fault is answered as unavailable; anything else that SQLite raises (a constraint, a wrong statement) is a bug of ours
and is left alone. Source: style.md 22, hazards.md SQLite facts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

import apsw


class FaultKind(StrEnum):
    """What happened, as far as it changes the answer."""

    BUSY = "busy"
    FULL = "full"
    IO = "io"
    CORRUPT = "corrupt"


class StoreFault(Exception):
    """The disk, or somebody else on it, failed us. After one during a commit the outcome is unknown until we looked."""

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


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


@contextmanager
def as_faults() -> Iterator[None]:
    """Turn what SQLite and the system say of the outside world into StoreFault."""
    try:
        yield
    except _FAULTS as error:
        raise StoreFault(_kind_of(error), f"{type(error).__name__}: {error}") from error


def _kind_of(error: Exception) -> FaultKind:
    # Extended codes are of the general class: a file that ends too early is damage, not a disk that may work again.
    if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) in _DAMAGE:
        return FaultKind.CORRUPT
    return next(kind for known, kind in _KINDS if isinstance(error, known))
