"""When requests are sent: in a closed loop as soon as the last one is answered, in an open loop at times fixed beforehand.

In the open loop each request has a time at which it should be sent, whatever the service does, and its latency counts
from there: a service that stops for a second is charged with every request of that second, not with those that happened to
be on their way (no coordinated omission). Workers take the requests in the order of their times; one that comes too late
because all workers wait for answers has waited, too.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import trio

from loadtest.engine.connection import ANSWER_TIMEOUT_S, Answer, Broken, Connection, LoadFailed
from loadtest.engine.samples import Samples
from loadtest.engine.site import Site
from loadtest.engine.timer import Timer
from loadtest.promises.history import Violation
from loadtest.report.model import Loop

BACKLOG_WITHIN_S = 1.0  # seconds after the end in which what is due is still sent; the rest is recorded as not sent.
NO_ANSWER = 0
"""The status of a request whose connection broke."""
NOT_SENT = -1
"""The status of a request that was due and found no free connection until `BACKLOG_WITHIN_S` after the end."""


class Worker(Protocol):
    """What one connection asks, and what it makes of the answers. Synchronous: the pace does the waiting."""

    def ask(self) -> tuple[str, bytes]:
        """Return the next request: the name of its operation, and its bytes (`Site.request`)."""

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Look at the answer to what was asked last. Raises: LoadFailed, for a wrong answer; Violation.

        An answer may be one of unknown outcome (`answer.is_unknown`).
        """

    def lose(self, sent_s: float, broke_s: float) -> None:
        """Note that what was asked last has no answer and may have been applied or not; only called with faults."""


@runtime_checkable
class Resting(Protocol):
    """A worker that has something to finish when the time is up, so that others need not wait for it."""

    def rest(self) -> tuple[str, bytes] | None:
        """Return what is still to be asked, as `ask` does; None if nothing is. It is not recorded."""


@dataclass(slots=True)
class Paced:
    """What one loop has shown."""

    loop: Loop
    seconds: float = 0.0
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    """Answers by operation and status."""
    server_cpu_s: float = 0.0
    clients_cpu_s: float = 0.0
    offered_per_s: float = 0.0

    @property
    def requests(self) -> int:
        """Answers in all."""
        return sum(self.counts.values())

    @property
    def per_s(self) -> float:
        """Answers a second, of all operations."""
        return self.requests / self.seconds if self.seconds else 0.0

    def count(self, operation: str, status: int | None = None) -> int:
        """Return the answers of one operation, or those of them with one status."""
        return sum(
            count for (name, found), count in self.counts.items() if name == operation and status in (None, found)
        )

    def rate(self, operation: str, status: int | None = None) -> float:
        """Return how many of these there were in a second."""
        return self.count(operation, status) / self.seconds if self.seconds else 0.0

    @property
    def server_cpu_us(self) -> float:
        """The service's processor time for one request; 0 where it is not known."""
        return self.server_cpu_s / self.requests * 1e6 if self.requests else 0.0


async def closed_loop(site: Site, samples: Samples | None, workers: Sequence[Worker], seconds: float) -> Paced:
    """Let every worker ask over a connection of its own, one request after the other. Raises: LoadFailed, Violation."""
    paced = Paced("closed")

    def due(started_s: float) -> Iterator[float | None]:
        while time.perf_counter() < started_s + seconds:
            yield None

    await _run(site, samples, workers, due, seconds, paced)
    return paced


async def open_loop(
    site: Site, samples: Samples | None, workers: Sequence[Worker], seconds: float, per_s: float, chance: random.Random
) -> Paced:
    """Let the workers send at so many random times a second (a Poisson process). Raises: LoadFailed, Violation."""
    paced = Paced("open", offered_per_s=per_s)
    offsets_s = list(arrivals(chance, per_s, seconds))

    def due(started_s: float) -> Iterator[float | None]:
        return (started_s + offset_s for offset_s in offsets_s)

    await _run(site, samples, workers, due, seconds, paced)
    if samples is not None:
        for operation in {name for name, _ in paced.counts}:
            samples.offered(operation, per_s * paced.count(operation) / paced.requests)
    return paced


