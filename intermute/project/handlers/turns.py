"""Waiting for a turn: into the queue, out of it, and forward when something ends.

Who goes next is decided in `core/wait_queue.py`. The queue is memory: a restart empties it, and waiters ask again.
Source: issue 3 point 5, claims.md 7.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apsw

from intermute.core import limits
from intermute.core.api.reservations import GetReservation, ListWaiting, ReservationView, Waiting, WaitingList
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim
from intermute.core.errors import Deadlock, PatternTooBroad, ReservationEnded, TooMuchInTheWay, UnknownReservation
from intermute.core.events import EventType
from intermute.core.ids import AgentId
from intermute.core.reservation import Reservation
from intermute.core.times import Now
from intermute.core.wait_queue import Deadlock as Cycle
from intermute.core.waiting_room import Span, Wait
from intermute.core.wishes import Wish
from intermute.project.handlers.finding_views import claimed_targets, conflict_views
from intermute.project.handlers.granting import grant, reservation_event_fields
from intermute.project.handlers.meetings import Meeting, affordable_obstacles_in, meet, obstacles_in
from intermute.project.handlers.reservation_views import active_view, row_view
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import reservations as rows


@dataclass(frozen=True, slots=True)
class Queued:
    """The reply to a request that waits now; whoever asked waits on, and no client ever sees it."""

    ticket: str


def enqueue(wish: Wish, wait_s: float, met: Meeting, work: Work, tx: Transaction) -> Queued:
    """Put a wish that met something into the queue, and tell the holders that it is wanted.

    Raises: TooManyWaiters, TooMuchInTheWay, Deadlock, PatternTooBroad.
    """
    state, now_s = tx.state, tx.now.mono_s
    # What it costs to look is what it will cost whenever something ends, so it is bounded more tightly than a request.
    narrow = Work(steps_max=limits.WAIT_LOOKUP_STEPS_MAX)
    held = list(obstacles_in(state, narrow)(wish.claim))
    if len(held) > limits.WAIT_OBSTACLES_MAX:
        raise TooMuchInTheWay(limits.WAIT_OBSTACLES_MAX)
    of_others = affordable_obstacles_in(state, work.for_others())

    def obstacles(claim: Claim) -> Iterable[Claim]:
        return held if claim is wish.claim else of_others(claim)

    queued = state.waiting.enqueue(wish, state.policy, obstacles, Span(now_s, now_s + wait_s), work)
    if isinstance(queued, Cycle):
        raise Deadlock([state.agents.name_of(AgentId(holder)) for holder in queued.cycle])
    examples = {finding.claim.id: finding for finding in reversed(met.conflicts)}
    for claim in held[: limits.WANTED_EVENTS_MAX]:
        reservation = state.leases.get(claim.id)
        assert reservation is not None
        if not state.waiting.is_news(reservation.id, wish.claim.holder, now_s):
            continue
        found = examples.get(claim.id)
        tx.emit(
            EventType.RESERVATION_WANTED,
            {
                **reservation_event_fields(reservation, tx),
                "wanted_by": wish.claim.holder,
                "wanted_by_name": state.agents.name_of(wish.claim.holder),
                "reason": wish.reason,
                "ticket": wish.claim.id,
                "example": found.example if found else None,
            },
        )
    return Queued(wish.claim.id)


def admit_waiters(tx: Transaction) -> None:
    """Grant what nothing stands in the way of any more: after every end, and after every change that lets somebody by."""
    waiting = tx.state.waiting
    if not len(waiting):
        return

    leases, watched = tx.state.leases, waiting.watched

    def obstacles(claim: Claim) -> Iterator[Claim]:
        # Lazy, since the first one decides; and each waiter may cost what it cost to be let into the queue.
        known_id, known_changed = watched.get(claim.id, ("", 0))
        known = leases.get(known_id)
        if known is not None and known.changed == known_changed:
            yield known.claim
            return
        for found in leases.obstacles(claim, tx.state.policy, work=Work(steps_max=limits.WAIT_LOOKUP_STEPS_MAX)):
            lease = leases.get(found.id)
            assert lease is not None
            watched[claim.id] = lease.id, lease.changed
            yield found

    for wait in waiting.admit(obstacles):
        _grant_turn(wait, tx)


def _grant_turn(wait: Wait, tx: Transaction) -> None:
    reservation = grant(wait.wish, tx)
    if wait.wish.once is not None:
        narrow = Work(steps_max=limits.WAIT_LOOKUP_STEPS_MAX)
        tx.keep(wait.wish.once, granted_turn_view(reservation, tx.state, tx.now, narrow))
    tx.emit(
        EventType.RESERVATION_GRANTED,
        {
            **reservation_event_fields(reservation, tx),
            "ticket": reservation.id,
            "waited_ms": round((tx.now.mono_s - wait.since_s) * 1000),
        },
        audience=frozenset({reservation.holder}),
    )


def granted_turn_view(
    lease: Reservation, state: ProjectState, now: Now, work: Work, *, is_committed: bool = False
) -> ReservationView:
    """Return a grant as one who waited for it is told, with what it meets that does not stand in its way."""
    try:
        met = meet(lease.claim, state, work=work, is_committed=is_committed, is_past_queue=True)
    except PatternTooBroad:  # It is granted all the same.
        return active_view(lease, state, now, warnings=[])
    return active_view(lease, state, now, warnings=conflict_views(met.warnings, state, now))


def settle_queue(tx: Transaction) -> None:
    """Put the queue in order after something was granted or changed past it. It never refuses: the change is made."""
    waiting = tx.state.waiting
    if not len(waiting):
        return
    waiting.break_cycles(affordable_obstacles_in(tx.state, Work()), tx.state.agents.name_of)
    admit_waiters(tx)


def end_waits(tx: Transaction) -> None:
    """Send those away whose time is up or who have been silent for too long, and let the others go on."""
    state, now_s = tx.state, tx.now.mono_s
    for wait in list(state.waiting):
        agent = state.agents.find(wait.wish.claim.holder)
        if wait.ends_s <= now_s or (agent is not None and not agent.is_live(now_s)):
            state.waiting.leave(wait.wish.claim.id)
    admit_waiters(tx)


def give_up(ticket: str, tx: Transaction) -> None:
    """Take a waiter out for good: a call that still waits under the ticket is told so, instead of asking again."""
    tx.state.waiting.refuse(ticket, ReservationEnded(ticket, "released"))
    admit_waiters(tx)


def give_up_all(holder: AgentId, tx: Transaction) -> list[str]:
    """Take everything that a holder waits for out of the queue for good, and return the tickets."""
    given_up = [wait.wish.claim.id for wait in tx.state.waiting if wait.wish.claim.holder == holder]
    for ticket in given_up:
        give_up(ticket, tx)
    return given_up


def leave_all(holder: AgentId, tx: Transaction) -> list[str]:
    """Take everything that a holder waits for out of the queue, to be asked again, and return the tickets."""
    left = [wait.wish.claim.id for wait in tx.state.waiting if wait.wish.claim.holder == holder]
    for ticket in left:
        tx.state.waiting.leave(ticket)
    if left:
        admit_waiters(tx)
    return left


def waiting_view(wait: Wait, state: ProjectState, now: Now, work: Work) -> Waiting:
    """Return a wait as the interface shows it, with what it waits for as it is stored, as far as the work lasts."""
    claim = wait.wish.claim
    try:
        shown = meet(claim, state, work=work, is_committed=True).shown
    except PatternTooBroad:
        shown = []
    ahead = state.waiting.ahead_of(claim, state.policy, affordable_obstacles_in(state, work.for_others()), work)
    left_s = max(0, round(wait.ends_s - now.mono_s))
    return Waiting(
        waiting=True,
        ticket=claim.id,
        agent_id=claim.holder,
        held_by=state.agents.name_of(claim.holder),
        project=state.name,
        targets=claimed_targets(claim.targets),
        ahead=[state.agents.name_of(other.holder) for other in ahead],
        conflicts=conflict_views(shown, state, now),
        keeps_place_for_s=left_s,
        message=(
            f"You keep your place for {left_s} s: send the request again with this ticket to wait on, or wait for the "
            "event reservation.granted. DELETE /api/reservations/{ticket} gives the place up."
        ),
    )


def list_waiting(_query: ListWaiting, desk: Desk) -> WaitingList:
    """Return the queue in the order in which its members came, and who waits for whom; of very broad ones, not all."""
    state = desk.state
    name_of = state.agents.name_of
    graph = state.waiting.waits_for(affordable_obstacles_in(state, Work()))
    work = Work()
    return WaitingList(
        waiting=[waiting_view(wait, state, desk.now, work) for wait in state.waiting],
        waits_for={
            name_of(AgentId(holder)): [name_of(AgentId(other)) for other in others] for holder, others in graph.items()
        },
    )


def get_reservation(query: GetReservation, desk: Desk) -> Waiting | FromStore[ReservationView]:
    """Return one reservation, active or ended, or what waits under this ticket."""
    if (wait := desk.state.waiting.get(query.reservation_id)) is not None:
        return waiting_view(wait, desk.state, desk.now, Work())

    def work(connection: apsw.Connection) -> ReservationView:
        row = rows.one(connection, query.reservation_id)
        if row is None:
            raise UnknownReservation(query.reservation_id)
        return row_view(row, desk.state, desk.now)

    return FromStore(work)
