"""Is a concurrent history linearizable: could its operations have happened one at a time, each between call and return?

Wing & Gong's search with Lowe's memory of configurations seen (what is done, and the state after it). An operation whose
outcome nobody knows stays open for ever: it may happen at any time after its call, or never. Pure; knows nothing of
reservations. Source: Wing & Gong 1993, "Testing and Verifying Concurrent Objects"; Lowe 2017, "Testing for Linearizability".
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Action = TypeVar("Action")

CONFIGURATIONS_MAX: Final = 2_000_000
"""Configurations after which the search gives up; a history of 400 operations takes about as many as it has operations."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[Action]):
    """What somebody did between two moments; `action` says what it was and how it was answered."""

    action: Action
    called_s: float
    returned_s: float = math.inf

    @property
    def is_open(self) -> bool:
        """Tell whether it need not have happened at all."""
        return self.returned_s == math.inf


class Answer(StrEnum):
    """What the search has found."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided"
    """Too much was open at once."""


@dataclass(frozen=True, slots=True)
class Verdict(Generic[Action]):
    """The answer, what the search has cost, and where the longest attempt got stuck."""

    answer: Answer
    configurations: int
    stuck_at: Sequence[Operation[Action]] = ()

    @property
    def is_good(self) -> bool:
        """Tell whether it is shown that nothing is wrong."""
        return self.answer is Answer.LINEARIZABLE


def check(
    operations: Sequence[Operation[Action]],
    initial: State,
    step: Callable[[State, Action], State | None],
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> Verdict[Action]:
    """Search an order of the operations that the sequential object allows.

    Args: step, the object: the state after an action that is answered as it says, or None where it cannot be.

    Cost: linear where little overlaps; exponential in the number of operations that are open or overlap at once.
    """
    search = _Search(sorted(operations, key=lambda each: each.called_s))
    stack = [(0, 0, initial)]
    seen = {(0, initial)}
    deepest = -1
    stuck_at: tuple[int, ...] = ()
    while stack:
        if len(seen) > configurations_max:
            return Verdict(Answer.UNDECIDED, len(seen), search.named(stuck_at))
        done, first, state = stack.pop()
        while search.closed >> first & 1 == 0 or done >> first & 1:
            if first >= len(search.operations):
                return Verdict(Answer.LINEARIZABLE, len(seen))
            first += 1
        candidates = search.candidates(done, first)
        if (depth := (done & search.closed).bit_count()) > deepest:
            deepest, stuck_at = depth, tuple(candidates)
        # The stack is worked off from its end: what returned first is tried first, and what is open last.
        for at in reversed(candidates):
            after = step(state, search.operations[at].action)
            configuration = (done | 1 << at, after)
            if after is not None and configuration not in seen:
                seen.add((done | 1 << at, after))
                stack.append((done | 1 << at, first, after))
    return Verdict(Answer.NOT_LINEARIZABLE, len(seen), search.named(stuck_at))


class _Search(Generic[Action]):
    """The operations in the order of their calls; a set of them is a number with their bits."""

    def __init__(self, operations: Sequence[Operation[Action]]) -> None:
        self.operations = operations
        self.closed = sum(1 << at for at, each in enumerate(operations) if not each.is_open)
        self._open = [at for at, each in enumerate(operations) if each.is_open]

    def candidates(self, done: int, first: int) -> list[int]:
        """Return what may be next: called before the first return of what must still happen. `first` is not done."""
        earliest_s = math.inf
        found: list[int] = []
        for at in range(first, len(self.operations)):
            each = self.operations[at]
            if each.called_s > earliest_s:
                break
            if not each.is_open and not done >> at & 1:
                found.append(at)
                earliest_s = min(earliest_s, each.returned_s)
        found.sort(key=lambda at: self.operations[at].returned_s)
        return found + [at for at in self._open if not done >> at & 1 and self.operations[at].called_s <= earliest_s]

    def named(self, numbers: Sequence[int]) -> list[Operation[Action]]:
        """Return the operations of these numbers."""
        return [self.operations[at] for at in numbers]
