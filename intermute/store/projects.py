"""The one row about the project itself: its name, its epoch, the last cursor, and the last batch that was committed."""

from dataclasses import dataclass
from typing import Final

import apsw

from intermute.core.ids import Micros, ProjectName
from intermute.store.statements import Statement

_CREATE: Final = """
INSERT INTO project (id, name, epoch, head, batch, wall_us, created_at_us) VALUES (1, :name, 1, 0, 0, :now_us, :now_us)
"""
_READ: Final = "SELECT name, epoch, head, batch, wall_us FROM project WHERE id = 1"
_ADVANCE: Final = "UPDATE project SET head = :head, batch = :batch, wall_us = :wall_us WHERE id = 1"
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


def create(connection: apsw.Connection, name: ProjectName, now_us: Micros) -> None:
    """Write the row of a new project."""
    connection.execute(_CREATE, {"name": name, "now_us": now_us})


def read(connection: apsw.Connection) -> ProjectRow | None:
    """Return the row, or None in a file that has none yet."""
    row = connection.execute(_READ).fetchone()
    return ProjectRow(ProjectName(row[0]), row[1], row[2], row[3], Micros(row[4])) if row else None


def advance(head: int, batch: int, wall_us: Micros) -> Statement:
    """Note the last cursor, the number of the batch that is being committed, and the last wall time."""
    return Statement(_ADVANCE, {"head": head, "batch": batch, "wall_us": wall_us})
