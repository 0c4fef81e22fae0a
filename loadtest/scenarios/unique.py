"""`unique`: durable reservations of paths that are all different, so that none waits for another one."""

from typing import ClassVar, Final

from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.scenarios.reserver import Reserver

PROJECT: Final = "unique"


class Unique:
    """64 connections reserve for good; at the end everything that was acknowledged is listed."""

    name: ClassVar[str] = "unique"
    title: ClassVar[str] = "durable reservations that never conflict"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("reserve: times the echo", ">= 0.30 of the echo", at_least=0.30),
        Wanted("reserve: times one commit a request", ">= 8 times one commit a request", at_least=8.0),
        Wanted("reserve: p99 / p50", "< 4", at_most=4.0),
    )

    def __init__(self) -> None:
        self._workers: list[Reserver] = []
        self._kept: Durability | None = None

    async def prepare(self, site: Site) -> None:
        """Need nothing but workers."""
        self._kept = site.watch.add(Durability(site.watch.history, "reservations"))
        self._workers = [Reserver(site, PROJECT, number, self._kept) for number in range(site.connections)]

    async def load(self, site: Site, slice_: Slice) -> None:
        """Reserve."""
        closed, _ = await slice_.rate_then_latency(self._workers)
        slice_.measure_rate("reserve", closed, "reserve")
        times_ms = slice_.samples.times_ms("reserve", "open")
        if times_ms:
            site.measure("reserve: p99 / p50", quantile(times_ms, 0.99) / quantile(times_ms, 0.5), "x", "less")

    async def verify(self, site: Site) -> None:
        """Demand that the list of active reservations is what was acknowledged."""
        assert self._kept is not None
        rows = await site.rows(f"/api/reservations?project={PROJECT}", "reservations")
        self._kept.demand({str(row["id"]): str(row["path_pattern"]) for row in rows}, "after the load")
