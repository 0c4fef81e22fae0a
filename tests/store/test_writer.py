"""The writer: one transaction a batch, a savepoint a command, and a look after a fault (design.md 3.2, G3)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import apsw
import pytest
import trio
from faulty_vfs import faulty_disk
from pytest import raises

from intermute.core.ids import Micros, ProjectName
from intermute.store import projects
from intermute.store.connection import close, open_reader, open_writer
from intermute.store.faults import FaultKind, StoreFault, as_faults
from intermute.store.hop import inline_hop, thread_hop
from intermute.store.migrate import migrate
from intermute.store.reader import Reader
from intermute.store.statements import Statement
from intermute.store.writer import Committed, Writer, WrongFile

NOW_US = Micros(1_784_714_400_000_000)
DEMO = ProjectName("demo")
_INSERT: Final = """
INSERT INTO events (cursor, type, created_at_us, audience, data) VALUES (:cursor, 'test', 0, NULL, '{}')
"""


def event(cursor: int) -> Statement:
    """A row that can be there once."""
    return Statement(_INSERT, {"cursor": cursor})


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Writer]:
    """A writer on a project's file."""
    writer = Writer(path, inline_hop())
    await writer.open(DEMO, NOW_US)
    try:
        yield writer
    finally:
        await writer.close()


def cursors(path: Path) -> list[int]:
    """Return the events that are stored."""
    connection = open_reader(path)
    try:
        return [int(row[0]) for row in connection.execute("SELECT cursor FROM events ORDER BY cursor")]
    finally:
        close(connection)


def row(path: Path) -> projects.ProjectRow:
    """Return the project's row."""
    connection = open_reader(path)
    try:
        found = projects.read(connection)
    finally:
        close(connection)
    assert found is not None
    return found


async def test_commit_stores_every_group(tmp_path: Path) -> None:
    """All groups, the head and the number of the batch come together."""
    path = tmp_path / "x.db"
    async with opened(path) as writer:
        committed = await writer.commit(
            [[event(1), event(2)], [], [event(3)]], heads=[0, 2, 2, 3], batch=1, wall_us=NOW_US
        )

    assert committed == Committed(3)
    assert cursors(path) == [1, 2, 3]
    assert (row(path).head, row(path).batch) == (3, 1)


async def test_commit_keeps_what_came_before_the_culprit(tmp_path: Path) -> None:
    """A group that the schema refuses takes itself and those behind it out; those before it are stored, with their head."""
    path = tmp_path / "x.db"
    async with opened(path) as writer:
        groups = [[event(1)], [event(2), event(1)], [event(3)]]

        committed = await writer.commit(groups, heads=[0, 1, 2, 3], batch=1, wall_us=NOW_US)

        assert committed.count == 1
        assert isinstance(committed.culprit, apsw.ConstraintError)
        await writer.commit([[event(2)]], heads=[1, 2], batch=2, wall_us=NOW_US)
    assert cursors(path) == [1, 2]
    assert (row(path).head, row(path).batch) == (2, 2)


@pytest.mark.parametrize(
    "statement",
    [
        Statement("INSERT INTO nowhere VALUES (1)", {}),
        Statement(_INSERT, {}),
        Statement(_INSERT, {"cursor": "text"}),
        Statement(_INSERT, {"cursor": 2**63}),
        Statement("UPDATE project SET name = :name", {"name": b"\\ud800".decode("unicode_escape")}),
    ],
    ids=["unknown table", "missing value", "wrong type", "too large a number", "half a character"],
)
async def test_commit_tells_every_bug_from_a_fault(tmp_path: Path, statement: Statement) -> None:
    """Whatever SQLite cannot take is a culprit: its neighbours are stored and the connection goes on."""
    path = tmp_path / "x.db"
    async with opened(path) as writer:
        committed = await writer.commit([[event(1)], [statement]], heads=[0, 1, 1], batch=1, wall_us=NOW_US)

        assert committed.count == 1
        assert committed.culprit is not None
        assert (await writer.commit([[event(2)]], heads=[1, 2], batch=2, wall_us=NOW_US)).culprit is None
    assert cursors(path) == [1, 2]


async def test_commit_that_fails_is_unknown_until_a_look(tmp_path: Path) -> None:
    """A fault raises; a look opens the file anew and says which batch is there; then the writer works again."""
    path = tmp_path / "x.db"
    with faulty_disk() as disk:
        async with opened(path) as writer:
            await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US)
            disk.fail(1, only="sync")
            with raises(StoreFault) as fault:
                await writer.commit([[event(2)]], heads=[1, 2], batch=2, wall_us=NOW_US)

            found = await writer.look(2, seals=True)

            assert (fault.value.kind, found.batch, found.head) == (FaultKind.IO, 1, 1)
            await writer.commit([[event(2)]], heads=[1, 2], batch=2, wall_us=NOW_US)
    assert cursors(path) == [1, 2]


async def test_commit_with_a_culprit_and_a_fault_tells_what_is_stored(tmp_path: Path) -> None:
    """Where the checkpoint fails after a commit that left a culprit out, a look still tells the two apart."""
    path = tmp_path / "x.db"
    with faulty_disk() as disk:
        async with opened(path) as writer:
            number = 0
            while not disk.failures:
                number += 1
                disk.fail(2, only="sync")  # The first one is the commit's, the second one the checkpoint's.
                large = Statement(_INSERT.replace("'{}'", ":data"), {"cursor": number, "data": "x" * 200_000})
                with suppress(StoreFault):
                    await writer.commit(
                        [[large], [large]], heads=[number - 1, number, number + 1], batch=number, wall_us=NOW_US
                    )

            row_found = await writer.look(number, seals=True)

            assert (row_found.batch, row_found.head) == (number, number)
            assert writer.attempted.count == 1
            assert isinstance(writer.attempted.culprit, apsw.ConstraintError)


