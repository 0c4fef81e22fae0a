"""Renewing, converting and releasing; and whose reservation is whose. Source: design.md 8, contract.md 6, claims.md 4."""

import apsw
from msgspec.structs import replace

from intermute.core.agents import act_as
from intermute.core.api.handing_over import ForceRelease, RequestRelease, TransferReservation
from intermute.core.api.reservations import (
    ReleaseAll,
    Released,
    ReleaseReservation,
    RenewReservation,
    ReservationView,
)
from intermute.core.claim_index import Work
from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.claim_records import ClaimTarget, with_destinations
from intermute.core.errors import InvalidRequest, NotYours, ReservationEnded, UnknownReservation
from intermute.core.events import EventType
from intermute.core.findings import Verdict
from intermute.core.ids import AgentId, Micros
from intermute.core.lock_table import Mode
from intermute.core.reservation import Reservation
from intermute.core.targets import READING, parse_lifetime, stated_mode
from intermute.core.times import SECOND_US
from intermute.project.handlers.endings import end_reservations
from intermute.project.handlers.granting import reservation_event_fields
from intermute.project.handlers.meetings import Meeting, conflict_with
from intermute.project.handlers.reservation_views import active_view
from intermute.project.handlers.turns import give_up, give_up_all, settle_queue
from intermute.project.transaction import Facts, Transaction
from intermute.store import reservations as rows

_HandingOver = TransferReservation | RequestRelease | ForceRelease


def holder_named(given: str | None, tx: Transaction) -> AgentId:
    """Return in whose name a caller reserves. Raises: InvalidRequest, AgentIdentityMismatch."""
    holder = act_as(tx.identity(), tx.state.agents.canonical(given) if given else None)
    if holder is None:
        raise InvalidRequest([("agent_id", "say who reserves: your agent id or name, here or in X-Agent-ID")])
    return holder


def facts_for_reservation(
    connection: apsw.Connection, command: ReleaseReservation | RenewReservation | _HandingOver, facts: Facts
) -> None:
    """Fetch the row of a reservation, which tells how one that is no longer active has ended."""
    if command.reservation_id not in facts.reservations:
        facts.reservations[command.reservation_id] = rows.one(connection, command.reservation_id)


def renew_reservation(command: RenewReservation, tx: Transaction) -> ReservationView:
    """Let a lease run anew from now, or hold it in another mode, or both, for its holder."""
    mode = stated_mode(command.mode, None, None)
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    reservation = mine(command.reservation_id, command.agent_id, tx)
    has_ttl = command.ttl_minutes is not None or command.ttl_seconds is not None
    if mode is not None:
        _refuse_conversion(reservation, mode, tx)
    is_renewal = mode is None or has_ttl
    if is_renewal:
        reservation = tx.state.leases.renew(
            reservation, tx.now.mono_s + lifetime.ttl_s, Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US)
        )
        tx.write(rows.renew(reservation))
        tx.emit(EventType.RESERVATION_RENEWED, reservation_event_fields(reservation, tx))
    if mode is not None and any(target.mode is not mode for target in reservation.asked):
        reservation = _converted(reservation, mode, tx)
    tx.heard(tx.state.agents.find(reservation.holder))
    return active_view(reservation, tx.state, tx.now, is_clamped=is_renewal and lifetime.is_clamped)


def _in_mode(reservation: Reservation, mode: Mode) -> tuple[ClaimTarget, ...]:
    """Return the targets in another mode; whoever only reads from now on does no more work there."""
    if mode in READING:
        return tuple(replace(each, mode=mode, operation=None, destination=None) for each in reservation.asked)
    return with_destinations(replace(each, mode=mode) for each in reservation.asked)


def _refuse_conversion(reservation: Reservation, mode: Mode, tx: Transaction) -> None:
    """Refuse a mode that does not go with what others hold; what waits does not count, since it holds nothing.

    Raises: ReservationConflict, PatternTooBroad.
    """
    work = Work()
    claim = replace(reservation.claim, targets=_in_mode(reservation, mode))
    found = tx.state.leases.findings(claim, tx.state.policy, work=work)
    conflicts = [finding for finding in found if finding.verdict is Verdict.CONFLICT]
    if conflicts:
        raise conflict_with(claim, Meeting(conflicts, []), tx.state, tx.now, work, is_held_still=True)


def _converted(reservation: Reservation, mode: Mode, tx: Transaction) -> Reservation:
    was = CLASS_OF_MODE[reservation.mode]
    converted = tx.state.leases.convert(reservation, _in_mode(reservation, mode), tx.next_cursor())
    tx.write(rows.convert(converted))
    tx.facts.convert(converted.id, rows.stored_targets(converted.asked), converted.changed)
    changed = tx.emit(EventType.RESERVATION_CONVERTED, {**reservation_event_fields(converted, tx), "old_mode": was})
    assert changed == converted.changed
    settle_queue(tx)
    return converted


def release_reservation(command: ReleaseReservation, tx: Transaction) -> Released:
    """Give one reservation back, by its holder, or the place in the queue that has this ticket."""
    given = command.agent_id or command.agent
    if (wait := tx.state.waiting.get(command.reservation_id)) is not None:
        refuse_stranger("reservation", wait.wish.claim.holder, given, tx)
        tx.heard(tx.state.agents.find(wait.wish.claim.holder))
        give_up(command.reservation_id, tx)
        return Released(released=[command.reservation_id])
    reservation = mine(command.reservation_id, given, tx)
    tx.heard(tx.state.agents.find(reservation.holder))
    return Released(released=end_reservations([reservation], "released", tx))


def release_all(command: ReleaseAll, tx: Transaction) -> Released:
    """Give back everything that one agent holds, and every place in the queue."""
    holder = holder_named(command.agent_id or command.agent, tx)
    tx.heard(tx.state.agents.find(holder))
    left = give_up_all(holder, tx)
    return Released(released=[*end_reservations(tx.state.leases.held_by(holder), "released", tx), *left])


def mine(reservation_id: str, given: str | None, tx: Transaction) -> Reservation:
    """Return the active reservation, if the caller is its holder.

    The order of the refusals is the original's (contract.md 1.7): unknown, not yours, ended. The header counts before the
    query. A local caller that does not say who it is may act for the holder, since the original's SDK never says it.
    Raises: UnknownReservation, NotYours, ReservationEnded.
    """
    found = tx.state.leases.get(reservation_id) or tx.facts.reservations.get(reservation_id)
    if found is not None:
        refuse_stranger("reservation", found.holder, given, tx)
    return active_reservation(reservation_id, tx)


def refuse_stranger(what: str, holder: AgentId, given: str | None, tx: Transaction) -> None:
    """Refuse a caller that is not the holder; a local one that does not say who it is may act for it. Raises: NotYours."""
    asker = tx.identity().address or (tx.state.agents.canonical(given) if given else None)
    if asker != holder and (asker is not None or not tx.caller.is_local):
        name_of = tx.state.agents.name_of
        raise NotYours(what, name_of(holder), asker and name_of(asker))


def active_reservation(reservation_id: str, tx: Transaction) -> Reservation:
    """Return the active reservation of this id, whoever holds it. Raises: UnknownReservation, ReservationEnded."""
    if active := tx.state.leases.get(reservation_id):
        return active
    if row := tx.facts.reservations.get(reservation_id):
        raise ReservationEnded(reservation_id, row.ended or "released")
    raise UnknownReservation(reservation_id)
