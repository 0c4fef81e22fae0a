"""The agents of a day's work, and what all of them share: the files they edit, the tasks they take, what is promised to them."""

import random
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import trio

from loadtest.engine.site import Site, spread
from loadtest.engine.tasks import together
from loadtest.promises.claims_once import ClaimsOnce
from loadtest.promises.delivered_once import DeliveredOnce
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders

FILES: Final = 1_000
"""Files of the repository. The n-th is edited in proportion to 1 / (50 + n): the first 20 times as often as the last."""
HOT: Final = 50  # as above; chosen so that about every ninth file is held when it is checked.
NAME: Final = "agent-"
"""What the name of everyone and the id of every message of theirs begins with."""


@dataclass(slots=True)
class Person:
    """One agent at work."""

    name: str
    number: int
    id: str = ""
    session: str = ""
    editing: set[str] = field(default_factory=set)
    """Paths that it holds, or asks for."""
    threads: list[tuple[str, str]] = field(default_factory=list)
    """The last threads in which somebody wrote to it, each with who that was."""
    sent: int = 0


class Office:
    """One project's people and checkers."""

    def __init__(self, site: Site, project: str, size: int) -> None:
        self.site, self.project = site, project
        history = site.watch.history
        self.holders = site.watch.add(Holders(history))
        self.kept = site.watch.add(Durability(history, "reservations"))
        self.claims = site.watch.add(ClaimsOnce(history))
        self.mail = site.watch.add(DeliveredOnce(history, "inbox"))
        self.pushed = site.watch.add(DeliveredOnce(history, "socket"))
        self.people = [Person(f"{NAME}{number}", number) for number in range(size)]
        self.listening: frozenset[str] = frozenset()
        """The ids of those who have a socket open."""
        self.acked: list[tuple[str, str]] = []
        """Messages that were acknowledged by an agent, with its id."""
        self.checks, self.found_held = 0, 0
        """How many files were checked, and how many of them were held by somebody else."""
        self._news = trio.Event()
        self._weights = list(accumulate(1 / (HOT + number) for number in range(1, FILES + 1)))
        self.paths = [f"src/part_{number % 40}/module_{number}.py" for number in range(FILES)]

    async def register(self, listeners: int) -> None:
        """Register everyone; the first ones listen. Raises: LoadFailed."""
        await together(
            self._register(self.people[part.start : part.stop])
            for part in spread(len(self.people), min(self.site.connections, len(self.people)))
        )
        self.listening = frozenset(person.id for person in self.people[:listeners])

    async def _register(self, people: list[Person]) -> None:
        connection = await self.site.connect()
        try:
            for person in people:
                fields = {"project": self.project, "name": person.name}
                found = await connection.ask(self.site.request("POST", "/api/agents", fields), 200)
                person.id, person.session = found["agent_id"], found["session_id"]
        finally:
            connection.close()

    def tell_news(self) -> None:
        """Wake who waits for something to be heard over a socket."""
        self._news.set()
        self._news = trio.Event()

    async def news(self) -> None:
        """Return when something has been heard over a socket."""
        await self._news.wait()

    def path(self, chance: random.Random) -> str:
        """Draw a file."""
        return chance.choices(self.paths, cum_weights=self._weights)[0]
