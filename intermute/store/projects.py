"""The one row about the project itself: its name, its epoch, the last cursor, and the last batch that was committed."""

from dataclasses import dataclass
from typing import Final

import apsw

from intermute.core.ids import Micros, ProjectName
from intermute.store.statements import Statement

_CREATE: Final = """
INSERT INTO project (id, name, epoch, head, batch, wall_us, created_at_us) VALUES (1, :name, 1, 0, 0, :now_us, :now_us)
"""
_READ: Final = """
SELECT name, epoch, head, batch, wall_us, chain_from, chain_seed, chain_head FROM project WHERE id = 1
"""
_READ_NAME: Final = "SELECT name, head FROM project WHERE id = 1"
_ADVANCE: Final = """
UPDATE project SET head = :head, batch = :batch, wall_us = :wall_us, chain_head = :chain_head WHERE id = 1
"""
SEAL: Final = "UPDATE project SET wall_us = wall_us + 1 WHERE id = 1"
"""Changes nothing that means anything, and still writes to the log (see `Writer.look`)."""


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """Where the project stands."""

    name: ProjectName
    epoch: int
    head: int
    batch: int
    wall_us: Micros
    chain_from: int
    """Events after this cursor are chained (store/chain.py)."""
    chain_seed: bytes
    chain_head: bytes
    """The hash of the last event."""


def create(connection: apsw.Connection, name: ProjectName, now_us: Micros) -> None:
    """Write the row of a new project."""
    connection.execute(_CREATE, {"name": name, "now_us": now_us})


def read(connection: apsw.Connection) -> ProjectRow | None:
    """Return the row, or None in a file that has none yet."""
    row = connection.execute(_READ).fetchone()
    return ProjectRow(ProjectName(row[0]), row[1], row[2], row[3], Micros(row[4]), *row[5:]) if row else None


def read_name(connection: apsw.Connection) -> tuple[ProjectName, int] | None:
    """Return the name and the head, which are there in every schema, or None in a file that has no row yet."""
    row = connection.execute(_READ_NAME).fetchone()
    return (ProjectName(row[0]), row[1]) if row else None


def advance(head: int, batch: int, wall_us: Micros, chain_head: bytes) -> Statement:
    """Note the last cursor and its hash, the number of the batch that is being committed, and the last wall time."""
    return Statement(_ADVANCE, {"head": head, "batch": batch, "wall_us": wall_us, "chain_head": chain_head})
