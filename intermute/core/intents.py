"""Operation intents: what agents have said that they are going to do, without holding anything by it.

An intent is a declared claim: it never stands in the way, it warns. It may ride on a reservation of its agent and ends with
it; by itself it lasts for a time. While a batch is on its way to the disk the book is ahead of it, as the lease book is.
Source: claims.md 1 and 7, issue 3 point 7.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from intermute.core.claim_index import NOTHING, ClaimIndex, FindingBounds, Work
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claims import Policy
from intermute.core.findings import Finding, in_precedence
from intermute.core.ids import AgentId, IntentId, Micros, ReservationId
from intermute.core.lock_trie import WorkBudget
from intermute.core.work_operations import Operation


class IntentState(StrEnum):
    """How far the work has come."""

    DECLARED = "declared"
    STARTED = "started"
    DONE = "done"
    ABANDONED = "abandoned"


FOLLOWING: Final = {
    IntentState.DECLARED: frozenset({IntentState.STARTED, IntentState.DONE, IntentState.ABANDONED}),
    IntentState.STARTED: frozenset({IntentState.DONE, IntentState.ABANDONED}),
    IntentState.DONE: frozenset[IntentState](),
    IntentState.ABANDONED: frozenset[IntentState](),
}
"""Which states may follow which."""
ACTIVE: Final = frozenset(state for state, following in FOLLOWING.items() if following)
"""The states in which an intent warns others."""


class Intent(msgspec.Struct, frozen=True):
    """One active intent. The claim's sequence is the cursor of its declaration, `changed` that of its last change.

    `deadline_s` is monotonic; it is infinite for one that rides on a reservation, which ends it.
    """

    claim: Claim
    operation: Operation
    detail: str
    state: IntentState
    reservation_id: ReservationId | None
    created_at_us: Micros
    deadline_s: float
    changed: int
    commit: str | None = None

    @property
    def id(self) -> IntentId:
        """Its id."""
        return IntentId(self.claim.id)

    @property
    def holder(self) -> AgentId:
        """Who declared it, as a canonical address."""
        return self.claim.holder


@dataclass(slots=True)
class IntentBook:
    """All active intents of one project."""

    _by_id: dict[IntentId, Intent] = field(default_factory=dict)
    _by_holder: dict[AgentId, dict[IntentId, None]] = field(default_factory=dict)
    _by_reservation: dict[ReservationId, dict[IntentId, None]] = field(default_factory=dict)
    _index: ClaimIndex = field(default_factory=ClaimIndex)
    _unstored: set[str] = field(default_factory=set)
    _ended_in_batch: ClaimIndex = field(default_factory=ClaimIndex)
    _soonest_s: float | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Intent]:
        return iter(self._by_id.values())

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing that could warn anybody, stored or not."""
        return not self._by_id and not len(self._ended_in_batch)

    def get(self, intent_id: str) -> Intent | None:
        """Return the active intent of this id."""
        return self._by_id.get(IntentId(intent_id))

    def committed_claims(self) -> Iterator[Claim]:
        """Yield the claims of all active intents as they are stored."""
        yield from (intent.claim for intent in self if intent.id not in self._unstored)
        yield from self._ended_in_batch

    def committed_sharing_path(self, targets: Collection[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        """Yield the claims that share a path with any of the targets, as they are stored; each comes once.

        Raises: PatternTooBroad, once the budget is spent.
        """
        yield from (claim for claim in self._index.sharing_path(targets, budget) if claim.id not in self._unstored)
        yield from self._ended_in_batch.sharing_path(targets, budget)

    def held_by(self, holder: AgentId) -> list[Intent]:
        """Return the holder's active intents, the oldest first."""
        return [self._by_id[each] for each in self._by_holder.get(holder, ())]

    def count_of(self, holder: AgentId) -> int:
        """Return how many active intents the holder has."""
        return len(self._by_holder.get(holder, ()))

    def holders(self) -> Iterable[AgentId]:
        """Return everyone who has declared something."""
        return self._by_holder.keys()

    def of_reservation(self, reservation_id: ReservationId) -> list[Intent]:
        """Return the active intents that ride on a reservation, the oldest first."""
        return [self._by_id[each] for each in self._by_reservation.get(reservation_id, ())]

    def load(self, intent: Intent) -> None:
        """Take in an intent that is stored already."""
        self._by_id[intent.id] = intent
        self._by_holder.setdefault(intent.holder, {})[intent.id] = None
        if intent.reservation_id is not None:
            self._by_reservation.setdefault(intent.reservation_id, {})[intent.id] = None
        self._index.put(intent.claim)
        if self._soonest_s is not None:
            self._soonest_s = min(self._soonest_s, intent.deadline_s)

    def declare(self, intent: Intent) -> None:
        """Take in an intent that the running batch will store."""
        self.load(intent)
        self._unstored.add(intent.id)

    def change(self, intent: Intent, state: IntentState, changed: int, commit: str | None) -> Intent:
        """Note how far the work has come, and return the intent with that; one that is over leaves the book."""
        assert state in FOLLOWING[intent.state]
        later = replace(intent, state=state, changed=changed, commit=commit or intent.commit)
        if state in ACTIVE:
            self._by_id[intent.id] = later
        else:
            self._end(intent)
        return later

    def _end(self, intent: Intent) -> None:
        del self._by_id[intent.id]
        self._index.remove(intent.id)
        _drop(self._by_holder, intent.holder, intent.id)
        if intent.reservation_id is not None:
            _drop(self._by_reservation, intent.reservation_id, intent.id)
        if intent.id not in self._unstored:
            self._ended_in_batch.put(intent.claim)
        self._unstored.discard(intent.id)
        self._soonest_s = None

    def rename_holder(self, old: AgentId, new: AgentId) -> int:
        """Give everything that `old` declared to `new`, and return how many intents that is."""
        if old == new:
            return 0
        renamed = self.held_by(old)
        self._by_holder.pop(old, None)
        for intent in renamed:
            self.load(replace(intent, claim=replace(intent.claim, holder=new)))
        return len(renamed)

    def stored(self) -> None:
        """Note that the running batch has reached the disk."""
        self._unstored.clear()
        if len(self._ended_in_batch):
            self._ended_in_batch = ClaimIndex()

    def next_deadline_s(self) -> float | None:
        """Return the monotonic time at which the next intent lapses, or None while none does."""
        if self._soonest_s is None:
            self._soonest_s = min((intent.deadline_s for intent in self), default=math.inf)
        return None if math.isinf(self._soonest_s) else self._soonest_s

    def due(self, mono_s: float) -> list[Intent]:
        """Return the intents whose time is up; they are still in the book."""
        return [intent for intent in self if intent.deadline_s <= mono_s]

    def findings(self, requested: Claim, policy: Policy, bounds: FindingBounds, *, work: Work) -> list[Finding]:
        """Return what others have declared that does not go with the claim; all of it warns. Raises: PatternTooBroad."""
        return self._index.findings(requested, policy, bounds, besides=NOTHING, work=work)

    def committed_findings(
        self, requested: Claim, policy: Policy, bounds: FindingBounds, *, work: Work
    ) -> list[Finding]:
        """Return the same for what is stored. Raises: PatternTooBroad."""
        found = self._index.findings(requested, policy, bounds, besides=self._unstored, work=work)
        if not len(self._ended_in_batch):
            return found
        return in_precedence(found + self._ended_in_batch.findings(requested, policy, bounds, work=work))

    def touching(self, requested: Claim, *, work: Work) -> Iterator[Intent]:
        """Yield what others have declared that shares a path and a symbol with the claim. Raises: PatternTooBroad."""
        return (self._by_id[IntentId(claim.id)] for claim in self._index.touching(requested, work=work))


Key = TypeVar("Key")


def _drop(index: dict[Key, dict[IntentId, None]], key: Key, intent_id: IntentId) -> None:
    del index[key][intent_id]
    if not index[key]:
        del index[key]
