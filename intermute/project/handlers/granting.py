"""How a wish becomes a reservation, and what every event about a reservation says."""

from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.claim_records import ClaimTarget
from intermute.core.events import EventType
from intermute.core.reservation import Reservation
from intermute.core.wishes import Wish
from intermute.project.transaction import Transaction
from intermute.store import reservations as rows


def grant(wish: Wish, tx: Transaction) -> Reservation:
    """Store what was wished for and tell everyone; whether it may be granted has been decided."""
    reservation = wish.granted(tx.next_cursor(), tx.now)
    tx.state.leases.grant(reservation)
    tx.write(rows.insert(reservation, wish.idempotency))
    if wish.idempotency is not None:
        row = rows.row_of(reservation, wish.idempotency)
        tx.facts.keyed.setdefault(wish.idempotency.key, []).append(row)
    fence = tx.emit(
        EventType.RESERVATION_CREATED, {**reservation_event_fields(reservation, tx), "reason": reservation.reason}
    )
    assert fence == reservation.fence
    return reservation


def reservation_event_fields(reservation: Reservation, tx: Transaction) -> dict[str, object]:
    """Return what every event about a reservation says; the original's fields come first."""
    asked = reservation.asked
    fields: dict[str, object] = {
        "agent_id": reservation.holder,
        "path_pattern": asked[0].target.text,
        "reservation_id": reservation.id,
        "held_by": tx.state.agents.name_of(reservation.holder),
        "patterns": [each.target.text for each in asked],
        "mode": CLASS_OF_MODE[reservation.mode],
        "targets": [target_fields(each) for each in asked],
        "fence": reservation.fence,
    }
    claim = reservation.claim
    return {**fields, **{name: value for name in ("branch", "worktree") if (value := getattr(claim, name))}}


def target_fields(target: ClaimTarget) -> dict[str, object]:
    """Return one target as events show it."""
    fields: dict[str, object] = {"target": target.target.text, "mode": target.mode}
    if target.operation is not None:
        fields["op"] = target.operation
    if target.destination is not None:
        fields["to"] = target.destination.text
    return fields
