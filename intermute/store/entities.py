"""Specs, epics, stories, tasks, insights, sessions and journeys in SQLite: a table for each kind, made from its definition.

The one module whose statements are put together, from the names in `core/entities/kinds.py` and nothing else
(style.md 33). The migration is fixed text; a test holds it against the definitions.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import apsw
import msgspec

from intermute.core.api.entities import Step
from intermute.core.entities.definition import Entity, Field, FieldType, Record
from intermute.store.pages import within_page
from intermute.store.statements import SqlValue, Statement, to_json

_SQL_TYPES: Final[Mapping[FieldType, str]] = {
    FieldType.NUMBER: "REAL",
    FieldType.TIME: "INTEGER",
}
_LISTS: Final[Mapping[FieldType, Any]] = {FieldType.WORDS: tuple[str, ...], FieldType.STEPS: tuple[Step, ...]}


def column(field: Field) -> str:
    """Return the name of a field's column."""
    return f"{field.name}_us" if field.type is FieldType.TIME else field.name


def columns_of(entity: Entity) -> list[tuple[str, str, bool]]:
    """Return name, type and whether it may be NULL of every column of an entity's table, in order."""
    own = [("id", "TEXT", False), ("number", "INTEGER", False), ("version", "INTEGER", False)]
    return own + [
        (column(each), _SQL_TYPES.get(each.type, "TEXT"), each.type is FieldType.TIME and not each.is_settable)
        for each in entity.contents
    ]


def indexes_of(entity: Entity) -> dict[str, list[tuple[str, bool]]]:
    """Return the indexes of an entity's table by name: their columns, each with whether it runs downwards."""
    order = [(column(entity.by_name[each.field]), each.is_descending) for each in entity.order] + [("number", True)]
    looked_up = [(each.field,) for each in entity.filters] + list(entity.indexes)
    found = {f"{entity.plural}_in_order": order}
    for fields in looked_up:
        name = f"{entity.plural}_by_{'_and_'.join(each.removesuffix('_id') for each in fields)}"
        found[name] = [(column(entity.by_name[each]), False) for each in fields] + order
    return found


def insert(record: Record) -> Statement:
    """Write a new entity."""
    return Statement(_insert_sql(record.entity.plural, _names(record.entity)), _as_row(record))


def update(record: Record) -> Statement:
    """Write what an entity holds now."""
    values = {name: value for name, value in _as_row(record).items() if name != "number"}
    return Statement(_update_sql(record.entity.plural, _names(record.entity)), values)


def delete(record: Record) -> Statement:
    """Take an entity out."""
    return Statement(f"DELETE FROM {record.entity.plural} WHERE id = :id", {"id": record.id})  # noqa: S608 - a definition


def one(connection: apsw.Connection, entity: Entity, entity_id: str) -> Record | None:
    """Return the entity of this id."""
    sql = f"SELECT {', '.join(_names(entity))} FROM {entity.plural} WHERE id = :id"  # noqa: S608 - a definition
    row = connection.execute(sql, {"id": entity_id}).fetchone()
    return as_record(entity, row) if row else None


def page(
    connection: apsw.Connection, entity: Entity, wanted: Mapping[str, str], place: Sequence[Any] | None, limit: int
) -> tuple[list[Record], bool]:
    """Return entities in their order, from a place on, and whether there are more; bounded by size as well.

    Args: `wanted` has the fields to filter by; `place` is what `place_of` says of the last one of the page before.
    """
    sql = page_sql(entity, tuple(wanted), is_first=place is None)
    values: dict[str, SqlValue] = {**wanted, "limit": limit + 1}
    values.update({f"after_{number}": value for number, value in enumerate(place or ())})
    rows = connection.execute(sql, values).fetchall()
    found = list(within_page(rows[:limit]))
    return [as_record(entity, row) for row in found], len(found) < len(rows)


