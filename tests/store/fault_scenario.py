"""Some twenty commands against a project on a disk that may fail, and what must be true afterwards whatever failed.

Every command leaves a trace of its own on the disk, so that its answer can be held against the file (guarantees.md G3):
a reply means that the trace is there, a storage refusal that it is not, and only `outcome_unknown` may mean either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw
import trio
from open_projects import DEMO, Service

from intermute.core.api.agents import Heartbeat, MergeMetadata, RegisterAgent
from intermute.core.api.messages import AckMessage, SendMessage
from intermute.core.api.reservations import ReleaseAll, Reserve
from intermute.core.errors import (
    DomainError,
    NotARecipient,
    OutcomeUnknown,
    Overloaded,
    ProjectParked,
    ReservationConflict,
    StorageFull,
    StorageUnavailable,
    UnknownAgent,
    UnknownMessage,
)
from intermute.store.connection import close, open_reader
from intermute.store.directory import DataDirectory
from intermute.store.migrate import schema_version

NOT_STORED: Final = (StorageUnavailable, StorageFull, ProjectParked, Overloaded)
"""Answers that promise that nothing was stored."""
REFUSED: Final = (ReservationConflict, UnknownMessage, NotARecipient, UnknownAgent)
"""Refusals that the scenario can meet, where a fault took what they need."""


@dataclass(frozen=True)
class Step:
    """One command, and the question to the file whether it was applied (None: it leaves no trace that lasts)."""

    command: object
    is_applied: Callable[[apsw.Connection], bool] | None = None


def finds(sql: str, **values: str) -> Callable[[apsw.Connection], bool]:
    """Return a question that is answered by whether a query gives a row."""
    return lambda connection: connection.execute(sql, values).fetchone() is not None


def message(name: str, body: str, *, to: Sequence[str] = ("ben", "carl")) -> Step:
    """A message in a thread."""
    return Step(
        SendMessage(sender="anna", to=list(to), id=name, body=body, thread_id="t", ack_required=True),
        finds("SELECT 1 FROM messages WHERE id = :id AND body = :body", id=name, body=body),
    )


def reservation(path: str, *, agent: str = "anna", ttl_s: int = 3600) -> Step:
    """A reservation, known by its reason."""
    return Step(
        Reserve(agent_id=agent, path_pattern=path, reason=f"{agent} {path}", ttl_seconds=ttl_s),
        finds("SELECT 1 FROM reservations WHERE reason = :reason", reason=f"{agent} {path}"),
    )


def registration(name: str) -> Step:
    """A new agent."""
    return Step(RegisterAgent(name=name), finds("SELECT 1 FROM agents WHERE name = :name", name=name))


def acknowledgement(name: str, agent: str) -> Step:
    """An acknowledgement by one recipient."""
    return Step(
        AckMessage(message_id=name, agent=agent),
        finds(
            "SELECT 1 FROM recipients WHERE message_id = :id AND address = :agent AND ack_at_us IS NOT NULL",
            id=name,
            agent=agent,
        ),
    )


Pause = float
"""Seconds that pass, with whatever the ticker does meanwhile."""
REOPEN: Final = "reopen"
"""The project is closed, with a checkpoint, and opened again by the next command."""

SCENARIO: Final[Sequence[list[Step] | Pause | str]] = (
    [registration("anna")],
    [registration("ben"), message("m1", "one"), reservation("src/**", ttl_s=60)],
    [acknowledgement("m1", "ben"), reservation("src/a.py", agent="ben"), message("m2", "two", to=["ben"])],
    40.0,
    [Step(Heartbeat(agent="anna"))],
    [
        Step(
            MergeMetadata(agent="ben", metadata={"k": "v"}), finds("SELECT 1 FROM agents WHERE metadata LIKE '%\"v\"%'")
        )
    ],
    31.0,
    REOPEN,
    [reservation("docs/**"), message("m3", "x" * 20_000), acknowledgement("m1", "carl")],
    [Step(ReleaseAll(agent_id="anna"))],
    [reservation("docs/a.md", agent="ben"), message("m4", "four"), registration("carl")],
)


@dataclass
class Outcome:
    """What became of one run."""

    answers: list[tuple[Step, Any]] = field(default_factory=list)  # Any: a view or a DomainError.

    @property
    def classes(self) -> set[type]:
        """Return the classes of all refusals."""
        return {type(answer) for _, answer in self.answers if isinstance(answer, DomainError)}


async def play(service: Service) -> Outcome:
    """Go through the scenario."""
    outcome = Outcome()
    for each in SCENARIO:
        match each:
            case float():
                await trio.sleep(each)
            case str():
                if service.registry.find_open(DEMO) is not None:
                    await service.stop_project()
            case _:
                answers = await service.together(*(step.command for step in each))
                outcome.answers += zip(each, answers, strict=True)
    return outcome


async def prove_alive(service: Service) -> None:
    """Show that the project takes commands again, at most two minutes after the disk works again."""
    await trio.sleep(120)
    await service.run(SendMessage(sender="anna", to=["ben"], id="last", body="last"))
    await service.run(Reserve(agent_id="zoe", path_pattern="last"))


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
        case OutcomeUnknown():
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
            (SELECT 1 FROM events e WHERE e.cursor = r.fence AND e.type = 'reservation.created')""",
    "an end has its event": """
        SELECT 1 WHERE (SELECT count(*) FROM reservations WHERE ended_at_us IS NOT NULL)
            <> (SELECT count(*) FROM events WHERE type IN ('reservation.expired', 'reservation.released'))""",
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
