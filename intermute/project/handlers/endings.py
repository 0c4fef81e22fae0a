"""How reservations end: the one place where a lease leaves the book, the disk hears of it, and everyone else too."""

from collections.abc import Iterable, Mapping
from typing import Final

from intermute.core.events import EventType
from intermute.core.lease_book import Reservation
from intermute.core.targets import MODE_NAMES
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
    """End these reservations, and return their ids. `how` is a key of `_KINDS`, `more` are further fields of the event."""
    ended = []
    for reservation in reservations:
        tx.state.leases.end(reservation)
        tx.write(rows.end(reservation.id, how, tx.now.wall_us))
        tx.emit(_KINDS[how], {**reservation_event_fields(reservation, tx), "reason": how, **(more or {})})
        tx.facts.end(reservation.id, how, tx.now.wall_us)
        ended.append(str(reservation.id))
    return ended


def reservation_event_fields(reservation: Reservation, tx: Transaction) -> dict[str, object]:
    """Return what every event about a reservation says; the original's fields come first."""
    return {
        "agent_id": reservation.holder,
        "path_pattern": reservation.patterns[0].text,
        "reservation_id": reservation.id,
        "held_by": tx.state.agents.name_of(reservation.holder),
        "patterns": [pattern.text for pattern in reservation.patterns],
        "mode": MODE_NAMES[reservation.mode],
        "fence": reservation.fence,
    }
