"""What must be known before a change of an entity is decided: its row, what it refers to, and who refers to it."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from intermute.core import limits
from intermute.core.api.entities import TYPES_OF_INPUT
from intermute.core.entities.definition import FieldType, Kind, Record
from intermute.core.entities.kinds import ENTITIES, OF_KIND
from intermute.core.entities.values import referred_ids
from intermute.project.transaction import Candidates, Facts, Orphans
from intermute.store import entities as rows
from intermute.store import entity_references as references
from intermute.store import tasks as task_rows

_SPARE = 8  # candidates beyond those that may be taken: what they wait for may be reopened in the same batch.

# Any in this module: the types of commands are made from the definitions at run time.


def needs_facts(command: Any) -> bool:
    """Tell whether making this entity has to wait for the disk: not if it has neither an id nor a reference."""
    entity = TYPES_OF_INPUT[type(command)].entity
    return bool(command.id) or any(getattr(command, field.name) for field in entity.references)


def facts_for_entity(connection: apsw.Connection, command: Any, facts: Facts) -> None:
    """Fetch the entity and what the command makes it refer to."""
    entity = TYPES_OF_INPUT[type(command)].entity
    facts.takers += entity.kind is Kind.TASK
    if command.id:
        fetch(connection, entity.kind, [command.id.strip("/")], facts)
    for field in entity.references:
        assert field.refers_to is not None
        ids = referred_ids(field, {field.name: getattr(command, field.name)})
        if field.type is FieldType.WORDS:
            fetch_dependencies(connection, ids, facts)
        else:
            fetch(connection, field.refers_to, ids, facts)


def facts_for_delete(connection: apsw.Connection, command: Any, facts: Facts) -> None:
    """Fetch the entity and who refers to it."""
    kind = TYPES_OF_INPUT[type(command)].entity.kind
    facts.takers += kind is Kind.TASK
    fetch(connection, kind, [command.id], facts)
    if (kind, command.id) in facts.orphans:
        return
    found = facts.orphans[kind, command.id] = Orphans()
    for entity in ENTITIES:
        for field in entity.references:
            if field.refers_to is kind:
                ids, count = references.referring(connection, entity, field, command.id, limits.ORPHANS_SHOWN_MAX)
                found.count += count
                found.shown.update(dict.fromkeys((entity.kind, each, field.name) for each in ids))


def fetch(connection: apsw.Connection, kind: Kind, ids: Iterable[str], facts: Facts) -> None:
    """Fetch entities that are not known yet."""
    for each in ids:
        if (kind, each) not in facts.entities:
            facts.entities[kind, each] = rows.one(connection, OF_KIND[kind], each)


def fetch_dependencies(connection: apsw.Connection, ids: Iterable[str], facts: Facts) -> None:
    """Fetch tasks and whatever they wait for, directly or not, as far as a request may go."""
    waiting = deque(ids)
    seen = set(waiting)
    while waiting and len(seen) <= limits.DEPENDENCIES_WALK_MAX:
        here = waiting.popleft()
        fetch(connection, Kind.TASK, [here], facts)
        record: Record | None = facts.entities[Kind.TASK, here]
        for each in record["depends_on"] if record else ():
            if each not in seen:
                seen.add(each)
                waiting.append(each)


def fetch_candidates(connection: apsw.Connection, facts: Facts) -> None:
    """Fetch of each set of capabilities as many claimable tasks as the commands before this one may take, and some more."""
    if facts.takers_seen == 0:
        for text in task_rows.capability_sets(connection):
            facts.candidates[text] = Candidates(tuple(msgspec.json.decode(text, type=list[str])))
    facts.takers_seen = facts.takers
    for text, known in facts.candidates.items():
        wanted = facts.takers + _SPARE - len(known.ids)
        if wanted <= 0 or not known.has_more:
            continue
        found = task_rows.claimable(connection, text, known.last, wanted)
        for record in found:
            facts.entities.setdefault((Kind.TASK, record.id), record)
            known.ids.append(record.id)
            known.last = record.number
        known.has_more = len(found) == wanted
