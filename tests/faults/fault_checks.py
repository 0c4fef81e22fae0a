"""What must be true on the disk after the scenario of `fault_scenario.py`, whatever failed (guarantees.md G3).

A reply means that its trace is there, a storage refusal that it is not, and only `outcome_unknown` may mean either; and no
command is stored by half.
"""

from pathlib import Path
from typing import Final

from fault_scenario import NOT_STORED, REFUSED, UNKNOWN, Outcome, Step
from open_projects import DEMO

from intermute.core.errors import DomainError
from intermute.store.connection import close, open_reader
from intermute.store.directory import DataDirectory
from intermute.store.migrate import schema_version


def lies(outcome: Outcome, root: Path) -> list[str]:
    """Return every answer that the file contradicts; a file without a schema contains nothing."""
    connection = open_reader(DataDirectory(root).path_of(DEMO))
    try:
        has_tables = schema_version(connection) > 0
        return [
            lie
            for step, answer in outcome.answers
            if (lie := _lie(step, answer, has_tables and step.is_applied is not None and step.is_applied(connection)))
        ]
    finally:
        close(connection)


def _lie(step: Step, answer: object, is_there: bool) -> str | None:
    what = f"{step.command!r:.90} answered {answer!r:.60}"
    match answer:
        case DomainError() if isinstance(answer, UNKNOWN):
            return None
        case DomainError() if isinstance(answer, NOT_STORED):
            return f"{what}, and it is stored" if is_there else None
        case DomainError():
            return None if isinstance(answer, REFUSED) and not is_there else f"{what}, which it must not"
        case _:
            return f"{what}, and it is not stored" if step.is_applied is not None and not is_there else None


_CHECKS: Final = {
    "the file is whole": "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "no reference dangles": "SELECT * FROM pragma_foreign_key_check",
    "cursors have no gap": """
        SELECT 1 FROM (SELECT count(*) AS n, min(cursor) AS low, max(cursor) AS high FROM events)
        WHERE low <> 1 OR high <> n""",
    "the head is the last cursor": "SELECT head FROM project WHERE head <> (SELECT max(cursor) FROM events)",
    "a message has its event": """
        SELECT id FROM messages m WHERE NOT EXISTS
            (SELECT 1 FROM events e WHERE e.cursor = m.cursor AND e.data LIKE '%"' || m.id || '"%')""",
    "a message has its recipients": """
        SELECT id FROM messages m WHERE (SELECT count(*) FROM recipients r WHERE r.message_id = m.id AND r.cursor = m.cursor)
            <> json_array_length(m.to_json)""",
    "a thread counts its messages": """
        SELECT agent FROM threads t WHERE message_count <> (SELECT count(*) FROM messages m WHERE m.thread_id = t.thread_id
            AND EXISTS (SELECT 1 FROM recipients r WHERE r.message_id = m.id AND r.agent = t.agent))
            AND agent NOT IN (SELECT sender_id FROM messages)""",
    "a grant has its event": """
        SELECT fence FROM reservations r WHERE NOT EXISTS
            (SELECT 1 FROM events e WHERE e.cursor = r.fence AND e.type IN ('reservation.created', 'reservation.transferred'))""",
    "an end has its event": """
        SELECT 1 WHERE (SELECT count(*) FROM reservations WHERE ended_at_us IS NOT NULL)
            <> (SELECT count(*) FROM events WHERE type IN ('reservation.expired', 'reservation.released'))""",
    "an intent has its event": """
        SELECT id FROM intents i WHERE NOT EXISTS
            (SELECT 1 FROM events e WHERE e.cursor = i.declared AND e.type = 'intent.declared')
            OR NOT EXISTS (SELECT 1 FROM events e WHERE e.cursor = i.changed AND e.type = 'intent.' || i.state)""",
    "a task has its event": """
        SELECT id FROM tasks t WHERE NOT EXISTS
            (SELECT 1 FROM events e WHERE e.cursor = t.number AND e.type = 'task.created')
            OR version <> (SELECT count(*) FROM events e WHERE e.type LIKE 'task.%' AND e.data LIKE '%"' || t.id || '"%')""",
    "a claimed task has its reservation": """
        SELECT id FROM tasks WHERE agent <> '' AND NOT EXISTS (SELECT 1 FROM reservations WHERE reason = title)""",
    "an agent has its event": """
        SELECT 1 WHERE (SELECT count(*) FROM agents) <> (SELECT count(*) FROM events WHERE type = 'agent.registered')""",
}


def half_states(root: Path) -> list[str]:
    """Return what is in the file by half."""
    connection = open_reader(DataDirectory(root).path_of(DEMO))
    try:
        return [name for name, sql in _CHECKS.items() if connection.execute(sql).fetchone() is not None]
    finally:
        close(connection)
