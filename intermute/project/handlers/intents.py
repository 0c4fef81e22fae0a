"""Declaring what one is going to do, and saying how far it has come. Source: claims.md 6 and 7, issue 3 point 7."""

import math

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.intents import ChangeIntent, DeclareIntent, IntentView
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim, ClaimTarget, Standing, asked_for, with_destinations
from intermute.core.errors import IntentLimit, IntentOver, InvalidRequest, UnknownIntent
from intermute.core.events import EventType
from intermute.core.ids import Micros
from intermute.core.intents import FOLLOWING, Intent, IntentState
from intermute.core.reservation import Reservation
from intermute.core.targets import (
    literal_wildcards,
    names_targets,
    parse_lifetime,
    parse_target,
    read_targets,
    stated_operation,
)
from intermute.core.times import SECOND_US
from intermute.core.work_operations import CREATING, Operation, implied_operation, mode_of
from intermute.project.handlers.ensuring import covering, ensured
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.handlers.granting import grant
from intermute.project.handlers.intent_changes import change_state, intent_event_fields
from intermute.project.handlers.intent_views import intent_view
from intermute.project.handlers.meetings import meet
from intermute.project.handlers.overlaps import tell_overlap
from intermute.project.handlers.reservation_views import active_view
from intermute.project.handlers.reservations import holder_named, mine, refuse_stranger
from intermute.project.transaction import Facts, Transaction
from intermute.store import intents as rows
from intermute.store import reservations as reservation_rows


def facts_for_declaration(connection: apsw.Connection, command: DeclareIntent, facts: Facts) -> None:
    """Fetch the row of the reservation that the intent is to ride on, which tells how an ended one has ended."""
    if command.reservation_id is not None and command.reservation_id not in facts.reservations:
        facts.reservations[command.reservation_id] = reservation_rows.one(connection, command.reservation_id)


def facts_for_change(connection: apsw.Connection, command: ChangeIntent, facts: Facts) -> None:
    """Fetch the row of the intent, which tells how one that is over has ended."""
    if command.intent_id not in facts.intents:
        facts.intents[command.intent_id] = rows.one(connection, command.intent_id)


def declare_intent(command: DeclareIntent, tx: Transaction) -> IntentView:
    """Store what an agent says it is going to do, tell it whom it meets, and hold it too if it asks for that."""
    operation = stated_operation(command.operation, command.op, "operation") or Operation.MODIFY
    ttl_s = limits.INTENT_TTL_DEFAULT_S if command.ttl_seconds is None else command.ttl_seconds
    lifetime = parse_lifetime(None, ttl_s)
    targets = read_targets(command, fold_case=tx.state.fold_case) if names_targets(command) else ()
    if targets and command.to is not None:
        targets = _with_single_destination(targets, command.to, operation, tx)
    holder = holder_named(command.agent_id or command.agent, tx)
    if command.ttl_seconds is not None and command.reservation_id is not None:
        raise InvalidRequest(
            [("ttl_seconds", "an intent that rides on a reservation ends with it; leave one of them out")]
        )
    if (active := tx.state.intents.count_of(holder)) >= limits.INTENTS_PER_AGENT_MAX:
        raise IntentLimit(tx.state.agents.name_of(holder), active)
    lease = None if command.reservation_id is None else mine(command.reservation_id, holder, tx)
    if not targets:
        if lease is None:
            raise InvalidRequest([("addresses", "name targets, or the reservation_id of the reservation it is about")])
        targets = with_destinations(_about(lease, operation))
    claim = Claim(
        id=tx.mint(),
        sequence=tx.next_cursor(),
        holder=holder,
        targets=targets,
        standing=Standing.DECLARED,
        branch=(command.branch or "").strip() or (lease.claim.branch if lease else None),
        worktree=(command.worktree or "").strip() or (lease.claim.worktree if lease else None),
        expires_at_us=Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US),
    )
    work = Work()
    wish = None
    if command.ensure_reservation and lease is None and (lease := covering(claim, tx)) is None:
        wish = ensured(claim, command.detail or "", lifetime.ttl_s, work, tx).wish
    met = meet(claim, tx.state, work=work, is_past_queue=True)
    # From here on things change, so nothing is refused any more.
    if wish is not None:
        lease = grant(wish, tx)
    intent = Intent(
        claim=replace(
            claim, sequence=tx.next_cursor(), expires_at_us=lease.expires_at_us if lease else claim.expires_at_us
        ),
        operation=operation,
        detail=command.detail or "",
        state=IntentState.DECLARED,
        reservation_id=lease.id if lease else None,
        created_at_us=tx.now.wall_us,
        deadline_s=math.inf if lease else tx.now.mono_s + lifetime.ttl_s,
        changed=tx.next_cursor(),
    )
    tx.state.intents.declare(intent)
    tx.write(rows.insert(intent))
    tx.emit(EventType.INTENT_DECLARED, intent_event_fields(intent, tx))
    found = [*met.conflicts, *met.warnings]
    tell_overlap({"intent_id": intent.id}, holder, found, tx)
    tx.heard(tx.state.agents.find(holder))
    notes = literal_wildcards(command)
    if lifetime.is_clamped:
        notes.append(f"An intent lasts for {limits.TTL_MAX_S} s at most: declare it anew before its time is up.")
    return intent_view(
        rows.row_of(intent),
        tx.state,
        findings=conflict_views(found[: limits.CONFLICTS_SHOWN_MAX], tx.state, tx.now),
        reservation=active_view(lease, tx.state, tx.now) if wish is not None and lease is not None else None,
        notes=notes,
    )


def _with_single_destination(
    targets: tuple[ClaimTarget, ...], to: str, operation: Operation, tx: Transaction
) -> tuple[ClaimTarget, ...]:
    """Return the one target with where its work puts something. Raises: InvalidRequest, BadPattern."""
    asked = asked_for(targets)
    if len(asked) > 1:
        raise InvalidRequest([("to", "is for a single target; with several give each its own `to` in `targets`")])
    if implied_operation(asked[0].operation or operation, asked[0].mode) not in CREATING:
        words = ", ".join(sorted(CREATING))
        raise InvalidRequest([("to", f"goes with an operation that creates something: {words}")])
    return with_destinations([replace(asked[0], destination=parse_target("address", to, fold_case=tx.state.fold_case))])


def _about(lease: Reservation, operation: Operation) -> list[ClaimTarget]:
    """Return a reservation's targets with the declared work where they do not say what is done."""
    return [replace(each, mode=mode_of(operation), operation=each.operation or operation) for each in lease.asked]


def change_intent(command: ChangeIntent, tx: Transaction) -> IntentView:
    """Move an intent of the caller's to another state. Saying the same again changes nothing."""
    row = tx.facts.intents.get(command.intent_id)
    intent = tx.state.intents.get(command.intent_id)
    if intent is None and row is None:
        raise UnknownIntent(command.intent_id)
    holder = intent.holder if intent else row.holder if row else None
    assert holder is not None
    refuse_stranger("intent", holder, command.agent_id or command.agent, tx)
    if intent is None:
        assert row is not None
        if row.state is command.state and command.commit in (None, row.commit):
            return intent_view(row, tx.state)
        raise IntentOver(row.id, row.state)
    if intent.state is not command.state:
        if command.state not in FOLLOWING[intent.state]:
            raise IntentOver(intent.id, intent.state)
        intent = change_state(intent, command.state, tx, commit=command.commit)
    tx.heard(tx.state.agents.find(holder))
    return intent_view(tx.facts.intents.get(intent.id) or rows.row_of(intent), tx.state)
