"""The seal: a digest of a project's file, made when it was closed in good order, and broken before it is opened.

SQLite has no checksums of its pages: a bit that flips in a stopped file would be told as truth. A sealed file is compared
as a whole before it is used. A file without a seal (killed, or larger than is hashed at a stop) is checked for its structure
and the end of its hash chain instead. Source: guarantees.md G18.
"""

import hashlib
from pathlib import Path
from typing import Final

from intermute.store.connection import was_stopped_uncleanly
from intermute.store.faults import FaultKind, StoreFault, as_faults
from intermute.store.files import sync_directory, write_private

SEALED_BYTES_MAX: Final = 16 * 1024 * 1024  # bytes of a file that is hashed; 256 of them take 3 s of a stop (measured).


def seal_of(path: Path) -> Path:
    """Return the file of the seal."""
    return path.with_suffix(".seal")


def seal(path: Path) -> None:
    """Seal a file that nobody writes any more; a large one is left without. Raises: StoreFault."""
    with as_faults():
        if path.stat().st_size > SEALED_BYTES_MAX or was_stopped_uncleanly(path):
            return
        new = path.with_suffix(".seal.new")
        write_private(new, digest_of(path).encode(), is_flushed=False)  # A seal that a power cut takes is only missing.
        new.rename(seal_of(path))


def check_seal(path: Path) -> bool:
    """Tell whether the file has a seal and is what was sealed. Raises: StoreFault, where it is something else."""
    with as_faults():
        try:
            sealed = seal_of(path).read_bytes()
        except FileNotFoundError:
            return False
        if was_stopped_uncleanly(path):
            raise StoreFault(FaultKind.CORRUPT, "a write-ahead log lies beside a file that was closed without one")
        if sealed != digest_of(path).encode():
            raise StoreFault(FaultKind.CORRUPT, "the file was changed since it was closed")
        return True


def break_seal(path: Path) -> None:
    """Take the seal away before the file is changed. Raises: StoreFault."""
    with as_faults():
        try:
            seal_of(path).unlink()
        except FileNotFoundError:
            return
        sync_directory(path.parent)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
