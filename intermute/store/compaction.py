"""Compaction: give the pages that trimming has freed back to the file system, while no server runs."""

from pathlib import Path

from intermute.store.connection import close, open_writer
from intermute.store.faults import as_faults
from intermute.store.seal import break_seal, check_seal, seal


def compact(path: Path) -> tuple[int, int]:
    """Rewrite a file without its free pages, and return its bytes before and after. Blocks. Raises: StoreFault.

    Needs as much space again for the time it takes. Killed at any point, the file is the old one or the new one.
    """
    check_seal(path)
    before = path.stat().st_size
    break_seal(path)
    connection = open_writer(path)
    try:
        with as_faults():
            connection.execute("VACUUM")
    finally:
        close(connection, checkpoint=True)
    seal(path)
    return before, path.stat().st_size
