"""Histories of a made-up service that is right, or grants twice now and then: what the checker is tested with."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from linearizability import Operation
from reservation_model import EMPTY, PATTERNS, Action, Check, Expire, Held, Holding, Release, Renew, Reserve, step

TTL_S = 1.5


@dataclass
class MadeService:
    """A service that does each operation at one moment between its call and its return; time is made up as well."""

    chance: random.Random
    wrong: float = 0.0
    """The share of conflicts that are granted in spite of them."""
    lost: float = 0.0
    """The share of answers that nobody hears."""
    doubles: int = 0
    holding: Holding = EMPTY
    history: list[Operation[Action]] = field(default_factory=list)
    ends: list[tuple[float, Expire]] = field(default_factory=list)
    number: int = 0

    def run(self, clients: int, operations: int) -> list[Operation[Action]]:
        """Return the history of so many clients that do so many operations each."""
        events = [(self.chance.random() / 100, name, operations) for name in range(clients)]
        pending: list[tuple[float, int, int, float]] = []
        heapq.heapify(events)
        while events or pending:
            if pending and (not events or pending[0][0] <= events[0][0]):
                happens_s, name, left, called_s = heapq.heappop(pending)
                self._expire(happens_s)
                returned_s = happens_s + self.chance.random() / 50
                self._do(f"agent{name}", called_s, returned_s)
                heapq.heappush(events, (returned_s + self.chance.random() / 50, name, left - 1))
            else:
                at_s, name, left = heapq.heappop(events)
                if left:
                    heapq.heappush(pending, (at_s + self.chance.random() / 50, name, left, at_s))
        expiries: list[Operation[Action]] = [Operation(each, at_s) for at_s, each in self.ends]
        return self.history + expiries

    def _expire(self, now_s: float) -> None:
        for at_s, each in self.ends:
            if at_s + 0.1 <= now_s and (after := step(self.holding, each)) is not None:
                self.holding = after

    def _do(self, agent: str, called_s: float, returned_s: float) -> None:
        self.number += 1
        action = self._act(agent, called_s)
        after = step(self.holding, action)
        if after is not None:
            self.holding = after
        if self.chance.random() < self.lost and not isinstance(action, Check):
            self.history.append(Operation(_unheard(action), called_s))
        else:
            self.history.append(Operation(action, called_s, returned_s))

    def _act(self, agent: str, called_s: float) -> Action:
        mine = [each for each in self.holding if each.agent == agent]
        pattern = self.chance.choice(list(PATTERNS))
        clashes = frozenset(
            each.grant for each in self.holding if each.agent != agent and PATTERNS[each.pattern] & PATTERNS[pattern]
        )
        kind = self.chance.random()
        if kind < 0.2:
            return Check(agent, pattern, clashes)
        if mine and kind < 0.5:
            return Release(self.chance.choice(mine).grant, is_done=True)
        if mine and kind < 0.6:
            grant = self.chance.choice(mine).grant
            self.ends.append((called_s + TTL_S, Expire(grant, self.number)))
            return Renew(self.number, grant, is_done=True)
        if clashes and self.chance.random() < self.wrong:
            self.doubles += 1
            self.holding |= {Held(self.number, self.number, agent, pattern)}
        elif clashes:
            return Reserve(self.number, agent, pattern, is_granted=False, conflicts=clashes)
        self.ends.append((called_s + TTL_S, Expire(self.number, self.number)))
        return Reserve(self.number, agent, pattern, is_granted=True)


def _unheard(action: Action) -> Action:
    match action:
        case Reserve(number, agent, pattern):
            return Reserve(number, agent, pattern, is_granted=None)
        case Renew(number, grant):
            return Renew(number, grant, is_done=None)
        case Release(grant):
            return Release(grant, is_done=None)
        case _:
            return action


def made(seeds: range, *, wrong: float = 0.0, lost: float = 0.0) -> Iterator[tuple[list[Operation[Action]], int]]:
    """Yield histories of 8 clients with 50 operations each, and how often each has granted twice."""
    for seed in seeds:
        service = MadeService(random.Random(seed), wrong, lost)
        yield service.run(8, 50), service.doubles
