"""The lease book: which reservations are active, until when, and what stands in the way of a new one.

One holder never clashes with itself. A lease ends at its monotonic deadline, exactly then and not before. While a batch
is on its way to the disk the book is ahead of it; `committed_findings` answers for what is already stored, so that a
check never shows what a power cut could still take back. Source: design.md 3 and 8, claims.md 4 and 5.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from intermute.core.claim_index import ALL_SHOWN, NOTHING, ClaimIndex, FindingBounds, Work
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claims import Policy
from intermute.core.errors import PatternTooBroad
from intermute.core.findings import Finding, in_precedence
from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lock_trie import WorkBudget
from intermute.core.reservation import Reservation

_LEFTOVERS_MAX = 1024  # outdated deadlines kept beside as many as there are leases; a guess: about 100 KiB.


@dataclass(slots=True)
class LeaseBook:
    """All active reservations of one project."""

    _by_id: dict[ReservationId, Reservation] = field(default_factory=dict)
    _by_holder: dict[AgentId, set[ReservationId]] = field(default_factory=dict)
    _deadlines: list[tuple[float, ReservationId]] = field(default_factory=list)
    _index: ClaimIndex = field(default_factory=ClaimIndex)
    _unstored_grants: set[ReservationId] = field(default_factory=set)
    _before_batch: dict[ReservationId, Reservation] = field(default_factory=dict)
    """What the running batch has renewed, converted, handed over or ended, as it is stored."""
    _index_before: ClaimIndex = field(default_factory=ClaimIndex)
    """The claims among those that others have to take note of: all but the renewed ones."""

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

    def all_committed(self) -> Iterator[Reservation]:
        """Yield all active reservations as they are stored, in no particular order."""
        for reservation in self._by_id.values():
            if reservation.id not in self._unstored_grants and reservation.id not in self._before_batch:
                yield reservation
        yield from self._before_batch.values()

    def committed_claims(self) -> Iterator[Claim]:
        """Yield the claims of `all_committed`: by their sequence numbers, but for those that have just changed."""
        return (reservation.claim for reservation in self.all_committed())

    def committed_sharing_path(self, targets: Collection[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        """Yield the claims that share a path with any of the targets, as they are stored; each comes once.

        Raises: PatternTooBroad, once the budget is spent.
        """
        for claim in self._index.sharing_path(targets, budget):
            stored = self.committed(claim.id)
            if stored is not None and self._index_before.get(claim.id) is None:
                yield stored.claim
        yield from self._index_before.sharing_path(targets, budget)

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
        self._index.put(reservation.claim)

    def grant(self, reservation: Reservation) -> None:
        """Take in a reservation that the running batch will store."""
        self.load(reservation)
        self._unstored_grants.add(reservation.id)

    def renew(self, reservation: Reservation, deadline_s: float, expires_at_us: Micros) -> Reservation:
        """Give a lease a new deadline, and return it with that."""
        claim = replace(reservation.claim, expires_at_us=expires_at_us)
        renewed = replace(reservation, claim=claim, deadline_s=deadline_s)
        self._note_change(reservation)
        self._by_id[reservation.id] = renewed
        self._index.update(claim)
        self._note_deadline(renewed)
        return renewed

    def convert(self, reservation: Reservation, targets: tuple[ClaimTarget, ...], changed: int) -> Reservation:
        """Give a reservation other modes on its targets, and return it with them; fence and deadline stay."""
        assert changed > reservation.changed
        claim = replace(reservation.claim, targets=targets)
        converted = replace(reservation, claim=claim, changed=changed)
        self._note_change(reservation, is_for_others=True)
        self._by_id[reservation.id] = converted
        self._index.put(claim)
        return converted

    def hand_over(self, reservation: Reservation, holder: AgentId, fence: int) -> Reservation:
        """Give a reservation to another holder under a new fence, and return it with that; all else stays.

        Whether the new holder may have it is decided by `findings` with `besides`.
        """
        assert fence > reservation.fence
        claim = replace(reservation.claim, holder=holder, sequence=fence)
        handed_over = replace(reservation, claim=claim, changed=fence)
        self._note_change(reservation, is_for_others=True)
        self._take_out(reservation)
        self.load(handed_over)
        return handed_over

    def end(self, reservation: Reservation) -> None:
        """Take a reservation out; the running batch will store its end."""
        self._take_out(reservation)
        self._note_change(reservation, is_for_others=True)
        self._unstored_grants.discard(reservation.id)

    def _take_out(self, reservation: Reservation) -> None:
        del self._by_id[reservation.id]
        self._index.remove(reservation.id)
        mine = self._by_holder[reservation.holder]
        mine.discard(reservation.id)
        if not mine:
            del self._by_holder[reservation.holder]

    def rename_holder(self, old: AgentId, new: AgentId) -> int:
        """Give everything that `old` holds to `new`, and return how many reservations that is."""
        if old == new:  # Earlier versions let an agent choose its own id as its name.
            return 0
        renamed = self.held_by(old)
        for reservation in renamed:
            del self._by_id[reservation.id]
            self.load(replace(reservation, claim=replace(reservation.claim, holder=new)))
        self._by_holder.pop(old, None)
        return len(renamed)

    def stored(self) -> None:
        """Note that the running batch has reached the disk: what the book says is now what is stored."""
        self._unstored_grants.clear()
        self._before_batch.clear()
        if len(self._index_before):
            self._index_before = ClaimIndex()

    def versions(self, reservation_id: ReservationId) -> list[Reservation]:
        """Return the reservation as the running batch leaves it and as it was before, where there are such."""
        return [each[reservation_id] for each in (self._by_id, self._before_batch) if reservation_id in each]

    def _note_change(self, reservation: Reservation, *, is_for_others: bool = False) -> None:
        if reservation.id in self._unstored_grants:
            return
        before = self._before_batch.setdefault(reservation.id, reservation)
        if is_for_others and self._index_before.get(reservation.id) is None:
            self._index_before.put(before.claim)

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

    def due(self, mono_s: float, limit: int | None = None) -> list[Reservation]:
        """Return the leases whose deadline has come, in the order of their deadlines, at most `limit`.

        They are still in the book.
        """
        ended: dict[ReservationId, Reservation] = {}  # By id: a lease renewed to the deadline it has is there twice.
        while (deadline_s := self.next_deadline_s()) is not None and deadline_s <= mono_s and len(ended) != limit:
            _, reservation_id = heapq.heappop(self._deadlines)
            ended[reservation_id] = self._by_id[reservation_id]
        for reservation in ended.values():
            heapq.heappush(self._deadlines, (reservation.deadline_s, reservation.id))
        return list(ended.values())

    # ---- what stands in the way

    def findings(
        self,
        requested: Claim,
        policy: Policy,
        bounds: FindingBounds = ALL_SHOWN,
        *,
        besides: Collection[str] = NOTHING,
        work: Work | None = None,
    ) -> list[Finding]:
        """Return what stands between a claim and what others hold; see `ClaimIndex.findings`. Raises: PatternTooBroad."""
        return self._index.findings(requested, policy, bounds, besides=besides, work=work)

    def obstacles(
        self, requested: Claim, policy: Policy, *, besides: Collection[str] = NOTHING, work: Work | None = None
    ) -> Iterator[Claim]:
        """Yield what others hold that stands in the way; see `ClaimIndex.obstacles`. Raises: PatternTooBroad."""
        return self._index.obstacles(requested, policy, besides=besides, work=work)

    def touching(self, requested: Claim, *, work: Work | None = None) -> Iterator[Reservation]:
        """Yield what others hold that shares a path and a symbol with the claim. Raises: PatternTooBroad."""
        return (self._by_id[ReservationId(claim.id)] for claim in self._index.touching(requested, work=work))

    def partners_of(self, holder: AgentId, budget: WorkBudget) -> set[AgentId]:
        """Return who else holds what shares a path with something that this holder holds: those found within the budget."""
        targets = [target for each in self.held_by(holder) for target in each.claim.targets]
        found: set[AgentId] = set()
        try:
            for claim in self._index.sharing_path(targets, budget):
                found.add(claim.holder)
        except PatternTooBroad:
            pass  # Who was not found in time is none: the caller lets in whom it knows of.
        return found - {holder}

    def committed_findings(
        self, requested: Claim, policy: Policy, bounds: FindingBounds = ALL_SHOWN, *, work: Work | None = None
    ) -> list[Finding]:
        """Return the same as `findings` for what is stored: as if the batch that is being flushed had not been decided.

        Raises: PatternTooBroad.
        """
        was = self._index_before
        hidden = self._unstored_grants.union(ReservationId(claim.id) for claim in was)
        found = self._index.findings(requested, policy, bounds, besides=hidden, work=work)
        if not len(was):
            return found
        return in_precedence(found + was.findings(requested, policy, bounds, work=work))
