"""Numbered migrations: each runs once, in order, in one transaction, and its text may never change afterwards.

A file that a newer version wrote is refused, and so is one whose applied migrations differ from ours. Migrations are
`migrations/NNNN_name.sql`; style.md 34.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import apsw

from intermute.core.ids import Micros
from intermute.store.faults import as_faults

_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    number        INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL,
    sha256        TEXT    NOT NULL,
    applied_at_us INTEGER NOT NULL
) STRICT
"""
_APPLIED: Final = "SELECT number, name, sha256 FROM migrations ORDER BY number"
_NOTE: Final = "INSERT INTO migrations (number, name, sha256, applied_at_us) VALUES (:number, :name, :sha256, :now_us)"
_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(Exception):
    """The file's schema is not one that this version may touch; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum that the file remembers."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_migrations() -> tuple[Migration, ...]:
    """Return the migrations that ship with this version, in order and without a gap."""
    found = [
        Migration(int(named[1]), named[2], entry.read_text(encoding="utf-8"))
        for entry in resources.files("intermute.store").joinpath("migrations").iterdir()
        if (named := _FILE_NAME.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.number)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1)), "migrations have a gap"
    return tuple(found)


def migrate(connection: apsw.Connection, now_us: Micros, migrations: Sequence[Migration] | None = None) -> list[int]:
    """Bring the file to the newest schema, and return the numbers of the migrations that this took.

    Raises: MigrationRefused, where the file is newer or its history differs; StoreFault. Killed at any point, the file
    has the old schema or the new one, never something between: everything happens in one transaction.
    """
    known = known_migrations() if migrations is None else tuple(migrations)
    with as_faults(connection):
        # Exclusive from the start, so that two processes cannot both find the same migration missing.
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_LEDGER)
            applied = connection.execute(_APPLIED).fetchall()
            _refuse_foreign_history(applied, known)
            fresh = known[len(applied) :]
            for migration in fresh:
                connection.execute(migration.sql)
                connection.execute(
                    _NOTE,
                    {
                        "number": migration.number,
                        "name": migration.name,
                        "sha256": migration.sha256,
                        "now_us": now_us,
                    },
                )
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise MigrationRefused(
                    f"the migrations would leave {len(broken)} dangling references; keep the old version"
                )
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back after some faults.
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return [migration.number for migration in fresh]


def schema_version(connection: apsw.Connection) -> int:
    """Return the number of the newest migration in the file, 0 where there is none."""
    try:
        return int(connection.execute("SELECT coalesce(max(number), 0) FROM migrations").get)
    except apsw.SQLError:
        return 0


def _refuse_foreign_history(applied: Sequence[tuple[Any, ...]], known: Sequence[Migration]) -> None:
    if len(applied) > len(known):
        raise MigrationRefused(
            f"the file has schema {len(applied)}, this version knows {len(known)}: start the newer version that wrote it"
        )
    for (number, name, sha256), migration in zip(applied, known, strict=False):
        if (number, name, sha256) != (migration.number, migration.name, migration.sha256):
            raise MigrationRefused(
                f"migration {number} ({name}) in the file is not the one in this version: "
                "start the version that wrote it, or restore a backup"
            )
