"""Reserving, renewing and releasing. Source: design.md 8, contract.md 6, claims.md."""

import apsw

from intermute.core import limits
from intermute.core.agents import act_as
from intermute.core.api.checks import CheckTargets
from intermute.core.api.handing_over import ForceRelease, RequestRelease, TransferReservation
from intermute.core.api.reservations import (
    ReleaseAll,
    Released,
    ReleaseReservation,
    RenewReservation,
    ReservationView,
    Reserve,
)
from intermute.core.errors import (
    InvalidRequest,
    NotYours,
    ReservationConflict,
    ReservationEnded,
    ReservationLimit,
    UnknownReservation,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lease_book import Reservation
from intermute.core.targets import parse_lifetime, parse_mode, parse_targets
from intermute.core.times import SECOND_US
from intermute.project.handlers.endings import end_reservations, reservation_event_fields
from intermute.project.handlers.reservation_views import active_view, conflict_views
from intermute.project.transaction import Facts, Transaction
from intermute.store import reservations as rows

_WILDCARDS = frozenset("*?")
_HandingOver = TransferReservation | RequestRelease | ForceRelease


def reserve(command: Reserve, tx: Transaction) -> ReservationView:
    """Grant all of what was asked for, or refuse all of it with every conflict."""
    literals = literals_of(command)
    patterns = parse_targets(globs_of(command), literals)
    mode = parse_mode(command.mode, command.exclusive, command.shared)
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    holder = _holder(command.agent_id or command.agent, tx)
    leases = tx.state.leases
    held = leases.count_of(holder)
    if held >= limits.RESERVATIONS_PER_AGENT_MAX:
        raise ReservationLimit(tx.state.agents.name_of(holder), held, len(patterns))
    if clashes := leases.conflicts(patterns, mode, holder, limit=limits.CONFLICTS_SHOWN_MAX + 1):
        views = conflict_views(clashes[: limits.CONFLICTS_SHOWN_MAX], tx.state, tx.now)
        raise ReservationConflict(
            views,
            list(dict.fromkeys(view.held_by for view in views)),
            max(view.retry_after_s for view in views),
            is_cut=len(clashes) > limits.CONFLICTS_SHOWN_MAX,
        )
    reservation = Reservation(
        id=ReservationId(tx.mint()),
        holder=holder,
        patterns=patterns,
        mode=mode,
        reason=command.reason or "",
        fence=tx.next_cursor(),
        created_at_us=tx.now.wall_us,
        expires_at_us=Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US),
        deadline_s=tx.now.mono_s + lifetime.ttl_s,
    )
    leases.grant(reservation)
    tx.write(rows.insert(reservation))
    fence = tx.emit(
        EventType.RESERVATION_CREATED, {**reservation_event_fields(reservation, tx), "reason": reservation.reason}
    )
    assert fence == reservation.fence
    agent = tx.state.agents.find(holder)
    tx.heard(agent)
    warnings = literal_wildcards(literals)
    if agent is None:
        warnings.append(
            f"{holder!r} is not registered: it cannot send heartbeats, so this lasts until it is released or its time is up."
        )
    return active_view(reservation, tx.state, tx.now, is_clamped=lifetime.is_clamped, warnings=warnings)


def globs_of(asked: Reserve | CheckTargets) -> list[tuple[str, str]]:
    """Return the patterns of a request in all their spellings, each with its field."""
    return [
        *_given("path_pattern", asked.path_pattern),
        *_given("pattern", asked.pattern),
        *(("patterns", text) for text in asked.patterns or ()),
        *(("glob_patterns", text) for text in asked.glob_patterns or ()),
    ]


def literals_of(asked: Reserve | CheckTargets) -> list[tuple[str, str]]:
    """Return the literal paths of a request, each with its field."""
    return [*_given("path", asked.path), *(("paths", text) for text in asked.paths or ())]


def _given(field: str, text: str | None) -> list[tuple[str, str]]:
    return [] if text is None else [(field, text)]


def literal_wildcards(literals: list[tuple[str, str]]) -> list[str]:
    """Return a warning for each literal path that looks as if a pattern was meant."""
    return [
        f"{field} is literal, so {text!r} means a file of just this name; use patterns for wildcards."
        for field, text in literals
        if _WILDCARDS.intersection(text)
    ]


def _holder(given: str | None, tx: Transaction) -> AgentId:
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
    """Let a lease run anew from now, for its holder."""
    lifetime = parse_lifetime(command.ttl_minutes, command.ttl_seconds)
    reservation = mine(command.reservation_id, command.agent_id, tx)
    renewed = tx.state.leases.renew(
        reservation, tx.now.mono_s + lifetime.ttl_s, Micros(tx.now.wall_us + lifetime.ttl_s * SECOND_US)
    )
    tx.write(rows.renew(renewed))
    tx.emit(EventType.RESERVATION_RENEWED, reservation_event_fields(renewed, tx))
    tx.heard(tx.state.agents.find(renewed.holder))
    return active_view(renewed, tx.state, tx.now, is_clamped=lifetime.is_clamped)


def release_reservation(command: ReleaseReservation, tx: Transaction) -> Released:
    """Give one reservation back, by its holder."""
    reservation = mine(command.reservation_id, command.agent_id or command.agent, tx)
    tx.heard(tx.state.agents.find(reservation.holder))
    return Released(released=end_reservations([reservation], "released", tx))


def release_all(command: ReleaseAll, tx: Transaction) -> Released:
    """Give back everything that one agent holds."""
    holder = _holder(command.agent_id or command.agent, tx)
    tx.heard(tx.state.agents.find(holder))
    return Released(released=end_reservations(tx.state.leases.held_by(holder), "released", tx))


def mine(reservation_id: str, given: str | None, tx: Transaction) -> Reservation:
    """Return the active reservation, if the caller is its holder.

    The order of the refusals is the original's (contract.md 1.7): unknown, not yours, ended. The header counts before the
    query. A local caller that does not say who it is may act for the holder, since the original's SDK never says it.
    Raises: UnknownReservation, NotYours, ReservationEnded.
    """
    identity = tx.identity()
    found = tx.state.leases.get(reservation_id) or tx.facts.reservations.get(reservation_id)
    if found is not None:
        asker = identity.address or (tx.state.agents.canonical(given) if given else None)
        if asker != found.holder and (asker is not None or not tx.caller.is_local):
            name_of = tx.state.agents.name_of
            raise NotYours("reservation", name_of(found.holder), asker and name_of(asker))
    return active_reservation(reservation_id, tx)


def active_reservation(reservation_id: str, tx: Transaction) -> Reservation:
    """Return the active reservation of this id, whoever holds it. Raises: UnknownReservation, ReservationEnded."""
    if active := tx.state.leases.get(reservation_id):
        return active
    if row := tx.facts.reservations.get(reservation_id):
        raise ReservationEnded(reservation_id, row.ended or "released")
    raise UnknownReservation(reservation_id)
