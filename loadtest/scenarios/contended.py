"""`contended`: many agents want few hot paths and give each back at once, so that nine reservations of ten are refused.

With N connections in turn and K paths, each path is granted once and released once in a turn; K = N / 11 makes N - 2K
refusals of N - K reservations, which is 90 %.
"""

import random
from typing import ClassVar, Final

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders

PROJECT: Final = "contended"
CONNECTIONS_PER_PATH: Final = 11  # as above.
LOOKED_AT_EVERY: Final = 32  # of so many refusals one is read whole; reading all would cost more than they do.


class Grabber:
    """One agent: asks for a hot path, and releases it with its next request if it was granted."""

    def __init__(self, site: Site, number: int, holders: Holders, kept: Durability, paths: list[str]) -> None:
        self.name = f"grabber-{number}"
        self._site, self._holders, self._kept, self._paths = site, holders, kept, paths
        self._chance: random.Random = site.rng(PROJECT, number)
        self._agent, self._path, self._held, self._doing = "", "", "", ""
        self._wants: dict[str, bytes] = {}
        self._refused = 0

    def begin(self, agent: str) -> None:
        """Work as this agent from now on."""
        self._agent = agent
        for path in self._paths:
            fields = {"project": PROJECT, "agent_id": agent, "path": path, "reason": "load test"}
            self._wants[path] = self._site.request("POST", "/api/reservations", fields)

    def ask(self) -> tuple[str, bytes]:
        """Release what is held, else ask for a path; after a request without an answer, release everything first."""
        if self._doing == "lost":
            self._doing = "release all"
            target = f"/api/reservations?project={PROJECT}&agent_id={self._agent}"
            return "release all", self._site.request("DELETE", target)
        if self._held:
            if self._doing != "release":  # Else it was asked before, and has no answer.
                at_s = self._site.now_s()
                self._holders.releasing(at_s, self.name, self._held, [self._path])
                self._kept.ending(at_s, self.name, self._held)
            self._doing = "release"
            target = f"/api/reservations/{self._held}?project={PROJECT}"
            return "release", self._site.request("DELETE", target, headers={"X-Agent-ID": self._agent})
        self._doing = "reserve"
        self._path = self._chance.choice(self._paths)
        return "reserve", self._wants[self._path]

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Hold what was granted; a refusal names somebody else who holds it."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
        elif self._doing == "release":
            # Asked a second time after a crash, it may have ended at the first.
            answer.demand(200, *((404,) if self._site.has_faults else ()))
            self._kept.ended(answered_s, self.name, self._held)
            self._held = ""
        elif self._doing == "release all":
            answer.demand(200)
        elif answer.status == 201:
            self._held = str(answer.json()["id"])
            self._kept.acknowledged(answered_s, self.name, self._held, self._content())
            self._holders.granted(answered_s, self.name, self._held, [self._path])
        else:
            self._refusal(answer.demand(409))

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Ask for the release again; a path that may have been granted is given back with all others."""
        if self._doing != "release":
            if self._doing == "reserve":
                self._kept.unknown(broke_s, self.name, self._content())
            self._doing = "lost"

    def _content(self) -> str:
        return f"{self._path} for {self._agent}"

    def _refusal(self, answer: Answer) -> None:
        self._refused += 1
        if self._refused % LOOKED_AT_EVERY == 1:
            holders = {found["agent_id"] for found in answer.json().get("conflicts", [])}
            if not holders or self._agent in holders:
                raise LoadFailed(
                    f"{self.name} asked for {self._path}; the refusal names {holders}: {answer.body[:500]!r}"
                )


class Contended:
    """N agents, N / 11 paths."""

    name: ClassVar[str] = "contended"
    title: ClassVar[str] = "many agents want few hot paths, and nine of ten are refused"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("refusals: times the echo", ">= 0.50 of the echo", at_least=0.50),
        Wanted("share refused", "0.85 to 0.95 (the load itself)", at_least=0.85, at_most=0.95),
    )

    def __init__(self) -> None:
        self._workers: list[Grabber] = []
        self._kept: Durability | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        holders = site.watch.add(Holders(site.watch.history))
        self._kept = site.watch.add(Durability(site.watch.history, "reservations"))
        paths = [f"src/hot_{number}.py" for number in range(max(1, round(site.connections / CONNECTIONS_PER_PATH)))]
        self._workers = [Grabber(site, number, holders, self._kept, paths) for number in range(site.connections)]
        for worker, agent in zip(
            self._workers, await site.register(PROJECT, [each.name for each in self._workers]), strict=True
        ):
            worker.begin(agent)

    async def load(self, site: Site, slice_: Slice) -> None:
        """Ask, be refused, hold, release."""
        closed, _ = await slice_.rate_then_latency(self._workers)
        slice_.measure_rate("refusals", closed, "reserve", 409)
        site.measure("share refused", closed.count("reserve", 409) / max(closed.count("reserve"), 1), "")

    async def verify(self, site: Site) -> None:
        """Demand that what is listed is what the agents hold."""
        assert self._kept is not None
        rows = await site.rows(f"/api/reservations?project={PROJECT}", "reservations")
        listed = {str(row["id"]): f"{row['path_pattern']} for {row['agent_id']}" for row in rows}
        self._kept.demand(listed, "after the load")
