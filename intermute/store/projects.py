"""The one row about the project itself: its name, its epoch, the last cursor, and the last batch that was committed."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import apsw

from intermute.core.ids import Micros, ProjectName
from intermute.store.statements import Statement

_CREATE: Final = """
INSERT INTO project (id, name, epoch, head, batch, wall_us, created_at_us) VALUES (1, :name, 1, 0, 0, :now_us, :now_us)
"""
_READ: Final = """
SELECT name, epoch, head, batch, wall_us, chain_from, chain_seed, chain_head FROM project WHERE id = 1
"""
_READ_OUTLINE: Final = "SELECT name, epoch, head FROM project WHERE id = 1"
_BEGIN_EPOCH: Final = "UPDATE project SET epoch = :epoch WHERE id = 1"
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


class Outline(NamedTuple):
    """What is there in every schema."""

    name: ProjectName
    epoch: int
    head: int


def read_outline(connection: apsw.Connection) -> Outline | None:
    """Return what a file of any schema says of its project, or None in a file that has no row yet."""
    row = connection.execute(_READ_OUTLINE).fetchone()
    return Outline(ProjectName(row[0]), row[1], row[2]) if row else None


def begin_epoch(epoch: int) -> Statement:
    """Note that the log goes on from a restored file."""
    return Statement(_BEGIN_EPOCH, {"epoch": epoch})


def advance(head: int, batch: int, wall_us: Micros, chain_head: bytes) -> Statement:
    """Note the last cursor and its hash, the number of the batch that is being committed, and the last wall time."""
    return Statement(_ADVANCE, {"head": head, "batch": batch, "wall_us": wall_us, "chain_head": chain_head})
