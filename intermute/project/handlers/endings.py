"""How reservations end: the one place where a lease leaves the book, the disk hears of it, and everyone else too."""

from collections.abc import Iterable, Mapping
from typing import Final

from intermute.core.events import EventType
from intermute.core.reservation import Reservation
from intermute.project.handlers.granting import reservation_event_fields
from intermute.project.handlers.intent_changes import end_intents_of
from intermute.project.handlers.turns import admit_waiters
from intermute.project.transaction import Transaction
from intermute.store import reservations as rows

_KINDS: Final[Mapping[str, EventType]] = {
    "released": EventType.RESERVATION_RELEASED,
    "deregistered": EventType.RESERVATION_RELEASED,
    "expired": EventType.RESERVATION_EXPIRED,
    "owner_stale": EventType.RESERVATION_EXPIRED,
    "forced": EventType.RESERVATION_FORCE_RELEASED,
}
"""How a reservation can end, and what everyone hears then."""


def end_reservations(
    reservations: Iterable[Reservation], how: str, tx: Transaction, more: Mapping[str, object] | None = None
) -> list[str]:
    """End these reservations, let those go on who waited for them, and return the ids of the ended ones.

    `how` is a key of `_KINDS`, `more` are further fields of the event.
    """
    ended = []
    for reservation in reservations:
        tx.state.leases.end(reservation)
        tx.write(rows.end(reservation.id, how, tx.now.wall_us))
        tx.emit(_KINDS[how], {**reservation_event_fields(reservation, tx), "reason": how, **(more or {})})
        tx.facts.end(reservation.id, how, tx.now.wall_us)
        end_intents_of(reservation.id, how, tx)
        ended.append(str(reservation.id))
    if ended:
        admit_waiters(tx)
    return ended
