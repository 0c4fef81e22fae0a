"""`unique`: durable reservations of paths that are all different, so that none waits for another one.

Beside the rate: checks of what is held then, and one connection alone, whose requests take turns with commits on the disk.
"""

from typing import ClassVar, Final

from loadtest.engine.references import Commits
from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.scenarios.checker import Checker
from loadtest.scenarios.listing import demand_kept
from loadtest.scenarios.reserver import Reserver, begin

PROJECT: Final = "unique"
RESERVE_SHARE, CHECK_SHARE = 0.6, 0.25  # of the slice; the rest is for the one connection.


class Unique:
    """64 connections reserve for good; at the end everything that was acknowledged is listed."""

    name: ClassVar[str] = "unique"
    title: ClassVar[str] = "durable reservations that never conflict"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("reserve: times the echo", ">= 0.30 of the echo", at_least=0.30),
        Wanted("reserve: times one commit a request", ">= 8 times one commit a request", at_least=8.0),
        Wanted("reserve: p99 / p50", "< 4, at 60 % of the rate", at_most=4.0),
        Wanted("check: times the echo", ">= 0.35 of the echo", at_least=0.35),
        Wanted("one connection: p50 over a commit", "<= 0.5 ms more than a commit on the disk", at_most=0.5),
    )

    def __init__(self) -> None:
        self._workers: list[Reserver] = []
        self._alone: Reserver | None = None
        self._kept: Durability | None = None

    async def prepare(self, site: Site) -> None:
        """Register the first agents."""
        self._kept = site.watch.add(Durability(site.watch.history, "reservations"))
        self._workers = [
            Reserver(site, site.project(PROJECT), number, self._kept) for number in range(site.connections)
        ]
        self._alone = Reserver(site, site.project(PROJECT), site.connections, self._kept)
        await begin(site, [*self._workers, self._alone])

    async def load(self, site: Site, slice_: Slice) -> None:
        """Reserve, check what is held, reserve over one connection."""
        assert self._kept is not None
        closed, _ = await slice_.rate_then_latency(self._workers, slice_.seconds * RESERVE_SHARE)
        slice_.measure_rate("reserve", closed, "reserve")
        times_ms = slice_.samples.times_ms("reserve", "open")
        if times_ms:
            site.measure("reserve: p99 / p50", quantile(times_ms, 0.99) / quantile(times_ms, 0.5), "x", "less")
        held = [path for worker in self._workers for path in worker.paths]
        checkers = [
            Checker(site, site.project(PROJECT), held, site.rng("check", slice_.number, each))
            for each in range(site.connections)
        ]
        checked, _ = await slice_.rate_then_latency(checkers, slice_.seconds * CHECK_SHARE)
        slice_.measure_rate("check", checked, "check")
        if not site.has_faults:
            await self._one_connection(site, slice_, slice_.seconds * (1 - RESERVE_SHARE - CHECK_SHARE))

    async def _one_connection(self, site: Site, slice_: Slice, seconds: float) -> None:
        """Reserve over one connection and commit on the disk in turn, so that both are of the same moment."""
        worker = self._alone
        assert worker is not None
        requests_ms: list[float] = []
        commits_ms: list[float] = []
        connection = await site.connect()
        try:
            with Commits(site.directory) as commits:
                end_s = site.now_s() + seconds
                while site.now_s() < end_s:
                    operation, wanted = worker.ask()
                    sent_s = site.now_s()
                    answer = await connection.call(wanted)
                    answered_s = site.now_s()
                    worker.take(answer, sent_s, answered_s)
                    if operation == "reserve":
                        slice_.record("reserve, alone", sent_s, sent_s, answered_s, answer.status, loop="closed")
                        requests_ms.append((answered_s - sent_s) * 1000)
                        commits_ms.append(commits.one() * 1000)
        finally:
            connection.close()
        request_ms, commit_ms = quantile(requests_ms, 0.5), quantile(commits_ms, 0.5)
        site.measure("one connection: p50", request_ms, "ms", "less")
        site.measure("one connection: p50 of a commit", commit_ms, "ms")
        site.measure("one connection: p50 over a commit", request_ms - commit_ms, "ms", "less")

    async def verify(self, site: Site) -> None:
        """Demand that the list of active reservations is what was acknowledged."""
        assert self._kept is not None
        await demand_kept(site, site.project(PROJECT), self._kept)
