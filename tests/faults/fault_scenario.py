"""Some forty commands of every area against a project on a disk that may fail.

Nearly every command leaves a trace of its own on the disk, so that its answer can be held against the file (`fault_checks.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import msgspec
import trio
from open_projects import DEMO, Service

from intermute.core.api.agents import Heartbeat, MergeMetadata, RegisterAgent
from intermute.core.api.entities import TYPES
from intermute.core.api.entity_actions import ClaimTask
from intermute.core.api.handing_over import TransferReservation
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.messages import AckMessage, Inbox, MessagePage, SendMessage, Sent
from intermute.core.api.reservations import (
    ReleaseAll,
    ReleaseReservation,
    RenewReservation,
    ReservationView,
    Reserve,
)
from intermute.core.entities.definition import Kind
from intermute.core.errors import (
    DomainError,
    IntentOver,
    NotARecipient,
    NotYours,
    OutcomeUnknown,
    Overloaded,
    ProjectParked,
    ProjectQuarantined,
    ReservationConflict,
    ReservationEnded,
    StorageFull,
    StorageStalled,
    StorageUnavailable,
    TaskNotClaimable,
    TaskTaken,
    TooSlow,
    TransferConflict,
    UnknownAgent,
    UnknownEntity,
    UnknownIntent,
    UnknownMessage,
    UnknownReservation,
)

NOT_STORED: Final = (StorageStalled, ProjectQuarantined, StorageUnavailable, StorageFull, ProjectParked, Overloaded)
"""Answers that promise that nothing was stored."""
UNKNOWN: Final = (OutcomeUnknown, TooSlow)
"""Answers that leave open whether it was."""
REFUSED: Final = (
    ReservationConflict, UnknownMessage, NotARecipient, UnknownAgent, UnknownEntity, UnknownIntent, UnknownReservation,
    ReservationEnded, TransferConflict, NotYours, TaskTaken, TaskNotClaimable, IntentOver,
)  # fmt: skip
"""Refusals that the scenario can meet, where a fault took what they need."""


@dataclass(frozen=True)
class Step:
    """One command, and the question to the file whether it was applied (None: it leaves no trace that lasts)."""

    command: object
    """The command, or a function that makes it of what was answered so far; None where it needs what is not there."""
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


def entity(kind: Kind, which: str, identity: str, sql: str, **fields: object) -> Step:
    """A command about an entity, which the query finds once it is applied."""
    return Step(msgspec.convert({"id": identity, **fields}, getattr(TYPES[kind], which)), finds(sql, id=identity))


def about(path: str, make: Callable[[str], object], sql: str | None, *, agent: str = "anna") -> Step:
    """A command about the reservation of this path, which was granted under an id that nobody knows beforehand."""
    reason = f"{agent} {path}"

    def command(outcome: "Outcome") -> object:
        views = [answer for _, answer in outcome.answers if isinstance(answer, ReservationView)]
        return next((make(view.id) for view in views if view.reason == reason), None)

    return Step(command, None if sql is None else finds(sql, reason=reason))


def release(path: str, *, agent: str = "anna") -> Step:
    """The end of one reservation."""
    return about(
        path,
        lambda name: ReleaseReservation(reservation_id=name, agent_id=agent),
        "SELECT 1 FROM reservations WHERE reason = :reason AND ended = 'released'",
        agent=agent,
    )


def intent(path: str, agent: str) -> Step:
    """What an agent is going to do."""
    return Step(
        DeclareIntent(agent_id=agent, paths=[path], detail=path),
        finds("SELECT 1 FROM intents WHERE detail = :path", path=path),
    )


Pause = float
"""Seconds that pass, with whatever the ticker does meanwhile."""
REOPEN: Final = "reopen"
"""The project is closed, with a checkpoint, and opened again by the next command."""

SCENARIO: Final[Sequence[list[Step] | Pause | str]] = (
    [registration("anna")],
    [registration("ben"), message("m1", "one"), reservation("src/**", ttl_s=60)],
    [acknowledgement("m1", "ben"), reservation("src/a.py", agent="ben"), message("m2", "two", to=["ben"])],
    [reservation("lib/**"), intent("lib/a.py", "ben"), intent("lib/b.py", "anna")],
    [
        entity(Kind.SPEC, "create", "s1", "SELECT 1 FROM specs WHERE id = :id", title="a spec"),
        entity(Kind.EPIC, "create", "e1", "SELECT 1 FROM epics WHERE id = :id", title="an epic", spec_id="s1"),
        entity(Kind.STORY, "create", "y1", "SELECT 1 FROM stories WHERE id = :id", title="a story", epic_id="e1"),
        entity(Kind.TASK, "create", "t1", "SELECT 1 FROM tasks WHERE id = :id", title="task one", story_id="y1"),
        entity(Kind.TASK, "create", "t2", "SELECT 1 FROM tasks WHERE id = :id", title="task two", story_id="y1"),
    ],
    40.0,
    [Step(Heartbeat(agent="anna"))],
    [
        Step(
            MergeMetadata(agent="ben", metadata={"k": "v"}), finds("SELECT 1 FROM agents WHERE metadata LIKE '%\"v\"%'")
        ),
        Step(
            ClaimTask(id="t1", agent="ben", paths=["task/one"]),
            finds("SELECT 1 FROM tasks WHERE id = 't1' AND agent <> '' AND status = 'running'"),
        ),
        Step(ClaimTask(id="t1", agent="anna", paths=["task/two"])),
        about("lib/**", lambda name: RenewReservation(reservation_id=name, agent_id="anna", ttl_seconds=7200), None),
    ],
    31.0,
    REOPEN,
    [reservation("docs/**"), message("m3", "x" * 20_000), acknowledgement("m1", "carl")],
    [
        about(
            "lib/**",
            lambda name: TransferReservation(reservation_id=name, to="ben", agent_id="anna"),
            "SELECT 1 FROM reservations, agents WHERE reason = :reason AND holder = agents.id AND agents.name = 'ben'",
        ),
        entity(Kind.SPEC, "change", "s1", "SELECT 1 FROM specs WHERE id = :id AND title = 'new'", title="new"),
        message("m5", "five", to=["anna"]),
        acknowledgement("m3", "ben"),
    ],
    [Step(ReleaseAll(agent_id="anna"))],
    [reservation("docs/a.md", agent="ben"), message("m4", "four"), registration("carl")],
    [
        release("docs/a.md", agent="ben"),
        reservation("docs/a.md", agent="zoe"),
        message("m6", "six", to=["ben", "anna"]),
        acknowledgement("m6", "anna"),
        intent("docs/b.md", "carl"),
    ],
    [
        entity(Kind.TASK, "change", "t2", "SELECT 1 FROM tasks WHERE id = :id AND status = 'done'", status="done"),
        message("m7", "seven"),
        acknowledgement("m6", "ben"),
        reservation("end/**", agent="carl"),
    ],
)  # fmt: skip


@dataclass
class Outcome:
    """What became of one run."""

    answers: list[tuple[Step, Any]] = field(default_factory=list)  # Any: a view or a DomainError.
    wrong_reads: list[object] = field(default_factory=list)
    """Answers to reads that contradict a reply before them, or are neither a page nor a refusal of the storage."""

    @property
    def classes(self) -> set[type]:
        """Return the classes of all refusals."""
        return {type(answer) for _, answer in self.answers if isinstance(answer, DomainError)}

    def note_read(self, page: object) -> None:
        """Hold a read of ben's inbox against the replies so far: a read after a reply sees it (guarantees.md G5)."""
        if isinstance(page, MessagePage):
            seen = {each.id for each in page.messages}
            told = {
                step.command.id
                for step, answer in self.answers
                if isinstance(step.command, SendMessage) and isinstance(answer, Sent) and "ben" in step.command.to
            }
            if not told <= seen:
                self.wrong_reads.append(told - seen)
        elif not isinstance(page, (*NOT_STORED, *UNKNOWN)):
            self.wrong_reads.append(page)


async def play(service: Service, before: Callable[[], None] = lambda: None) -> Outcome:
    """Go through the scenario; `before` is called ahead of each stage of it."""
    outcome = Outcome()
    for each in SCENARIO:
        before()
        match each:
            case float():
                await trio.sleep(each)
            case str():
                if service.registry.find_open(DEMO) is not None:
                    await service.stop_project()
            case _:
                steps = [(step, command) for step in each if (command := _command(step, outcome)) is not None]
                answers = await service.together(*(command for _, command in steps))
                outcome.answers += zip((step for step, _ in steps), answers, strict=True)
                outcome.note_read(await service.outcome(Inbox(agent="ben", limit=100)))
    return outcome


def _command(step: Step, outcome: Outcome) -> object:
    return step.command(outcome) if callable(step.command) else step.command


async def prove_alive(service: Service) -> None:
    """Show that the project takes commands again, at most two minutes after the disk works again."""
    await trio.sleep(120)
    await service.run(SendMessage(sender="anna", to=["ben"], id="last", body="last"))
    await service.run(Reserve(agent_id="zoe", path_pattern="last"))
