"""Handing over: giving a reservation away, and asking its holder for one.

Each is one event that everyone hears, and one message to the agent that gains or is asked.
Source: issue 3 point 6, decisions/0009-handing-over.md.
"""

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.agents import Identity, act_as
from intermute.core.api.handing_over import (
    ForceRelease,
    Requested,
    RequestRelease,
    TransferReservation,
)
from intermute.core.api.reservations import ReservationView
from intermute.core.errors import (
    InvalidRequest,
    ReservationLimit,
    TransferConflict,
    UnknownAgent,
)
from intermute.core.events import EventType
from intermute.core.findings import Verdict
from intermute.core.ids import AgentId
from intermute.core.reservation import Reservation
from intermute.project.handlers.finding_views import conflict_views
from intermute.project.handlers.granting import reservation_event_fields
from intermute.project.handlers.intent_changes import end_intents_of
from intermute.project.handlers.letters import label, tell
from intermute.project.handlers.reservation_views import active_view
from intermute.project.handlers.reservations import active_reservation, facts_for_reservation, mine
from intermute.project.handlers.turns import settle_queue
from intermute.project.transaction import Facts, Transaction
from intermute.store import release_requests
from intermute.store import reservations as rows
from intermute.store.release_requests import ReleaseRequest

_ADVICE = "wait for the event reservation.released, or work elsewhere meanwhile."


def transfer_reservation(command: TransferReservation, tx: Transaction) -> ReservationView:
    """Give a reservation to another agent, under a new fence: what its old holder still writes can be told apart."""
    reservation = mine(command.reservation_id, command.agent_id or command.agent, tx)
    agents, leases = tx.state.agents, tx.state.leases
    receiver = agents.find(command.to)
    if receiver is None:
        raise UnknownAgent(command.to)
    if receiver.id == reservation.holder:
        raise InvalidRequest([("to", "holds it already: name another agent")])
    if (held := leases.count_of(receiver.id)) >= limits.RESERVATIONS_PER_AGENT_MAX:
        raise ReservationLimit(receiver.name, held, 1)
    # Everybody else's reservations go with this one; the giver's own were never compared with it.
    wish = replace(reservation.claim, holder=receiver.id)
    found = leases.findings(wish, tx.state.policy, besides={reservation.id})
    if conflicts := [finding for finding in found if finding.verdict is Verdict.CONFLICT]:
        shown = conflicts[: limits.CONFLICTS_SHOWN_MAX]
        raise TransferConflict(conflict_views(shown, tx.state, tx.now), receiver.name)
    giver = Identity(reservation.holder, tx.identity().is_verified)
    giver_name = agents.name_of(reservation.holder)
    handed_over = leases.hand_over(reservation, receiver.id, tx.next_cursor())
    tx.write(rows.hand_over(handed_over))
    tx.facts.hand_over(handed_over.id, handed_over.holder, handed_over.fence)
    fence = tx.emit(
        EventType.RESERVATION_TRANSFERRED,
        {
            **reservation_event_fields(handed_over, tx),
            "from": reservation.holder,
            "from_name": giver_name,
            "to": receiver.id,
            "to_name": receiver.name,
            "old_fence": reservation.fence,
            "reason": command.reason or "",
        },
    )
    assert fence == handed_over.fence
    end_intents_of(handed_over.id, "transferred", tx)
    tell(
        giver,
        receiver.id,
        f"You now hold {label(reservation)}",
        f"{giver_name} handed this reservation over to you; its fence is now {fence}.",
        {"event": EventType.RESERVATION_TRANSFERRED, "reservation_id": reservation.id},
        tx,
        words=command.reason,
    )
    settle_queue(tx)
    tx.heard(agents.find(reservation.holder))
    # So that the ticker looks soon: the receiver's silence may end this before any deadline that the ticker knows of.
    tx.state.unflushed_heartbeats.add(receiver.id)
    notes = []
    if not receiver.is_live(tx.now.mono_s):
        notes.append(f"{receiver.name!r} has been silent for 5 minutes: it loses this again unless it is heard soon.")
    return active_view(handed_over, tx.state, tx.now, notes=notes)


def facts_for_request(connection: apsw.Connection, command: RequestRelease, facts: Facts) -> None:
    """Fetch the reservation's row, and which requests for it are unread."""
    facts_for_reservation(connection, command, facts)
    if command.reservation_id not in facts.requests:
        facts.requests[command.reservation_id] = release_requests.unread(connection, command.reservation_id)


def request_release(command: RequestRelease, tx: Transaction) -> Requested:
    """Ask the holder to let go; an asker whose last message is unread has asked already."""
    reservation = active_reservation(command.reservation_id, tx)
    agents = tx.state.agents
    identity = tx.identity()
    asker = speaker_of(command, identity, tx)
    if asker is None:
        raise InvalidRequest([("agent_id", "say who asks: your agent id or name, here or in X-Agent-ID")])
    refuse_own(reservation, asker)
    tx.heard(agents.find(asker))
    holder = agents.name_of(reservation.holder)
    unread = _unread_requests(reservation, tx)
    earlier = [each.message_id for each in unread if agents.canonical(each.asker) == asker]
    if earlier or len(unread) >= limits.REQUESTS_UNREAD_MAX:
        whose = "your request" if earlier else f"{len(unread)} requests for this"
        return Requested(
            reservation_id=reservation.id,
            agent_id=reservation.holder,
            held_by=holder,
            asked=False,
            message_id=earlier[0] if earlier else None,
            message=f"{holder!r} has not read {whose} yet, so nothing was sent: {_ADVICE}",
        )
    tx.emit(
        EventType.RESERVATION_WANTED,
        {
            **reservation_event_fields(reservation, tx),
            "wanted_by": asker,
            "wanted_by_name": agents.name_of(asker),
            "reason": command.reason or "",
        },
    )
    message_id = tell(
        Identity(asker, identity.is_verified),
        reservation.holder,
        f"Please let go of {label(reservation)}",
        f"{agents.name_of(asker)} wants to work there and gave no reason.",
        {"event": EventType.RESERVATION_WANTED, "reservation_id": reservation.id},
        tx,
        words=command.reason,
    )
    request = ReleaseRequest(asker, reservation.fence, message_id)
    tx.write(release_requests.save(reservation.id, request))
    tx.facts.requests.setdefault(reservation.id, []).append(request)
    return Requested(
        reservation_id=reservation.id,
        agent_id=reservation.holder,
        held_by=holder,
        asked=True,
        message_id=message_id,
        message=f"{holder!r} was asked: {_ADVICE}",
    )


def _unread_requests(reservation: Reservation, tx: Transaction) -> list[ReleaseRequest]:
    """Return the requests to its present holder that are unread, the marks of the running batch included."""

    def is_unread(request: ReleaseRequest) -> bool:
        receipts = tx.facts.receipts.get(request.message_id, {}).values()
        return all(receipt.read_at_us is None for receipt in receipts)

    requests = tx.facts.requests.get(reservation.id, [])
    return [each for each in requests if each.fence == reservation.fence and is_unread(each)]


def speaker_of(command: RequestRelease | ForceRelease, identity: Identity, tx: Transaction) -> AgentId | None:
    """Return in whose name the caller acts, if it says so. Raises: AgentIdentityMismatch."""
    given = command.agent_id or command.agent
    return act_as(identity, tx.state.agents.canonical(given) if given else None)


def refuse_own(reservation: Reservation, speaker: AgentId | None) -> None:
    """Send a holder to the plain way. Raises: InvalidRequest."""
    if speaker == reservation.holder:
        raise InvalidRequest([("reservation_id", "is your own reservation: DELETE it to release it")])
