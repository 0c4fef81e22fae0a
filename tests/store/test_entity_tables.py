"""The migration has the tables of the entities as their definitions say (issue 4): fixed text on one side, data on the other."""

import apsw
import pytest

from intermute.core.entities.definition import Entity
from intermute.core.entities.kinds import ENTITIES
from intermute.core.ids import Micros
from intermute.store.entities import columns_of, indexes_of
from intermute.store.migrate import migrate

PARTIAL = {"tasks": {"tasks_claimable", "tasks_claimed"}}
"""Indexes that no definition has: over a part of a table."""


@pytest.fixture(scope="module")
def connection() -> apsw.Connection:
    """A database with the newest schema."""
    made = apsw.Connection(":memory:")
    migrate(made, Micros(1))
    return made


def table(connection: apsw.Connection, entity: Entity) -> list[tuple[str, str, bool]]:
    """Return name, type and whether it may be NULL of every column there is."""
    found = connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (entity.plural,))
    return [(name, kind, not (notnull or key)) for name, kind, notnull, key in found]


def indexes(connection: apsw.Connection, entity: Entity) -> dict[str, list[tuple[str, bool]]]:
    """Return the columns of every index that somebody made, each with whether it runs downwards."""
    made = "SELECT name FROM pragma_index_list(?) WHERE origin = 'c'"
    columns = 'SELECT name, "desc" FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno'
    return {
        str(name): [(str(column), bool(down)) for column, down in connection.execute(columns, (name,))]
        for (name,) in connection.execute(made, (entity.plural,)).fetchall()
    }


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda each: each.plural)
def test_table_is_as_defined(connection: apsw.Connection, entity: Entity) -> None:
    """Columns, in order, and indexes: the same, and no others."""
    assert table(connection, entity) == columns_of(entity)
    there = indexes(connection, entity)
    assert {name: there.pop(name) for name in PARTIAL.get(entity.plural, ())}.keys() == PARTIAL.get(
        entity.plural, set()
    )
    assert there == indexes_of(entity)


def test_difference_between_two_tables_is_seen(connection: apsw.Connection) -> None:
    """Control: one table is not another one's definition."""
    assert table(connection, ENTITIES[0]) != columns_of(ENTITIES[1])
    assert indexes(connection, ENTITIES[0]) != indexes_of(ENTITIES[1])
