"""One measured slice of a scenario: its two loops, what else is recorded in it, and the references of the same round."""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from loadtest.engine.pace import Paced, Worker, closed_loop, open_loop
from loadtest.engine.samples import Samples
from loadtest.engine.site import Site
from loadtest.report.model import Loop

OPEN_SHARE = 0.6  # of the closed loop's rate; what latency is measured at.


class References(msgspec.Struct):
    """The fixed references of one round."""

    echo_per_s: float = 0.0
    commits_per_s: float = 0.0
    commit_ms: float = 0.0
    """The median of one durable commit."""
    one_commit_per_request_per_s: float = 0.0
    """0 where the service is not ours."""


class Slice:
    """A slice. `seconds` is how long all of its loops together should take."""

    def __init__(self, site: Site, samples: Samples, number: int, seconds: float, references: References) -> None:
        self.number, self.seconds, self.references = number, seconds, references
        self.samples = samples
        self._site = site
        self._open_loops = 0
        self.main: Paced | None = None
        """The loop that gives the round its rate: the first closed one, unless the scenario sets another."""
        samples.begin_round(time.perf_counter())

    async def closed_loop(self, workers: Sequence[Worker], seconds: float | None = None) -> Paced:
        """Let each worker ask over a connection of its own, one request after the other.

        `seconds` is the slice's by default. The first closed loop of a slice is the round's rate.
        Raises: LoadFailed, Violation.
        """
        with _no_collector():
            paced = await closed_loop(self._site, self.samples, workers, seconds or self.seconds)
        self.main = self.main or paced
        return paced

    async def open_loop(self, workers: Sequence[Worker], per_s: float, seconds: float | None = None) -> Paced:
        """Send at so many random times a second, whatever the answers do. Raises: LoadFailed, Violation."""
        self._open_loops += 1
        chance = self._site.rng("arrivals", self.number, self._open_loops)
        with _no_collector():
            return await open_loop(self._site, self.samples, workers, seconds or self.seconds, per_s, chance)

    async def rate_then_latency(self, workers: Sequence[Worker], seconds: float | None = None) -> tuple[Paced, Paced]:
        """Measure the rate in a closed loop and the latency in an open one at 60 % of it, half of the time each."""
        half_s = (seconds or self.seconds) / 2
        closed = await self.closed_loop(workers, half_s)
        return closed, await self.open_loop(workers, max(closed.per_s * OPEN_SHARE, 1.0), half_s)

    def record(
        self,
        operation: str,
        intended_s: float,
        sent_s: float,
        answered_s: float,
        status: int,
        *,
        loop: Loop = "open",
    ) -> None:
        """Note an answer that came outside of the two loops, at times of `site.now_s`."""
        assert intended_s <= sent_s <= answered_s
        self.samples.record(operation, loop, intended_s, answered_s, status)

    def measure_rate(self, name: str, paced: Paced, operation: str, status: int | None = None) -> None:
        """Measure the answers of an operation (with a status): per second, times the echo, times one commit a request;
        and the service's CPU for a request of the loop. They are called `{name}: per second` and so on.
        """
        site, per_s = self._site, paced.rate(operation, status)
        site.measure(f"{name}: per second", per_s, "/s", "more")
        site.measure(f"{name}: times the echo", per_s / self.references.echo_per_s, "x", "more")
        if self.references.one_commit_per_request_per_s:
            ratio = per_s / self.references.one_commit_per_request_per_s
            site.measure(f"{name}: times one commit a request", ratio, "x", "more")
        if site.pid is not None and not site.has_faults:
            site.measure(f"{name}: server CPU a request", paced.server_cpu_us, "us", "less")


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the garbage collector of this process out of what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
