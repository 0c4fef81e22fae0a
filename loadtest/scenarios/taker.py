"""A worker that takes tasks from a pool which all share, finishes most of them, and fills the pool when it is empty."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site
from loadtest.promises.claims_once import Claim, ClaimsOnce, Standing
from loadtest.scenarios.entity_lists import entity_rows

NEWEST: Final = 4  # of the tasks that were made last one is claimed by its id; several workers are after each.
MADE_WHEN_EMPTY: Final = (1, 1, 1, 9)
"""How many tasks somebody makes who found none: 3 on average, so that the pool is empty again and again."""
NAMED_SHARE: Final = 0.2  # claims by a task's id; the others take the next one, whichever it is.
GIVEN_BACK_SHARE: Final = 0.1  # of the tasks that were taken; the others are finished.


@dataclass(slots=True)
class Pool:
    """The tasks of one project, as their takers know them."""

    project: str
    claims: ClaimsOnce
    newest: deque[str] = field(default_factory=lambda: deque(maxlen=NEWEST))


class Taker:
    """One agent. Operations: `next` (200; 404 when there is none), `claim` (200 or 409), `finish`, `give back`, `make`."""

    def __init__(self, site: Site, pool: Pool, name: str) -> None:
        self.name = name
        self._site, self._pool, self._claims = site, pool, pool.claims
        self._chance: random.Random = site.rng("taker", name)
        self._agent, self._doing, self._task = "", "", ""
        self._to_make, self._sent = 0, 0
        self._is_again = False
        self._before: Claim | None = None

    def begin(self, agent: str) -> None:
        """Work as this agent from now on."""
        self._agent = agent

    def ask(self) -> tuple[str, bytes]:
        """End what it has, else fill the pool if that was empty, else take a task."""
        if self._is_again:  # It has no answer to what it asked before.
            return self._doing, self._request()
        if self._task:
            self._doing = "give back" if self._chance.random() < GIVEN_BACK_SHARE else "finish"
            note = self._claims.giving_back if self._doing == "give back" else self._claims.finishing
            note(self._site.now_s(), self._agent, self._task)
        elif self._to_make:
            self._doing = "make"
            self._to_make -= 1
            self._sent += 1
        elif self._pool.newest and self._chance.random() < NAMED_SHARE:
            self._doing, self._task = "claim", self._chance.choice(self._pool.newest)
            self._before = self._claims.claim_of(self._task)
        else:
            self._doing = "next"
        return self._doing, self._request()

    def _request(self) -> bytes:
        project, site = self._pool.project, self._site
        match self._doing:
            case "finish":
                return site.request("PATCH", f"/api/tasks/{self._task}", {"project": project, "status": "done"})
            case "give back":
                fields = {"project": project, "agent": self._agent}
                return site.request("POST", f"/api/tasks/{self._task}/release", fields)
            case "make":
                return site.request("POST", "/api/tasks", {"project": project, "title": f"{self.name} {self._sent}"})
            case "claim":
                fields = {"project": project, "agent": self._agent}
                return site.request("POST", f"/api/tasks/{self._task}/claim", fields)
            case _:
                return site.request("POST", "/api/tasks/next", {"project": project, "agent": self._agent})

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Have what was given. Raises: LoadFailed, Violation."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
            return
        was_again, self._is_again = self._is_again, False
        match self._doing:
            case "finish":
                answer.demand(200)
                self._claims.finished(answered_s, self._agent, self._task)
                self._task = ""
            case "give back":
                # Asked a second time, it may have been given back at the first, and be somebody else's now.
                answer.demand(200, *((403,) if was_again else ()))
                self._task = ""
            case "make":
                found = answer.demand(201).json()
                self._claims.made(found["id"])
                self._pool.newest.append(found["id"])
            case "claim":
                self._take_claim(answer.demand(200, 409), answered_s)
            case _:
                self._take_next(answer.demand(200, 404, 429), answered_s)

    def _take_next(self, answer: Answer, answered_s: float) -> None:
        if answer.status == 200:
            found = answer.json()
            self._claims.claimed(answered_s, self._agent, found["id"], found["agent"])
            self._task = found["id"]
        elif answer.status == 404:
            self._to_make = self._chance.choice(MADE_WHEN_EMPTY)

    def _take_claim(self, answer: Answer, answered_s: float) -> None:
        found = answer.json()
        if answer.status == 200:
            self._claims.claimed(answered_s, self._agent, self._task, found["agent"])
            return
        if found["error"] == "task_taken":
            self._claims.refused(answered_s, self._agent, self._task, found["agent"], self._before)
        elif found["error"] != "task_not_claimable":
            raise LoadFailed(f"{self.name} asked for the task {self._task}: {answer.body[:500]!r}")
        self._task = ""

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Ask the same again; of what it may have been given without hearing of it, it never hears."""
        if self._doing == "next":
            self._claims.unknown(broke_s, self._agent)
        elif self._doing != "make":
            self._is_again = True


async def demand_claims(site: Site, pool: Pool) -> None:
    """Demand that the tasks are listed as their takers have, finished or gave them back. Raises: LoadFailed, Violation."""
    rows = await entity_rows(site, pool.project, "tasks")
    pool.claims.demand({row["id"]: Standing(row.get("agent", ""), row["status"] == "done") for row in rows})
