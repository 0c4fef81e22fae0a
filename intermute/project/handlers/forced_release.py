"""Taking a reservation by force: an event, a message to the loser, and a record that stays.

Decided here and nowhere else: who may take from whom. Source: claims.md 5, decisions/0009-handing-over.md.
"""

from collections.abc import Mapping

from intermute.core.agents import Identity
from intermute.core.api.handing_over import ForceRelease, ForceReleased
from intermute.core.claim_modes import CLASS_OF_MODE
from intermute.core.errors import ForceReleaseRefused, InvalidRequest
from intermute.core.events import EventType
from intermute.core.ids import OPERATOR
from intermute.core.reservation import Reservation
from intermute.project.handlers.endings import end_reservations
from intermute.project.handlers.granting import reservation_event_fields
from intermute.project.handlers.handing_over import refuse_own, speaker_of
from intermute.project.handlers.letters import label, tell
from intermute.project.handlers.reservations import active_reservation
from intermute.project.transaction import Transaction
from intermute.store import audit
from intermute.store.audit import AuditRow


def force_release(command: ForceRelease, tx: Transaction) -> ForceReleased:
    """End another agent's reservation, tell everyone, the loser first of all, and keep a record of it."""
    reservation = active_reservation(command.reservation_id, tx)
    agents = tx.state.agents
    identity = tx.identity()
    speaker = speaker_of(command, identity, tx)
    if speaker is None and not tx.caller.is_local:
        raise InvalidRequest([("agent_id", "say who takes it: your agent id or name, here or in X-Agent-ID")])
    refuse_own(reservation, speaker)
    rule = _rule(command, reservation, tx)
    actor = speaker or OPERATOR
    taken = reservation_event_fields(reservation, tx)
    cursor = tx.next_cursor()
    by = {"why": command.reason, "by": actor, "by_name": agents.name_of(actor), **rule}
    released = end_reservations([reservation], "forced", tx, by)
    record = AuditRow(
        cursor,
        tx.now.wall_us,
        actor,
        identity.is_verified,
        EventType.RESERVATION_FORCE_RELEASED,
        command.reason,
        {**taken, **rule},
    )
    tx.write(audit.append(record))
    ended = (
        f"Your reservation {reservation.id} (fence {reservation.fence}) has ended: "
        "stop writing there, and reserve again before you go on."
    )
    message_id = tell(
        Identity(actor, identity.is_verified),
        reservation.holder,
        f"You lost {label(reservation)}",
        ended,
        {"event": EventType.RESERVATION_FORCE_RELEASED, "reservation_id": reservation.id},
        tx,
        words=f"{command.reason}\n\n{ended}",
    )
    if speaker is not None:
        tx.heard(agents.find(speaker))
    return ForceReleased(
        released=released,
        agent_id=reservation.holder,
        held_by=agents.name_of(reservation.holder),
        patterns=[target.target.text for target in reservation.asked],
        mode=CLASS_OF_MODE[reservation.mode],
        fence=reservation.fence,
        cursor=cursor,
        message_id=message_id,
    )


def _rule(command: ForceRelease, reservation: Reservation, tx: Transaction) -> Mapping[str, object]:
    """Return by which rule the caller may take this.

    A condition that is stated binds an operator as well: whoever says "if silent" does not mean "in any case".
    Raises: ForceReleaseRefused.
    """
    holder = tx.state.agents.name_of(reservation.holder)
    wanted_s = command.if_silent_seconds
    if wanted_s is None:
        if tx.caller.is_local:
            return {"rule": "operator"}
        raise ForceReleaseRefused(holder)
    silent_s = tx.state.silence_s(reservation.holder, tx.now.mono_s)
    if silent_s is None or silent_s <= wanted_s:
        raise ForceReleaseRefused(holder, wanted_s, silent_s)
    return {"rule": "silence", "silent_s": int(silent_s)}
