"""`claim`: all connections take tasks from one pool, which now and then holds fewer than there are takers.

A taker asks for the next task, or by its id for one of those that were made last, which others are after as well. It
finishes nine of ten and gives the tenth back. Who finds no task makes some.
"""

from typing import ClassVar, Final

from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.claims_once import ClaimsOnce
from loadtest.scenarios.taker import Pool, Taker, demand_claims

PROJECT: Final = "claim"


class ClaimTasks:
    """N agents, one pool."""

    name: ClassVar[str] = "claim"
    title: ClassVar[str] = "tasks taken from one pool, each by one agent"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("next: share that found none", "0.02 to 0.60 (the load itself)", at_least=0.02, at_most=0.60),
        Wanted("claim: share refused", ">= 0.30 (the load itself)", at_least=0.30),
    )

    def __init__(self) -> None:
        self._workers: list[Taker] = []
        self._pool: Pool | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents; the pool is empty."""
        self._pool = Pool(site.project(PROJECT), site.watch.add(ClaimsOnce(site.watch.history)))
        self._workers = [Taker(site, self._pool, f"taker-{number}") for number in range(site.connections)]
        agents = await site.register(self._pool.project, [each.name for each in self._workers])
        for worker, agent in zip(self._workers, agents, strict=True):
            worker.begin(agent)

    async def load(self, site: Site, slice_: Slice) -> None:
        """Take tasks and finish them."""
        closed, _ = await slice_.rate_then_latency(self._workers)
        slice_.measure_rate("tasks taken with next", closed, "next", 200)
        asked = closed.count("next", 200) + closed.count("next", 404)
        site.measure("next: share that found none", closed.count("next", 404) / max(asked, 1), "")
        site.measure("claim: share refused", closed.count("claim", 409) / max(closed.count("claim"), 1), "")

    async def verify(self, site: Site) -> None:
        """Demand that every task is where the answers said."""
        assert self._pool is not None
        await demand_claims(site, self._pool)
