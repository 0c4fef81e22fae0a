"""How entities change: the one place where the disk, the facts of the batch and everyone else hear of it."""

from collections.abc import Mapping

import msgspec

from intermute.core.entities.definition import Kind, Record
from intermute.core.events import EventType
from intermute.project.handlers.entity_views import entity_view
from intermute.project.transaction import Transaction
from intermute.store import cuj_links
from intermute.store import entities as rows
from intermute.store import entity_references as references


def add(record: Record, tx: Transaction) -> None:
    """Store a new entity and tell everyone."""
    tx.write(rows.insert(record), *references.changes(None, record))
    tx.facts.change_entity(None, record)
    tx.emit(record.entity.created, event_fields(record, tx))


def change(
    before: Record,
    after: Record,
    tx: Transaction,
    kind: EventType | None = None,
    more: Mapping[str, object] | None = None,
) -> None:
    """Store what an entity holds now and tell everyone, by the event of its status if there is one."""
    tx.write(rows.update(after), *references.changes(before, after))
    tx.facts.change_entity(before, after)
    if after.entity.kind is Kind.TASK:
        tx.state.task_claims.note(before, after)
    milestone = after.entity.milestones.get(after.values.get("status", ""))
    tx.emit(kind or milestone or after.entity.updated, {**event_fields(after, tx), **(more or {})})


def remove(record: Record, tx: Transaction, more: Mapping[str, object]) -> None:
    """Take an entity out and tell everyone."""
    tx.write(rows.delete(record), *references.changes(record, None))
    if record.entity.kind is Kind.CUJ:
        tx.write(cuj_links.delete_all(record.id))
        tx.facts.unlink_all(record.id)
    if record.entity.kind is Kind.TASK:
        tx.state.task_claims.note(record, None)
    tx.facts.change_entity(record, None)
    tx.emit(record.entity.deleted, {"entity_id": record.id, "data": None, **more})


def event_fields(record: Record, tx: Transaction) -> dict[str, object]:
    """Return what every event about an entity says."""
    return {"entity_id": record.id, "data": msgspec.to_builtins(entity_view(record, tx.project))}
