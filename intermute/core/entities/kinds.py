"""The seven definitions. Source: contract.md 1.9, 2.2 and 9; design.md 9."""

from typing import Final

from intermute.core.entities.definition import Entity, Field, FieldType, Filter, Kind, Order
from intermute.core.events import EventType

_ID: Final = Field("id", FieldType.ID)
_PROJECT: Final = Field("project", FieldType.PROJECT)
_TITLE: Final = Field("title", FieldType.TITLE, is_required=True, is_left_out_empty=False)
_VERSION: Final = Field("version", FieldType.VERSION)
_CREATED_AT: Final = Field("created_at", FieldType.TIME, is_left_out_empty=False)
_UPDATED_AT: Final = Field("updated_at", FieldType.TIME, is_left_out_empty=False)
_TAIL: Final = (_VERSION, _CREATED_AT, _UPDATED_AT)
_BY_STATUS: Final = Filter("status")
_NEWEST_FIRST: Final = (Order("updated_at"),)


def _status(default: str) -> Field:
    return Field("status", FieldType.WORD, is_left_out_empty=False, default=default)


def _text(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, FieldType.TEXT) for name in names)


def _parent(kind: Kind, *, is_left_out_empty: bool = True) -> Field:
    return Field(f"{kind}_id", FieldType.WORD, refers_to=kind, is_left_out_empty=is_left_out_empty)


def _by_parent(kind: Kind) -> Filter:
    return Filter(f"{kind}_id", (kind.value,))


