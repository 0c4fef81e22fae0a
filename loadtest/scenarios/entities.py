"""`entities`: specifications, epics, stories and tasks are made, read, listed and changed.

Each operation has a closed loop of its own, which is its rate; the open loop mixes them. Every change says the version that it
replaces. Four of five are of the author's own entities; the others are of some that all authors change, and may come too late.
"""

from typing import ClassVar, Final

from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import OPEN_SHARE, Slice
from loadtest.promises.versions import Versions
from loadtest.scenarios.author import OWN_MAX, Author, Shelf, demand_versions
from loadtest.scenarios.turns import take_turns

PROJECT: Final = "entities"
MIX: Final = {"make": 15, "read": 40, "list": 20, "change": 20, "replace": 5}
"""Of 100 requests of the open loop. A guess: work is looked at more often than it is changed."""
CHANGES: Final = ("change", "replace")
CLOSED_SHARE: Final = 0.5  # of the slice, for the closed loops together.
STORED: Final = 5_000  # entities there when the load starts, so that a page of 50 is one of many.
STORED_QUICK: Final = 300
SHARED: Final = 8  # of those, which all authors change.


class Entities:
    """One project, N authors."""

    name: ClassVar[str] = "entities"
    title: ClassVar[str] = "specifications, epics, stories and tasks made, read, listed and changed"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("make: times one commit a request", "> 1 time one commit a request", at_least=1.0),
        Wanted("changes: share that came too late", "> 0 (the load itself)", at_least=0.001),
    )

    def __init__(self) -> None:
        self._workers: list[Author] = []
        self._shelf: Shelf | None = None

    async def prepare(self, site: Site) -> None:
        """Make the entities that are there when the load starts."""
        shelf = self._shelf = Shelf(site.project(PROJECT), site.watch.add(Versions(site.watch.history)))
        self._workers = [Author(site, shelf, number) for number in range(site.connections)]
        each = min(OWN_MAX, site.scale(STORED, STORED_QUICK) // site.connections)
        await take_turns(site, self._workers, lambda number: len(self._workers[number].own) >= each)
        for worker in self._workers[:SHARED]:
            shelf.shared.append(worker.own.pop())

    async def load(self, site: Site, slice_: Slice) -> None:
        """Measure the rate of each operation, then the latency of all of them together."""
        slowness_s = 0.0
        loops = []
        closed_s = slice_.seconds * CLOSED_SHARE / len(MIX)
        for operation, share in MIX.items():
            self._mix({operation: 1})
            closed = await slice_.closed_loop(self._workers, closed_s)
            slice_.measure_rate(operation, closed, operation)
            slowness_s += share / sum(MIX.values()) / max(closed.per_s, 1.0)
            loops.append(closed)
        self._mix(MIX)
        loops.append(
            await slice_.open_loop(self._workers, OPEN_SHARE / slowness_s, slice_.seconds * (1 - CLOSED_SHARE))
        )
        changes = sum(loop.count(operation) for loop in loops for operation in CHANGES)
        late = sum(loop.count(operation, 409) for loop in loops for operation in CHANGES)
        site.measure("changes: share that came too late", late / max(changes, 1), "")

    def _mix(self, mix: dict[str, int]) -> None:
        for worker in self._workers:
            worker.mix = mix

    async def verify(self, site: Site) -> None:
        """Demand that every entity is listed as it was last acknowledged."""
        assert self._shelf is not None
        await demand_versions(site, self._shelf)
