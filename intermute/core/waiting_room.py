"""The waiting room: the wishes that wait for their turn, found by ticket, and for how long each keeps its place.

The order is that of `wait_queue`; this adds what a project knows of a waiter. A ticket is the id that the reservation will
have, so whoever holds one can ask for either. All of it is memory: after a restart the waiters ask again, and what was
granted is in the book. Source: claims.md 7, issue 3 point 5.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from intermute.core import limits
from intermute.core.claim_index import ClaimIndex, Work
from intermute.core.claim_records import Claim
from intermute.core.claims import Policy
from intermute.core.errors import Deadlock, DomainError, PatternTooBroad, TooManyWaiters
from intermute.core.ids import AgentId
from intermute.core.wait_queue import Deadlock as Cycle
from intermute.core.wait_queue import Obstacles, Waiter, WaitQueue
from intermute.core.wishes import Wish

_TOLD_MAX = 4096  # pairs of a reservation and who wants it that are remembered; a guess: about 1 MiB.
_REFUSALS_MAX = 2 * limits.WAITERS_PER_PROJECT_MAX  # refusals kept for waiters that have not come for them yet.


@dataclass(slots=True)
class Wait:
    """One wish in the queue. `ends_s` is the monotonic time until which it keeps its place."""

    wish: Wish
    sequence: int
    since_s: float
    ends_s: float


class Span(NamedTuple):
    """From when to when a wish waits, in monotonic seconds."""

    since_s: float
    ends_s: float


class WaitingRoom:
    """The waiting wishes of one project."""

    def __init__(self) -> None:
        self._queue: WaitQueue[Claim] = WaitQueue(self._is_met, lambda claim: claim.holder)
        self._index = ClaimIndex()
        self._waits: dict[str, Wait] = {}
        self._refusals: dict[str, DomainError] = {}
        self._met: tuple[Claim, frozenset[str]] | None = None
        self.watched: dict[str, tuple[str, int]] = {}
        """By ticket: one thing that stood in the way, with its `changed`. While it stands nothing else needs a look."""
        self._told: dict[tuple[str, str], float] = {}
        self.has_news = False
        """Somebody has been admitted, refused or sent away since the last look."""

    def __len__(self) -> int:
        return len(self._waits)

    def __iter__(self) -> Iterator[Wait]:
        """Yield the waits, the first come first."""
        return iter(self._waits.values())

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._waits

    def get(self, ticket: str) -> Wait | None:
        """Return the wait of this ticket, unless it was admitted, refused or has left."""
        return self._waits.get(ticket)

    def of_key(self, holder: AgentId, key: str) -> Wait | None:
        """Return the holder's wait for what it asked under this idempotency key."""
        for wait in self:
            if wait.wish.claim.holder == holder and wait.wish.idempotency and wait.wish.idempotency.key == key:
                return wait
        return None

    def of_once(self, place: bytes) -> Wait | None:
        """Return the wait for what was asked under this key of this caller."""
        return next((wait for wait in self if wait.wish.once and wait.wish.once.place == place), None)

    def count_of(self, holder: AgentId) -> int:
        """Return how many wishes of this holder wait."""
        return sum(wait.wish.claim.holder == holder for wait in self)

    def next_end_s(self) -> float | None:
        """Return the monotonic time at which the next wait ends, or None while there is none."""
        return min((wait.ends_s for wait in self), default=None)

    def refusal(self, ticket: str) -> DomainError | None:
        """Return why the waiter with this ticket was refused, once; None for one that was not."""
        return self._refusals.pop(ticket, None)

    def is_news(self, reservation_id: str, asker: AgentId, now_s: float) -> bool:
        """Tell whether a holder has yet to hear that somebody wants this, and note that it does.

        Whoever waits for a moment again and again says nothing new, and must not fill the log with it.
        """
        key = (reservation_id, asker)
        if now_s - self._told.get(key, -math.inf) < limits.WANTED_EVERY_S:
            return False
        self._told.pop(key, None)
        self._told[key] = now_s
        if len(self._told) > _TOLD_MAX:
            del self._told[next(iter(self._told))]
        return True

    def ahead_of(self, claim: Claim, policy: Policy, obstacles: Obstacles[Claim], work: Work) -> list[Claim]:
        """Return the waiting claims that this one has to let go first, whether it waits already or is a newcomer.

        Raises: PatternTooBroad.
        """
        if not self._waits:
            return []
        if (waiter := self._waiter(claim.id)) is not None:
            return [each.claim for each in waiter.behind.values()]
        self._meet(claim, policy, work)
        return [waiter.claim for waiter in self._queue.ahead_of(claim, obstacles)]

    def enqueue(
        self, wish: Wish, policy: Policy, obstacles: Obstacles[Claim], span: "Span", work: Work
    ) -> Wait | Cycle:
        """Put a wish into the queue, or return the cycle it would close; then nothing is changed.

        Raises: TooManyWaiters, PatternTooBroad; nothing is changed then either.
        """
        holder = wish.claim.holder
        if len(self) >= limits.WAITERS_PER_PROJECT_MAX:
            raise TooManyWaiters("the project", len(self))
        if (count := self.count_of(holder)) >= limits.WAITERS_PER_AGENT_MAX:
            raise TooManyWaiters("you", count)
        self._meet(wish.claim, policy, work)
        queued = self._queue.enqueue(wish.claim, obstacles)
        if isinstance(queued, Cycle):
            return queued
        wait = Wait(wish, queued.sequence, span.since_s, span.ends_s)
        self._waits[wish.claim.id] = wait
        self._index.put(wish.claim)
        return wait

    def admit(self, obstacles: Obstacles[Claim]) -> list[Wait]:
        """Take out and return those who may be granted now, all together, the first come first.

        Whoever meets more by now than can be looked up is refused.
        """
        too_broad: list[str] = []

        def looked_up(claim: Claim) -> Iterator[Claim]:
            try:
                yield from obstacles(claim)
            except PatternTooBroad:
                too_broad.append(claim.id)
                yield claim  # Anything will do: it is not admitted.

        admitted = [self._waits[waiter.claim.id] for waiter in self._queue.admit(looked_up)]
        for wait in admitted:
            self._forget(wait)
        for ticket in too_broad:
            self.refuse(ticket, PatternTooBroad())
        return admitted

    def leave(self, ticket: str) -> Wait | None:
        """Take a waiter out and return it, or None where there is none with this ticket; `admit` is due after it."""
        wait = self._waits.get(ticket)
        if wait is not None:
            self._queue.leave(wait.sequence)
            self._forget(wait)
        return wait

    def refuse(self, ticket: str, why: DomainError) -> None:
        """Take a waiter out and keep for it why."""
        if self.leave(ticket) is not None:
            self._refusals[ticket] = why
            while len(self._refusals) > _REFUSALS_MAX:
                del self._refusals[next(iter(self._refusals))]

    def break_cycles(self, obstacles: Obstacles[Claim], name_of: Callable[[AgentId], str]) -> list[Wait]:
        """Refuse the latest waiter of every cycle, and return those; for grants and changes past the queue."""
        refused: list[Wait] = []
        while (found := self._queue.find_circular(obstacles)) is not None:
            waiter, cycle = found
            refused.append(self._waits[waiter.claim.id])
            self.refuse(waiter.claim.id, Deadlock([name_of(AgentId(holder)) for holder in cycle.cycle]))
        return refused

    def waits_for(self, obstacles: Obstacles[Claim]) -> dict[str, tuple[str, ...]]:
        """Return for each waiting holder those it waits for, sorted."""
        return self._queue.waits_for(obstacles)

    def _waiter(self, ticket: str) -> Waiter[Claim] | None:
        wait = self._waits.get(ticket)
        return None if wait is None else self._queue.get(wait.sequence)

    def _forget(self, wait: Wait) -> None:
        del self._waits[wait.wish.claim.id]
        self._index.remove(wait.wish.claim.id)
        self.watched.pop(wait.wish.claim.id, None)
        self.has_news = True

    def _meet(self, claim: Claim, policy: Policy, work: Work) -> None:
        """Look up which waiters a newcomer clashes with, so that the queue need not compare it with each of them."""
        self._met = claim, frozenset(each.id for each in self._index.obstacles(claim, policy, work=work))

    def _is_met(self, newcomer: Claim, waiting: Claim) -> bool:
        assert self._met is not None
        assert self._met[0] is newcomer
        return waiting.id in self._met[1]
