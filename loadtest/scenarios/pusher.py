"""Workers that ask for a mix of checks and short reservations, whether there is room for it or not; and polite ones."""

from collections.abc import Callable
from typing import Final

import trio

from loadtest.engine.connection import Answer, Broken, Connection
from loadtest.engine.site import Site
from loadtest.promises.durability import Durability
from loadtest.promises.retry_after import TOLD, RetryAfter
from loadtest.scenarios.listing import content_of

PAUSE_S: Final = 0.05  # between two requests of a polite client; it has work to do, too.
RECONNECT_EVERY_S: Final = 0.02


class Pusher:
    """Reserves a path of its own, checks it, releases it; goes on after a refusal as if there was none."""

    def __init__(self, site: Site, project: str, number: int, agent: str, kept: Durability, told: RetryAfter) -> None:
        self.name = f"pusher-{number}"
        self._site, self._project, self._agent, self._kept, self._told = site, project, agent, kept, told
        self._number = number
        self._path, self._held, self._step, self._doing, self._cycles = "", "", 0, "", 0
        self._is_ending = False

    def ask(self) -> tuple[str, bytes]:
        """Return the next request of the cycle: reserve, check, release."""
        self._step += 1
        if self._step % 3 == 2:
            self._doing = "check"
            target = f"/api/reservations/check?project={self._project}&path={self._path}&agent={self._agent}"
            return "check", self._site.request("GET", target)
        if self._held:
            self._doing = "release"
            if not self._is_ending:
                self._kept.ending(self._site.now_s(), self.name, self._held)
                self._is_ending = True
            target = f"/api/reservations/{self._held}?project={self._project}"
            return "release", self._site.request("DELETE", target, headers={"X-Agent-ID": self._agent})
        self._doing = "reserve"
        self._cycles += 1
        self._path = f"src/area_{self._number}/module_{self._cycles}.py"
        fields = {"project": self._project, "agent_id": self._agent, "path": self._path, "reason": "load test"}
        return "reserve", self._site.request("POST", "/api/reservations", fields)

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Look at the answer; a refusal for lack of room has to say when to come back."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
        elif answer.status in TOLD:
            self._told.refused(answered_s, self.name, answer.status, answer.header("Retry-After"))
        elif self._doing == "check":
            answer.demand(200)
        elif self._doing == "reserve":
            found = answer.demand(201).json()
            self._held = str(found["id"])
            self._kept.acknowledged(answered_s, self.name, self._held, content_of(found["path_pattern"], self._agent))
        else:
            # Asked again after an answer was missing, it may have ended at the first time.
            answer.demand(200, 404)
            self._kept.ended(answered_s, self.name, self._held)
            self._held, self._is_ending = "", False

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Note that the path may be held; a release is asked for again."""
        if self._doing == "reserve":
            self._kept.unknown(broke_s, self.name, content_of(self._path, self._agent))


class Polite:
    """An agent that reserves and releases one path at a time, and when it is refused waits for as long as it is told."""

    def __init__(self, site: Site, pusher: Pusher, told: RetryAfter) -> None:
        self._site, self._pusher, self._told = site, pusher, told
        self.tries: list[int] = []
        """For each request, how often it was sent until it was served."""

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Ask until it is over, and then until the last request has been served. Raises: LoadFailed, Violation."""
        connection: Connection | None = None
        try:
            while not is_over():
                _, wanted = self._pusher.ask()
                tries = 0
                while True:
                    tries += 1
                    # The service closes what was idle for some seconds, and a client that waits is.
                    connection = await self._site.connect() if connection is None or tries > 1 else connection
                    is_served, wait_s = await self._once(connection, wanted)
                    if is_served:
                        break
                    connection.close()
                    await trio.sleep(wait_s)
                self.tries.append(tries)
                await trio.sleep(PAUSE_S)
        finally:
            if connection is not None:
                connection.close()

    async def _once(self, connection: Connection, wanted: bytes) -> tuple[bool, float]:
        """Send the request; tell whether it was served, else how long to wait."""
        sent_s = self._site.now_s()
        try:
            answer = await connection.call(wanted)
        except Broken:
            if not self._site.has_faults:
                raise
            self._pusher.lose(sent_s, self._site.now_s())
            return False, RECONNECT_EVERY_S
        answered_s = self._site.now_s()
        if answer.status in TOLD and not answer.is_unknown:
            self._told.obeying(answered_s, self._pusher.name)
            wait_s = self._told.refused(answered_s, self._pusher.name, answer.status, answer.header("Retry-After"))
            return False, float(wait_s)
        self._pusher.take(answer, sent_s, answered_s)
        self._told.served(answered_s, self._pusher.name)
        return True, 0.0