async def test_commit_without_a_file_is_a_fault(tmp_path: Path) -> None:
    """A writer whose file could not be opened says so; it never decides that nothing happened."""
    writer = Writer(tmp_path / "x.db", inline_hop())

    with raises(StoreFault):
        await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US)


async def test_look_that_fails_leaves_the_writer_closed(tmp_path: Path) -> None:
    """Where the disk is still broken the look is a fault, and closing afterwards is none."""
    path = tmp_path / "x.db"
    with faulty_disk() as disk:
        async with opened(path) as writer:
            disk.fail(1, is_sticky=True)
            with raises(StoreFault):
                await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US)
            with raises(StoreFault):
                await writer.look(1, seals=True)
            with raises(StoreFault):
                await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US)
            disk.heal()

            assert (await writer.look(1, seals=True)).batch == 0


async def test_open_refuses_the_file_of_another_project(tmp_path: Path) -> None:
    """A file that was moved under another name is not taken for that project's."""
    path = tmp_path / "x.db"
    async with opened(path):
        pass

    with raises(WrongFile):
        await Writer(path, inline_hop()).open(ProjectName("other"), NOW_US)


async def test_open_completes_a_file_that_was_cut_short(tmp_path: Path) -> None:
    """A process that died between the schema and the first row leaves a file that the next one completes."""
    path = tmp_path / "x.db"
    connection = open_writer(path)
    migrate(connection, NOW_US)
    close(connection)

    async with opened(path):
        assert row(path).name == DEMO


async def test_open_of_a_broken_file_is_a_fault(tmp_path: Path) -> None:
    """A file that is no database is a fault of the kind `corrupt`, and leaves no connection behind."""
    path = tmp_path / "x.db"
    path.write_bytes(b"this is not a database" * 1000)

    with raises(StoreFault) as fault:
        await Writer(path, inline_hop()).open(DEMO, NOW_US)

    assert fault.value.kind is FaultKind.CORRUPT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (apsw.BusyError("locked"), FaultKind.BUSY),
        (apsw.LockedError("locked"), FaultKind.BUSY),
        (apsw.FullError("full"), FaultKind.FULL),
        (apsw.CorruptError("malformed"), FaultKind.CORRUPT),
        (apsw.NotADBError("no database"), FaultKind.CORRUPT),
        (apsw.IOError("disk"), FaultKind.IO),
        (apsw.CantOpenError("open"), FaultKind.IO),
        (apsw.ReadOnlyError("read only"), FaultKind.IO),
        (apsw.InterruptError("interrupted"), FaultKind.IO),
        (PermissionError("denied"), FaultKind.IO),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_fault_of_the_outside_world_has_a_kind(error: Exception, kind: FaultKind) -> None:
    """What the disk, or somebody else on it, did is a fault, told apart by what it means for the answer."""
    with raises(StoreFault) as fault, as_faults():
        raise error

    assert fault.value.kind is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (apsw.SQLITE_IOERR_SHORT_READ, FaultKind.CORRUPT),
        (apsw.SQLITE_IOERR_DATA, FaultKind.CORRUPT),
        (apsw.SQLITE_IOERR_CORRUPTFS, FaultKind.CORRUPT),
        (apsw.SQLITE_IOERR_FSYNC, FaultKind.IO),
    ],
)
def test_file_that_ends_too_early_is_damage(code: int, kind: FaultKind) -> None:
    """A disk that gives less than was written is damage, which waiting will not mend; other I/O errors may pass (G18)."""
    with raises(StoreFault) as fault, as_faults():
        raise apsw.exception_for(code)

    assert fault.value.kind is kind


def test_text_that_is_no_text_is_damage() -> None:
    """Bytes on the disk that are no UTF-8 are damage, whichever column they are in."""
    connection = apsw.Connection(":memory:")

    with raises(StoreFault) as fault, as_faults():
        connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchall()

    assert fault.value.kind is FaultKind.CORRUPT


@pytest.mark.parametrize("error", [apsw.ConstraintError("unique"), apsw.SQLError("syntax"), ValueError("bug")])
def test_bug_is_no_fault(error: Exception) -> None:
    """What we did wrong is left alone, so that it ends the run and is seen."""
    with raises(type(error)), as_faults():
        raise error


async def test_reader_sees_one_snapshot(tmp_path: Path) -> None:
    """Several reads of one question see one state of the file, whatever is committed meanwhile."""
    path = tmp_path / "x.db"
    async with opened(path) as writer:
        reader = Reader(path, inline_hop())
        await reader.open()
        other = open_writer(path)

        def work(connection: apsw.Connection) -> list[int]:
            first = int(connection.execute("SELECT count(*) FROM events").get)
            other.execute(_INSERT, {"cursor": 9})
            return [first, int(connection.execute("SELECT count(*) FROM events").get)]

        await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US)
        assert await reader.read(work) == [1, 1]
        close(other)
        await reader.close()


async def test_commit_in_a_thread_survives_its_cancellation(tmp_path: Path) -> None:
    """A commit that has begun is finished and its outcome returned, though the scope around it was cancelled (hazards.md 1)."""
    path = tmp_path / "x.db"
    writer = Writer(path, thread_hop())
    await writer.open(DEMO, NOW_US)
    with trio.CancelScope() as scope:
        outcomes: list[Committed] = []

        async def commit() -> None:
            outcomes.append(await writer.commit([[event(1)]], heads=[0, 1], batch=1, wall_us=NOW_US))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(commit)
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            scope.cancel()
    await writer.close()

    assert len(outcomes) == len(cursors(path))
