"""`heartbeat`: 5,000 registered agents say that they are alive: as often as they should, then as often as they can.

A heartbeat a minute from each is 83 a second, at random times. Then all connections send them one after the other, and at
last 60 % of the rate that this has shown. Afterwards nobody is shown as seen before its last heartbeat.
"""

import time
from datetime import datetime
from typing import ClassVar, Final

from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted, spread
from loadtest.engine.slices import Slice
from loadtest.promises.last_seen import LastSeen
from loadtest.scenarios.beater import Beater

PROJECT: Final = "heartbeat"
AGENTS: Final = 5_000
AGENTS_QUICK: Final = 500
INTERVAL_S: Final = 60.0  # docs/api.md: "every 60 seconds is plenty".
NATURAL: Final = "heartbeat, one a minute each"
NATURAL_SHARE: Final = 0.25  # of the slice.
WRITTEN_EVERY_S: Final = (
    32.0  # how much of what was heard a crash may undo: the service writes it every 30 s, and takes a moment.
)


class Heartbeat:
    """5,000 agents, 64 connections."""

    name: ClassVar[str] = "heartbeat"
    title: ClassVar[str] = "5,000 agents say that they are alive"
    targets: ClassVar[tuple[Wanted, ...]] = (Wanted("heartbeat: times the echo", ">= 0.40 of the echo", at_least=0.40),)

    def __init__(self) -> None:
        self._workers: list[Beater] = []
        self._seen: LastSeen | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        lag_s = WRITTEN_EVERY_S if site.has_faults else 0.0
        self._seen = site.watch.add(LastSeen(site.watch.history, lag_s))
        project = site.project(PROJECT)
        names = [f"agent-{number}" for number in range(site.scale(AGENTS, AGENTS_QUICK))]
        agents = await site.register(project, names)
        self._workers = [
            Beater(site, project, [agents[number] for number in part], self._seen)
            for part in spread(len(agents), min(site.connections, len(agents)))
        ]

    async def load(self, site: Site, slice_: Slice) -> None:
        """Beat as often as agents should; as often as possible; at 60 % of that."""
        natural_s = slice_.seconds * NATURAL_SHARE
        self._call(NATURAL)
        await slice_.open_loop(self._workers, site.scale(AGENTS, AGENTS_QUICK) / INTERVAL_S, natural_s)
        times_ms = slice_.samples.times_ms(NATURAL, "open")
        if times_ms:
            site.measure(f"{NATURAL}: p50", quantile(times_ms, 0.5), "ms", "less")
        self._call("heartbeat")
        closed, _ = await slice_.rate_then_latency(self._workers, slice_.seconds - natural_s)
        slice_.measure_rate("heartbeat", closed, "heartbeat")

    def _call(self, operation: str) -> None:
        for worker in self._workers:
            worker.operation = operation

    async def verify(self, site: Site) -> None:
        """Demand that everyone is shown as seen at its last heartbeat or later, in whole seconds."""
        assert self._seen is not None
        rows = await site.rows(f"/api/agents?project={site.project(PROJECT)}", "agents")
        if site.pid is None:
            return  # It is somebody else's service, whose clock may be another one.
        listed = {str(row["agent_id"]): datetime.fromisoformat(str(row["last_seen"])).timestamp() for row in rows}
        self._seen.demand(listed, time.time())
