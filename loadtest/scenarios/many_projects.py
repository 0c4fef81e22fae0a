"""`many-projects`: the load of `unique`, over 1, 10 and 100 projects, with the same connections.

The projects are open when it is measured, and an agent of each connection is registered in each. In one slice each number of
projects has two loops, once in this and once in the other order, so that what drifts meanwhile favours none. The first
request of a new project, which makes its file, is measured by itself, over one connection.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

from loadtest.engine.pace import Paced
from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import OPEN_SHARE, Slice
from loadtest.promises.durability import Durability
from loadtest.scenarios.listing import content_of, demand_kept
from loadtest.scenarios.spreader import Spreader, spread_over
from loadtest.scenarios.turns import take_turns

NUMBERS: Final = (1, 10, 100)
FIRST_REQUEST: Final = "first request of a new project"
FIRST: Final = 15  # new projects a round; with those above they stay below the 256 that the service keeps open.
FIRST_QUICK: Final = 5
OPEN_LOOP_SHARE: Final = 0.25  # of the slice, for the latency with 100 projects.


def label_of(count: int) -> str:
    """Return what so many projects are called in the report."""
    return "1 project" if count == 1 else f"{count} projects"


def operation_of(count: int) -> str:
    """Return what a reservation in one of so many projects is called."""
    return f"reserve, {label_of(count)}"


def share_of(count: int) -> str:
    """Return the name of the measure that compares so many projects with one."""
    return f"{label_of(count)}: times the rate of one"


class ManyProjects:
    """N connections, one load, 1, 10 and 100 projects."""

    name: ClassVar[str] = "many-projects"
    title: ClassVar[str] = "the load of unique over 1, 10 and 100 projects"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted(share_of(NUMBERS[-1]), ">= 0.8 of one project's rate", at_least=0.8),
    )

    def __init__(self, numbers: Sequence[int] = NUMBERS) -> None:
        self._numbers = numbers
        self.kept: dict[str, Durability] = {}
        """What has to be listed in each project."""
        self._workers: dict[int, list[Spreader]] = {}

    async def prepare(self, site: Site) -> None:
        """Open the projects and register all agents."""
        for count in self._numbers:
            names = [site.project(f"spread-{count}-{number}") for number in range(count)]
            kept = {name: self._durability(site, name) for name in names}
            self.kept |= kept
            self._workers[count] = spread_over(site, kept, label_of(count))
            await _open_all(site, self._workers[count])

    def _durability(self, site: Site, project: str) -> Durability:
        return site.watch.add(Durability(site.watch.history, f"reservations of {project}"))

    async def load(self, site: Site, slice_: Slice) -> None:
        """Measure each number of projects twice, then the latency with the largest, then what a new project costs."""
        closed_s = slice_.seconds * (1 - OPEN_LOOP_SHARE) / (2 * len(self._numbers))
        both = {count: Paced("closed") for count in self._numbers}
        for count in (*self._numbers, *reversed(self._numbers)):
            both[count] = added(both[count], await slice_.closed_loop(self._workers[count], closed_s))
        slice_.main = both[self._numbers[-1]]
        for count, paced in both.items():
            slice_.measure_rate(label_of(count), paced, operation_of(count))
        rates = {count: paced.rate(operation_of(count)) for count, paced in both.items()}
        for count in self._numbers[1:]:
            site.measure(share_of(count), rates[count] / max(rates[1], 1.0), "x", "more")
        most = self._numbers[-1]
        await slice_.open_loop(
            self._workers[most], max(rates[most] * OPEN_SHARE, 1.0), slice_.seconds * OPEN_LOOP_SHARE
        )
        await self._first_requests(site, slice_)

    async def _first_requests(self, site: Site, slice_: Slice) -> None:
        connection = await site.connect()
        try:
            for number in range(site.scale(FIRST, FIRST_QUICK)):
                project = site.project(f"new-{slice_.number}-{number}")
                kept = self.kept[project] = self._durability(site, project)
                fields = {"project": project, "agent_id": "first", "path": "README.md", "reason": "load test"}
                wanted = site.request("POST", "/api/reservations", fields)
                sent_s = site.now_s()
                found = (await connection.call(wanted)).demand(201).json()
                answered_s = site.now_s()
                slice_.record(FIRST_REQUEST, sent_s, sent_s, answered_s, 201)
                kept.acknowledged(answered_s, "first", found["id"], content_of(found["path_pattern"], "first"))
        finally:
            connection.close()
        site.measure(
            f"{FIRST_REQUEST}: p50", quantile(slice_.samples.times_ms(FIRST_REQUEST, "open"), 0.5), "ms", "less"
        )

    async def verify(self, site: Site) -> None:
        """Demand that every project lists what was acknowledged in it, and nothing of another one."""
        for project, kept in self.kept.items():
            await demand_kept(site, project, kept)


async def _open_all(site: Site, workers: Sequence[Spreader]) -> None:
    """Let every worker ask in each of its projects once, which opens them and registers its agents."""
    await take_turns(site, workers, lambda number: workers[number].has_been_everywhere)


def added(first: Paced, second: Paced) -> Paced:
    """Return what two loops of the same kind have shown together."""
    return Paced(
        first.loop,
        seconds=first.seconds + second.seconds,
        counts=dict(Counter(first.counts) + Counter(second.counts)),
        server_cpu_s=first.server_cpu_s + second.server_cpu_s,
        clients_cpu_s=first.clients_cpu_s + second.clients_cpu_s,
    )
