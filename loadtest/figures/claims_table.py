"""A table of claims that the service has granted, and requests against it; both drawn from real file lists.

Kinds: 80 % files, 15 % directories (`dir/**`), 5 % globs. Every claim was granted by the service's own handler, so no
two holders clash. An agent has 100 claims, in directories next to each other. A glob is held below a directory in which
nobody else holds anything (`dir/**/test_*.py`); where other directories lie below that one, it stays in it (`dir/*.py`).
One glob in five is a root glob (`**/*_test.py`). Since a plain path names a node and all below it, a root glob overlaps
every path of the table, so it is held as an intention (IX, IS), which goes with whatever others hold below. One file
claim in eight is of a symbol, some of them two agents' in one file.

Requests come from agents that hold nothing, in the same kinds and modes: about half are of what somebody holds, the
others of files and directories beside those held, or in a copy of the lists in which nothing is held.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from intermute.core import limits
from intermute.core.agents import Agent, Caller
from intermute.core.api.checks import CheckTargets
from intermute.core.api.reservations import ReservationView, Reserve
from intermute.core.errors import DomainError
from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.core.lock_table import Mode
from intermute.core.times import Now
from intermute.project.handlers.reserving import reserve
from intermute.project.state import ProjectState
from intermute.project.transaction import Facts, Transaction
from loadtest.figures.file_lists import Directory

DIRECTORIES_SHARE: Final = 0.15
GLOBS_SHARE: Final = 0.05
ROOT_GLOBS_SHARE: Final = 0.2  # of the globs.
SYMBOLS_SHARE: Final = 0.125  # of the files.
CLAIMS_PER_AGENT: Final = 100
FILES_PER_DIRECTORY_MAX: Final = 20
ASKERS: Final = 50
NOW: Final = Now(1_000.0, Micros(1_700_000_000_000_000))
LOCAL: Final = Caller(is_local=True)

_MODES: Final = (Mode.X, Mode.S, Mode.SIX, Mode.IX, Mode.IS)
_WEIGHTS: Final = (84, 8, 2, 3, 3)
_DEEP_GLOBS: Final = ("{0}/**/*_test.py", "{0}/**/test_*{1}")
_FLAT_GLOBS: Final = ("{0}/*{1}", "{0}/[a-m]*{1}", "{0}/*_{{old,new}}{1}")
_ROOT_GLOBS: Final = ("**/*_test{0}", "**/test_*{0}", "**/*.generated{0}", "**/conf*{0}", "**/tests/*{0}")
_ENDINGS: Final = (".py", ".pyi", ".md", ".json", ".toml", ".txt", ".c", ".h")
_SYMBOLS: Final = ("main", "Parser.parse", "Parser.close", "Client", "Client.send", "run")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One target to hold or to ask for, and where it is: a directory with a file in it."""

    field: str
    text: str
    mode: Mode
    directory: str
    file: str
    agent: int = 0

    def reserve(self, agent: str) -> Reserve:
        """Return the request for it."""
        return Reserve(
            agent_id=agent,
            mode=self.mode.value,
            ttl_seconds=limits.TTL_MAX_S,
            reason="benchmark",
            patterns=self._only("patterns"),
            paths=self._only("paths"),
            addresses=self._only("addresses"),
        )

    def check(self, agent: str) -> CheckTargets:
        """Return the question whether it could be had."""
        return CheckTargets(
            agent_id=agent,
            mode=self.mode.value,
            patterns=self._only("patterns"),
            paths=self._only("paths"),
            addresses=self._only("addresses"),
        )

    def _only(self, field: str) -> list[str] | None:
        return [self.text] if field == self.field else None


class ClaimsTable:
    """A project's state with claims in it, which grows by granting."""

    def __init__(self, lists: dict[str, list[Directory]], seed: int) -> None:
        self.lists = lists
        self.state = ProjectState(ProjectName("benchmark"), epoch=0, head=0, batch=0)
        self.held: list[Wanted] = []
        self.refused = 0
        self._random_bits = random.Random(seed).getrandbits
        self._wishes = dealt(lists, random.Random(seed))
        self._agents: set[int] = set()
        for number in range(ASKERS):
            self._register(asker(number))

    def grow(self, count: int) -> None:
        """Grant claims until there are so many."""
        while len(self.state.leases) < count:
            wanted = next(self._wishes)
            if wanted.agent not in self._agents:
                self._agents.add(wanted.agent)
                self._register(f"agent-{wanted.agent}")
            try:
                self.granted(wanted.reserve(f"agent-{wanted.agent}"))
            except DomainError:
                self.refused += 1
                continue
            self.held.append(wanted)

    def transaction(self) -> Transaction:
        """Return a transaction of one command."""
        return Transaction(self.state, NOW, LOCAL, Facts(), self._random_bits)

    def granted(self, command: Reserve) -> ReservationView:
        """Decide a request as the service does, all but the disk. Raises: DomainError, where it is refused."""
        view = reserve(command, self.transaction())
        self.state.stored()
        assert isinstance(view, ReservationView)
        return view

    def _register(self, name: str) -> None:
        number = len(self.state.agents)
        session = f"{number:08x}-0000-8000-8000-000000000000"
        agent = Agent(
            AgentId(f"id-of-{name}"), session, name, name.encode(), None, None, "", NOW.wall_us, NOW.wall_us, NOW.mono_s
        )
        self.state.agents.put(agent)


