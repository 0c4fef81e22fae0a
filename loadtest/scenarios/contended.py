"""`contended`: many agents want few hot paths and give each back at once, so that nine reservations of ten are refused.

With N connections in turn and K paths, each path is granted once and released once in a turn; K = N / 11 makes N - 2K
refusals of N - K reservations, which is 90 %.
"""

import random
from typing import ClassVar, Final

from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders
from loadtest.scenarios.grabber import Grabber, Wish, register_all
from loadtest.scenarios.listing import demand_kept

PROJECT: Final = "contended"
CONNECTIONS_PER_PATH: Final = 11  # as above.


class Contended:
    """N agents, N / 11 paths."""

    name: ClassVar[str] = "contended"
    title: ClassVar[str] = "many agents want few hot paths, and nine of ten are refused"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("refusals: times the echo", ">= 0.50 of the echo", at_least=0.50),
        Wanted("share refused", "0.85 to 0.95 (the load itself)", at_least=0.85, at_most=0.95),
    )

    def __init__(self) -> None:
        self._workers: list[Grabber] = []
        self._kept: Durability | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        holders = site.watch.add(Holders(site.watch.history))
        self._kept = site.watch.add(Durability(site.watch.history, "reservations"))
        paths = [f"src/hot_{number}.py" for number in range(max(1, round(site.connections / CONNECTIONS_PER_PATH)))]
        wishes = [Wish(path, {"path": path}, frozenset((path,))) for path in paths]

        def draw(chance: random.Random) -> Wish:
            return chance.choice(wishes)

        self._workers = [
            Grabber(
                site=site,
                project=site.project(PROJECT),
                name=f"grabber-{number}",
                holders=holders,
                kept=self._kept,
                draw=draw,
                chance=site.rng(PROJECT, number),
            )
            for number in range(site.connections)
        ]
        await register_all(site, self._workers)

    async def load(self, site: Site, slice_: Slice) -> None:
        """Ask, be refused, hold, release."""
        closed, _ = await slice_.rate_then_latency(self._workers)
        slice_.measure_rate("refusals", closed, "reserve", 409)
        site.measure("share refused", closed.count("reserve", 409) / max(closed.count("reserve"), 1), "")

    async def verify(self, site: Site) -> None:
        """Demand that what is listed is what the agents hold."""
        assert self._kept is not None
        await demand_kept(site, site.project(PROJECT), self._kept)
