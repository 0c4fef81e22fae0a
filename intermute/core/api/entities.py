"""Specs, epics, stories, tasks, insights, sessions and journeys on the wire: types made from the definitions.

Source: contract.md 1.9 and 9, design.md 9.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Identifier, Input, Limit, ProjectText, View
from intermute.core.entities.definition import Entity, Field, FieldType
from intermute.core.entities.kinds import ENTITIES

Title = Annotated[str, Meta(max_length=limits.LINE_CHARS_MAX)]
Text = Annotated[str, Meta(max_length=limits.ENTITY_TEXT_CHARS_MAX)]
Words = Annotated[list[Text], Meta(max_length=limits.ENTITY_WORDS_MAX)]
Version = Annotated[
    int, Meta(ge=0, le=limits.BODY_INTEGER_MAX, description="The version that this replaces; 0 is the same as none.")
]
When = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone; 0001-01-01T00:00:00Z is the same as none.")]
PageCursor = Annotated[
    str, Meta(max_length=1024, description="`X-Next-Cursor` of the page before, which is the last one without it.")
]


class CascadeRule(StrEnum):
    """What becomes of a delete where others refer to the entity."""

    REFUSE = "refuse"
    ORPHAN = "orphan"


Cascade = Annotated[
    CascadeRule,
    Meta(description="What to do where others refer to it; the answer is 200 and says which, where this is sent."),
]
NAME_OF_CURSOR: Final = "X-Next-Cursor"
ORPHANED_HEADER: Final = "X-Orphaned"
ORPHANED_IDS_HEADER: Final = "X-Orphaned-Ids"


class Step(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step of a user journey."""

    order: Annotated[int, Meta(ge=-(2**31), le=2**31)] | None = None
    action: Text = ""
    expected: Text = ""
    alternatives: Words | None = None


class StepView(View, kw_only=True, frozen=True):
    """One step of a user journey."""

    order: int
    action: str
    expected: str
    alternatives: list[str] | None = None


_INPUTS: Final[dict[FieldType, Any]] = {  # Any: type expressions, as msgspec takes them.
    FieldType.TITLE: Title,
    FieldType.TEXT: Text,
    FieldType.WORD: Identifier,
    FieldType.NUMBER: Annotated[float, Meta(ge=-1e15, le=1e15)],
    FieldType.WORDS: Words,
    FieldType.STEPS: Annotated[list[Step], Meta(max_length=limits.ENTITY_WORDS_MAX)],
    FieldType.TIME: When,
}
_OUTPUTS: Final[dict[FieldType, Any]] = {
    **dict.fromkeys((FieldType.TITLE, FieldType.TEXT, FieldType.WORD, FieldType.ID, FieldType.PROJECT), str),
    FieldType.TIME: str,
    FieldType.NUMBER: float,
    FieldType.VERSION: int,
    FieldType.WORDS: list[str],
    FieldType.STEPS: list[StepView],
}


class OrphanView(View, kw_only=True, frozen=True):
    """One entity that refers to what is gone."""

    kind: str
    id: str
    field: str


class NoContent(View, kw_only=True, frozen=True):
    """Nothing; what referred to it is in the headers: X-Orphaned counts it, X-Orphaned-Ids names the first."""

    orphaned: tuple[OrphanView, ...] = ()
    orphaned_count: int = 0


class Deleted(View, kw_only=True, frozen=True):
    """What was deleted, and who still refers to it: at most 100, `orphaned_count` is all of them."""

    id: str
    kind: str
    deleted: bool
    orphaned: list[OrphanView]
    orphaned_count: int


@dataclass(frozen=True, slots=True)
class EntityTypes:
    """The inputs and outputs of one kind of entity."""

    entity: Entity
    create: type
    listing: type
    get: type
    replace: type
    change: type
    delete: type
    view: type
    page: type


def _struct(name: str, doc: str, fields: list[Any], base: type) -> type:  # Any: as msgspec.defstruct takes them.
    return msgspec.defstruct(
        name, fields, bases=(base,), namespace={"__doc__": doc}, module=__name__, kw_only=True, frozen=True
    )


def _optional(name: str, wire: Any) -> tuple[str, Any, None]:  # Any: a type expression.
    return (name, wire | None, None)


_OF_PROJECT: Final = _optional("project", ProjectText)


def _contents(entity: Entity, *, is_new: bool) -> list[Any]:  # Any: as _struct.
    found: list[Any] = []
    for field in entity.contents:
        wire = _INPUTS[field.type]
        found.append((field.name, wire) if is_new and field.is_required else _optional(field.name, wire))
    return [_OF_PROJECT, *found, _optional("version", Version)]


def _shown(field: Field) -> tuple[Any, ...]:  # Any: as _struct.
    wire = _OUTPUTS[field.type]
    if not field.is_left_out_empty or field.type in (FieldType.ID, FieldType.PROJECT, FieldType.VERSION):
        return (field.name, wire)
    if field.type in (FieldType.WORDS, FieldType.STEPS):
        return (field.name, wire, msgspec.field(default_factory=list))
    return (field.name, wire, "")


def _types_of(entity: Entity) -> EntityTypes:
    title, says = entity.title, f"{entity.kind.value} ({entity.says})"
    by_id = [("id", Identifier), _OF_PROJECT]
    asked = [(name, Identifier) for each in entity.filters for name in (each.field, *each.aliases)]
    view = _struct(
        f"{title}View",
        f"One {says}.",
        [*map(_shown, entity.fields), _optional("warnings", list[str])],
        View,
    )
    change = "Empty texts and lists empty a field."
    return EntityTypes(
        entity=entity,
        create=_struct(
            f"Create{title}",
            f"Make a new {says}.",
            [_optional("id", Identifier), *_contents(entity, is_new=True)],
            Input,
        ),
        listing=_struct(
            f"List{title}s" if entity.plural != "stories" else "ListStories",
            f"List a project's {entity.plural}.",
            [
                _OF_PROJECT,
                *(_optional(*each) for each in asked),
                _optional("limit", Limit),
                _optional("cursor", PageCursor),
            ],
            Input,
        ),
        get=_struct(f"Get{title}", f"Read one {entity.kind.value}.", by_id, Input),
        replace=_struct(
            f"Replace{title}",
            f"Replace all of one {entity.kind.value}: what is left out becomes empty.",
            [("id", Identifier), *_contents(entity, is_new=False)],
            Input,
        ),
        change=_struct(
            f"Change{title}",
            f"Set some fields of one {entity.kind.value} and keep the others. {change}",
            [("id", Identifier), *_contents(entity, is_new=False)],
            Input,
        ),
        delete=_struct(
            f"Delete{title}", f"Delete one {entity.kind.value}.", [*by_id, _optional("cascade", Cascade)], Input
        ),
        view=view,
        page=_struct(
            f"{title}Page",
            f"A page of {entity.plural}.",
            [("entities", list[view]), _optional("next_cursor", str)],  # type: ignore[valid-type] # made above.
            View,
        ),
    )


TYPES: Final = {entity.kind: _types_of(entity) for entity in ENTITIES}
"""By kind."""
TYPES_OF_INPUT: Final[dict[type, EntityTypes]] = {
    command: types
    for types in TYPES.values()
    for command in (types.create, types.listing, types.get, types.replace, types.change, types.delete)
}
"""By command and query."""