SPEC: Final = Entity(
    kind=Kind.SPEC,
    plural="specs",
    says="a product specification",
    fields=(_ID, _PROJECT, _TITLE, *_text("vision", "users", "problem"), _status("draft"), *_TAIL),
    flow={
        "draft": ("research", "archived"),
        "research": ("validated", "draft", "archived"),
        "validated": ("archived", "research"),
        "archived": (),
    },
    filters=(_BY_STATUS,),
    order=_NEWEST_FIRST,
    created=EventType.SPEC_CREATED,
    updated=EventType.SPEC_UPDATED,
    deleted=EventType.SPEC_ARCHIVED,
)
EPIC: Final = Entity(
    kind=Kind.EPIC,
    plural="epics",
    says="a part of a specification",
    fields=(_ID, _PROJECT, _parent(Kind.SPEC), _TITLE, *_text("description"), _status("open"), *_TAIL),
    flow={"open": ("in_progress", "done"), "in_progress": ("done", "open"), "done": ("in_progress",)},
    filters=(_by_parent(Kind.SPEC), _BY_STATUS),
    order=_NEWEST_FIRST,
    created=EventType.EPIC_CREATED,
    updated=EventType.EPIC_UPDATED,
    deleted=EventType.EPIC_DELETED,
)
STORY: Final = Entity(
    kind=Kind.STORY,
    plural="stories",
    says="a user story of an epic",
    fields=(
        _ID,
        _PROJECT,
        _parent(Kind.EPIC, is_left_out_empty=False),
        _TITLE,
        Field("acceptance_criteria", FieldType.WORDS),
        _status("todo"),
        *_TAIL,
    ),
    flow={
        "todo": ("in_progress",),
        "in_progress": ("review", "todo"),
        "review": ("done", "in_progress"),
        "done": ("in_progress",),
    },
    filters=(_by_parent(Kind.EPIC), _BY_STATUS),
    order=_NEWEST_FIRST,
    created=EventType.STORY_CREATED,
    updated=EventType.STORY_UPDATED,
    deleted=EventType.STORY_DELETED,
)
TASK: Final = Entity(
    kind=Kind.TASK,
    plural="tasks",
    says="a piece of work that one agent does",
    fields=(
        _ID,
        _PROJECT,
        _parent(Kind.STORY),
        _TITLE,
        Field("agent", FieldType.WORD),
        Field("session_id", FieldType.WORD),
        _status("pending"),
        *_TAIL,
        Field("depends_on", FieldType.WORDS, refers_to=Kind.TASK, is_ours=True),
        Field("capabilities", FieldType.WORDS, is_ours=True),
        Field("thread_id", FieldType.WORD, is_ours=True, is_settable=False),
        Field("claimed_at", FieldType.TIME, is_ours=True, is_settable=False),
    ),
    flow={
        "pending": ("running", "blocked"),
        "running": ("done", "blocked", "pending"),
        "blocked": ("running", "pending"),
        "done": ("pending",),
    },
    milestones={"done": EventType.TASK_COMPLETED},
    filters=(_BY_STATUS, Filter("agent", is_address=True), _by_parent(Kind.STORY)),
    indexes=(("agent", "status"),),
    order=_NEWEST_FIRST,
    created=EventType.TASK_CREATED,
    updated=EventType.TASK_UPDATED,
    deleted=EventType.TASK_DELETED,
)
INSIGHT: Final = Entity(
    kind=Kind.INSIGHT,
    plural="insights",
    says="a finding of research",
    fields=(
        _ID,
        _PROJECT,
        _parent(Kind.SPEC),
        Field("source", FieldType.TITLE, is_left_out_empty=False),
        Field("category", FieldType.WORD, is_left_out_empty=False),
        _TITLE,
        *_text("body", "url"),
        Field("score", FieldType.NUMBER, is_left_out_empty=False),
        _CREATED_AT,
        _VERSION,
        Field("status", FieldType.WORD, is_ours=True),
    ),
    filters=(_by_parent(Kind.SPEC), Filter("category"), _BY_STATUS),
    order=(Order("score"), Order("created_at")),
    created=EventType.INSIGHT_CREATED,
    updated=EventType.INSIGHT_UPDATED,
    deleted=EventType.INSIGHT_DELETED,
    has_lock=False,
)
SESSION: Final = Entity(
    kind=Kind.SESSION,
    plural="sessions",
    says="an agent at work",
    fields=(
        _ID,
        _PROJECT,
        Field("name", FieldType.TITLE, is_required=True, is_left_out_empty=False),
        Field("agent", FieldType.WORD, is_left_out_empty=False),
        _parent(Kind.TASK),
        _status("running"),
        Field("started_at", FieldType.TIME, is_left_out_empty=False),
        _UPDATED_AT,
        _VERSION,
    ),
    flow={"running": ("idle", "error"), "idle": ("running", "error"), "error": ("running", "idle")},
    filters=(_BY_STATUS,),
    indexes=(("task_id",),),
    order=(Order("started_at"),),
    created=EventType.SESSION_STARTED,
    updated=EventType.SESSION_UPDATED,
    deleted=EventType.SESSION_STOPPED,
    has_lock=False,
)
CUJ: Final = Entity(
    kind=Kind.CUJ,
    plural="cujs",
    says="a critical user journey",
    fields=(
        _ID,
        _parent(Kind.SPEC, is_left_out_empty=False),
        _PROJECT,
        _TITLE,
        *_text("persona"),
        Field("priority", FieldType.WORD, is_left_out_empty=False, default="medium"),
        *_text("entry_point", "exit_point"),
        Field("steps", FieldType.STEPS),
        Field("success_criteria", FieldType.WORDS),
        Field("error_recovery", FieldType.WORDS),
        _status("draft"),
        *_TAIL,
    ),
    flow={"draft": ("validated", "archived"), "validated": ("archived", "draft"), "archived": ()},
    milestones={"validated": EventType.CUJ_VALIDATED},
    filters=(_by_parent(Kind.SPEC), _BY_STATUS),
    order=(Order("priority", is_descending=False), Order("updated_at")),
    created=EventType.CUJ_CREATED,
    updated=EventType.CUJ_UPDATED,
    deleted=EventType.CUJ_ARCHIVED,
    keeps_version=True,
)

ENTITIES: Final = (SPEC, EPIC, STORY, TASK, INSIGHT, SESSION, CUJ)
OF_KIND: Final = {each.kind: each for each in ENTITIES}
