"""What an entity holds after it was made, replaced or merged. Decided here and nowhere else.

Rules of contract.md 9: a full replace empties what it leaves out, but for fields that the original does not know; the
times of making are never changed; the zero time counts as absent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from intermute.core.entities.definition import Entity, Field, FieldType, Record
from intermute.core.errors import InvalidRequest
from intermute.core.ids import Micros

Values = Mapping[str, Any]  # Any: a value of the field's type.

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_OF_MAKING: Final = frozenset({"created_at", "started_at"})
_MICROSECOND: Final = timedelta(microseconds=1)


def given_values(entity: Entity, command: object) -> dict[str, Any]:  # Any: as Values.
    """Return what a command says of an entity, each field that it says something of. Raises: InvalidRequest."""
    found: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for field in entity.contents:
        value = getattr(command, field.name)
        if value is None or not field.is_settable:
            continue
        if field.type is FieldType.TIME:
            if value == _ZERO:
                continue  # The original's client sends it for a time that is not set (contract.md 0.2).
            if not _EPOCH <= value < _LATEST:
                problems.append((field.name, "must be a time from 1970 to 9998"))
            value = Micros((value - _EPOCH) // _MICROSECOND)
        elif field.type in (FieldType.WORDS, FieldType.STEPS):
            value = tuple(value)
        found[field.name] = value
    if problems:
        raise InvalidRequest(problems)
    return found


def made(entity: Entity, given: Values, entity_id: str, number: int, version: int, now_us: Micros) -> Record:
    """Return a new entity."""
    values: dict[str, Any] = {}
    for field in entity.contents:
        if field.type is FieldType.TIME and field.is_settable:
            values[field.name] = given.get(field.name, now_us)
        else:
            # As in the original, an empty status or priority is as good as none where a new entity has a default.
            values[field.name] = given.get(field.name) or (field.empty if field.default is None else field.default)
    kept = version if entity.keeps_version and version else 1
    return Record(entity, entity_id, number, kept, values)


def replaced(record: Record, given: Values, now_us: Micros) -> Record:
    """Return the entity with all its contents as given."""
    values = {field.name: _in_place_of(field, record, given) for field in record.entity.contents}
    return _later(record, values, now_us)


def merged(record: Record, given: Values, now_us: Micros) -> Record:
    """Return the entity with what is given, and the rest as it was."""
    values = {**record.values, **{name: value for name, value in given.items() if name not in _OF_MAKING}}
    return _later(record, values, now_us)


def _in_place_of(field: Field, record: Record, given: Values) -> Any:  # Any: as Values.
    if field.name in _OF_MAKING or not field.is_settable:
        return record[field.name]
    return given.get(field.name, record[field.name] if field.is_ours else field.empty)


def _later(record: Record, values: dict[str, Any], now_us: Micros) -> Record:
    if record.entity.has_updated_at:
        values["updated_at"] = now_us
    return replace(record, version=record.version + 1, values=values)


def referred_ids(field: Field, values: Values) -> tuple[str, ...]:
    """Return the ids in a field that refers to other entities."""
    value = values.get(field.name)
    if not value:
        return ()
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
