"""Looking at a data directory: what each project's file is, and whether it is whole. Used at start and by `doctor`."""

from dataclasses import dataclass
from pathlib import Path

from intermute.store import projects
from intermute.store.chain import CHAIN_SCHEMA, check_chain
from intermute.store.connection import close, open_reader, snapshot
from intermute.store.faults import StoreFault, as_faults
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
    head_hash: str | None
    """The hash of the last event, once the whole chain was checked; None in a file of before the chain."""
    size_bytes: int

    @property
    def is_well(self) -> bool:
        """Tell whether the file is whole and of a schema that this version knows."""
        return self.integrity == "ok" and self.migrations_pending >= 0 and self.project is not None


def examine(path: Path) -> Finding:
    """Return what one file holds; a fault becomes part of the finding. Blocks: run it in a thread.

    One snapshot of the file is checked: its structure, and every event against the hash chain.
    """
    schema, integrity, row, head_hash = 0, "ok", None, None
    try:
        connection = open_reader(path)
    except StoreFault as fault:
        integrity = str(fault)
    else:
        try:
            with as_faults(), snapshot(connection):
                schema = schema_version(connection)
                found = [str(line[0]) for line in connection.execute("PRAGMA quick_check(5)")]
                integrity = "; ".join(found)
                row = projects.read_name(connection) if schema else None
                if schema >= CHAIN_SCHEMA and integrity == "ok":
                    head_hash = check_chain(connection).digest.hex()
        except StoreFault as fault:
            integrity = str(fault)
        finally:
            close(connection)
    return Finding(
        file=path.name,
        project=row[0] if row else None,
        schema=schema,
        migrations_pending=len(known_migrations()) - schema,
        integrity=integrity,
        head=row[1] if row else 0,
        head_hash=head_hash,
        size_bytes=path.stat().st_size,
    )
