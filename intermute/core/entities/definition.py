"""What a definition of an entity can say. Source: contract.md 9."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from intermute.core.events import EventType


class Kind(StrEnum):
    """The seven kinds."""

    SPEC = "spec"
    EPIC = "epic"
    STORY = "story"
    TASK = "task"
    INSIGHT = "insight"
    SESSION = "session"
    CUJ = "cuj"


class FieldType(StrEnum):
    """What a field holds; the wire's types and SQL's follow from it."""

    ID = "id"
    PROJECT = "project"
    VERSION = "version"
    TITLE = "title"
    TEXT = "text"
    WORD = "word"
    NUMBER = "number"
    WORDS = "words"
    STEPS = "steps"
    TIME = "time"


EMPTY: Final[Mapping[FieldType, object]] = {
    FieldType.TITLE: "",
    FieldType.TEXT: "",
    FieldType.WORD: "",
    FieldType.NUMBER: 0.0,
    FieldType.WORDS: (),
    FieldType.STEPS: (),
    FieldType.TIME: None,
}
"""What a field that nobody has filled holds."""

_OF_THE_SERVICE: Final = frozenset({FieldType.ID, FieldType.PROJECT, FieldType.VERSION})


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `refers_to` names the kind of the entity whose id it holds."""

    name: str
    type: FieldType
    is_required: bool = False
    """A new entity has to say it."""
    is_left_out_empty: bool = True
    default: object = None
    """What a new entity gets that does not say it."""
    refers_to: Kind | None = None
    is_ours: bool = False
    """The original does not know it, so a full replace that leaves it out keeps it."""
    is_settable: bool = True
    """False: the service alone writes it; what a client sends back is ignored."""

    @property
    def empty(self) -> Any:  # Any: a value of the field's type.
        """What it holds while nobody has filled it."""
        return EMPTY[self.type]


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a list: the field, and the other names by which a query may give it."""

    field: str
    aliases: tuple[str, ...] = ()
    is_address: bool = False
    """The field holds an agent's address, so an agent's name and its id find the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """One field by which a list is ordered."""

    field: str
    is_descending: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Entity:
    """One kind of entity. Fields are in the order of the JSON."""

    kind: Kind
    plural: str
    says: str
    """What it is, for the documentation."""
    fields: tuple[Field, ...]
    filters: tuple[Filter, ...]
    order: tuple[Order, ...]
    created: EventType
    updated: EventType
    deleted: EventType
    flow: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By status: what may follow. The first one is what a new entity has."""
    milestones: Mapping[str, EventType] = field(default_factory=dict)
    """By status: the event that tells of an update which has, or leaves, that status, instead of `updated`."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Fields that are filtered by together, or looked up; each filter has an index of its own."""
    has_lock: bool = True
    """A full replace must say the version that it replaces."""
    keeps_version: bool = False
    """A new entity keeps a version that it comes with."""

    @property
    def title(self) -> str:
        """Its name in the names of commands."""
        return "CUJ" if self.kind is Kind.CUJ else self.kind.value.capitalize()

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by their names."""
        return {each.name: each for each in self.fields}

    @cached_property
    def contents(self) -> tuple[Field, ...]:
        """The fields that say something of the thing itself: all but id, project and version."""
        return tuple(each for each in self.fields if each.type not in _OF_THE_SERVICE)

    @cached_property
    def references(self) -> tuple[Field, ...]:
        """The fields that hold the id of another entity."""
        return tuple(each for each in self.contents if each.refers_to is not None)

    @cached_property
    def has_updated_at(self) -> bool:
        """Tell whether it says when it last changed."""
        return "updated_at" in self.by_name


@dataclass(frozen=True, slots=True)
class Record:
    """One entity as it is stored. `number` is the cursor of its creation; `values` are those of `contents`, by name."""

    entity: Entity
    id: str
    number: int
    version: int
    values: Mapping[str, Any]  # Any: a value of the field's type.

    def __getitem__(self, name: str) -> Any:  # Any: as `values`.
        return self.values[name]
