"""Who refers to an entity: by a field that holds one id, or by a list of ids, which has a table of its own to be found in."""

from typing import Final

import apsw

from intermute.core.entities.definition import Entity, Field, FieldType, Record
from intermute.core.entities.values import referred_ids
from intermute.store.entities import page
from intermute.store.statements import Statement

_ADD: Final = "INSERT INTO task_dependencies (depends_on, task_id) VALUES (:to, :id)"
_DROP: Final = "DELETE FROM task_dependencies WHERE depends_on = :to AND task_id = :id"
_DEPENDENTS: Final = "SELECT task_id FROM task_dependencies WHERE depends_on = :to ORDER BY task_id LIMIT :limit"
_COUNT_DEPENDENTS: Final = "SELECT count(*) FROM task_dependencies WHERE depends_on = :to"


def changes(before: Record | None, after: Record | None) -> list[Statement]:
    """Write which ids an entity's lists have come to hold, and which no longer."""
    record = after or before
    assert record is not None
    statements = []
    for field in record.entity.references:
        if field.type is FieldType.WORDS:
            old = set(referred_ids(field, before.values)) if before else set()
            new = set(referred_ids(field, after.values)) if after else set()
            statements += [Statement(_DROP, {"to": each, "id": record.id}) for each in sorted(old - new)]
            statements += [Statement(_ADD, {"to": each, "id": record.id}) for each in sorted(new - old)]
    return statements


def referring(
    connection: apsw.Connection, entity: Entity, field: Field, entity_id: str, limit: int
) -> tuple[list[str], int]:
    """Return the first entities whose field has this id, and how many have."""
    if field.type is FieldType.WORDS:
        found = [str(each) for (each,) in connection.execute(_DEPENDENTS, {"to": entity_id, "limit": limit})]
        count = _COUNT_DEPENDENTS
    else:
        records, _ = page(connection, entity, {field.name: entity_id}, None, limit)
        found = [record.id for record in records]
        count = f"SELECT count(*) FROM {entity.plural} WHERE {field.name} = :to"  # noqa: S608 - a definition
    if len(found) < limit:
        return found, len(found)
    return found, int(connection.execute(count, {"to": entity_id}).get)