@cache
def page_sql(entity: Entity, fields: tuple[str, ...], *, is_first: bool) -> str:
    """Return the question for one page, filtered by these fields."""
    conditions = [f"{column(entity.by_name[name])} = :{name}" for name in fields]
    if not is_first:
        conditions.append(_beyond(entity))
    order = [f"{column(entity.by_name[each.field])}{' DESC' * each.is_descending}" for each in entity.order]
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    return (
        f"SELECT {', '.join(_names(entity))} FROM {entity.plural} INDEXED BY {_index_for(entity, fields)} "  # noqa: S608
        f"{where}ORDER BY {', '.join(order)}, number DESC LIMIT :limit"
    )


def _beyond(entity: Entity) -> str:
    """Return the condition for whatever comes after a place: row values where all run downwards, else one by one."""
    names = [column(entity.by_name[each.field]) for each in entity.order] + ["number"]
    if all(each.is_descending for each in entity.order):
        return f"({', '.join(names)}) < ({', '.join(f':after_{n}' for n in range(len(names)))})"
    assert not entity.order[0].is_descending
    assert all(each.is_descending for each in entity.order[1:])
    rest = f"({', '.join(names[1:])}) < ({', '.join(f':after_{n}' for n in range(1, len(names)))})"
    return f"{names[0]} >= :after_0 AND ({names[0]} > :after_0 OR {rest})"


def _index_for(entity: Entity, fields: tuple[str, ...]) -> str:
    """Return the index that answers most of what is filtered by."""
    wanted = set(fields)
    fitting = [each for each in (*entity.indexes, *((f.field,) for f in entity.filters)) if wanted.issuperset(each)]
    best = max(fitting, key=len, default=())
    if not best:
        return f"{entity.plural}_in_order"
    return f"{entity.plural}_by_{'_and_'.join(each.removesuffix('_id') for each in best)}"


def place_of(record: Record) -> list[Any]:  # Any: values of the order's fields.
    """Return where an entity stands in the order of its list."""
    return [*(record[each.field] for each in record.entity.order), record.number]


def as_cursor(record: Record) -> str:
    """Return the cursor that goes on after an entity."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place_of(record))).decode().rstrip("=")


def from_cursor(entity: Entity, text: str) -> list[Any] | None:  # Any: as place_of.
    """Return the place that a cursor names, or None where it is none of this list."""
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=list[Any])
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return None
    kinds = [entity.by_name[each.field].type for each in entity.order] + [FieldType.TIME]
    is_sound = len(place) == len(kinds) and all(map(_fits, place, kinds))
    return place if is_sound else None


def _fits(value: object, kind: FieldType) -> bool:
    if kind is FieldType.NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**62
    if kind is FieldType.TIME:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
    return isinstance(value, str)


def _names(entity: Entity) -> list[str]:
    return [name for name, _, _ in columns_of(entity)]


def _insert_sql(table: str, names: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608


def _update_sql(table: str, names: Sequence[str]) -> str:
    changed = ", ".join(f"{name} = :{name}" for name in names if name not in ("id", "number"))
    return f"UPDATE {table} SET {changed} WHERE id = :id"  # noqa: S608 - a definition


def _as_row(record: Record) -> dict[str, SqlValue]:
    row: dict[str, SqlValue] = {"id": record.id, "number": record.number, "version": record.version}
    for field in record.entity.contents:
        value = record[field.name]
        row[column(field)] = to_json(value) if field.type in _LISTS else value
    return row


def as_record(entity: Entity, row: Sequence[Any]) -> Record:  # Any: SQLite's dynamic columns; the schema is STRICT.
    """Return a row of the columns of `columns_of` as the entity that it is."""
    values = {
        field.name: msgspec.json.decode(value, type=_LISTS[field.type]) if field.type in _LISTS else value
        for field, value in zip(entity.contents, row[3:], strict=True)
    }
    return Record(entity, row[0], row[1], row[2], values)
