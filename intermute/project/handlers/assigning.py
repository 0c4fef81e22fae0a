"""Work claimed once: assigning a task, claiming it, and giving it back, also for an agent that has fallen silent.

Of many that ask for one task exactly one gets it, since the actor decides one at a time. Source: issue 4, point 5.
"""

from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from intermute.core.api.entity_actions import AssignTask, ClaimTask, ReleasedTask, ReleaseTask
from intermute.core.api.reservations import ReservationView
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim
from intermute.core.entities.definition import Kind, Record
from intermute.core.entities.kinds import TASK
from intermute.core.entities.rules import check_status
from intermute.core.entities.values import merged
from intermute.core.errors import NotYours, TaskNotClaimable, TaskTaken
from intermute.core.events import EventType
from intermute.core.ids import AgentId, Micros
from intermute.core.reservation import Reservation
from intermute.core.targets import literal_wildcards, names_targets, parse_lifetime, read_targets
from intermute.core.task_claims import CLAIMABLE_STATUS, CLAIMED_STATUS, DONE_STATUS, HELD_IN, is_claimed, settled
from intermute.core.times import SECOND_US
from intermute.project.handlers.ensuring import Ensured, covering, ensured
from intermute.project.handlers.entities import check_version, existing, hear_caller
from intermute.project.handlers.entity_changes import change
from intermute.project.handlers.entity_facts import fetch
from intermute.project.handlers.entity_views import entity_view
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.handlers.granting import grant
from intermute.project.handlers.overlaps import declared, tell_overlap
from intermute.project.handlers.reservation_views import active_view
from intermute.project.handlers.task_taking import claimant_named, claimed_view, is_done, refuse_over_limit, take
from intermute.project.transaction import Facts, Transaction

# Any in this module: the views are made from the definitions at run time.


def facts_for_task(connection: apsw.Connection, command: AssignTask | ClaimTask | ReleaseTask, facts: Facts) -> None:
    """Fetch the task and what it waits for."""
    facts.takers += 1
    fetch(connection, Kind.TASK, [command.id], facts)
    if (task := facts.entities[Kind.TASK, command.id]) is not None:
        fetch(connection, Kind.TASK, task["depends_on"], facts)


def assign_task(command: AssignTask, tx: Transaction) -> Any:
    """Set who does a task, and that it is being done."""
    before = existing(TASK, command.id, tx)
    check_version(before, command.version, tx, is_required=False)
    check_status(TASK, before["status"], CLAIMED_STATUS, is_strict=tx.state.settings.strict_status)
    hear_caller(tx)
    given = {"agent": command.agent or "", "status": CLAIMED_STATUS}
    after = settled(before, merged(before, given, tx.now.wall_us))
    change(before, after, tx, EventType.TASK_ASSIGNED)
    return entity_view(after, tx.project)


def claim_task(command: ClaimTask, tx: Transaction) -> Any:
    """Give the caller the task that it names, if nobody else has it and all that it waits for is done.

    With targets it gets all or nothing: no task without the reservation, no reservation without the task.
    """
    claimant = claimant_named(command.agent_id or command.agent, tx)
    claim = _claim_of(command, claimant, tx)
    task = existing(TASK, command.id, tx)
    _refuse_if_not_free(task, claimant, tx)
    is_repeated = is_claimed(task)
    if not is_repeated:
        refuse_over_limit(claimant, tx)
    reservation, found = (None, None) if claim is None else _held_or_grantable(claim, command, task, tx)
    # From here on things change, so nothing is refused any more.
    if found is not None:
        reservation = grant(found.wish, tx)
    if not is_repeated:
        task = take(task, claimant, tx, None if reservation is None else reservation.id)
    shown = None if reservation is None else _reserved_view(reservation, found, command, tx)
    return claimed_view(task, claimant, tx, shown, is_repeated=is_repeated)


