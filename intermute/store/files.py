"""Files and directories for their owner only, that outlast a power cut."""

import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a directory for its owner only, unless it is there. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_directory(folder.parent)


def write_private(path: Path, content: bytes, *, is_flushed: bool = True) -> None:
    """Write a file for its owner only, and flush it unless told otherwise. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if is_flushed:
            os.fsync(file.fileno())


def sync_directory(folder: Path) -> None:
    """Make names in a directory last. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
