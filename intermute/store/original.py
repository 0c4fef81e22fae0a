"""Reading the original service's SQLite file: strictly read-only, whatever its age, whatever is in it.

The file is opened without a lock or a side file. Where a write-ahead log or a journal lies beside it, SQLite would have to
write to read it, so a private copy of them is read instead. Every value comes as bytes or as a number and is decoded here;
a column or a table that an older file does not have reads as empty.
Source: contract.md 5, docs/decisions/0021-import.md.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from intermute.core.original.rows import Cell, Row
from intermute.store.faults import StoreFault, as_faults
from intermute.store.original_tables import IMPORTED, NEEDED, NOT_TAKEN, NUMBERS, TABLES

CELL_BYTES_MAX: Final = (
    2 * 1024 * 1024
)  # bytes of one cell; the longest body that a request can bring has half as many.
_LENGTH_MAX: Final = 64 * 1024 * 1024  # bytes of one value that SQLite touches at all.

_FIRSTS: Final = """
CREATE TEMP TABLE firsts AS
SELECT CAST(message_id AS BLOB) AS message_id, {project} AS project, min(cursor) AS cursor
FROM main.events WHERE type = 'message.created' GROUP BY 1, 2
"""
_HAS_AGENT: Final = "SELECT EXISTS (SELECT 1 FROM main.agents WHERE id = :id)"
_SUFFIXES: Final = ("-wal", "-journal")


class NotTheOriginals(Exception):
    """The file cannot be read as one of the original service; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What would differ if somebody wrote to the file."""

    parts: tuple[tuple[str, int, int], ...]


class Original:
    """The original's file, open for reading. Made by `opened`."""

    def __init__(
        self, connection: apsw.Connection, columns: Mapping[str, frozenset[str]], path: Path, stamp: _Stamp
    ) -> None:
        self._connection, self._columns, self._path, self._stamp = connection, columns, path, stamp
        self._firsts()

    def check_unchanged(self) -> None:
        """Raises: NotTheOriginals, where somebody has written to the file since it was opened."""
        if _stamp_of(self._path) != self._stamp:
            raise NotTheOriginals(f"{self._path} was written to meanwhile: stop the original service and try again")

    def projects(self) -> list[bytes]:
        """Return the names of all projects, as they stand in the file."""
        found: set[bytes] = set()
        for table in (each for each in IMPORTED if each in self._columns):
            with _readable():
                sql = f"SELECT DISTINCT {self._project(table)} FROM {table} AS t"  # noqa: S608 - names of TABLES
                found.update(row[0] for row in self._connection.execute(sql) if row[0] is not None)
        return sorted(found)

    def count(self) -> int:
        """Return how many rows there are to look at."""
        with _readable():
            return sum(
                int(self._connection.execute(f"SELECT count(*) FROM {table}").get)  # noqa: S608 - names of TABLES
                for table in IMPORTED
                if table in self._columns
            )

    def not_taken(self) -> dict[str, int]:
        """Return what else is in the file and is not taken over: what it is, and how many."""
        found = {}
        for what, (table, needed, sql) in NOT_TAKEN.items():
            if table in self._columns and needed <= self._columns[table]:
                with _readable():
                    count = int(self._connection.execute(sql).get)
                if count:
                    found[what] = count
        return found

    def rows(self, table: str, project: bytes) -> Iterator[Row]:
        """Yield the rows of a table that belong to a project, messages in the order of the log."""
        if table not in self._columns:
            return
        order = {"messages": "f.cursor IS NULL, f.cursor, t.rowid", "agents": "t.last_seen DESC, t.rowid"}.get(
            table, "t.rowid"
        )
        join = f"LEFT JOIN temp.firsts AS f ON {self._same_message}" if table == "messages" else ""
        sql = f"SELECT {self._cells(table)} FROM {table} AS t {join} WHERE {self._project(table)} = :project ORDER BY {order}"  # noqa: S608 - names of TABLES
        yield from self._read(table, sql, {"project": project})

    def has_agent(self, agent_id: str) -> bool:
        """Tell whether there is an agent of this id, in whatever project."""
        with _readable():
            return bool(self._connection.execute(_HAS_AGENT, {"id": agent_id}).get)

    def recipients(self, project: bytes, message: Row) -> Iterator[Row]:
        """Yield what is known of the recipients of a message."""
        if "message_recipients" not in self._columns or "message_id" in message.broken:
            return
        where = "t.message_id = :message" + (
            " AND t.project = CAST(:project AS TEXT)" if "project" in self._columns["message_recipients"] else ""
        )
        values: dict[str, Any] = {"message": message.cells["message_id"]}  # Any: what apsw binds.
        if ":project" in where:
            values["project"] = project
        sql = f"SELECT {self._cells('message_recipients')} FROM message_recipients AS t WHERE {where}"  # noqa: S608 - names of TABLES
        yield from self._read("message_recipients", sql, values)

    def _read(self, table: str, sql: str, values: Mapping[str, Any]) -> Iterator[Row]:  # Any: as above.
        names = TABLES[table]
        with _readable():
            for row in self._connection.execute(sql, values):
                broken: set[str] = set()
                cells = {name: _decoded(name, value, broken) for name, value in zip(names, row, strict=True)}
                yield Row(cells, frozenset(broken))

    def _cells(self, table: str) -> str:
        return ", ".join(_cell(name) if name in self._columns[table] else "NULL" for name in TABLES[table])

    def _project(self, table: str) -> str:
        """Return the expression for the project of a row; before there were projects it was the nameless one.

        A contact is of its agent's project, and of none where there is no such agent.
        """
        if table == "agent_contacts":
            project = "CAST(coalesce(a.project, '') AS BLOB)" if "project" in self._columns["agents"] else "x''"
            same = "a.id = t.agent_id" if "agent_id" in self._columns[table] else "false"
            return f"(SELECT {project} FROM agents AS a WHERE {same})"  # noqa: S608 - as above
        if "project" in self._columns[table]:
            return "CAST(coalesce(t.project, '') AS BLOB)"
        if table == "messages" and "project" in self._columns["events"]:
            return "coalesce((SELECT f.project FROM temp.firsts AS f WHERE f.message_id = CAST(t.message_id AS BLOB)), x'')"
        return "x''"

    @property
    def _same_message(self) -> str:
        same = "f.message_id = CAST(t.message_id AS BLOB)"
        has_both = all("project" in self._columns[table] for table in ("messages", "events"))
        return f"{same} AND f.project = CAST(coalesce(t.project, '') AS BLOB)" if has_both else same

    def _firsts(self) -> None:
        """Note where each message came first in the log: that is the order of the inboxes."""
        has_project = "project" in self._columns["events"]
        project = "CAST(coalesce(project, '') AS BLOB)" if has_project else "x''"
        with _readable():
            self._connection.execute(_FIRSTS.format(project=project))
            self._connection.execute("CREATE INDEX temp.firsts_by_id ON firsts (message_id, project, cursor)")


