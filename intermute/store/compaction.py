"""Compaction: give the pages that trimming has freed back to the file system, while no server runs."""

from pathlib import Path

from intermute.store.connection import close, open_writer
from intermute.store.faults import as_faults


def compact(path: Path) -> tuple[int, int]:
    """Rewrite a file without its free pages, and return its bytes before and after. Blocks. Raises: StoreFault.

    Needs as much space again for the time it takes. Killed at any point, the file is the old one or the new one.
    """
    before = path.stat().st_size
    connection = open_writer(path)
    try:
        with as_faults():
            connection.execute("VACUUM")
    finally:
        close(connection, checkpoint=True)
    return before, path.stat().st_size
