"""`overload`: three times as much as the service can do, in an open loop, and some polite clients in the middle of it.

First the capacity is measured in a closed loop with the same mix; then three times that is offered, over so many connections
that the service has to refuse and not the client. What is served and what is refused are told apart.
"""

from typing import ClassVar, Final

from loadtest.engine.pace import Paced
from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.engine.tasks import together
from loadtest.promises.durability import Durability
from loadtest.promises.retry_after import TOLD, RetryAfter
from loadtest.scenarios.listing import demand_kept
from loadtest.scenarios.pusher import Polite, Pusher

PROJECT: Final = "overload"
TIMES: Final = 3.0
"""Of the capacity."""
CONNECTIONS: Final = 2048  # twice the places of a project's mailbox, since not all that is asked needs one.
AGENTS: Final = 64
POLITE: Final = 8
CLOSED_SHARE: Final = 0.3  # of the slice, in which the capacity is measured.
OPEN_MIN_S: Final = 1.0  # seconds; it takes about one until the mailbox is full.


class Overload:
    """2,048 connections of 64 agents that push, and 8 agents that obey Retry-After."""

    name: ClassVar[str] = "overload"
    title: ClassVar[str] = "three times the capacity, in an open loop"
    targets: ClassVar[tuple[Wanted, ...]] = ()

    def __init__(self) -> None:
        self._pushers: list[Pusher] = []
        self._polite: list[Polite] = []
        self._kept: Durability | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        self._kept = kept = site.watch.add(Durability(site.watch.history, "reservations"))
        told = site.watch.add(RetryAfter(site.watch.history))
        names = [f"agent-{number}" for number in range(AGENTS)] + [f"polite-{number}" for number in range(POLITE)]
        agents = await site.register(site.project(PROJECT), names)
        self._pushers = [
            Pusher(site, site.project(PROJECT), number, agents[number % AGENTS], kept, told)
            for number in range(CONNECTIONS)
        ]
        self._polite = [
            Polite(site, Pusher(site, site.project(PROJECT), CONNECTIONS + number, agent, kept, told), told)
            for number, agent in enumerate(agents[AGENTS:])
        ]

    async def load(self, site: Site, slice_: Slice) -> None:
        """Measure the capacity, then offer three times as much."""
        closed = await slice_.closed_loop(self._pushers[: site.connections], slice_.seconds * CLOSED_SHARE)
        offered_per_s, open_s = closed.per_s * TIMES, max(OPEN_MIN_S, slice_.seconds * (1 - CLOSED_SHARE))
        flood: list[Paced] = []
        before = [len(each.tries) for each in self._polite]

        async def push() -> None:
            flood.append(await slice_.open_loop(self._pushers, offered_per_s, open_s))

        await together([push(), *(each.run(lambda: bool(flood)) for each in self._polite)])
        slice_.samples.set_apart("open", TOLD, "refused")
        tries = [count for each, start in zip(self._polite, before, strict=True) for count in each.tries[start:]]
        self._measure(site, slice_, closed, flood[0], tries)

    def _measure(self, site: Site, slice_: Slice, closed: Paced, flood: Paced, tries: list[int]) -> None:
        refused = sum(count for (_, status), count in flood.counts.items() if status in TOLD)
        served = sum(count for (_, status), count in flood.counts.items() if 200 <= status < 300)
        goodput = served / flood.seconds
        site.measure("capacity", closed.per_s, "/s", "more")
        site.measure("offered", flood.offered_per_s, "/s")
        site.measure("goodput", goodput, "/s", "more")
        site.measure("goodput: times the capacity", goodput / closed.per_s, "x", "more")
        site.measure("share refused", refused / max(flood.requests, 1), "")
        for name in ("check", "reserve"):
            times_ms = slice_.samples.times_ms(name, "open")
            site.measure(f"served {name}: p99", quantile(times_ms, 0.99), "ms", "less")
        if times_ms := slice_.samples.times_ms("reserve refused", "open"):
            site.measure("refused reserve: p99", quantile(times_ms, 0.99), "ms", "less")
        site.measure("polite clients: requests served", len(tries), "", "more")
        site.measure("polite clients: tries, at most", max(tries, default=0), "", "less")

    async def verify(self, site: Site) -> None:
        """Demand that what was acknowledged is listed, and nothing that was refused."""
        assert self._kept is not None
        await demand_kept(site, site.project(PROJECT), self._kept)
