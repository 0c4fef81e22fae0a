"""The client's event iterator: how many events it gives out in a second, from the log and live, and how late they are.

An agent that releases all of its reservations makes an event for each, in one request: so the events come at a rate of
their own, a little above the target, and the server is not kept busy by being asked for them. The reader is
`intermute.client`, in this process; what it gives out has to be the log, each event once.
Source: issue 6, "Speed".
"""

import time
from datetime import datetime
from pathlib import Path

import trio

from intermute.client import Client, Events
from intermute.client.background import Background
from loadtest.engine.connection import LoadFailed, connect, request
from loadtest.engine.samples import quantile
from loadtest.engine.server import running

PROJECT = "followed"
HELD = 180  # reservations of one agent, which end together; it may hold 200.
WRITTEN_PER_S = 2_200  # events a second; the target is 2,000.
SAMPLED = 10  # of so many events one is looked at for its age.
PAGE = 1000
CATCH_UP_S = 30.0  # seconds; a reader that is not there by then did not keep up, and the run fails.


class Reader:
    """What the iterator gave out."""

    def __init__(self) -> None:
        self.cursors: list[int] = []
        self.ages_ms: list[float] = []
        self.last_s = 0.0
        self._news = trio.Event()

    async def read(self, events: Events, up_to: int | None = None) -> None:
        """Read until the cursor, or for ever."""
        while up_to is None or not self.cursors or self.cursors[-1] < up_to:
            event = await anext(events)
            self.cursors.append(event.cursor)
            if len(self.cursors) % SAMPLED == 0:
                self.ages_ms.append((time.time() - datetime.fromisoformat(event.created_at).timestamp()) * 1000)
            self.last_s = time.perf_counter()
            self._news.set()
            self._news = trio.Event()

    async def came_to(self, cursor: int) -> None:
        """Return once this event has been given out."""
        while not self.cursors or self.cursors[-1] < cursor:
            await self._news.wait()


def event_reader_figures(directory: Path, agents: int) -> dict[str, float]:
    """Measure following live, then the whole log again; return the figures by name. Raises: LoadFailed, ServerFailed."""
    with running(directory) as server:
        return trio.run(_measured, server.port, agents)


async def _measured(port: int, agents: int) -> dict[str, float]:
    names = [f"agent-{number}" for number in range(agents)]
    await _reserve_all(port, names)
    start = (await _log(port))[-1]
    live, again = Reader(), Reader()
    async with Client(f"http://127.0.0.1:{port}", project=PROJECT, environment={}) as client:
        async with client.follow(since=start) as events, Background() as nursery:
            nursery.start_soon(live.read, events)
            started_s = time.perf_counter()
            last = await _release_all(port, names)
            with trio.move_on_after(CATCH_UP_S):
                await live.came_to(last)
        log = await _log(port)
        _demand_same(live.cursors, [cursor for cursor in log if cursor > start])
        async with client.follow(since=0) as events:
            replayed_s = time.perf_counter()
            with trio.move_on_after(CATCH_UP_S):
                await again.read(events, log[-1])
        _demand_same(again.cursors, log)
    return {
        "follow_live_per_s": len(live.cursors) / (live.last_s - started_s),
        "follow_age_p50_ms": quantile(live.ages_ms, 0.50),
        "follow_age_p99_ms": quantile(live.ages_ms, 0.99),
        "follow_replay_per_s": len(log) / (again.last_s - replayed_s),
    }


async def _reserve_all(port: int, names: list[str]) -> None:
    """Let every agent hold as many reservations as end at once later. Raises: LoadFailed."""
    failures: list[LoadFailed] = []

    async def reserve(name: str) -> None:
        connection = await connect(port)
        try:
            for number in range(HELD):
                fields = {"project": PROJECT, "agent_id": name, "path": f"{name}/{number}.py"}
                await connection.ask(request(port, "POST", "/api/reservations", fields), 201)
        except LoadFailed as failed:
            failures.append(failed)
        finally:
            connection.close()

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(reserve, name)
    if failures:
        raise failures[0]


async def _release_all(port: int, names: list[str]) -> int:
    """Let one agent after the other release everything, in step; return the last cursor. Raises: LoadFailed."""
    connection, begun_s = await connect(port), trio.current_time()
    try:
        for number, name in enumerate(names):
            await trio.sleep_until(begun_s + number * HELD / WRITTEN_PER_S)
            target = f"/api/reservations?project={PROJECT}&agent_id={name}"
            await connection.ask(request(port, "DELETE", target), 200)
    finally:
        connection.close()
    return (await _log(port))[-1]


async def _log(port: int) -> list[int]:
    """Return the cursors of all events, read page by page over plain HTTP."""
    connection = await connect(port)
    found: list[int] = []
    try:
        while True:
            since = found[-1] if found else 0
            target = f"/api/events?project={PROJECT}&since_cursor={since}&limit={PAGE}"
            page = await connection.ask(request(port, "GET", target), 200)
            if not page["events"]:
                return found
            found += [event["cursor"] for event in page["events"]]
    finally:
        connection.close()


def _demand_same(seen: list[int], log: list[int]) -> None:
    if seen != log:
        raise LoadFailed(
            f"the reader saw {len(seen)} events, of which {len(set(seen))} differ, and the log has {len(log)}"
        )
