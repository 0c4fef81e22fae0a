"""Making, replacing, merging and deleting: one set of handlers for all kinds of entities. Source: issue 4, contract.md 9."""

from collections.abc import Mapping
from typing import Any

from intermute.core import limits
from intermute.core.api.entities import TYPES_OF_INPUT, CascadeRule, Deleted, NoContent, OrphanView
from intermute.core.entities.definition import Entity, Kind, Record
from intermute.core.entities.rules import check_references, check_status, circle
from intermute.core.entities.values import given_values, made, merged, replaced
from intermute.core.errors import (
    DependencyCycle,
    DuplicateId,
    InvalidRequest,
    StaleVersion,
    StillReferenced,
    UnknownEntity,
)
from intermute.core.task_claims import settled
from intermute.project.handlers.entity_changes import add, change, remove
from intermute.project.handlers.entity_views import entity_view
from intermute.project.transaction import Transaction

# Any in this module: the types of commands and views are made from the definitions at run time.


def create_entity(command: Any, tx: Transaction) -> Any:
    """Store a new entity under the given id or a new one."""
    entity = TYPES_OF_INPUT[type(command)].entity
    given = given_values(entity, command)
    entity_id = (command.id or "").strip("/") or tx.mint()
    if tx.facts.entities.get((entity.kind, entity_id)) is not None:
        raise DuplicateId(entity.kind, entity.plural, entity_id)
    record = made(entity, given, entity_id, tx.next_cursor(), command.version or 0, tx.now.wall_us)
    warnings = checked(entity, entity_id, None, record.values, tx)
    hear_caller(tx)
    add(record, tx)
    return entity_view(record, tx.project, warnings)


def replace_entity(command: Any, tx: Transaction) -> Any:
    """Put what is given in the place of all that an entity holds."""
    entity = TYPES_OF_INPUT[type(command)].entity
    given = given_values(entity, command)
    before = existing(entity, command.id, tx)
    check_version(before, command.version, tx, is_required=entity.has_lock)
    after = replaced(before, given, tx.now.wall_us)
    warnings = checked(entity, before.id, before, {**given, "status": after.values.get("status", "")}, tx)
    return _change(before, after, warnings, tx)


def change_entity(command: Any, tx: Transaction) -> Any:
    """Put what is given into an entity, and leave the rest as it is."""
    entity = TYPES_OF_INPUT[type(command)].entity
    given = given_values(entity, command)
    before = existing(entity, command.id, tx)
    check_version(before, command.version, tx, is_required=False)
    warnings = checked(entity, before.id, before, given, tx)
    return _change(before, merged(before, given, tx.now.wall_us), warnings, tx)


def delete_entity(command: Any, tx: Transaction) -> Deleted | NoContent:
    """Take an entity out, if it is there; what refers to it stays and is told of."""
    entity = TYPES_OF_INPUT[type(command)].entity
    orphans = tx.facts.orphans[entity.kind, command.id]
    shown = [OrphanView(kind=kind, id=each, field=field) for kind, each, field in orphans.shown]
    shown = shown[: limits.ORPHANS_SHOWN_MAX]
    record = tx.facts.entities.get((entity.kind, command.id))
    if record is not None:
        if command.cascade is CascadeRule.REFUSE and orphans.count:
            listed = [{"kind": each.kind, "id": each.id, "field": each.field} for each in shown]
            raise StillReferenced(entity.kind, record.id, listed, orphans.count)
        hear_caller(tx)
        more: dict[str, object] = {}
        if orphans.count:
            more["orphaned"] = [{"kind": each.kind, "id": each.id} for each in shown]
            more["orphaned_count"] = orphans.count
        remove(record, tx, more)
    if record is None:
        shown, count = [], 0
    else:
        count = orphans.count
    if command.cascade is None:
        return NoContent(orphaned=tuple(shown), orphaned_count=count)
    return Deleted(id=command.id, kind=entity.kind, deleted=record is not None, orphaned=shown, orphaned_count=count)


def existing(entity: Entity, entity_id: str, tx: Transaction) -> Record:
    """Return the entity of this id. Raises: UnknownEntity."""
    record = tx.facts.entities.get((entity.kind, entity_id))
    if record is None:
        raise UnknownEntity(entity.kind, entity.plural, entity_id)
    return record


def check_version(record: Record, given: int | None, tx: Transaction, *, is_required: bool) -> None:
    """Refuse a change of another version than the one that is there. Raises: StaleVersion."""
    if (given or is_required) and given != record.version:
        current = entity_view(record, tx.project)
        raise StaleVersion(record.entity.kind, record.id, given or 0, record.version, current)


def checked(
    entity: Entity, entity_id: str, before: Record | None, values: Mapping[str, Any], tx: Transaction
) -> list[str]:
    """Check what is new about an entity, and return warnings.

    Raises: StatusRefused, UnknownReference, DependencyCycle, InvalidRequest.
    """
    if "status" in values:
        was = None if before is None else before["status"]
        check_status(entity, was, values["status"], is_strict=tx.state.settings.strict_status)
    if entity.kind is Kind.TASK and values.get("depends_on"):
        _check_dependencies(entity_id, values["depends_on"], tx)

    def is_there(kind: Kind, each: str) -> bool:
        return tx.facts.entities.get((kind, each)) is not None

    return check_references(entity, values, is_there, is_strict=tx.state.settings.strict_references)


def _check_dependencies(task_id: str, depends_on: tuple[str, ...], tx: Transaction) -> None:
    def next_of(each: str) -> tuple[str, ...]:
        if (Kind.TASK, each) not in tx.facts.entities:
            bound = limits.DEPENDENCIES_WALK_MAX
            raise InvalidRequest([("depends_on", f"leads to more than {bound} tasks; depend on fewer of them")])
        record = tx.facts.entities[Kind.TASK, each]
        return tuple(record["depends_on"]) if record else ()

    if found := circle(task_id, depends_on, next_of):
        raise DependencyCycle(found)


def _change(before: Record, after: Record, warnings: list[str], tx: Transaction) -> Any:
    if before.entity.kind is Kind.TASK:
        after = settled(before, after)
    hear_caller(tx)
    change(before, after, tx)
    return entity_view(after, tx.project, warnings)


def hear_caller(tx: Transaction) -> None:
    """Count the command as a sign of life of the agent in X-Agent-ID. Raises: as `identity`, before anything changed."""
    address = tx.identity().address
    tx.heard(tx.state.agents.find(address) if address else None)
