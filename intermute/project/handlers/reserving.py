"""Reserving: a request is granted, refused with every conflict, or waits for its turn.

Source: design.md 8, contract.md 6, claims.md 4, 5 and 7.
"""

from collections.abc import Iterable

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.reservations import Denied, ReservationView, Reserve
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim, ClaimTarget, asked_for
from intermute.core.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    NotYours,
    ReservationEnded,
    ReservationLimit,
    StaleForecast,
    UnknownTicket,
)
from intermute.core.events import EventType
from intermute.core.findings import Finding
from intermute.core.ids import AgentId
from intermute.core.reservation import Reservation
from intermute.core.targets import literal_wildcards, names_targets, parse_lifetime, read_targets
from intermute.core.wishes import Idempotency, OnConflict, Wish, request_hash
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.handlers.granting import grant, reservation_event_fields
from intermute.project.handlers.meetings import Meeting, bounds_after, conflict_with, meet
from intermute.project.handlers.overlaps import declared, tell_overlap
from intermute.project.handlers.reservation_views import active_view, repeated_view
from intermute.project.handlers.reservations import holder_named
from intermute.project.handlers.turns import Queued, enqueue, settle_queue
from intermute.project.transaction import Facts, Transaction
from intermute.store import reservations as rows

_CHANGED_SHOWN_MAX = 20  # changed claims that a stale forecast names; the next forecast shows them all.


def needs_facts(command: Reserve) -> bool:
    """Tell whether the decision needs rows that memory does not hold."""
    return command.idempotency_key is not None or command.ticket is not None


def facts_for_reserve(connection: apsw.Connection, command: Reserve, facts: Facts) -> None:
    """Fetch what was asked for before under the same key, and what has become of a ticket."""
    key, ticket = command.idempotency_key, command.ticket
    if key is not None and key not in facts.keyed:
        facts.keyed[key] = rows.of_key(connection, key)
    if ticket is not None and ticket not in facts.reservations:
        facts.reservations[ticket] = rows.one(connection, ticket)


def reserve(command: Reserve, tx: Transaction) -> ReservationView | Queued:
    """Grant all of what was asked for, or refuse all of it with every conflict; or do as `on_conflict` says."""
    if command.ticket is not None and (resumed := _resumed(command, command.ticket, tx)) is not None:
        return resumed
    wish = _wish(command, tx)
    holder = wish.claim.holder
    if wish.idempotency is not None and (earlier := _earlier(wish.idempotency, holder, tx)) is not None:
        return earlier
    refuse_over_limit(wish, tx)
    work = Work()
    if command.if_seq is not None:
        _refuse_stale(command.if_seq, wish.claim, work, tx)
    met = meet(wish.claim, tx.state, work=work)
    if not met.conflicts:
        return _granted(wish, met, command, tx)
    if command.on_conflict is OnConflict.GRANT:
        return _granted_all_the_same(wish, met, command, tx)
    if command.on_conflict is OnConflict.WAIT and command.wait_seconds != 0:
        wait_s = limits.WAIT_MAX_S if command.wait_seconds is None else command.wait_seconds
        queued = enqueue(wish, wait_s, met, work, tx)
        tx.heard(tx.state.agents.find(holder))
        return queued
    if command.partial:
        return _granted_in_part(wish, met, command, work, tx)
    raise conflict_with(wish.claim, met, tx.state, tx.now, work)


def _wish(command: Reserve, tx: Transaction) -> Wish:
    """Read a request. Raises: BadPattern, InvalidRequest, AgentIdentityMismatch."""
    if command.wait_seconds and command.on_conflict is not OnConflict.WAIT:
        raise InvalidRequest([("wait_seconds", "goes with on_conflict: wait; without it nothing waits")])
    if command.partial and command.on_conflict not in (None, OnConflict.REJECT):
        raise InvalidRequest([("partial", "goes with on_conflict: reject; the others take everything or wait for it")])
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    targets = read_targets(command, fold_case=tx.state.fold_case)
    claim = Claim(
        id=tx.mint(),
        sequence=tx.next_cursor(),
        holder=holder_named(command.agent_id or command.agent, tx),
        targets=targets,
        branch=(command.branch or "").strip() or None,
        worktree=(command.worktree or "").strip() or None,
    )
    key = command.idempotency_key
    idempotency = None if key is None else Idempotency(claim.holder, key, request_hash(command))
    return Wish(claim, command.reason or "", lifetime.ttl_s, idempotency, tx.once)


def _resumed(command: Reserve, ticket: str, tx: Transaction) -> ReservationView | Queued | None:
    """Return what a ticket stands for; None, where it stands for nothing and the request can be asked again.

    Raises: NotYours, ReservationEnded, UnknownTicket.
    """
    state = tx.state
    holder = holder_named(command.agent_id or command.agent, tx)
    wait, lease, row = state.waiting.get(ticket), state.leases.get(ticket), tx.facts.reservations.get(ticket)
    owner = wait.wish.claim.holder if wait else lease.holder if lease else row.holder if row else holder
    if owner != holder:
        raise NotYours("reservation", state.agents.name_of(owner), state.agents.name_of(holder))
    if wait is not None:
        if command.wait_seconds is not None:
            wait.ends_s = tx.now.mono_s + command.wait_seconds
        tx.heard(state.agents.find(holder))
        return Queued(ticket)
    if lease is not None:
        return active_view(lease, state, tx.now)
    if row is not None:
        raise ReservationEnded(ticket, row.ended or "released")
    if (refusal := state.waiting.refusal(ticket)) is not None:
        raise refusal
    if not names_targets(command):
        raise UnknownTicket(ticket)
    return None


