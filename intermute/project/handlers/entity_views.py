"""Reading specs, epics, stories, tasks, insights, sessions and journeys: lists, one of them, and how one is shown."""

from collections.abc import Sequence
from typing import Any

import apsw

from intermute.core import limits
from intermute.core.api.entities import TYPES, TYPES_OF_INPUT, StepView
from intermute.core.entities.definition import Entity, Field, FieldType, Record
from intermute.core.errors import InvalidRequest, UnknownEntity
from intermute.core.ids import ProjectName
from intermute.core.pages import page_size
from intermute.core.times import rfc3339
from intermute.project.transaction import Desk, FromStore
from intermute.store import entities as rows

# Any in this module: the types of commands and views are made from the definitions at run time.


def entity_view(record: Record, project: ProjectName, warnings: Sequence[str] = ()) -> Any:
    """Return an entity as the interface shows it."""
    shown = {field.name: _shown(field, record, project) for field in record.entity.fields}
    return TYPES[record.entity.kind].view(**shown, warnings=list(warnings) or None)


def _shown(field: Field, record: Record, project: ProjectName) -> Any:
    match field.type:
        case FieldType.ID:
            return record.id
        case FieldType.PROJECT:
            return project
        case FieldType.VERSION:
            return record.version
        case FieldType.TIME:
            return "" if record[field.name] is None else rfc3339(record[field.name])
        case FieldType.WORDS:
            return list(record[field.name])
        case FieldType.STEPS:
            return [
                StepView(
                    order=step.order or 0,
                    action=step.action,
                    expected=step.expected,
                    alternatives=step.alternatives or None,
                )
                for step in record[field.name]
            ]
        case _:
            return record[field.name]


def get_entity(query: Any, desk: Desk) -> FromStore[Any]:
    """Return one entity."""
    entity = TYPES_OF_INPUT[type(query)].entity

    def work(connection: apsw.Connection) -> Any:
        record = rows.one(connection, entity, query.id)
        if record is None:
            raise UnknownEntity(entity.kind, entity.plural, query.id)
        return entity_view(record, desk.project)

    return FromStore(work)


def list_entities(query: Any, desk: Desk) -> FromStore[Any]:
    """Return a page of the project's entities of one kind, in the order of that kind."""
    types = TYPES_OF_INPUT[type(query)]
    entity = types.entity
    wanted = _filters(entity, query)
    place = None
    if query.cursor is not None:
        place = rows.from_cursor(entity, query.cursor)
        if place is None:
            raise InvalidRequest([("cursor", "is not one that this list has given; leave it out for the first page")])
    limit = page_size(query.limit, limits.LIST_DEFAULT)
    choices = [wanted]
    for each in entity.filters:
        if each.is_address and each.field in wanted:
            # Whoever assigned the task may have used the agent's name or its id; both mean the same agent.
            addresses = sorted(desk.state.agents.addresses_of(wanted[each.field]))
            choices = [{**wanted, each.field: address} for address in addresses]

    def work(connection: apsw.Connection) -> Any:
        pages = [rows.page(connection, entity, choice, place, limit) for choice in choices]
        found, has_more = _joined(entity, pages, limit)
        return types.page(
            entities=[entity_view(record, desk.project) for record in found],
            next_cursor=rows.as_cursor(found[-1]) if has_more else None,
        )

    return FromStore(work)


def _filters(entity: Entity, query: Any) -> dict[str, str]:
    """Return the wished fields, whichever of its names a filter was given under. Raises: InvalidRequest."""
    wanted: dict[str, str] = {}
    for each in entity.filters:
        given = {value for name in (each.field, *each.aliases) if (value := getattr(query, name)) is not None}
        if len(given) > 1:
            raise InvalidRequest([(each.field, f"contradicts {' and '.join(each.aliases)}; send one of them")])
        wanted.update(dict.fromkeys([each.field], *given) if given else {})
    return wanted


def _joined(entity: Entity, pages: Sequence[tuple[list[Record], bool]], limit: int) -> tuple[list[Record], bool]:
    """Return the first records of several pages of one order, and whether there are more."""
    if len(pages) == 1:
        return pages[0]
    found = [record for page, _ in pages for record in page]
    found.sort(key=lambda record: record.number, reverse=True)
    for order in reversed(entity.order):
        found.sort(key=lambda record: record[order.field], reverse=order.is_descending)
    # Behind the end of a page that has more, nothing is known to come next.
    ends = [found.index(page[-1]) + 1 for page, has_more in pages if has_more]
    kept = min([limit, len(found), *ends])
    return found[:kept], kept < len(found) or bool(ends)