def release_task(command: ReleaseTask, tx: Transaction) -> Any:
    """Give a task back that the caller has, so that another agent can claim it. Nothing to give back is no fault."""
    claimant = claimant_named(command.agent_id or command.agent, tx)
    task = existing(TASK, command.id, tx)
    holder = tx.state.agents.canonical(task["agent"]) if task["agent"] else None
    if holder is not None and holder != claimant:
        raise NotYours("task", tx.state.agents.name_of(holder), tx.state.agents.name_of(claimant))
    is_held = holder is not None and task["status"] in (*HELD_IN, CLAIMABLE_STATUS)
    if is_held:
        task = _given_back(task, command.reason or "released", tx)
    tx.heard(tx.state.agents.find(claimant))
    return ReleasedTask(**msgspec.structs.asdict(entity_view(task, tx.project)), released=is_held)


def release_claims(addresses: Iterable[str], how: str, tx: Transaction) -> None:
    """Make everything that an agent has claimed claimable again; `how` tells why."""
    for task in tx.state.task_claims.held_by(addresses):
        _given_back(task, how, tx)


def _given_back(before: Record, how: str, tx: Transaction) -> Record:
    agent = tx.state.agents.canonical(before["agent"])
    given = {"agent": "", "status": CLAIMABLE_STATUS}
    after = settled(before, merged(before, given, tx.now.wall_us))
    more = {"agent_id": agent, "held_by": tx.state.agents.name_of(agent), "reason": how}
    change(before, after, tx, EventType.TASK_RELEASED, more)
    return after


def _refuse_if_not_free(task: Record, claimant: AgentId, tx: Transaction) -> None:
    """Refuse a task that is another agent's, over, or not ready. Raises: TaskTaken, TaskNotClaimable."""
    holder = tx.state.agents.canonical(task["agent"]) if task["agent"] else None
    if task["status"] == DONE_STATUS:
        raise TaskNotClaimable(task.id, DONE_STATUS)
    if holder is not None and holder != claimant:
        raise TaskTaken(task.id, holder, tx.state.agents.name_of(holder))
    if is_claimed(task):
        return
    is_assigned = holder is not None and task["status"] == CLAIMED_STATUS
    if task["status"] != CLAIMABLE_STATUS and not is_assigned:
        raise TaskNotClaimable(task.id, task["status"])
    if waits_for := [each for each in task["depends_on"] if not is_done(each, tx)]:
        raise TaskNotClaimable(task.id, task["status"], waits_for)


def _claim_of(command: ClaimTask, claimant: AgentId, tx: Transaction) -> Claim | None:
    """Return what is to be reserved with the task, if anything. Raises: BadPattern, InvalidRequest."""
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    if not names_targets(command):
        return None
    return Claim(
        id=tx.mint(),
        sequence=tx.next_cursor(),
        holder=claimant,
        targets=read_targets(command, fold_case=tx.state.fold_case),
        branch=(command.branch or "").strip() or None,
        worktree=(command.worktree or "").strip() or None,
        expires_at_us=Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US),
    )


def _held_or_grantable(
    claim: Claim, command: ClaimTask, task: Record, tx: Transaction
) -> tuple[Reservation | None, Ensured | None]:
    """Return the claimant's reservation of the targets, or how to make one. Raises: as `ensured`."""
    lease = covering(claim, tx)
    if lease is not None:
        return lease, None
    ttl_s = parse_lifetime(command.ttl_minutes, command.ttl_seconds).ttl_s
    return None, ensured(claim, command.reason or task["title"], ttl_s, Work(), tx)


def _reserved_view(
    reservation: Reservation, found: Ensured | None, command: ClaimTask, tx: Transaction
) -> ReservationView:
    if found is None:
        return active_view(reservation, tx.state, tx.now)
    view = active_view(
        reservation,
        tx.state,
        tx.now,
        is_clamped=parse_lifetime(command.ttl_minutes, command.ttl_seconds).is_clamped,
        warnings=conflict_views(found.met.warnings, tx.state, tx.now),
        notes=literal_wildcards(command),
    )
    tell_overlap({"reservation_id": reservation.id}, reservation.holder, declared(found.met.warnings), tx)
    return view
