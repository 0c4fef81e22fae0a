"""A worker that follows scripts: what an agent does over some time, written down as one function.

A script is a generator. It yields requests and is sent what came of each, and it yields pauses. A worker follows many at the
same time: what is due after a pause comes first, then what goes on at once, and a new script begins when nothing else is to do.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and the name of its operation."""

    operation: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """For so long this script sends nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a request. `answer` is None where nobody knows, which happens with faults only."""

    answer: Answer | None
    sent_s: float
    answered_s: float


Script = Generator[Ask | Pause, Told, None]
_NOTHING: Final = Told(None, 0.0, 0.0)
"""What a script is sent after a pause."""


class Desk:
    """One connection, and the scripts that are followed over it. `mix` says which begin, and how often."""

    def __init__(self, site: Site, chance: random.Random, mix: Mapping[Callable[[], Script], float]) -> None:
        self._site, self._chance = site, chance
        self.mix = mix
        self.begun = 0
        """Scripts that have begun."""
        self._ready: deque[tuple[Script, Ask]] = deque()
        self._paused: list[tuple[float, int, Script]] = []
        self._order = count()
        self._script: Script | None = None

    def ask(self) -> tuple[str, bytes]:
        """Return what is due next."""
        while self._paused and self._paused[0][0] <= self._site.now_s():
            self._go_on(heapq.heappop(self._paused)[2], _NOTHING)
        while not self._ready:
            begin = self._chance.choices(list(self.mix), list(self.mix.values()))[0]
            self.begun += 1
            self._go_on(begin(), None)
        self._script, asked = self._ready.popleft()
        return asked.operation, asked.request

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Let the script go on. Raises: LoadFailed, Violation."""
        assert self._script is not None
        self._go_on(self._script, Told(None if answer.is_unknown else answer, sent_s, answered_s))

    def lose(self, sent_s: float, broke_s: float) -> None:
        """Let the script know that there is no answer."""
        assert self._script is not None
        self._go_on(self._script, Told(None, sent_s, broke_s))

    def _go_on(self, script: Script, told: Told | None) -> None:
        try:
            step = next(script) if told is None else script.send(told)
        except StopIteration:
            return
        if isinstance(step, Pause):
            heapq.heappush(self._paused, (self._site.now_s() + step.seconds, next(self._order), script))
        else:
            self._ready.append((script, step))


def until_answered(asked: Ask) -> Generator[Ask | Pause, Told, tuple[Answer, Told, bool]]:
    """Ask until there is an answer; return it, and whether it was asked more than once. For what may be repeated safely."""
    told = yield asked
    is_again = False
    while told.answer is None:
        is_again = True
        told = yield asked
    return told.answer, told, is_again
