"""The requests that wait in a mailbox, and how its room is shared out among those who ask.

Rules: a share may hold as many places as are left free, so one alone gets half of the room, two a third each, and whoever
has nothing waiting finds a place; a request without a share takes any free one. What must not be kept out has a
reserve, shared out alike. What waits is taken in order of arrival; where it does not fit into one batch the shares take
turns for the places in it, each in its own order, so that nobody waits for all that another one asks.
Source: Choudhury and Hahne, "Dynamic queue length thresholds", 1998.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic

import trio

from supervisor.envelope import Envelope, Rep, Req


class Room:
    """Counts the places that are taken, in all and by each share."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._taken = 0
        self._by_share: Counter[Hashable] = Counter()

    @property
    def is_full(self) -> bool:
        """Tell whether no place is free."""
        return self._taken >= self.capacity

    def has_place(self, share: Hashable | None) -> bool:
        """Tell whether one more request of this share gets in."""
        free = self.capacity - self._taken
        return free > 0 if share is None else self._by_share[share] < free

    def enter(self, share: Hashable | None) -> None:
        """Take a place; what comes back after a crash gets one even where none is free."""
        self._taken += 1
        self._by_share[share] += 1

    def leave(self, share: Hashable | None) -> None:
        """Give a place back."""
        self._taken -= 1
        self._by_share[share] -= 1
        if not self._by_share[share]:
            del self._by_share[share]


class WaitingLine(Generic[Req, Rep]):
    """Requests in order of arrival, each in a place."""

    def __init__(self, capacity: int, reserve: int) -> None:
        self.room, self._reserve = Room(capacity), Room(reserve)
        # An ordered dict: a request whose asker leaves goes at once, in O(1), so depth is exact under a stalled owner.
        self._places: OrderedDict[Envelope[Req, Rep], Room] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Envelope[Req, Rep]]:
        return iter(self._places)

    def add(self, envelope: Envelope[Req, Rep], *, is_needed: bool) -> bool:
        """Queue a request; tell whether there was a place. `is_needed` opens the reserve to it."""
        for room in (self.room, self._reserve) if is_needed else (self.room,):
            if room.has_place(envelope.share):
                room.enter(envelope.share)
                self._places[envelope] = room
                return True
        return False

    def add_first(self, envelope: Envelope[Req, Rep]) -> None:
        """Queue a request before all others, full or not."""
        self.room.enter(envelope.share)
        self._places[envelope] = self.room
        self._places.move_to_end(envelope, last=False)

    def remove(self, envelope: Envelope[Req, Rep]) -> None:
        """Take a request out; one that is not there is fine."""
        room = self._places.pop(envelope, None)
        if room is not None:
            room.leave(envelope.share)

    def pop(self, max_items: int) -> list[Envelope[Req, Rep]]:
        """Take out up to so many that are wanted, in order of arrival, and what nobody wants any more."""
        if max_items <= 0:
            return []
        wanted = []
        for envelope in list(self._places):
            if envelope.is_wanted:
                wanted.append(envelope)
            else:  # Its asker is about to wake and raise AskTimeout; it just has not run yet.
                self.remove(envelope)
        chosen = wanted if len(wanted) <= max_items else _in_turns(wanted, max_items)
        for envelope in chosen:
            self.remove(envelope)
        return chosen

    def oldest_s(self) -> float:
        """Return how long the one that came first has been waiting."""
        first = next(iter(self._places), None)
        return 0.0 if first is None else trio.current_time() - first.asked_at_s


def _in_turns(waiting: list[Envelope[Req, Rep]], max_items: int) -> list[Envelope[Req, Rep]]:
    """Choose so many that each share has as many among them as any other, or all it has; keep their order."""
    asked: Counter[Hashable] = Counter()
    turns: list[tuple[int, int]] = []
    for number, envelope in enumerate(waiting):
        turns.append((asked[envelope.share], number))
        asked[envelope.share] += 1
    return [waiting[number] for number in sorted(number for _, number in sorted(turns)[:max_items])]
