"""Work claimed once: assigning, claiming, the next task to do, and giving back what a silent agent had claimed.

Of many that ask for one task exactly one gets it, since the actor decides one at a time. Source: issue 4, point 5.
"""

from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from intermute.core import limits
from intermute.core.agents import Identity, act_as
from intermute.core.api.entity_actions import AssignTask, ClaimedTask, ClaimTask, NextTask
from intermute.core.api.messages import SendMessage
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim, asked_for
from intermute.core.entities.definition import Kind, Record
from intermute.core.entities.kinds import TASK
from intermute.core.entities.rules import check_status
from intermute.core.entities.values import merged
from intermute.core.errors import (
    ClaimLimit,
    InvalidRequest,
    NoClaimableTask,
    Overloaded,
    ReservationLimit,
    TaskNotClaimable,
    TaskTaken,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId, Micros
from intermute.core.reservation import Reservation
from intermute.core.targets import names_targets, parse_lifetime, read_targets
from intermute.core.task_claims import CLAIMABLE_STATUS, CLAIMED_STATUS, DONE_STATUS, is_claimed, settled
from intermute.core.times import SECOND_US
from intermute.core.wishes import Wish
from intermute.project.handlers.entities import check_version, existing, hear_caller
from intermute.project.handlers.entity_changes import change
from intermute.project.handlers.entity_facts import fetch, fetch_candidates
from intermute.project.handlers.entity_views import entity_view
from intermute.project.handlers.granting import grant
from intermute.project.handlers.meetings import conflict_with, meet
from intermute.project.handlers.messages import post
from intermute.project.handlers.reservation_views import active_view
from intermute.project.transaction import Facts, Transaction

_THREAD_CHARS_MAX = 200  # characters of a task's id that its thread is named after; a longer one gets a new id.


def facts_for_task(connection: apsw.Connection, command: AssignTask | ClaimTask, facts: Facts) -> None:
    """Fetch the task and what it waits for."""
    facts.takers += 1
    fetch(connection, Kind.TASK, [command.id], facts)
    if (task := facts.entities[Kind.TASK, command.id]) is not None:
        fetch(connection, Kind.TASK, task["depends_on"], facts)


def facts_for_next(connection: apsw.Connection, _command: NextTask, facts: Facts) -> None:
    """Fetch the first tasks that can be claimed, enough for all that may take one before this command."""
    facts.takers += 1
    fetch_candidates(connection, facts)


def assign_task(command: AssignTask, tx: Transaction) -> Any:  # Any: the view is made at run time.
    """Set who does a task, and that it is being done."""
    before = existing(TASK, command.id, tx)
    check_version(before, command.version, tx, is_required=False)
    check_status(TASK, before["status"], CLAIMED_STATUS, is_strict=tx.state.settings.strict_status)
    hear_caller(tx)
    given = {"agent": command.agent or "", "status": CLAIMED_STATUS}
    after = settled(before, merged(before, given, tx.now.wall_us))
    change(before, after, tx, EventType.TASK_ASSIGNED)
    return entity_view(after, tx.project)


def claim_task(command: ClaimTask, tx: Transaction) -> Any:  # Any: as assign_task.
    """Give the caller the task that it names, if nobody else has it and all that it waits for is done."""
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    targets = read_targets(command, fold_case=tx.state.fold_case) if names_targets(command) else ()
    claimant = _claimant(command.agent_id or command.agent, tx)
    task = existing(TASK, command.id, tx)
    holder = task["agent"] and tx.state.agents.canonical(task["agent"])
    if holder and holder != claimant:
        raise TaskTaken(task.id, holder, tx.state.agents.name_of(AgentId(holder)))
    if is_claimed(task):
        tx.heard(tx.state.agents.find(claimant))
        return _claimed(task, tx, is_repeated=True)
    if task["status"] != CLAIMABLE_STATUS and not (holder and task["status"] == CLAIMED_STATUS):
        raise TaskNotClaimable(task.id, task["status"])
    if waits_for := [each for each in task["depends_on"] if not _is_done(each, tx)]:
        raise TaskNotClaimable(task.id, task["status"], waits_for)
    _check_limit(claimant, tx)
    wish = None
    if targets:
        claim = Claim(
            id=tx.mint(),
            sequence=tx.next_cursor(),
            holder=claimant,
            targets=targets,
            branch=(command.branch or "").strip() or None,
            worktree=(command.worktree or "").strip() or None,
            expires_at_us=Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US),
        )
        wish = _wished(claim, command.reason or task["title"], lifetime.ttl_s, tx)
    # From here on things change, so nothing is refused any more.
    return _take(task, claimant, wish, tx)


