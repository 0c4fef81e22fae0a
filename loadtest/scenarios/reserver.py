"""A worker that reserves paths which nobody else asks for, under agents that it registers as it goes."""

from collections.abc import Sequence
from typing import Final

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site, spread
from loadtest.engine.tasks import together
from loadtest.promises.durability import Durability
from loadtest.scenarios.listing import content_of

RESERVATIONS_PER_AGENT: Final = 180  # below the service's limit of 200; then the worker registers the next agent.


class Reserver:
    """Reserves one new path after the other and keeps them. Operations `reserve` and, once in 180, `register`.

    With `registers` off it uses names that nobody registers: they cannot fall silent, so what they hold lasts.
    """

    def __init__(self, site: Site, project: str, number: int, kept: Durability, *, registers: bool = True) -> None:
        self._site, self._project, self._number, self._kept = site, project, number, kept
        self._registers = registers
        self._agent, self._held, self._sent = "", RESERVATIONS_PER_AGENT, 0
        self._path = ""
        self.paths: list[str] = []
        """What was granted."""

    def ask(self) -> tuple[str, bytes]:
        """Ask for a path in a directory of this worker, or to be known as the next agent."""
        if self._held >= RESERVATIONS_PER_AGENT and not self._registers:
            self._agent, self._held = f"writer-{self._number}-{self._sent}", 0
        if self._held >= RESERVATIONS_PER_AGENT:
            self._path = ""
            fields = {"project": self._project, "name": f"writer-{self._number}-{self._sent}"}
            return "register", self._site.request("POST", "/api/agents", fields)
        self._sent += 1
        self._held += 1
        self._path = f"src/area_{self._number}/part_{self._sent % 40}/module_{self._sent}.py"
        fields = {"project": self._project, "agent_id": self._agent, "path": self._path, "reason": "load test"}
        return "reserve", self._site.request("POST", "/api/reservations", fields)

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Remember what was granted; nothing may be refused."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
        elif not self._path:
            self._agent, self._held = answer.demand(200).json()["agent_id"], 0
        elif answer.status != 201:
            raise LoadFailed(f"a free path was answered {answer.status}: {answer.body[:500]!r}")
        else:
            found = answer.json()
            self.paths.append(found["path_pattern"])
            content = content_of(found["path_pattern"], self._agent)
            self._kept.acknowledged(answered_s, self._agent, found["id"], content)

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Note that the path may be held or not; an agent is registered again under the same name."""
        if self._path:
            self._kept.unknown(broke_s, self._agent, content_of(self._path, self._agent))


async def begin(site: Site, reservers: Sequence[Reserver]) -> None:
    """Register the first agent of each worker, so that no slice begins with that. Raises: LoadFailed."""

    async def register(worker: Reserver) -> None:
        connection = await site.connect()
        try:
            _, wanted = worker.ask()
            sent_s = site.now_s()
            worker.take(await connection.call(wanted), sent_s, site.now_s())
        finally:
            connection.close()

    await together(register(worker) for worker in reservers)


async def fill(site: Site, project: str, kept: Durability, count: int) -> list[str]:
    """Reserve so many paths in a project, one request each, for holders that cannot fall silent; return the paths.

    Raises: LoadFailed.
    """
    paths: list[str] = []

    async def some(number: int, part: range) -> None:
        worker = Reserver(site, project, number, kept, registers=False)
        connection = await site.connect()
        try:
            for _ in part:
                _, wanted = worker.ask()
                sent_s = site.now_s()
                worker.take(await connection.call(wanted), sent_s, site.now_s())
            paths.extend(worker.paths)
        finally:
            connection.close()

    parts = spread(count, min(site.connections, count))
    await together(some(number, part) for number, part in enumerate(parts))
    return paths
