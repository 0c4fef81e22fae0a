"""`held`: what a reservation and a check cost among many active reservations, against what they cost among few.

Two projects of one service are loaded in turn, in pieces so short that both see the same minute. What is asked is the
same in both: to reserve a free path and release it, and to check paths of which half are held.
"""

import random
from typing import ClassVar, Final

from loadtest.engine.pace import Worker
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders
from loadtest.scenarios.checker import Checker
from loadtest.scenarios.grabber import Grabber, Wish, register_all
from loadtest.scenarios.listing import demand_kept
from loadtest.scenarios.reserver import fill

FEW, MANY = "few", "many"
FEW_COUNT: Final = 100
MANY_COUNT, MANY_COUNT_QUICK = 100_000, 2_000
OWN_PATHS: Final = 500  # free paths that each worker takes turns with.
TURNS: Final = 2  # pieces of each kind for each project in one slice.
COST_MAX: Final = 1.3


class Held:
    """100 and 100,000 active reservations."""

    name: ClassVar[str] = "held"
    title: ClassVar[str] = "reserve and check among 100 and among 100,000 active reservations"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("reserve: cost among many, times that among few", "<= 1.3", at_most=COST_MAX),
        Wanted("check: cost among many, times that among few", "<= 1.3", at_most=COST_MAX),
    )

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], list[Worker]] = {}
        self._kept: dict[str, Durability] = {}

    async def prepare(self, site: Site) -> None:
        """Fill both projects."""
        holders = site.watch.add(Holders(site.watch.history))
        for project, count in ((FEW, FEW_COUNT), (MANY, site.scale(full=MANY_COUNT, quick=MANY_COUNT_QUICK))):
            kept = self._kept[project] = site.watch.add(Durability(site.watch.history, "reservations"))
            before_mb = site.service_rss_mb()
            held = await fill(site, site.project(project), kept, count)
            if project == MANY and before_mb:
                used_mb = site.service_rss_mb() - before_mb
                site.measure("memory of a reservation", used_mb * 1000 / count, "kB", "less")
            grabbers = [_grabber(site, project, number, holders, kept) for number in range(site.connections)]
            await register_all(site, grabbers)
            self._workers["reserve", project] = list(grabbers)
            self._workers["check", project] = [
                Checker(site, site.project(project), held, site.rng("check", project, number), f"check among {project}")
                for number in range(site.connections)
            ]

    async def load(self, site: Site, slice_: Slice) -> None:
        """Load one project and the other in turn."""
        none = {FEW: 0.0, MANY: 0.0}
        piece_s = slice_.seconds / (2 * 2 * TURNS)
        for kind in ("reserve", "check"):
            seconds, requests, cpu_s = dict(none), dict(none), dict(none)
            for project in (FEW, MANY) * TURNS:
                paced = await slice_.closed_loop(self._workers[kind, project], piece_s)
                seconds[project] += paced.seconds
                requests[project] += paced.requests
                cpu_s[project] += paced.server_cpu_s
            rates = {project: requests[project] / seconds[project] for project in (FEW, MANY)}
            for project, rate in rates.items():
                site.measure(f"{kind} among {project}: per second", rate, "/s", "more")
                if cpu_s[project] and not site.has_faults:
                    cpu_us = cpu_s[project] / requests[project] * 1e6
                    site.measure(f"{kind} among {project}: server CPU a request", cpu_us, "us", "less")
            site.measure(f"{kind}: cost among many, times that among few", rates[FEW] / rates[MANY], "x", "less")

    async def verify(self, site: Site) -> None:
        """Demand that all of it is still held."""
        for project, kept in self._kept.items():
            await demand_kept(site, site.project(project), kept)


def _grabber(site: Site, project: str, number: int, holders: Holders, kept: Durability) -> Grabber:
    """Return a worker that reserves and releases paths of its own, which nobody else asks for."""
    paths = [f"own/area_{number}/module_{each}.py" for each in range(OWN_PATHS)]
    wishes = [Wish(path, {"path": path}, frozenset((f"{project}:{path}",))) for path in paths]

    def draw(chance: random.Random) -> Wish:
        return chance.choice(wishes)

    return Grabber(
        site=site,
        project=site.project(project),
        name=f"worker-{number}",
        holders=holders,
        kept=kept,
        draw=draw,
        chance=site.rng("held", project, number),
        operation=f"reserve among {project}",
    )
