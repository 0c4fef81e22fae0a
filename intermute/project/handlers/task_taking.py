"""How a task comes to be an agent's, whether it named it or was given the next one. Source: issue 4, point 5."""

from collections.abc import Sequence
from typing import Any

import msgspec

from intermute.core import limits
from intermute.core.agents import Identity, act_as
from intermute.core.api.entity_actions import ClaimedTask
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import ReservationView
from intermute.core.entities.definition import Kind, Record
from intermute.core.entities.values import merged
from intermute.core.errors import ClaimLimit, InvalidRequest
from intermute.core.events import EventType
from intermute.core.ids import AgentId
from intermute.core.task_claims import CLAIMED_STATUS, DONE_STATUS
from intermute.project.handlers.entity_changes import change
from intermute.project.handlers.entity_views import entity_view
from intermute.project.handlers.messages import post
from intermute.project.transaction import Transaction

_THREAD_CHARS_MAX = 200  # characters of a task's id that its thread is named after; a longer one gets a new id.


def claimant_named(given: str | None, tx: Transaction) -> AgentId:
    """Return in whose name a caller claims. Raises: InvalidRequest, AgentIdentityMismatch."""
    claimant = act_as(tx.identity(), tx.state.agents.canonical(given) if given else None)
    if claimant is None:
        raise InvalidRequest([("agent", "say who claims: your agent id or name, here or in X-Agent-ID")])
    return claimant


def refuse_over_limit(claimant: AgentId, tx: Transaction) -> None:
    """Refuse an agent that has claimed enough. Raises: ClaimLimit."""
    claimed = len(tx.state.task_claims.held_by(tx.state.agents.addresses_of(claimant)))
    if claimed >= limits.CLAIMS_PER_AGENT_MAX:
        raise ClaimLimit(tx.state.agents.name_of(claimant), claimed, limits.CLAIMS_PER_AGENT_MAX)


def is_done(task_id: str, tx: Transaction) -> bool:
    """Tell whether a task that another one waits for is done; it must be among the facts."""
    task = tx.facts.entities.get((Kind.TASK, task_id))
    return task is not None and task["status"] == DONE_STATUS


def take(task: Record, claimant: AgentId, tx: Transaction, reservation_id: str | None = None) -> Record:
    """Let an agent have a task, open the task's thread and tell everyone; whether it may has been decided."""
    name = tx.state.agents.name_of(claimant)
    thread_id = task["thread_id"]
    if not thread_id:
        thread_id = f"task-{task.id}" if len(task.id) <= _THREAD_CHARS_MAX else tx.mint()
        opening = SendMessage(
            sender=name,
            to=[claimant],
            thread_id=thread_id,
            subject=task["title"],
            body=f"{name} has claimed the task {task.id}. What is said about it goes into this thread.",
            metadata={"event": EventType.TASK_CLAIMED, "task_id": task.id},
        )
        post(opening, Identity(claimant, is_verified=False), tx)
    given = {"agent": claimant, "status": CLAIMED_STATUS, "thread_id": thread_id, "claimed_at": tx.now.wall_us}
    after = merged(task, given, tx.now.wall_us)
    more: dict[str, object] = {"agent_id": claimant, "held_by": name}
    if reservation_id is not None:
        more["reservation_id"] = reservation_id
    change(task, after, tx, EventType.TASK_CLAIMED, more)
    return after


def claimed_view(
    task: Record, claimant: AgentId, tx: Transaction, reservation: ReservationView | None = None, *, is_repeated: bool
) -> Any:  # Any: the view is made at run time.
    """Return a task as its agent sees it, and count the request as a sign of life."""
    agent = tx.state.agents.find(claimant)
    tx.heard(agent)
    warnings: Sequence[str] = ()
    if agent is None:
        note = (
            f"{claimant!r} is not registered: it cannot fall silent, so this claim lasts until it is given back "
            "(POST /api/tasks/{id}/release) or the task's status says that it is over."
        )
        warnings = [note]
    shown = msgspec.structs.asdict(entity_view(task, tx.project, warnings))
    return ClaimedTask(**shown, repeated=is_repeated, reservation=reservation)