@contextmanager
def opened(path: Path) -> Iterator[Original]:
    """Open the original's file for the length of the block. Raises: NotTheOriginals."""
    if not path.is_file():
        raise NotTheOriginals(f"there is no file {path}")
    with ExitStack() as stack:
        stamp = _stamp_of(path)
        connection = _connection(path, stack)
        with _readable(path):
            problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            if problems != ["ok"]:
                raise NotTheOriginals(f"{path} is damaged: {'; '.join(problems)[:500]}")
            if (encoding := connection.execute("PRAGMA encoding").get) != "UTF-8":
                raise NotTheOriginals(f"{path} is not a file of the original service: its texts are {encoding}")
            columns = _columns_of(connection)
        for table, names in NEEDED.items():
            if not names <= columns.get(table, frozenset()):
                raise NotTheOriginals(
                    f"{path} is not a file of the original service: its table {table!r} with the columns "
                    f"{', '.join(sorted(names))} is not there"
                )
        yield Original(connection, columns, path, stamp)


def _connection(path: Path, stack: ExitStack) -> apsw.Connection:
    beside = [
        each for suffix in _SUFFIXES if (each := path.with_name(path.name + suffix)).exists() and each.stat().st_size
    ]
    with _readable(path):
        if beside:
            before = _stamp_of(path)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="intermute-import-")))
            for each in (path, *beside):
                shutil.copyfile(each, folder / each.name)
            if _stamp_of(path) != before:
                raise NotTheOriginals(f"{path} is being written to: stop the original service first")
            connection = apsw.Connection(str(folder / path.name), flags=apsw.SQLITE_OPEN_READWRITE)
        else:
            uri = f"{path.resolve().as_uri()}?immutable=1"
            connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        stack.callback(connection.close, force=True)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LENGTH_MAX)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _columns_of(connection: apsw.Connection) -> dict[str, frozenset[str]]:
    """Return the columns of those of the original's tables that are there as plain tables."""
    tables = {row[1] for row in connection.execute("PRAGMA table_list") if row[0] == "main" and row[2] == "table"}
    known = set(TABLES) | {table for table, _, _ in NOT_TAKEN.values()} | {"events"}
    return {
        table: frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
        for table in sorted(tables & known)
    }


def _cell(name: str) -> str:
    if name in NUMBERS:
        return f"CASE WHEN typeof(t.{name}) IN ('integer', 'real') THEN t.{name} END"
    return f"substr(CAST(t.{name} AS BLOB), 1, {CELL_BYTES_MAX + 1})"


def _decoded(name: str, value: bytes | int | float | None, broken: set[str]) -> Cell:
    if not isinstance(value, bytes):
        return value
    try:
        if len(value) <= CELL_BYTES_MAX:
            return value.decode()
    except UnicodeDecodeError:
        pass
    broken.add(name)
    return None


@contextmanager
def _readable(path: Path | None = None) -> Iterator[None]:
    """Say of whatever SQLite and the system find that the file cannot be read."""
    try:
        with as_faults():
            yield
    except (StoreFault, apsw.Error) as error:
        raise NotTheOriginals(f"{path or 'the file'} cannot be read as SQLite: {error}") from error


def _stamp_of(path: Path) -> _Stamp:
    files = [path, *(path.with_name(path.name + suffix) for suffix in _SUFFIXES)]
    found = [(each.name, each.stat()) for each in files if each.exists()]
    return _Stamp(tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))
