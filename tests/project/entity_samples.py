"""Examples of entities, made from the definitions: what tests of all seven kinds send and expect."""

from typing import Any, Final

import msgspec

from intermute.core.api.entities import TYPES
from intermute.core.entities.definition import Entity, Field, FieldType
from intermute.core.entities.kinds import ENTITIES

Json = dict[str, Any]  # Any: whatever JSON holds.
STEPS: Final = [{"order": 1, "action": "open", "expected": "form"}]


def sample(field: Field, mark: str) -> Any:  # Any: a value of the field's type.
    """Return a value for a field; different marks give different values."""
    match field.type:
        case FieldType.NUMBER:
            return len(mark) / 8
        case FieldType.WORDS:
            return [f"{field.name} {mark}", "second"]
        case FieldType.STEPS:
            return [{**STEPS[0], "action": mark}]
        case _:
            return f"{field.name} {mark}"


def smallest(entity: Entity) -> Json:
    """Return the least that a new entity has to say."""
    return {field.name: sample(field, "a") for field in entity.contents if field.is_required}


def whole(entity: Entity, mark: str = "a") -> Json:
    """Return something for every field that a client may set, but for times."""
    return {
        field.name: sample(field, mark)
        for field in entity.contents
        if field.is_settable and field.type is not FieldType.TIME
    }


def defaults(entity: Entity) -> Json:
    """Return what a new entity shows of the fields that nobody has set, but for times and what is left out."""
    return {
        field.name: field.empty if field.default is None else field.default
        for field in entity.contents
        if not field.is_left_out_empty and field.type is not FieldType.TIME and not field.is_required
    }


def shown(view: object) -> Json:
    """Return a view as a client gets it."""
    found: Json = msgspec.json.decode(msgspec.json.encode(view))
    return found


def command(entity: Entity, which: str, **fields: Any) -> Any:  # Any: the types are made at run time.
    """Return one of the commands or queries of a kind, decoded as from the wire."""
    return msgspec.convert(fields, getattr(TYPES[entity.kind], which))


def example_ids() -> list[str]:
    """Return a name for each kind, for parametrised tests."""
    return [str(entity.kind) for entity in ENTITIES]
