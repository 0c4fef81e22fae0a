"""Looking at a data directory: what each project's file is, and whether it is whole. Used at start and by `doctor`."""

from dataclasses import dataclass
from pathlib import Path

import apsw

from intermute.store import projects
from intermute.store.connection import close, open_reader
from intermute.store.faults import StoreFault
from intermute.store.migrate import known_migrations, schema_version


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one file."""

    file: str
    project: str | None
    schema: int
    migrations_pending: int
    integrity: str
    head: int
    size_bytes: int

    @property
    def is_well(self) -> bool:
        """Tell whether the file is whole and of a schema that this version knows."""
        return self.integrity == "ok" and self.migrations_pending >= 0 and self.project is not None


def examine(path: Path) -> Finding:
    """Return what one file holds; a fault becomes part of the finding. Blocks: run it in a thread."""
    schema, integrity, row = 0, "ok", None
    try:
        connection = open_reader(path)
    except StoreFault as fault:
        integrity = str(fault)
    else:
        try:
            schema = schema_version(connection)
            found = [str(line[0]) for line in connection.execute("PRAGMA quick_check(5)")]
            integrity = "; ".join(found)
            row = projects.read(connection) if schema else None
        except apsw.Error as error:
            integrity = f"{type(error).__name__}: {error}"
        finally:
            close(connection)
    return Finding(
        file=path.name,
        project=row.name if row else None,
        schema=schema,
        migrations_pending=len(known_migrations()) - schema,
        integrity=integrity,
        head=row.head if row else 0,
        size_bytes=path.stat().st_size,
    )