def asker(number: int) -> str:
    """Return the name of an agent that holds nothing."""
    return f"asker-{number % ASKERS}"


def dealt(lists: dict[str, list[Directory]], draw: random.Random) -> Iterator[Wanted]:
    """Yield without end what agents hold, in kinds as above: each directory serves one of them."""
    total = directories = globs = 0
    for copy, name in ((copy, name) for copy in itertools.count() for name in lists):
        for directory in lists[name]:
            prefix = f"team{copy}/{name}"
            home, first = _joined(prefix, directory.path), f"{prefix}/{directory.files[0]}"
            agent = total // CLAIMS_PER_AGENT
            if directory.is_leaf and directories < DIRECTORIES_SHARE * (total + 1):
                yield Wanted("patterns", f"{home}/**", _mode(draw), home, first, agent)
                directories += 1
                total += 1
                continue
            if globs < GLOBS_SHARE * (total + 1):
                is_root = draw.random() < ROOT_GLOBS_SHARE
                text = _root_glob(draw) if is_root else _glob(draw, home, first, is_deep=directory.is_leaf)
                mode = draw.choice((Mode.IX, Mode.IS)) if is_root else _mode(draw)
                yield Wanted("patterns", text, mode, home, first, agent)
                globs += 1
                total += 1
                continue
            for file in directory.files[:FILES_PER_DIRECTORY_MAX]:
                for wanted in _of_file(draw, f"{prefix}/{file}", home, total // CLAIMS_PER_AGENT):
                    yield wanted
                    total += 1


def _of_file(draw: random.Random, path: str, home: str, agent: int) -> Iterator[Wanted]:
    if draw.random() >= SYMBOLS_SHARE:
        yield Wanted("paths", path, _mode(draw), home, path, agent)
        return
    one, other = draw.sample(("main", "Parser.parse", "Client"), 2)
    yield Wanted("addresses", f"{path}::{one}", Mode.X, home, path, agent)
    if draw.random() < 0.3:
        yield Wanted("addresses", f"{path}::{other}", Mode.X, home, path, agent + 1)


def requests(table: ClaimsTable, count: int, draw: random.Random) -> Iterator[Wanted]:
    """Yield so many requests against the table, in kinds and modes as it is made of."""
    free = [(name, directory) for name, found in table.lists.items() for directory in found]
    for _ in range(count):
        held = draw.choice(table.held)
        home, file = held.directory, held.file
        is_free = draw.random() < 0.5
        if is_free and draw.random() < 0.5:
            name, directory = draw.choice(free)
            home, file = _joined(f"drafts/{name}", directory.path), f"drafts/{name}/{draw.choice(directory.files)}"
        elif is_free:
            home = f"{home}/{draw.choice(_SYMBOLS).lower()}"
            file = f"{home}/new{draw.randrange(1000)}.py"
        yield _request(draw, home, file)


def _request(draw: random.Random, home: str, file: str) -> Wanted:
    kind = draw.random()
    if kind < GLOBS_SHARE:
        text = _root_glob(draw) if draw.random() < ROOT_GLOBS_SHARE else _glob(draw, home, file, is_deep=True)
        return Wanted("patterns", text, _mode(draw), home, file)
    if kind < GLOBS_SHARE + DIRECTORIES_SHARE:
        return Wanted("patterns", f"{home}/**", _mode(draw), home, file)
    if draw.random() < SYMBOLS_SHARE:
        return Wanted("addresses", f"{file}::{draw.choice(_SYMBOLS)}", Mode.X, home, file)
    return Wanted("paths", file, _mode(draw), home, file)


def _mode(draw: random.Random) -> Mode:
    return draw.choices(_MODES, _WEIGHTS)[0]


def _glob(draw: random.Random, home: str, file: str, *, is_deep: bool) -> str:
    forms = _DEEP_GLOBS + _FLAT_GLOBS if is_deep else _FLAT_GLOBS
    return draw.choice(forms).format(_escaped(home), PurePosixPath(file).suffix or ".py")


def _root_glob(draw: random.Random) -> str:
    return draw.choice(_ROOT_GLOBS).format(draw.choice(_ENDINGS))


def _escaped(path: str) -> str:
    return "".join("\\" + character if character in "*?[]{}\\" else character for character in path)


def _joined(prefix: str, path: str) -> str:
    return prefix if path == "." else f"{prefix}/{path}"
