"""What a scenario sees: the service to load, its own chance, its checkers, and where its figures go.

A scenario is a class with the form of `Scenario`; the table of them is `loadtest/scenarios/__init__.py`. A fresh process
makes one object of it, calls `prepare` once, `load` once a round and `verify` once. It keeps its state in itself.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import trio

from loadtest.engine.connection import Broken, Connection, connect, request
from loadtest.engine.processes import cpu_s, rss_mb
from loadtest.engine.tasks import together
from loadtest.promises.history import History
from loadtest.report.model import Measure

if TYPE_CHECKING:
    from loadtest.engine.slices import Slice

RECONNECT_EVERY_S = 0.02
RECONNECT_WITHIN_S = 30.0  # a service that was killed has to be back by then; it takes one second.
PAGE_ROWS = 1000  # rows of one page; the service's largest.
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target: the median of a measure, over the rounds, has to be on the right side of a bound. One bound is given."""

    measure: str
    text: str
    """As it is shown, such as `>= 0.30 of the echo`."""
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        """Tell whether a value is where it should be."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class Scenario(Protocol):
    """One kind of load. Not to be shared between processes; made without arguments."""

    name: ClassVar[str]
    """As it is written on the command line."""
    title: ClassVar[str]
    """What it does, in one line."""
    targets: ClassVar[tuple[Wanted, ...]]

    async def prepare(self, site: "Site") -> None:
        """Bring the service to where the load starts; not measured. Raises: LoadFailed."""

    async def load(self, site: "Site", slice_: "Slice") -> None:
        """Load the service for about `slice_.seconds`; called once a round. Raises: LoadFailed, Violation."""

    async def verify(self, site: "Site") -> None:
        """Ask the service for what has to be true now; not measured. Raises: LoadFailed, Violation."""


@runtime_checkable
class Checker(Protocol):
    """What `loadtest/promises/` has of them: a promise, and how often it was looked at."""

    promise: str
    checked: int


class Watch:
    """The checkers of one scenario, and the history that they share."""

    def __init__(self) -> None:
        self.history = History()
        self._checkers: list[Checker] = []

    def add(self, checker: _T) -> _T:
        """Take in a checker, so that the report tells how much it has looked at; return it."""
        assert isinstance(checker, Checker)
        self._checkers.append(checker)
        return checker

    def checked(self) -> dict[str, int]:
        """Return how often each promise was looked at."""
        found: dict[str, int] = {}
        for checker in self._checkers:
            found[checker.promise] = found.get(checker.promise, 0) + checker.checked
        return found


@dataclass(slots=True, kw_only=True)
class Site:
    """The service under load, as one scenario sees it."""

    port: int
    seed: int
    is_quick: bool
    directory: Path
    """On the disk that the service uses; what is put here goes with the run."""
    host: str = "127.0.0.1"
    pid: int | None = None
    """The service's process, or None where it is not ours."""
    has_faults: bool = False
    """Whether the service may be killed while it is loaded; then a connection may break at any time."""
    connections: int = 64
    """Connections of a closed loop."""
    run: str = ""
    """What makes the names of projects new, where the service has been loaded before."""
    watch: Watch = field(default_factory=Watch)
    measures: dict[str, Measure] = field(default_factory=dict)

    def project(self, name: str) -> str:
        """Return the project of that name for this run: a service that is not ours has those of earlier runs."""
        return f"{name}-{self.run}" if self.run else name

    def rng(self, *names: object) -> random.Random:
        """Return a source of chance of its own for these names: the same for the same seed."""
        return random.Random("/".join(map(str, (self.seed, *names))))

    def scale(self, full: _T, quick: _T) -> _T:
        """Return the number that fits this run."""
        return quick if self.is_quick else full

    def request(
        self,
        method: str,
        target: str,
        fields: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the bytes of a request to this service; `fields` become its JSON body."""
        return request(self.port, method, target, fields, headers, self.host)

    async def connect(self) -> Connection:
        """Open a connection; the caller closes it. The service closes one that is idle for 6 s.

        Where the service may have been killed, it is waited for. Raises: Broken.
        """
        patience_s = time.perf_counter() + (RECONNECT_WITHIN_S if self.has_faults else 0.0)
        while True:
            try:
                return await connect(self.port, self.host)
            except Broken:
                if time.perf_counter() >= patience_s:
                    raise
            await trio.sleep(RECONNECT_EVERY_S)

    def measure(self, name: str, value: float, unit: str, better: Literal["more", "less", "none"] = "none") -> None:
        """Note a figure of this round; the report shows the median of the rounds."""
        self.measures.setdefault(name, Measure(name=name, unit=unit, values=[], better=better)).values.append(value)

    def service_cpu_s(self) -> float:
        """Return the processor time that the service has used so far; 0 where it is not ours."""
        return cpu_s(self.pid)

    def service_rss_mb(self) -> float:
        """Return the service's resident memory in MB (10^6 bytes); 0 where it is not ours."""
        return rss_mb(self.pid)

    def now_s(self) -> float:
        """Return the clients' clock, as all times of requests and answers are taken."""
        return time.perf_counter()

    async def register(self, project: str, names: Sequence[str]) -> list[str]:
        """Register agents under these names and return their ids, in order. Raises: LoadFailed."""
        found: dict[str, str] = {}

        async def some(part: range) -> None:
            connection = await self.connect()
            try:
                for number in part:
                    fields = {"project": project, "name": names[number]}
                    answer = await connection.ask(self.request("POST", "/api/agents", fields), 200)
                    found[names[number]] = str(answer["agent_id"])
            finally:
                connection.close()

        await together(some(part) for part in spread(len(names), min(self.connections, len(names))))
        return [found[name] for name in names]

    async def rows(self, target: str, key: str) -> list[dict[str, object]]:
        """Return all rows of a paged list over a connection of its own. Raises: LoadFailed.

        `target` has a query already (`?project=x`); the rows are under `key`, and pages follow by `next_cursor`.
        """
        connection = await self.connect()
        found: list[dict[str, object]] = []
        try:
            cursor: object = None
            while True:
                more = "" if cursor is None else f"&cursor={cursor}"
                page = await connection.ask(self.request("GET", f"{target}&limit={PAGE_ROWS}{more}"), 200)
                found += page[key]
                cursor = page.get("next_cursor")
                if cursor is None:
                    return found
        finally:
            connection.close()


def spread(total: int, parts: int) -> Iterator[range]:
    """Yield ranges that share out so many things as evenly as they go."""
    for part in range(parts):
        yield range(total * part // parts, total * (part + 1) // parts)
