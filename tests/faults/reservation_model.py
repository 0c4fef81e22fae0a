"""Reservations as a sequential object, for the checker of histories (guarantees.md G6).

A grant is known by the number of the request that it answers, so that a grant nobody heard of can still be named by a
conflict. Each renewal gives a grant a new generation, and only the last generation may expire, after its time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PATTERNS: Final[Mapping[str, frozenset[str]]] = {
    "src/**": frozenset({"src/main.py", "src/x.py", "src/a.txt", "src/api/main.py", "src/api/x.py", "src/api/a.txt"}),
    "src/api/**": frozenset({"src/api/main.py", "src/api/x.py", "src/api/a.txt"}),
    "src/api/*.py": frozenset({"src/api/main.py", "src/api/x.py"}),
    "src/*.py": frozenset({"src/main.py", "src/x.py"}),
    "**/main.py": frozenset({"src/main.py", "src/api/main.py", "docs/main.py"}),
    "src/api/main.py": frozenset({"src/api/main.py"}),
    "docs/*": frozenset({"docs/main.py", "docs/a.md"}),
    "{src,docs}/main.py": frozenset({"src/main.py", "docs/main.py"}),
}
"""Eight patterns and the files they match, written down by hand: the service's own automaton is not asked."""

_CLASH: Final = {(a, b) for a, files in PATTERNS.items() for b, others in PATTERNS.items() if files & others}

NOBODY: Final = -1
"""The number of a grant that nobody has asked for."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """A request for a pattern: granted, refused because of these grants, or with an unknown outcome (None)."""

    number: int
    agent: str
    pattern: str
    is_granted: bool | None
    conflicts: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Renew:
    """A renewal of a grant: done, refused since it had ended, or with an unknown outcome (None)."""

    number: int
    grant: int
    is_done: bool | None


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a grant, likewise."""

    grant: int
    is_done: bool | None


@dataclass(frozen=True, slots=True)
class Check:
    """A look at what is in the way of an agent."""

    agent: str
    pattern: str
    conflicts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Expire:
    """The end of a grant's time, which was set by the request or renewal of this number."""

    grant: int
    generation: int


Action = Reserve | Renew | Release | Check | Expire


@dataclass(frozen=True, slots=True)
class Held:
    """One grant that is held."""

    grant: int
    generation: int
    agent: str
    pattern: str


Holding = frozenset[Held]
EMPTY: Final[Holding] = frozenset()


def step(holding: Holding, action: Action) -> Holding | None:
    """Return what is held after the action, or None where its answer contradicts what is held."""
    match action:
        case Reserve(number, agent, pattern, is_granted, conflicts):
            clashes = _clashes(holding, agent, pattern)
            if is_granted is False:
                return holding if clashes and clashes == conflicts else None
            return None if clashes else holding | {Held(number, number, agent, pattern)}
        case Check(agent, pattern, conflicts):
            return holding if _clashes(holding, agent, pattern) == conflicts else None
        case Renew(number, grant, is_done):
            held = _find(holding, grant)
            if is_done is False:
                return holding if held is None else None
            return None if held is None else holding - {held} | {Held(grant, number, held.agent, held.pattern)}
        case Release(grant, is_done):
            held = _find(holding, grant)
            if is_done is False:
                return holding if held is None else None
            return None if held is None else holding - {held}
        case Expire(grant, generation):
            held = _find(holding, grant)
            return None if held is None or held.generation != generation else holding - {held}


def _clashes(holding: Holding, agent: str, pattern: str) -> frozenset[int]:
    return frozenset(each.grant for each in holding if each.agent != agent and (each.pattern, pattern) in _CLASH)


def _find(holding: Holding, grant: int) -> Held | None:
    return next((each for each in holding if each.grant == grant), None)