def _earlier(asked: Idempotency, holder: AgentId, tx: Transaction) -> ReservationView | Queued | None:
    """Return what the same request has led to before. Raises: IdempotencyKeyReused."""
    for row in tx.facts.keyed.get(asked.key, ()):
        if row.idempotency is not None and row.idempotency.asker == holder:
            if row.idempotency.request_hash != asked.request_hash:
                raise IdempotencyKeyReused(asked.key, row.id)
            return repeated_view(row, tx.state, tx.now)
    wait = tx.state.waiting.of_key(holder, asked.key)
    if wait is None or wait.wish.idempotency is None:
        return None
    if wait.wish.idempotency.request_hash != asked.request_hash:
        raise IdempotencyKeyReused(asked.key, wait.wish.claim.id)
    return Queued(wait.wish.claim.id)


def refuse_over_limit(wish: Wish, tx: Transaction) -> None:
    """Refuse one reservation too many of one holder. Raises: ReservationLimit."""
    # What waits will be held, and then nobody asks.
    held = tx.state.leases.count_of(wish.claim.holder) + tx.state.waiting.count_of(wish.claim.holder)
    if held >= limits.RESERVATIONS_PER_AGENT_MAX:
        name = tx.state.agents.name_of(wish.claim.holder)
        raise ReservationLimit(name, held, len(asked_for(wish.claim.targets)))


def _refuse_stale(if_seq: int, claim: Claim, work: Work, tx: Transaction) -> None:
    """Refuse a request that relies on a forecast from before somebody came to hold something there. Raises: StaleForecast.

    What has ended since does not count: it cannot be in the way.
    """
    changed = []
    for held in tx.state.leases.touching(claim, work=work):
        if held.changed > if_seq:
            name = tx.state.agents.name_of(held.holder)
            changed.append(
                {"reservation_id": held.id, "agent_id": held.holder, "held_by": name, "seq": held.changed,
                 "pattern": held.asked[0].target.text}
            )  # fmt: skip
        if len(changed) >= _CHANGED_SHOWN_MAX:
            break
    for intent in tx.state.intents.touching(claim, work=work):
        if intent.changed > if_seq and len(changed) < _CHANGED_SHOWN_MAX:
            name = tx.state.agents.name_of(intent.holder)
            text = asked_for(intent.claim.targets)[0].target.text
            changed.append(
                {"intent_id": intent.id, "agent_id": intent.holder, "held_by": name, "seq": intent.changed,
                 "pattern": text}
            )  # fmt: skip
    if changed:
        raise StaleForecast(if_seq, tx.state.head, changed)


def _granted(
    wish: Wish, met: Meeting, command: Reserve, tx: Transaction, denied: list[Denied] | None = None
) -> ReservationView:
    reservation = grant(wish, tx)
    view = _view(reservation, met, command, tx, denied=denied)
    tell_overlap({"reservation_id": reservation.id}, reservation.holder, declared(met.warnings), tx)
    return view


def _view(
    reservation: Reservation,
    met: Meeting,
    command: Reserve,
    tx: Transaction,
    *,
    denied: list[Denied] | None = None,
    contested: Iterable[Finding] = (),
) -> ReservationView:
    agent = tx.state.agents.find(reservation.holder)
    tx.heard(agent)
    notes = literal_wildcards(command)
    if agent is None:
        notes.append(
            f"{reservation.holder!r} is not registered: it cannot send heartbeats, so this lasts until it is released or "
            "its time is up."
        )
    return active_view(
        reservation,
        tx.state,
        tx.now,
        is_clamped=parse_lifetime(command.ttl_minutes, command.ttl_seconds).is_clamped,
        warnings=conflict_views(met.warnings, tx.state, tx.now),
        contested=conflict_views(list(contested), tx.state, tx.now),
        denied=denied,
        notes=notes,
    )


def _granted_all_the_same(wish: Wish, met: Meeting, command: Reserve, tx: Transaction) -> ReservationView:
    """Grant past what stands in the way, and tell everyone: from now on these are contested."""
    reservation = grant(wish, tx)
    view = _view(reservation, met, command, tx, contested=met.shown)
    told = {finding.claim.id: finding for finding in reversed(met.shown)}
    tx.emit(
        EventType.RESERVATION_CONTESTED,
        {
            **reservation_event_fields(reservation, tx),
            "conflicts": [
                {
                    "reservation_id": finding.claim.id,
                    "agent_id": finding.claim.holder,
                    "held_by": tx.state.agents.name_of(finding.claim.holder),
                    "pattern": finding.held.target.text,
                    "example": finding.example,
                }
                for finding in list(told.values())[: limits.WANTED_EVENTS_MAX]
            ],
        },
    )
    settle_queue(tx)
    return view


def _granted_in_part(wish: Wish, met: Meeting, command: Reserve, work: Work, tx: Transaction) -> ReservationView:
    """Grant the targets that nothing stands in the way of. Raises: ReservationConflict, where there is none."""
    claim = wish.claim
    kept: list[ClaimTarget] = []
    denied: list[Denied] = []
    warnings: list[Finding] = []
    shown = 0
    for target in asked_for(claim.targets):
        unit = tuple(each for each in claim.targets if each.number == target.number)
        found = meet(replace(claim, targets=unit), tx.state, work=work, bounds=bounds_after(shown))
        if found.conflicts:
            views = conflict_views(found.shown, tx.state, tx.now)
            shown += len(views)
            denied.append(Denied(n=target.number, target=target.target.text, conflicts=views))
        else:
            kept += unit
            warnings += found.warnings
    if not kept:
        raise conflict_with(claim, met, tx.state, tx.now, work)
    rest = replace(wish, claim=replace(claim, targets=tuple(kept)))
    return _granted(rest, Meeting([], warnings[: limits.WARNINGS_SHOWN_MAX]), command, tx, denied)
