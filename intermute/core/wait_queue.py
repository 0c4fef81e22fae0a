"""Who waits for what, in which order, and who may go next.

Decided here and nowhere else: fairness among waiters. First come, first served among claims that clash; claims that do
not clash pass each other freely. A newcomer that clashes with a waiter goes behind it, unless that waiter waits for
something the newcomer's holder has already: it would have to wait on, whatever the newcomer does, and making the newcomer
wait for it would close a circle.

Invariants: of two clashing waiters exactly one goes behind the other, from the moment the later one came; the waits-for
graph of holders has no cycle. Whoever would close one is refused on arrival. No cycle can appear later: an admission turns
an edge to a waiter into one to the same holder, everything else only takes edges away. That holds as long as nothing is
granted past the queue; after a grant by force, a transfer or a change of mode past it, ask `find_cycle`.
Pure: the queue knows neither time nor who holds what; the caller looks that up (`Obstacles`) and asks again after
every change.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Claim = TypeVar("Claim")

Obstacles = Callable[[Claim], Iterable[Claim]]
"""Returns the granted claims of others that clash with this one, in a stable order."""


@dataclass(slots=True, eq=False)
class Waiter(Generic[Claim]):
    """A claim that waits. `sequence` is its ticket: it only grows, and is never used again."""

    sequence: int
    holder: str
    claim: Claim
    behind: "dict[int, Waiter[Claim]]" = field(default_factory=dict, repr=False)
    """The waiters that go first, by their sequence."""


@dataclass(frozen=True, slots=True)
class Deadlock:
    """The refusal of a claim that would wait for itself: each holder waits for the next one, the last for the first."""

    cycle: tuple[str, ...]


class WaitQueue(Generic[Claim]):
    """The waiting claims of one project. Iterating yields them in the order in which they came.

    `clashes` is symmetric; it is never asked about two claims of one holder.
    Cost: an arrival compares with each waiter once and walks the holders it waits for; an admission asks for the
    obstacles of those waiters that are behind nobody.
    """

    __slots__ = ("_clashes", "_holder_of", "_last_sequence", "_waiters")

    def __init__(self, clashes: Callable[[Claim, Claim], bool], holder_of: Callable[[Claim], str]) -> None:
        self._clashes = clashes
        self._holder_of = holder_of
        self._last_sequence = 0
        self._waiters: dict[int, Waiter[Claim]] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter[Claim]]:
        return iter(self._waiters.values())

    def get(self, sequence: int) -> Waiter[Claim] | None:
        """Return the waiter with this ticket, unless it was admitted or has left."""
        return self._waiters.get(sequence)

    def ahead_of(self, claim: Claim, obstacles: Obstacles[Claim]) -> list[Waiter[Claim]]:
        """Return the waiters that a newcomer has to let go first, in their order.

        With none of them, and no obstacle, the newcomer may be granted at once without overtaking anybody.
        """
        return [
            waiter for waiter in self._clashing(claim) if not self._waits_for(waiter, self._holder_of(claim), obstacles)
        ]

    def enqueue(self, claim: Claim, obstacles: Obstacles[Claim]) -> Waiter[Claim] | Deadlock:
        """Put a claim into the queue and return its ticket, or the cycle it would close; then nothing is changed."""
        holder = self._holder_of(claim)
        ahead = self.ahead_of(claim, obstacles)
        needed = [*map(self._holder_of, obstacles(claim)), *(waiter.holder for waiter in ahead)]
        cycle = self._cycle(holder, needed, obstacles)
        if cycle is not None:
            return Deadlock(cycle)
        self._last_sequence += 1
        newcomer = Waiter(self._last_sequence, holder, claim, {waiter.sequence: waiter for waiter in ahead})
        for waiter in self._clashing(claim):
            if waiter.sequence not in newcomer.behind:
                waiter.behind[newcomer.sequence] = newcomer
        self._waiters[newcomer.sequence] = newcomer
        return newcomer

    def admit(self, obstacles: Obstacles[Claim]) -> list[Waiter[Claim]]:
        """Take out and return those who may be granted now, all together, the first come first.

        No two of them clash: one would be behind the other. To be called whenever a grant ends or a waiter leaves; calling
        it more often is harmless.
        """
        admitted = [waiter for waiter in self if not waiter.behind and not any(True for _ in obstacles(waiter.claim))]
        for waiter in admitted:
            self._forget(waiter)
        return admitted

    def leave(self, sequence: int) -> Waiter[Claim] | None:
        """Take a waiter out and return it, or None where there is none with this ticket."""
        waiter = self._waiters.get(sequence)
        if waiter is not None:
            self._forget(waiter)
        return waiter

    def find_cycle(self, obstacles: Obstacles[Claim]) -> Deadlock | None:
        """Return a cycle among the waiters, through the latest one that is part of any."""
        found = self.find_circular(obstacles)
        return None if found is None else found[1]

    def find_circular(self, obstacles: Obstacles[Claim]) -> tuple[Waiter[Claim], Deadlock] | None:
        """Return the latest waiter that waits for its own holder, over however many others, and its cycle."""
        for waiter in reversed(self._waiters.values()):
            cycle = self._cycle(waiter.holder, self._needed_for(waiter, obstacles), obstacles)
            if cycle is not None:
                return waiter, Deadlock(cycle)
        return None

    def waits_for(self, obstacles: Obstacles[Claim]) -> dict[str, tuple[str, ...]]:
        """Return for each waiting holder those it waits for, sorted."""
        holders = sorted({waiter.holder for waiter in self})
        return {holder: tuple(sorted(set(self._needed_by(holder, obstacles)))) for holder in holders}

    def _forget(self, waiter: Waiter[Claim]) -> None:
        del self._waiters[waiter.sequence]
        for other in self._waiters.values():
            other.behind.pop(waiter.sequence, None)

    def _clashing(self, claim: Claim) -> list[Waiter[Claim]]:
        holder = self._holder_of(claim)
        return [waiter for waiter in self if waiter.holder != holder and self._clashes(claim, waiter.claim)]

    def _waits_for(self, waiter: Waiter[Claim], holder: str, obstacles: Obstacles[Claim]) -> bool:
        return any(self._holder_of(granted) == holder for granted in obstacles(waiter.claim))

    def _needed_by(self, holder: str, obstacles: Obstacles[Claim]) -> Iterator[str]:
        for waiter in self:
            if waiter.holder == holder:
                yield from self._needed_for(waiter, obstacles)

    def _needed_for(self, waiter: Waiter[Claim], obstacles: Obstacles[Claim]) -> Iterator[str]:
        yield from map(self._holder_of, obstacles(waiter.claim))
        yield from (other.holder for other in waiter.behind.values())

    def _cycle(self, asker: str, needed: Iterable[str], obstacles: Obstacles[Claim]) -> tuple[str, ...] | None:
        """Return a shortest way back to the asker, itself first, or None where nobody it needs waits for it."""
        came_from: dict[str, str] = {}
        agenda: deque[str] = deque()

        def reach(holders: Iterable[str], source: str) -> None:
            for holder in holders:
                if holder not in came_from:
                    came_from[holder] = source
                    agenda.append(holder)

        reach(needed, asker)
        while agenda and asker not in came_from:
            holder = agenda.popleft()
            reach(self._needed_by(holder, obstacles), holder)
        if asker not in came_from:
            return None
        way = [came_from[asker]]
        while way[-1] != asker:
            way.append(came_from[way[-1]])
        return tuple(reversed(way))
