"""For how long the queries of one project may compute before everyone else comes to the loop: a scheduling quantum.

The loop runs all that are ready before it looks at the network again. Without a bound a hundred queries that take 0.1 s
each would stop every other project for ten seconds (design.md 3.9); with one query in each round of the loop the rounds
cost more than the queries do. So as many are answered in one round as fit into the quantum, and one at least.
"""

import time
from collections.abc import Callable
from typing import Final, Self

import trio

from intermute.core import limits
from intermute.core.errors import Overloaded

_WEIGHT: Final = 0.1  # of the last query in the mean; a guess: a change of load is noticed after a dozen of them.

_LEAST_S: Final = 1e-6  # for a mean of nothing.


class Quantum:
    """`async with` it around what computes and awaits nothing.

    Entering raises Overloaded for whoever has waited as long as for any answer. Not always a checkpoint.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._left_s = limits.QUERY_QUANTUM_S
        self._mean_s = 0.0
        self._began_s = 0.0
        self._is_turning = False
        """Somebody waits for the next round, and fills the quantum up then."""
        self._line = trio.lowlevel.ParkingLot()
        self._called = 0
        """How many were called from the line and have not come yet."""

    async def __aenter__(self) -> Self:
        if self._left_s <= 0 or self._is_turning or self._line:
            await self._wait()
        self._began_s = self._clock()
        return self

    async def __aexit__(self, *_: object) -> None:
        took_s = self._clock() - self._began_s
        self._left_s -= took_s
        self._mean_s += (took_s - self._mean_s) * _WEIGHT
        if self._line and not self._called and not self._is_turning:
            self._call(1)  # It finds time left, or waits for the next round in the name of all.

    async def _wait(self) -> None:
        with trio.move_on_after(limits.ASK_TIMEOUT_S):
            while self._is_turning or self._left_s > 0:
                await self._line.park()
                self._called -= 1
                if self._left_s > 0:
                    return
            await self._turn()
            return
        raise Overloaded

    async def _turn(self) -> None:
        """Let everyone else come to the loop, and let those in who then fit."""
        self._is_turning = True
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self._is_turning = False
            self._left_s = limits.QUERY_QUANTUM_S
            fitting = limits.QUERY_QUANTUM_S / max(self._mean_s, _LEAST_S)
            self._call(max(1, int(fitting)))

    def _call(self, count: int) -> None:
        self._called += len(self._line.unpark(count=count))
