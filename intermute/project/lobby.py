"""The lobby: where calls wait for their turn at what others hold, each under its ticket.

The queue itself is the actor's (`core/waiting_room.py`); a call in the lobby looks, whenever there is news, what has become
of its ticket. Source: issue 3 point 5.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
import trio
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.reservations import ReservationView, Reserve, Waiting
from intermute.core.claim_index import Work
from intermute.core.once import Reply
from intermute.core.wishes import OnConflict
from intermute.project.clock import ProjectClock
from intermute.project.handlers.turns import Queued, granted_turn_view, waiting_view
from intermute.project.mail import Request
from intermute.project.state import ProjectState

_WORTH_WAITING_S = 0.05  # seconds; with less left it is not worth telling the holders once more. A guess.


class Lobby:
    """Wakes the waiting calls of one project when there is news for any of them."""

    def __init__(self) -> None:
        self._news = trio.Event()
        self._callers: Counter[str] = Counter()

    @contextmanager
    def calling(self, ticket: str) -> Iterator[None]:
        """Count a call as waiting under this ticket for the length of the block."""
        self._callers[ticket] += 1
        try:
            yield
        finally:
            self._callers[ticket] -= 1
            if not self._callers[ticket]:
                del self._callers[ticket]

    def is_attended(self, ticket: str) -> bool:
        """Tell whether some call waits under this ticket."""
        return ticket in self._callers

    def tell(self, state: ProjectState) -> None:
        """Wake the calls if somebody was admitted, refused or sent away."""
        if state.waiting.has_news:
            state.waiting.has_news = False
            self.wake()

    def wake(self) -> None:
        """Let every waiting call look again."""
        news, self._news = self._news, trio.Event()
        news.set()

    async def news(self) -> None:
        """Return at the next news."""
        await self._news.wait()


class Asking(Protocol):
    """What a waiting call needs of its project."""

    lobby: Lobby
    clock: ProjectClock

    def known_state(self) -> ProjectState:
        """Return the memory, the last one while a new one is being built."""

    async def ask(self, request: Request) -> Any:  # Any: the operation table says which view.
        """Have the actor decide a command. Raises: DomainError."""

    def check_sound(self) -> None:
        """Refuse to work on a damaged file. Raises: ProjectQuarantined."""

    def note_leaving(self) -> None:
        """Have the actor let those go on who were behind one that has left."""


async def wait_for_turn(project: Asking, queued: Queued, request: Request) -> ReservationView | Waiting | Reply:
    """Wait until the request is granted, its time is up, or the call has lasted for as long as one may.

    In the last case it keeps its place, and the answer is its ticket. If the queue was lost (a restart of the actor), the
    request is asked again. Cancellation: the client has gone, and the request leaves the queue. Raises: DomainError.
    """
    command = request.command
    assert isinstance(command, Reserve), "nothing else waits"
    ends_s = trio.current_time() + limits.WAIT_MAX_S
    wished_s = limits.WAIT_MAX_S if command.wait_seconds is None else command.wait_seconds
    gives_up_s = trio.current_time() + wished_s
    reply: object = queued
    while isinstance(reply, Queued):
        ticket = reply.ticket
        if (wait := project.known_state().waiting.get(ticket)) is not None:
            gives_up_s = wait.ends_s
        found = await _outcome(project, ticket, min(ends_s, gives_up_s))
        if found is not None:
            return found
        left_s = gives_up_s - trio.current_time()
        # With its ticket also where the time is up: it may have been granted at that very moment, and then it is that.
        again = msgspec.structs.replace(
            command,
            on_conflict=OnConflict.WAIT,
            wait_seconds=left_s if left_s > _WORTH_WAITING_S else 0.0,
            ticket=ticket,
        )
        reply = await project.ask(replace(request, command=again))
    assert isinstance(reply, ReservationView | Reply)
    return reply


async def _outcome(project: Asking, ticket: str, ends_s: float) -> ReservationView | Waiting | None:
    """Return the answer, or None where the request is to be asked again: its time is up, or nobody knows the ticket."""
    is_settled = False
    try:
        with project.lobby.calling(ticket), trio.move_on_at(ends_s) as waiting:
            while (state := project.known_state()).leases.committed(ticket) is None:
                if ticket not in state.waiting:
                    if state.leases.get(ticket) is None:
                        if (refusal := state.waiting.refusal(ticket)) is not None:
                            raise refusal
                        return None
                    waiting.deadline = math.inf  # Granted; it is being stored right now.
                await project.lobby.news()
                project.check_sound()
        state = project.known_state()
        now = project.clock.now()
        if (lease := state.leases.committed(ticket)) is not None:
            is_settled = True
            return granted_turn_view(lease, state, now, Work(), is_committed=True)
        wait = state.waiting.get(ticket)
        if wait is not None and wait.ends_s > now.mono_s:
            view = waiting_view(wait, state, now, Work())
            is_settled = True
            return view
        return None
    finally:
        if not is_settled:
            let_go(project, ticket)


def let_go(project: Asking, ticket: str) -> None:
    """Take a waiter out of the queue whose call has gone, or whose time is up; not while another call waits for it."""
    waiting = project.known_state().waiting
    wait = waiting.get(ticket)
    if wait is None or (wait.ends_s > trio.current_time() and project.lobby.is_attended(ticket)):
        return
    waiting.leave(ticket)
    project.note_leaving()
