"""The lease book: which reservations are active, until when, and what stands in the way of a new one.

One holder never clashes with itself. A lease ends at its monotonic deadline, exactly then and not before. While a batch
is on its way to the disk the book is ahead of it; `committed_conflicts` answers for what is already stored, so that a
check never shows what a power cut could still take back. Source: design.md 3 and 8, claims.md 4 and 5.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lock_table import LockTable, Mode, compatible
from intermute.core.lock_trie import WorkBudget
from intermute.core.patterns import Pattern, overlap

_LEFTOVERS_MAX = 1024  # outdated deadlines kept beside as many as there are leases; a guess: about 100 KiB.
NOBODY = AgentId("")
"""Stands for an asker who did not say who it is; no address is empty, so it holds nothing."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """An active reservation. `deadline_s` is monotonic and binds; `expires_at_us` is for display and for a restart."""

    id: ReservationId
    holder: AgentId
    patterns: tuple[Pattern, ...]
    mode: Mode
    reason: str
    fence: int
    created_at_us: Micros
    expires_at_us: Micros
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Clash:
    """One requested pattern against one held pattern, with an example path that both match."""

    held: Reservation
    held_pattern: Pattern
    requested: Pattern
    example: str


@dataclass(slots=True)
class LeaseBook:
    """All active reservations of one project."""

    _by_id: dict[ReservationId, Reservation] = field(default_factory=dict)
    _by_holder: dict[AgentId, set[ReservationId]] = field(default_factory=dict)
    _deadlines: list[tuple[float, ReservationId]] = field(default_factory=list)
    _table: LockTable = field(default_factory=LockTable)
    _unstored_grants: set[ReservationId] = field(default_factory=set)
    _before_batch: dict[ReservationId, Reservation] = field(default_factory=dict)
    """What the running batch has renewed, handed over or ended, as it is stored."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._by_id.values())

    def get(self, reservation_id: str) -> Reservation | None:
        """Return the active reservation of this id."""
        return self._by_id.get(ReservationId(reservation_id))

    def committed(self, reservation_id: str) -> Reservation | None:
        """Return the active reservation of this id as it is stored: without what is still being flushed."""
        known = ReservationId(reservation_id)
        if known in self._before_batch:
            return self._before_batch[known]
        return None if known in self._unstored_grants else self._by_id.get(known)

    def held_by(self, holder: AgentId) -> list[Reservation]:
        """Return the holder's active reservations, the oldest first."""
        return sorted((self._by_id[each] for each in self._by_holder.get(holder, ())), key=lambda each: each.fence)

    def count_of(self, holder: AgentId) -> int:
        """Return how many reservations the holder has."""
        return len(self._by_holder.get(holder, ()))

    def holders(self) -> Iterable[AgentId]:
        """Return everyone who holds something."""
        return self._by_holder.keys()

    def load(self, reservation: Reservation) -> None:
        """Take in a reservation that is stored already."""
        self._by_id[reservation.id] = reservation
        self._by_holder.setdefault(reservation.holder, set()).add(reservation.id)
        self._note_deadline(reservation)
        for pattern in reservation.patterns:
            self._table.add(reservation.id, pattern, reservation.holder, reservation.mode)

    def grant(self, reservation: Reservation) -> None:
        """Take in a reservation that the running batch will store."""
        self.load(reservation)
        self._unstored_grants.add(reservation.id)

    def renew(self, reservation: Reservation, deadline_s: float, expires_at_us: Micros) -> Reservation:
        """Give a lease a new deadline, and return it with that."""
        renewed = replace(reservation, deadline_s=deadline_s, expires_at_us=expires_at_us)
        self._note_change(reservation)
        self._by_id[reservation.id] = renewed
        self._note_deadline(renewed)
        return renewed

    def hand_over(self, reservation: Reservation, holder: AgentId, fence: int) -> Reservation:
        """Give a reservation to another holder under a new fence, and return it with that; all else stays.

        Whether the new holder may have it is decided by `conflicts` with `besides`.
        """
        assert fence > reservation.fence
        handed_over = replace(reservation, holder=holder, fence=fence)
        self._note_change(reservation)
        self._take_out(reservation)
        self.load(handed_over)
        return handed_over

    def end(self, reservation: Reservation) -> None:
        """Take a reservation out; the running batch will store its end."""
        self._take_out(reservation)
        self._note_change(reservation)
        self._unstored_grants.discard(reservation.id)

    def _take_out(self, reservation: Reservation) -> None:
        del self._by_id[reservation.id]
        self._table.remove(reservation.id)
        mine = self._by_holder[reservation.holder]
        mine.discard(reservation.id)
        if not mine:
            del self._by_holder[reservation.holder]

    def rename_holder(self, old: AgentId, new: AgentId) -> int:
        """Give everything that `old` holds to `new`, and return how many reservations that is."""
        if old == new:  # An agent may choose its own id as its name.
            return 0
        renamed = self.held_by(old)
        for reservation in renamed:
            self._table.remove(reservation.id)
            del self._by_id[reservation.id]
            self.load(replace(reservation, holder=new))
        self._by_holder.pop(old, None)
        return len(renamed)

    def stored(self) -> None:
        """Note that the running batch has reached the disk: what the book says is now what is stored."""
        self._unstored_grants.clear()
        self._before_batch.clear()

    def versions(self, reservation_id: ReservationId) -> list[Reservation]:
        """Return the reservation as the running batch leaves it and as it was before, where there are such."""
        return [each[reservation_id] for each in (self._by_id, self._before_batch) if reservation_id in each]

    def _has_fence(self, held: Reservation) -> bool:
        current = self._by_id.get(held.id)
        return current is not None and current.fence == held.fence

    def _note_change(self, reservation: Reservation) -> None:
        if reservation.id not in self._unstored_grants:
            self._before_batch.setdefault(reservation.id, reservation)

    def _note_deadline(self, reservation: Reservation) -> None:
        heapq.heappush(self._deadlines, (reservation.deadline_s, reservation.id))
        # What was renewed or ended leaves its old deadline behind; a busy day must not fill the memory with them.
        if len(self._deadlines) > 2 * len(self._by_id) + _LEFTOVERS_MAX:
            self._deadlines = [(each.deadline_s, each.id) for each in self._by_id.values()]
            heapq.heapify(self._deadlines)

    def next_deadline_s(self) -> float | None:
        """Return the monotonic time at which the next lease ends, or None while there is none."""
        while self._deadlines:
            deadline_s, reservation_id = self._deadlines[0]
            current = self._by_id.get(reservation_id)
            if current is not None and current.deadline_s == deadline_s:
                return deadline_s
            heapq.heappop(self._deadlines)  # Ended or renewed since; the entry is a leftover.
        return None

    def due(self, mono_s: float) -> list[Reservation]:
        """Return the leases whose deadline has come, in the order of their deadlines; they are still in the book."""
        ended: dict[ReservationId, Reservation] = {}  # By id: a lease renewed to the deadline it has is there twice.
        while (deadline_s := self.next_deadline_s()) is not None and deadline_s <= mono_s:
            _, reservation_id = heapq.heappop(self._deadlines)
            ended[reservation_id] = self._by_id[reservation_id]
        for reservation in ended.values():
            heapq.heappush(self._deadlines, (reservation.deadline_s, reservation.id))
        return list(ended.values())

    def conflicts(
        self,
        patterns: Sequence[Pattern],
        mode: Mode,
        asker: AgentId | None,
        *,
        besides: ReservationId | None = None,
        limit: int,
        budget: WorkBudget | None = None,
    ) -> list[Clash]:
        """Return what others hold that stands in the way, in the order in which it was granted, at most `limit`.

        The bound is one on work: a request for `**` meets everything that is held. A request that asks several times
        hands in one budget for all of them. `besides` is a reservation that does not count. Raises: PatternTooBroad.
        """
        budget = budget or WorkBudget()
        clashes: list[Clash] = []
        for pattern in patterns:
            clashes += [
                Clash(self._by_id[ReservationId(found.entry.entry_id)], found.entry.pattern, pattern, found.example)
                for found in self._table.conflicts(
                    pattern, mode, asker or NOBODY, besides=besides, limit=limit - len(clashes), budget=budget
                )
            ]
            if len(clashes) >= limit:
                break
        return in_order(clashes)

    def committed_conflicts(
        self,
        patterns: Sequence[Pattern],
        mode: Mode,
        asker: AgentId | None,
        *,
        limit: int,
        budget: WorkBudget | None = None,
    ) -> list[Clash]:
        """Return the same, for what is stored: without grants, and with releases as with givers, still being flushed."""
        # What changed hands or ended in this batch is shown as it was; a renewal keeps the fence and everything else.
        was = [held for held in self._before_batch.values() if not self._has_fence(held)]
        hidden = self._unstored_grants.union(held.id for held in was)
        # What is left out again takes up one place for each pair of its patterns and ours.
        unstored = sum(len(self._by_id[each].patterns) for each in hidden if each in self._by_id)
        wanted = limit + unstored * len(patterns)
        found = self.conflicts(patterns, mode, asker, limit=wanted, budget=budget)
        clashes = [clash for clash in found if clash.held.id not in hidden]
        for held in was:
            if held.holder == asker or compatible(mode, held.mode):
                continue
            clashes.extend(
                Clash(held, held_pattern, pattern, example)
                for pattern in patterns
                for held_pattern in held.patterns
                if (example := overlap(pattern, held_pattern)) is not None
            )
        return in_order(clashes)[:limit]


def in_order(clashes: Sequence[Clash]) -> list[Clash]:
    """Return the clashes in the order in which what is held was granted."""
    return sorted(clashes, key=lambda clash: (clash.held.fence, clash.held_pattern.text, clash.requested.text))
