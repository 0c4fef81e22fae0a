"""Specs, epics, stories, tasks, insights, sessions, journeys and their links in the original's file."""

from dataclasses import dataclass, field
from typing import Any, Final

from intermute.core.api.entities import TYPES
from intermute.core.api.entity_actions import LinkCUJ
from intermute.core.entities.definition import Entity, FieldType
from intermute.core.ids import Micros
from intermute.core.original.rows import LeftOut, Row, Times, as_command, as_datetime

_VERSION_MAX: Final = 2**31  # changes of one entity; what is above was never counted up to.
MADE_AT: Final = ("created_at", "started_at")


@dataclass(slots=True)
class OriginalEntity:
    """One entity, as a request would make it."""

    asked: Any  # Any: the types of commands are made from the definitions at run time.
    version: int
    made_at_us: Micros | None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OriginalLink:
    """One link of a journey to a feature."""

    asked: LinkCUJ
    linked_at_us: Micros | None
    notes: list[str] = field(default_factory=list)


def columns_of(entity: Entity) -> dict[str, FieldType]:
    """Return the columns that the original may have for an entity: those of its own fields, lists as JSON."""
    return {
        f"{each.name}_json" if each.type in (FieldType.WORDS, FieldType.STEPS) else each.name: each.type
        for each in entity.fields
        if not each.is_ours and each.type is not FieldType.PROJECT
    }


def entity_of(entity: Entity, row: Row, now_us: Micros) -> OriginalEntity:
    """Return the entity in a row. Raises: LeftOut."""
    times = Times(now_us)
    fields: dict[str, object] = {"id": row.text("id")}
    made_at_us: Micros | None = None
    if not str(fields["id"]).strip("/"):
        raise LeftOut("it has no id")
    for each in entity.contents:
        if each.is_ours:
            continue
        match each.type:
            case FieldType.TIME:
                at_us = times.read(row, each.name, is_past=False)
                fields[each.name] = None if at_us is None else as_datetime(at_us)
                made_at_us = at_us if each.name in MADE_AT else made_at_us
            case FieldType.WORDS | FieldType.STEPS:
                fields[each.name] = row.decoded(f"{each.name}_json")
            case FieldType.NUMBER:
                fields[each.name] = row.cells.get(each.name)
            case _:
                fields[each.name] = row.text(each.name)
    version = row.number("version")
    asked: Any = as_command(TYPES[entity.kind].create, fields)
    return OriginalEntity(asked, version if 1 <= version <= _VERSION_MAX else 1, made_at_us, times.notes)


def link_of(row: Row, now_us: Micros) -> OriginalLink:
    """Return the link in a row. Raises: LeftOut."""
    times = Times(now_us)
    asked = as_command(LinkCUJ, {"id": row.text("cuj_id"), "feature_id": row.text("feature_id")})
    if not asked.feature_id:
        raise LeftOut("it names no feature")
    return OriginalLink(asked, times.read(row, "linked_at"), times.notes)
