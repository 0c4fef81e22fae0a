"""`wait`: agents queue for few paths, and each release hands its path to the one in front.

Only a closed loop: how long somebody waits is how many are in front, by intent. What is measured is the hand-over, from the
moment at which a release is sent until the next one in the queue has read that it was granted.
"""

import random
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

import trio

from loadtest.engine.connection import Answer, Broken
from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.engine.tasks import beside
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders
from loadtest.promises.wait_order import WaitOrder
from loadtest.scenarios.follower import Follower
from loadtest.scenarios.grabber import Grabber, Wish, register_all
from loadtest.scenarios.listing import demand_kept

PROJECT: Final = "wait"
CONNECTIONS_PER_PATH: Final = 8
WAIT_S: Final = 20  # seconds that a place in the queue is kept; far more than a queue of seven takes.
LOOK_EVERY_S: Final = 0.1
"""Seconds between two looks at the queue; a look costs the service about as much as ten requests."""


@dataclass(slots=True, kw_only=True)
class Waiter(Grabber):
    """One agent. Waits for a path, holds it for one turn of its own, gives it back. Operations `wait` and `release`."""

    order: WaitOrder
    releases: dict[str, float]
    """When the last release of each path was sent."""
    handed_over: list[tuple[float, float]]
    """When a release was sent, and when the next one had the path."""

    def ask(self) -> tuple[str, bytes]:
        """Wait for a path or release it."""
        wanted = super(Waiter, self).ask()
        if wanted[0] == "release":
            self.releases[self.holds[0].wish.pattern] = self.site.now_s()
        return wanted

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Note who came before whom, and how long the hand-over took if the path was held when it was asked for."""
        before = len(self.holds)
        super(Waiter, self).take(answer, sent_s, answered_s)
        if len(self.holds) > before:
            hold = self.holds[-1]
            self.order.granted(answered_s, hold.wish.pattern, hold.reservation)
            released_s = self.releases.pop(hold.wish.pattern, None)
            if released_s is not None and released_s > sent_s:
                self.handed_over.append((released_s, answered_s))
        elif answer.status == 409 and self.wish is not None:
            self.order.gave_up(answered_s, self.wish.pattern)

    def lose(self, sent_s: float, broke_s: float) -> None:
        """Note that a queue is empty after a crash."""
        super(Waiter, self).lose(sent_s, broke_s)
        if self.wish is not None:
            self.order.gave_up(broke_s, self.wish.pattern)

    def rest(self) -> tuple[str, bytes] | None:
        """Release what is held, since others wait for it."""
        return self.ask() if self.holds or self.has_lost else None


class Wait:
    """64 agents, 8 paths: one holds, seven wait."""

    name: ClassVar[str] = "wait"
    title: ClassVar[str] = "queues with hand-over, first come, first served"
    targets: ClassVar[tuple[Wanted, ...]] = ()

    def __init__(self) -> None:
        self._workers: list[Waiter] = []
        self._paths: list[str] = []
        self._handed_over: list[tuple[float, float]] = []
        self._kept: Durability | None = None
        self._follower: Follower | None = None
        self._order: WaitOrder | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        holders = site.watch.add(Holders(site.watch.history))
        self._order = order = site.watch.add(WaitOrder(site.watch.history))
        self._kept = kept = site.watch.add(Durability(site.watch.history, "reservations"))
        self._follower = Follower(site, site.project(PROJECT))
        self._paths = paths = [
            f"src/queue_{number}.py" for number in range(max(1, site.connections // CONNECTIONS_PER_PATH))
        ]
        wishes = [
            Wish(path, {"path": path, "on_conflict": "wait", "wait_seconds": WAIT_S}, frozenset((path,)))
            for path in paths
        ]
        releases: dict[str, float] = {}

        def draw(chance: random.Random) -> Wish:
            return chance.choice(wishes)

        self._workers = [
            Waiter(
                site=site,
                project=site.project(PROJECT),
                name=f"waiter-{number}",
                holders=holders,
                kept=kept,
                draw=draw,
                chance=site.rng(PROJECT, number),
                operation="wait",
                order=order,
                releases=releases,
                handed_over=self._handed_over,
            )
            for number in range(site.connections)
        ]
        await register_all(site, list(self._workers))

    async def load(self, site: Site, slice_: Slice) -> None:
        """Wait, be granted, release; somebody looks at the queue, somebody follows the events."""
        assert self._follower is not None
        self._handed_over.clear()
        async with self._follower.following(), beside(partial(self._watch, site)):
            closed = await slice_.closed_loop(self._workers)
        for released_s, answered_s in self._handed_over:
            slice_.record("hand-over", released_s, released_s, answered_s, 201, loop="closed")
        slice_.measure_rate("hand-overs", closed, "wait", 201)
        times_ms = [(answered_s - released_s) * 1000 for released_s, answered_s in self._handed_over]
        site.measure("hand-over: p50", quantile(times_ms, 0.5), "ms", "less")
        site.measure("hand-over: p99", quantile(times_ms, 0.99), "ms", "less")

    async def _watch(self, site: Site) -> None:
        """Look at the queue again and again. After a crash nothing that was listed counts any more."""
        wanted = site.request("GET", f"/api/reservations/waiting?project={site.project(PROJECT)}")
        while True:
            try:
                connection = await site.connect()
                try:
                    while True:
                        found = await connection.ask(wanted, 200)
                        self._look(found["waiting"], site.now_s())
                        await trio.sleep(LOOK_EVERY_S)
                finally:
                    connection.close()
            except Broken:
                if not site.has_faults:
                    raise
            self._look([], site.now_s())
            await trio.sleep(LOOK_EVERY_S)

    def _look(self, waiting: list[dict[str, Any]], at_s: float) -> None:  # Any: JSON.
        assert self._order is not None
        for path in self._paths:
            tickets = [each["ticket"] for each in waiting if each["targets"][0]["path"] == path]
            self._order.listed(at_s, path, tickets)

    async def verify(self, site: Site) -> None:
        """Demand that nothing is held, and that every event was heard."""
        assert self._kept is not None
        assert self._follower is not None
        await demand_kept(site, site.project(PROJECT), self._kept)
        await self._follower.demand_all()
