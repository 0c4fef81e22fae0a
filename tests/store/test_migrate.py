"""Migrations: once, in order, all or nothing, and never over a file that is not ours (style.md 34, guarantees.md G21)."""

import re
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest
from faulty_vfs import Failure, faulty_disk
from pytest import raises

from intermute.core.ids import Micros
from intermute.store.connection import abandon, close, open_reader, open_writer
from intermute.store.faults import StoreFault
from intermute.store.migrate import Migration, MigrationRefused, known_migrations, migrate, schema_version

NOW_US = Micros(1_784_714_400_000_000)
ONE = Migration(1, "one", "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO one VALUES (1)")
TWO = Migration(2, "two", "ALTER TABLE one ADD COLUMN y TEXT; CREATE INDEX one_by_y ON one (y)")


def memory() -> apsw.Connection:
    """Return an empty database."""
    return apsw.Connection(":memory:")


def schema(connection: apsw.Connection) -> list[str]:
    """Return the schema as text, the ledger with it."""
    return [str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_schema ORDER BY name")]


def test_migrations_are_numbered_and_named() -> None:
    """The shipped migrations begin with 1 and have no gap, and their names are words."""
    known = known_migrations()

    assert [each.number for each in known] == list(range(1, len(known) + 1))
    assert all(re.fullmatch("[a-z0-9_]+", each.name) for each in known)


def test_migrate_brings_an_empty_file_to_the_newest_schema() -> None:
    """All migrations run, in order, and are noted."""
    connection = memory()

    applied = migrate(connection, NOW_US)

    assert applied == [each.number for each in known_migrations()]
    assert schema_version(connection) == len(known_migrations())
    assert not connection.in_transaction


def test_migrate_again_does_nothing() -> None:
    """A second run finds everything done."""
    connection = memory()
    migrate(connection, NOW_US)
    before = schema(connection)

    assert migrate(connection, NOW_US) == []
    assert schema(connection) == before


def test_migrate_runs_only_what_is_missing() -> None:
    """A file of an older version gets the newer migrations, and keeps its rows."""
    connection = memory()
    migrate(connection, NOW_US, [ONE])

    assert migrate(connection, NOW_US, [ONE, TWO]) == [2]
    assert connection.execute("SELECT x, y FROM one").fetchall() == [(1, None)]


@pytest.mark.parametrize(
    "known",
    [
        [Migration(1, "one", ONE.sql + " "), TWO],
        [Migration(1, "other", ONE.sql), TWO],
        [Migration(1, "one", "")],
    ],
)
def test_migrate_refuses_a_changed_history(known: Sequence[Migration]) -> None:
    """A migration that was edited after it ran is refused, and the file stays as it is."""
    connection = memory()
    migrate(connection, NOW_US, [ONE])
    before = schema(connection)

    with raises(MigrationRefused, match="migration 1"):
        migrate(connection, NOW_US, known)

    assert schema(connection) == before
    assert not connection.in_transaction


def test_migrate_refuses_a_newer_file() -> None:
    """A file that a newer version wrote is left to that version."""
    connection = memory()
    migrate(connection, NOW_US, [ONE, TWO])
    before = schema(connection)

    with raises(MigrationRefused, match="newer version"):
        migrate(connection, NOW_US, [ONE])

    assert schema(connection) == before


def test_migrate_refuses_to_leave_dangling_references() -> None:
    """A migration that would break a reference is rolled back."""
    broken = Migration(
        2,
        "broken",
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a (id)); INSERT INTO b VALUES (7)",
    )
    connection = memory()

    with raises(MigrationRefused, match="dangling"):
        migrate(connection, NOW_US, [ONE, broken])

    assert schema(connection) == []


@pytest.mark.parametrize("sql", ["CREATE TABLE one (x INTEGER)", "no sql at all", "INSERT INTO one VALUES ('text')"])
def test_migrate_that_fails_leaves_the_old_schema(sql: str) -> None:
    """An error in the last of several migrations takes all of this run back."""
    connection = memory()
    migrate(connection, NOW_US, [ONE])
    before = schema(connection)

    with raises(apsw.Error):
        migrate(connection, NOW_US, [ONE, TWO, Migration(3, "wrong", sql)])

    assert schema(connection) == before
    assert not connection.in_transaction


@pytest.mark.parametrize("failure", [Failure.EIO, Failure.FULL])
def test_migrate_interrupted_anywhere_is_old_or_new(tmp_path: Path, failure: Failure) -> None:
    """Wherever the disk fails for good, the file has the old schema or the new one, and the next run completes it."""
    old, new = _schemas()
    seen: set[int] = set()

    at = 0
    while True:
        at += 1
        path = tmp_path / f"{at}.db"
        _make(path, [ONE])
        with faulty_disk() as disk:
            disk.fail(at, failure, is_sticky=True)
            try:
                _make(path, [ONE, TWO])
            except StoreFault:
                pass
            else:
                if not disk.failures:
                    break
        found = _read(path)
        assert found in (old, new)
        seen.add([old, new].index(found))
        _make(path, [ONE, TWO])
        assert _read(path) == new

    assert at > 5
    assert 0 in seen


def _make(path: Path, known: Sequence[Migration]) -> None:
    connection = open_writer(path)
    try:
        migrate(connection, NOW_US, known)
    finally:
        abandon(connection)


def _read(path: Path) -> list[str]:
    connection = open_reader(path)
    try:
        return schema(connection)
    finally:
        close(connection)


def _schemas() -> tuple[list[str], list[str]]:
    connection = memory()
    migrate(connection, NOW_US, [ONE])
    old = schema(connection)
    migrate(connection, NOW_US, [ONE, TWO])
    return old, schema(connection)


def test_migrate_to_handing_over_keeps_what_a_file_holds(tmp_path: Path) -> None:
    """A file of schema 1 with reservations and events gets the audit and the requests, and keeps its rows."""
    first, *_ = known_migrations()
    path = tmp_path / "old.db"
    _make(path, [first])
    connection = open_writer(path)
    connection.execute(
        "INSERT INTO reservations VALUES ('r1', 7, 'anna', '[]', 'X', '', 1, 2, NULL, NULL);"
        "INSERT INTO events VALUES (7, 'reservation.created', 1, NULL, '{}')"
    )
    close(connection)

    connection = open_writer(path)
    try:
        applied = migrate(connection, NOW_US)

        assert applied == [each.number for each in known_migrations()[1:]]
        assert connection.execute("SELECT id, fence, holder FROM reservations").fetchall() == [("r1", 7, "anna")]
        assert connection.execute("SELECT cursor FROM events").fetchall() == [(7,)]
        for table in ("audit", "release_requests"):
            assert connection.execute(f"SELECT count(*) FROM {table}").get == 0
    finally:
        close(connection)


def test_schema_version_of_an_empty_file_is_zero() -> None:
    """A file without a ledger has no schema."""
    assert schema_version(memory()) == 0
