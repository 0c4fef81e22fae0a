"""A worker that reserves what others want, holds it for a moment and releases it: a cycle of grants, refusals and waits."""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders
from loadtest.scenarios.listing import content_of

LOOKED_AT_EVERY: Final = 32  # of so many refusals one is read whole; reading all would cost more than they do.


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker may ask for."""

    pattern: str
    fields: Mapping[str, object]
    """Of the request: the target, the mode, and how long to wait."""
    places: frozenset[str]
    """What it covers, of all paths that the scenario uses."""
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation that was granted."""

    reservation: str
    wish: Wish


@dataclass(slots=True, kw_only=True)
class Grabber:
    """One agent. Holds `keep` reservations at most; with one more than it asks for, it releases the oldest.

    Operations: `reserve` (201 or 409), `release`, and after a request without an answer `release all`.
    """

    site: Site
    project: str
    name: str
    holders: Holders
    kept: Durability
    draw: Callable[[random.Random], Wish]
    chance: random.Random
    keep: int = 1
    operation: str = "reserve"
    agent: str = ""
    """The agent's id, once it is registered."""
    wish: Wish | None = None
    """What it asked for last."""
    _holds: deque[Hold] = field(default_factory=deque)
    _doing: str = ""
    _refused: int = 0
    _requests: dict[int, bytes] = field(default_factory=dict)

    def ask(self) -> tuple[str, bytes]:
        """Release if enough is held, else ask for something."""
        if self._doing == "lost":
            self._doing = "release all"
            target = f"/api/reservations?project={self.project}&agent_id={self.agent}"
            return "release all", self.site.request("DELETE", target)
        if len(self._holds) >= self.keep:
            return self._release()
        self._doing = "reserve"
        self.wish = wish = self.draw(self.chance)
        wanted = self._requests.get(id(wish))
        if wanted is None:
            fields = {"project": self.project, "agent_id": self.agent, "reason": "load test", **wish.fields}
            wanted = self._requests[id(wish)] = self.site.request("POST", "/api/reservations", fields)
        return self.operation, wanted

    def _release(self) -> tuple[str, bytes]:
        hold = self._holds[0]
        if self._doing != "release":  # Else it was asked before, and has no answer.
            at_s = self.site.now_s()
            self.holders.releasing(at_s, self.name, hold.reservation, hold.wish.places)
            self.kept.ending(at_s, self.name, hold.reservation)
        self._doing = "release"
        target = f"/api/reservations/{hold.reservation}?project={self.project}"
        return "release", self.site.request("DELETE", target, headers={"X-Agent-ID": self.agent})

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Hold what was granted; a refusal names somebody else who holds it. Raises: LoadFailed, Violation."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
        elif self._doing == "release":
            # Asked a second time after a crash, it may have ended at the first.
            answer.demand(200, *((404,) if self.site.has_faults else ()))
            self.kept.ended(answered_s, self.name, self._holds.popleft().reservation)
            self._doing = ""
        elif self._doing == "release all":
            answer.demand(200)
            self._forget_all(answered_s)
        elif answer.status == 201:
            self._granted(answer, answered_s)
        else:
            self._refusal(answer.demand(409), answered_s)

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Ask for the release again; what may have been granted is given back with everything else."""
        if self._doing == "release":
            return
        if self._doing == "reserve":
            assert self.wish is not None
            self.kept.unknown(broke_s, self.name, self._content(self.wish))
            for hold in self._holds:
                self.holders.releasing(broke_s, self.name, hold.reservation, hold.wish.places)
                self.kept.ending(broke_s, self.name, hold.reservation)
        self._doing = "lost"

    @property
    def has_lost(self) -> bool:
        """Tell whether its last request has no answer, and what it holds is not known."""
        return self._doing == "lost"

    @property
    def holds(self) -> list[Hold]:
        """What it holds now, the oldest first."""
        return list(self._holds)

    def _granted(self, answer: Answer, answered_s: float) -> None:
        assert self.wish is not None
        found, wish = answer.json(), self.wish
        hold = Hold(str(found["id"]), wish)
        if found["path_pattern"] != wish.pattern:
            raise LoadFailed(f"{self.name} asked for {wish.pattern} and was granted {found['path_pattern']}")
        self.kept.acknowledged(answered_s, self.name, hold.reservation, self._content(wish))
        self.holders.granted(
            answered_s, self.name, hold.reservation, wish.places, fence=found["fence"], is_shared=wish.is_shared
        )
        self._holds.append(hold)

    def _content(self, wish: Wish) -> str:
        return content_of(wish.pattern, self.agent)

    def _forget_all(self, at_s: float) -> None:
        for hold in self._holds:
            self.kept.ended(at_s, self.name, hold.reservation)
        self._holds.clear()
        self._doing = ""

    def _refusal(self, answer: Answer, _answered_s: float) -> None:
        self._refused += 1
        if self._refused % LOOKED_AT_EVERY == 1:
            holders = {found["agent_id"] for found in answer.json().get("conflicts", [])}
            if not holders or self.agent in holders:
                raise LoadFailed(f"{self.name} was refused {self.wish}, which names {holders}: {answer.body[:500]!r}")


async def register_all(site: Site, grabbers: list[Grabber]) -> None:
    """Register the agents of these workers in their project. Raises: LoadFailed."""
    ids = await site.register(grabbers[0].project, [each.name for each in grabbers])
    for worker, agent in zip(grabbers, ids, strict=True):
        worker.agent = agent
