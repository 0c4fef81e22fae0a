"""The write-ahead log stays short: the writer moves it into the file at moments of its own (guarantees.md G15)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from intermute.core.ids import Micros, ProjectName
from intermute.store.connection import close, open_reader
from intermute.store.hop import inline_hop
from intermute.store.statements import Statement
from intermute.store.writer import WAL_PAGES_BETWEEN, WAL_PAGES_FORCED, Writer

NOW_US = Micros(1_784_714_400_000_000)
MIB = 1024 * 1024
LOG_BYTES_MAX = 16 * MIB
ROW_CHARS = 200_000
_INSERT: Final = """
INSERT INTO events (cursor, type, created_at_us, audience, data) VALUES (:cursor, 'test', 0, NULL, :data)
"""


class Load:
    """A writer that is kept busy."""

    def __init__(self, path: Path) -> None:
        self.path, self.writer, self.number = path, Writer(path, inline_hop()), 0
        self.longest_bytes = 0

    async def write(self, total_bytes: int) -> None:
        """Commit so much, and note how long the log gets."""
        for _ in range(total_bytes // ROW_CHARS):
            self.number += 1
            row = Statement(_INSERT, {"cursor": self.number, "data": "x" * ROW_CHARS})
            await self.writer.commit([[row]], heads=[self.number - 1, self.number], batch=self.number, wall_us=NOW_US)
            self.longest_bytes = max(self.longest_bytes, self.log_bytes())

    def log_bytes(self) -> int:
        """Return how long the log is on the disk."""
        return self.path.with_name(f"{self.path.name}-wal").stat().st_size


@pytest.fixture
async def load(tmp_path: Path) -> Load:
    """A writer on a file."""
    made = Load(tmp_path / "x.db")
    await made.writer.open(ProjectName("demo"), NOW_US)
    return made


@contextmanager
def readers_without_a_gap(path: Path) -> Iterator[None]:
    """Two readers in turn, of which one is always in the middle of a snapshot."""
    stop, begun = threading.Event(), threading.Event()

    def read() -> None:
        readers = [open_reader(path), open_reader(path)]
        for reader in readers:
            reader.execute("BEGIN; SELECT count(*) FROM events")
        begun.set()
        while not stop.is_set():
            for reader in readers:
                reader.execute("ROLLBACK; BEGIN; SELECT count(*) FROM events")
        for reader in readers:
            close(reader)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        stop.set()
        thread.join()


async def test_log_stays_short_without_readers(load: Load) -> None:
    """Whatever is written, the log begins anew after some 4 MiB."""
    await load.write(40 * MIB)
    await load.writer.close()

    assert load.longest_bytes < 6 * MIB


async def test_log_stays_short_under_readers(load: Load) -> None:
    """Readers that follow one another without a gap cannot make it longer than 16 MiB (G15)."""
    with readers_without_a_gap(load.path):
        await load.write(60 * MIB)
    await load.writer.close()

    assert 6 * MIB < load.longest_bytes <= LOG_BYTES_MAX, "the readers were in the way, and not for long"


async def test_log_with_a_reader_that_stays_is_tried_now_and_then(load: Load) -> None:
    """A snapshot that is never let go makes the log longer, which can be seen; it delays few batches, and ends with it."""
    reader = open_reader(load.path)
    reader.execute("BEGIN; SELECT count(*) FROM events")

    await load.write(20 * MIB)
    assert load.writer.wal_pages > WAL_PAGES_FORCED + WAL_PAGES_BETWEEN
    close(reader)
    await load.write(2 * MIB)

    await load.write(MIB)
    assert load.writer.wal_pages < WAL_PAGES_FORCED
    assert load.log_bytes() <= LOG_BYTES_MAX, "what it was longer is given back"
    await load.writer.close()


async def test_log_is_empty_after_a_checkpoint(load: Load) -> None:
    """What is to free room cuts the log off; a reader in the way is told of."""
    await load.write(MIB)
    reader = open_reader(load.path)
    reader.execute("BEGIN; SELECT count(*) FROM events")
    await load.write(MIB)

    assert not await load.writer.checkpoint()
    close(reader)
    assert await load.writer.checkpoint()

    assert load.log_bytes() == 0
    await load.writer.close()
