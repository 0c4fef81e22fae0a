"""Reservations in the original's file that still stand: neither released nor over."""

from dataclasses import dataclass, field
from typing import Final

from intermute.core import limits
from intermute.core.api.reservations import Reserve
from intermute.core.ids import Micros, tag_of
from intermute.core.original.rows import LeftOut, Row, Times, as_command, shown
from intermute.core.times import SECOND_US

OVER: Final = "it was released, or its time was up"


@dataclass(slots=True)
class OriginalReservation:
    """One reservation, as a request would ask for it: running from `created_at_us` for `ttl_s` seconds."""

    id: str
    asked: Reserve
    created_at_us: Micros
    ttl_s: int
    notes: list[str] = field(default_factory=list)


def reservation_of(row: Row, now_us: Micros) -> OriginalReservation:
    """Return the reservation in a row. Raises: LeftOut."""
    times = Times(now_us)
    expires_at_us = times.read(row, "expires_at", is_past=False)
    if row.text("released_at") or expires_at_us is None or expires_at_us <= now_us:
        raise LeftOut(OVER)
    if expires_at_us > now_us + limits.TTL_MAX_S * SECOND_US:
        times.notes.append("it ends 24 hours from now: no reservation is longer")
        expires_at_us = Micros(now_us + limits.TTL_MAX_S * SECOND_US)
    fields = {
        "agent_id": row.text("agent_id"),
        "path_pattern": row.text("path_pattern"),
        "exclusive": bool(row.number("exclusive")),
        "reason": row.text("reason"),
    }
    reservation_id = row.text("id")
    if not reservation_id or not reservation_id.isprintable() or len(reservation_id) > limits.ADDRESS_CHARS_MAX:
        raise LeftOut(f"its id {shown(reservation_id)} is none of this service")
    if tag_of(reservation_id) is not None:
        raise LeftOut(f"its id {shown(reservation_id)} has the form of one that this service has made")
    created_at_us = times.read(row, "created_at") or now_us
    if created_at_us < expires_at_us - limits.TTL_MAX_S * SECOND_US:
        created_at_us = Micros(expires_at_us - limits.TTL_MAX_S * SECOND_US)
    ttl_s = -(-(expires_at_us - created_at_us) // SECOND_US)
    return OriginalReservation(reservation_id, as_command(Reserve, fields), created_at_us, ttl_s, times.notes)