def arrivals(chance: random.Random, per_s: float, seconds: float) -> Iterator[float]:
    """Yield the times of a Poisson process in seconds from its begin."""
    at_s = chance.expovariate(per_s)
    while at_s < seconds:
        yield at_s
        at_s += chance.expovariate(per_s)


class Due(Protocol):
    """Makes the times at which requests are due, once it is known when the loop starts; None is at once."""

    def __call__(self, started_s: float) -> Iterator[float | None]:
        """Return the times, in order; all workers take from the one iterator."""


async def _run(
    site: Site, samples: Samples | None, workers: Sequence[Worker], due: Due, seconds: float, paced: Paced
) -> None:
    lines = [_Line(site, samples, worker, paced) for worker in workers]
    try:
        for line in lines:
            await line.open()
        with Timer() as timer:
            before_s, own_s = site.service_cpu_s(), time.process_time()
            started_s = time.perf_counter()
            times = due(started_s)
            backlog_s = started_s + seconds + BACKLOG_WITHIN_S
            failures: list[Exception] = []
            with trio.move_on_after(seconds + BACKLOG_WITHIN_S + ANSWER_TIMEOUT_S) as limit:
                async with trio.open_nursery() as outer:
                    outer.start_soon(timer.run)
                    async with trio.open_nursery() as nursery:
                        for line in lines:
                            nursery.start_soon(line.follow, times, backlog_s, timer, failures, nursery.cancel_scope)
                    outer.cancel_scope.cancel()
        if failures:
            raise failures[0]
        if limit.cancelled_caught:
            raise LoadFailed(f"a request got no answer in {ANSWER_TIMEOUT_S} s")
        paced.seconds = time.perf_counter() - started_s
        paced.server_cpu_s = site.service_cpu_s() - before_s if site.pid is not None else 0.0
        paced.clients_cpu_s = time.process_time() - own_s
    finally:
        for line in lines:
            line.close()


class _Line:
    """One worker and its connection."""

    def __init__(self, site: Site, samples: Samples | None, worker: Worker, paced: Paced) -> None:
        self._site, self._samples, self._worker, self._paced = site, samples, worker, paced
        self._connection: Connection | None = None

    async def open(self) -> Connection:
        """Open the connection. Raises: Broken."""
        self._connection = await self._site.connect()
        return self._connection

    async def follow(
        self,
        times: Iterator[float | None],
        backlog_s: float,
        timer: Timer,
        failures: list[Exception],
        scope: trio.CancelScope,
    ) -> None:
        """Send what is due until nothing is; what goes wrong ends all workers."""
        try:
            for due_s in times:
                now_s = time.perf_counter()
                if due_s is not None and due_s > now_s:
                    await timer.wait_until(due_s)
                elif due_s is not None and now_s > backlog_s:
                    self._note("not sent", due_s, now_s, NOT_SENT)
                    continue
                await self._one(self._worker.ask(), now_s if due_s is None else due_s)
            while isinstance(self._worker, Resting) and (wanted := self._worker.rest()) is not None:
                await self._one(wanted, None)
        except (LoadFailed, Violation) as failed:
            failures.append(failed)
            scope.cancel()

    async def _one(self, asked: tuple[str, bytes], intended_s: float | None) -> None:
        """Send one request; without a time at which it should be sent it is not recorded."""
        connection = self._connection or await self.open()
        operation, wanted = asked
        sent_s = time.perf_counter()
        try:
            answer = await connection.call(wanted)
        except Broken:
            if not self._site.has_faults:
                raise
            broke_s = time.perf_counter()
            self.close()
            if intended_s is not None:
                self._note(operation, intended_s, broke_s, NO_ANSWER)
            self._worker.lose(sent_s, broke_s)
            return
        answered_s = time.perf_counter()
        if intended_s is not None:
            self._note(operation, intended_s, answered_s, answer.status)
            counts, kind = self._paced.counts, (operation, answer.status)
            counts[kind] = counts.get(kind, 0) + 1
        self._worker.take(answer, sent_s, answered_s)

    def _note(self, operation: str, intended_s: float, answered_s: float, status: int) -> None:
        if self._samples is not None:
            self._samples.record(operation, self._paced.loop, intended_s, answered_s, status)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