def next_task(command: NextTask, tx: Transaction) -> Any:  # Any: as assign_task.
    """Give the caller the oldest task that can be done now with its capabilities."""
    claimant = _claimant(command.agent_id or command.agent, tx)
    agent = tx.state.agents.find(claimant)
    able = command.capabilities if command.capabilities is not None else (agent.capabilities if agent else None)
    _check_limit(claimant, tx)
    fitting = [each for each in tx.facts.candidates.values() if set(each.capabilities).issubset(able or ())]
    found = [task for each in fitting if (task := _first_claimable(each.ids, tx)) is not None]
    if found:
        return _take(min(found, key=lambda task: task.number), claimant, None, tx)
    if any(each.has_more for each in fitting):
        raise Overloaded  # Whatever was fetched is taken, and there is more: the next batch looks further.
    raise NoClaimableTask


def release_claims(addresses: Iterable[str], how: str, tx: Transaction) -> None:
    """Make everything that an agent has claimed claimable again; `how` tells why."""
    for before in tx.state.task_claims.held_by(addresses):
        agent = tx.state.agents.canonical(before["agent"])
        given = {"agent": "", "status": CLAIMABLE_STATUS}
        after = settled(before, merged(before, given, tx.now.wall_us))
        more = {"agent_id": agent, "held_by": tx.state.agents.name_of(agent), "reason": how}
        change(before, after, tx, EventType.TASK_RELEASED, more)


def _claimant(given: str | None, tx: Transaction) -> AgentId:
    """Return in whose name a caller claims. Raises: InvalidRequest, AgentIdentityMismatch."""
    claimant = act_as(tx.identity(), tx.state.agents.canonical(given) if given else None)
    if claimant is None:
        raise InvalidRequest([("agent", "say who claims: your agent id or name, here or in X-Agent-ID")])
    return claimant


def _is_done(task_id: str, tx: Transaction) -> bool:
    task = tx.facts.entities.get((Kind.TASK, task_id))
    return task is not None and task["status"] == DONE_STATUS


def _check_limit(claimant: AgentId, tx: Transaction) -> None:
    claimed = len(tx.state.task_claims.held_by(tx.state.agents.addresses_of(claimant)))
    if claimed >= limits.CLAIMS_PER_AGENT_MAX:
        raise ClaimLimit(tx.state.agents.name_of(claimant), claimed, limits.CLAIMS_PER_AGENT_MAX)


def _wished(claim: Claim, reason: str, ttl_s: int, tx: Transaction) -> Wish:
    """Return the reservation to make with a claim. Raises: ReservationConflict, ReservationLimit, PatternTooBroad."""
    held = tx.state.leases.count_of(claim.holder)
    if held >= limits.RESERVATIONS_PER_AGENT_MAX:
        raise ReservationLimit(tx.state.agents.name_of(claim.holder), held, len(asked_for(claim.targets)))
    work = Work()
    met = meet(claim, tx.state, work=work)
    if met.conflicts:
        raise conflict_with(claim, met, tx.state, tx.now, work)
    return Wish(claim, reason, ttl_s)


def _first_claimable(ids: Iterable[str], tx: Transaction) -> Record | None:
    """Return the first of the fetched tasks that nothing in this batch has taken or blocked."""
    for each in ids:
        task = tx.facts.entities[Kind.TASK, each]
        if task is None or task["status"] != CLAIMABLE_STATUS or task["agent"]:
            continue
        # What a candidate waits for was done when it was fetched; what has changed since then is in the facts.
        if all((Kind.TASK, other) not in tx.facts.entities or _is_done(other, tx) for other in task["depends_on"]):
            return task
    return None


def _take(task: Record, claimant: AgentId, wish: Wish | None, tx: Transaction) -> Any:  # Any: as assign_task.
    reservation = grant(wish, tx) if wish is not None else None
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
    if reservation is not None:
        more["reservation_id"] = reservation.id
    change(task, after, tx, EventType.TASK_CLAIMED, more)
    tx.heard(tx.state.agents.find(claimant))
    return _claimed(after, tx, reservation)


def _claimed(
    task: Record, tx: Transaction, reservation: Reservation | None = None, *, is_repeated: bool = False
) -> Any:  # Any: as assign_task.
    shown = msgspec.structs.asdict(entity_view(task, tx.project))
    return ClaimedTask(
        **shown,
        repeated=is_repeated,
        reservation=None if reservation is None else active_view(reservation, tx.state, tx.now),
    )
