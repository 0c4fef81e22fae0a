"""The closed loop of these figures: many connections, each asking again as soon as it is answered."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from loadtest.engine.connection import ANSWER_TIMEOUT_S, Answer, Connection, LoadFailed, connect
from loadtest.engine.references import EchoAsker
from loadtest.engine.samples import quantile


class Worker(Protocol):
    """What one connection asks, and what it makes of the answers."""

    async def prepare(self, connection: Connection) -> None:
        """Do what the next request needs; not measured."""

    def next_request(self) -> bytes:
        """Return the next request."""

    def take(self, status: int, body: bytes) -> None:
        """Look at the answer. Raises: LoadFailed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load has shown."""

    seconds: float
    times_ms: list[float]

    @property
    def per_s(self) -> float:
        """Answers a second, over all connections."""
        return len(self.times_ms) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Return the time within which this share of the requests was answered."""
        return quantile(self.times_ms, share)


class Echo:
    """Asks the reference server as a worker of these loads."""

    def __init__(self, port: int) -> None:
        self._asker = EchoAsker(port)

    async def prepare(self, connection: Connection) -> None:
        """Need nothing."""

    def next_request(self) -> bytes:
        """Return the same request every time."""
        return self._asker.ask()[1]

    def take(self, status: int, body: bytes) -> None:
        """Demand what was sent."""
        self._asker.take(Answer(status, body, b""), 0.0, 0.0)


async def load(port: int, seconds: float, workers: Sequence[Worker]) -> Measured:
    """Let every worker ask over a connection of its own for so long. Raises: LoadFailed."""
    connections = [await connect(port) for _ in workers]
    times_ms: list[float] = []
    failures: list[LoadFailed] = []
    try:
        for worker, connection in zip(workers, connections, strict=True):
            await worker.prepare(connection)
        started_s = time.perf_counter()
        with trio.move_on_after(seconds + ANSWER_TIMEOUT_S) as limit:
            async with trio.open_nursery() as nursery:
                for worker, connection in zip(workers, connections, strict=True):
                    nursery.start_soon(_ask_until, started_s + seconds, worker, connection, times_ms, failures)
        if failures or limit.cancelled_caught:
            raise failures[0] if failures else LoadFailed(f"a request got no answer in {ANSWER_TIMEOUT_S} s")
        return Measured(time.perf_counter() - started_s, times_ms)
    finally:
        for connection in connections:
            connection.close()


async def _ask_until(
    end_s: float, worker: Worker, connection: Connection, times_ms: list[float], failures: list[LoadFailed]
) -> None:
    """Ask until the time is up or anybody failed."""
    try:
        while time.perf_counter() < end_s and not failures:
            await worker.prepare(connection)
            wanted = worker.next_request()
            sent_s = time.perf_counter()
            answer = await connection.call(wanted)
            times_ms.append((time.perf_counter() - sent_s) * 1000)
            worker.take(answer.status, answer.body)
    except LoadFailed as failed:
        failures.append(failed)
