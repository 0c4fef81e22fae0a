"""How much slower others get while one project is in trouble, and how soon a crashed project serves again.

Nineteen projects are asked at a steady pace, with and without the trouble in turn (A B A B), in one process with real
threads and real files. Source: guarantees.md G15 and G16.
"""

import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from intermute.core.agents import Caller
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.messages import SendMessage
from intermute.core.errors import DomainError
from intermute.core.ids import ProjectName
from intermute.project.clock import SystemClock
from intermute.project.registry import CHILD_PREFIX, Registry
from intermute.project.room import Room
from intermute.store.directory import DataDirectory
from intermute.store.hop import thread_hop
from loadtest.engine.connection import LoadFailed
from loadtest.engine.samples import quantile
from supervisor import Supervisor, open_supervisor

ROUNDS: Final = 3
WELL: Final = [ProjectName(f"well-{number}") for number in range(19)]
BAD: Final = ProjectName("in-trouble")
LETTER: Final = SendMessage(sender="anna", to=["ben"], body="hello")
POISON: Final = SendMessage(sender="anna", to=["ben"], body="\ud800")
_CALLER: Final = Caller(is_local=True)
_PACE_S: Final = 0.1  # seconds between two requests of one project: a good part of what one core can do for nineteen.
_BREATH_S: Final = 0.01  # seconds until a client asks again after a refusal that does not say when.
_FLOODERS: Final = 600  # more than the share of one agent.


class Stand:
    """The projects, and what can happen to one of them."""

    def __init__(self, registry: Registry, supervisor: Supervisor) -> None:
        self.registry, self.supervisor = registry, supervisor

    async def tried(self, question: object) -> None:
        """Ask the project in trouble; wait as long as a refusal says, if it says so."""
        try:
            await self.registry.answer(BAD, question, _CALLER)
        except DomainError as refused:
            await trio.sleep(refused.retry_after_s or _BREATH_S)

    async def crash(self) -> None:
        """Crash whenever it runs, and be parked now and then."""
        while True:
            self.supervisor.request_restart(CHILD_PREFIX + BAD, RuntimeError("crash loop"))
            await self.tried(LETTER)

    async def poison(self) -> None:
        """Send requests that crash it, the same one and new ones."""
        while True:
            await self.tried(POISON)
            await self.tried(SendMessage(sender="anna", to=["ben"], subject=f"{random.random()}", body="\ud800"))

    async def flood(self) -> None:
        """Send as much as one agent can, and come back after each refusal when told to."""

        async def ask() -> None:
            while True:
                await self.tried(LETTER)

        async with trio.open_nursery() as nursery:
            for _ in range(_FLOODERS):
                nursery.start_soon(ask)

    async def times_ms(self, seconds: float) -> list[float]:
        """Ask the nineteen at their pace; return how long each answer took. Raises: LoadFailed."""
        found: list[float] = []

        async def ask(name: ProjectName, first_s: float) -> None:
            due_s = first_s
            while due_s < ends_s:
                await trio.sleep_until(due_s)
                try:
                    await self.registry.answer(name, LETTER, _CALLER)
                except DomainError as refused:
                    raise LoadFailed(f"a project that is well was answered {refused}") from refused
                found.append((trio.current_time() - due_s) * 1e3)  # From when it was due: a late loop counts.
                due_s += _PACE_S

        began_s = trio.current_time()
        ends_s = began_s + seconds
        async with trio.open_nursery() as nursery:
            for number, name in enumerate(WELL):
                nursery.start_soon(ask, name, began_s + number * _PACE_S / len(WELL))
        return found

    async def ratio(self, trouble: Callable[[], Awaitable[None]], seconds: float) -> tuple[float, float]:
        """Return the p99 with the trouble, in milliseconds, and how many times that without it is."""
        quiet: list[float] = []
        troubled: list[float] = []
        for _ in range(ROUNDS):
            quiet += await self.times_ms(seconds)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trouble)
                troubled += await self.times_ms(seconds)
                nursery.cancel_scope.cancel()
            self.supervisor.revive(CHILD_PREFIX + BAD)
        return quantile(troubled, 0.99), quantile(troubled, 0.99) / quantile(quiet, 0.99)

    async def served_again_ms(self) -> float:
        """Return how long it takes from a request that crashes to the next answer, the longest of three times."""
        longest_ms = 0.0
        for number in range(3):
            crashed_s = trio.current_time()
            await self.tried(SendMessage(sender="anna", to=["ben"], subject=f"first {number}", body="\ud800"))
            await self.registry.answer(BAD, LETTER, _CALLER)
            longest_ms = max(longest_ms, (trio.current_time() - crashed_s) * 1e3)
        return longest_ms


def _ignore(_event: str, **_fields: object) -> None:
    """What happens is counted, not told."""


async def run(directory: Path, seconds: float) -> dict[str, float]:
    """Measure everything; return the figures by name. Raises: LoadFailed."""
    data = DataDirectory(directory)
    data.prepare()
    async with open_supervisor() as supervisor:
        room = Room(data.ballast(), thread_hop(), _ignore)
        registry = Registry(data, supervisor, SystemClock(), random.Random(1).getrandbits, _ignore, room=room)
        stand = Stand(registry, supervisor)
        for name in (*WELL, BAD):
            await registry.answer(name, RegisterAgent(name="anna"), _CALLER)
        figures = {"crash_to_served_ms": await stand.served_again_ms()}
        for kind, trouble in (("crash", stand.crash), ("poison", stand.poison), ("flood", stand.flood)):
            p99_ms, ratio = await stand.ratio(trouble, seconds)
            figures |= {f"isolation_{kind}_p99_ms": p99_ms, f"isolation_{kind}_ratio": ratio}
        registry.stop()
        await supervisor.stop_all()
        await registry.close_readers()
    return figures


if __name__ == "__main__":
    # Not in the system's temporary directory, which is often in memory.
    with tempfile.TemporaryDirectory(prefix=".loadtest-", dir=sys.argv[1]) as scratch:
        print(json.dumps(trio.run(run, Path(scratch), float(sys.argv[2]))))
