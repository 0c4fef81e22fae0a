"""Claims, said as plainly as possible: lists, sets of atoms, and everyone compared with everyone else.

An atom is one symbol of one path out of a universe so small that it can be listed. A target is a set of atoms, and how two
targets lie to each other is how their sets do. Nothing here knows patterns, relations or an index.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from intermute.core import limits

_SYMBOLS: Final = ("", "A", "A.m", "f")
_FILES: Final = ("src", "src/a.py", "src/b.py", "src/c.txt", "lib/a.py", "docs/x.md", "docs/a.py")
_PATHS: Final = {
    "**": _FILES,
    "src": ("src", "src/a.py", "src/b.py", "src/c.txt"),
    "src/*.py": ("src/a.py", "src/b.py"),
    "*/a.py": ("src/a.py", "lib/a.py", "docs/a.py"),
    "{src/a.py,docs/x.md}": ("src/a.py", "docs/x.md"),
    "src/a.py": ("src/a.py",),
    "src/b.py": ("src/b.py",),
    "docs": ("docs/x.md", "docs/a.py"),
}
_PARTS: Final = {"": _SYMBOLS, "A": ("A", "A.m"), "A.m": ("A.m",), "f": ("f",)}
TARGETS: Final = (
    *(path for path in _PATHS if path != "**"), "**",
    "src/a.py::A", "src/a.py::A.m", "src/a.py::f", "src/b.py::f", "src/*.py::f", "src/*.py::A.m",
)  # fmt: skip
DESTINATIONS: Final = ("src/b.py::f", "src/a.py::A.m", "docs/x.md")

Atom = tuple[str, str]


def _atoms(text: str) -> frozenset[Atom]:
    path, _, symbol = text.partition("::")
    paths = _PATHS.get(path) or (path,)
    return frozenset((each, part) for each in paths for part in _PARTS[symbol])


ATOMS: Final = {text: _atoms(text) for text in (*TARGETS, *DESTINATIONS)}

_TOGETHER: Final = {frozenset(pair.split()) for pair in ("IS IS", "IS IX", "IS S", "IS SIX", "IX IX", "S S")}
_OF_EACH_PART: Final = {"IS": None, "IX": None, "S": "S", "SIX": "S", "X": "X"}


def stand_in_the_way(mine: str, my_mode: str, theirs: str, their_mode: str) -> bool:
    """Tell whether two targets in these modes clash: what the wider one says of each of its parts must go with the other."""
    a, b = ATOMS[mine], ATOMS[theirs]
    if not a & b:
        return False
    said: tuple[str | None, str | None] = my_mode, their_mode
    if a > b:
        said = _OF_EACH_PART[my_mode], their_mode
    elif a < b:
        said = my_mode, _OF_EACH_PART[their_mode]
    elif a != b:
        said = _OF_EACH_PART[my_mode], _OF_EACH_PART[their_mode]
    return None not in said and frozenset(each for each in said if each) not in _TOGETHER


@dataclass(frozen=True)
class Wanted:
    """One target of a request."""

    text: str
    mode: str
    op: str | None = None
    to: str | None = None

    def parts(self) -> Iterator[tuple[str, str]]:
        """Yield what it takes, with the modes: itself, and what it creates."""
        yield self.text, self.mode
        if self.to is not None:
            yield self.to, "X"


@dataclass(frozen=True)
class Held:
    """A claim in the model, granted or waiting. `ends_s` is its deadline, or until when it waits."""

    id: str
    holder: str
    wanted: tuple[Wanted, ...]
    ttl_s: float
    ends_s: float
    behind: frozenset[str] = frozenset()

    def clashes(self, other: "Held") -> bool:
        """Tell whether the two cannot both be held."""
        return self.holder != other.holder and any(
            stand_in_the_way(*mine, *theirs)
            for one in self.wanted
            for mine in one.parts()
            for another in other.wanted
            for theirs in another.parts()
        )

    def in_mode(self, mode: str) -> "Held":
        """Return it converted; who only reads makes nothing."""
        is_reading = mode in ("S", "IS")
        changed = [replace(each, mode=mode, to=None if is_reading else each.to) for each in self.wanted]
        return replace(self, wanted=tuple(changed))


@dataclass
class ClaimsModel:
    """What a project's reservations and queue should be. Names stand for agents."""

    granted: dict[str, Held] = field(default_factory=dict)
    waiting: dict[str, Held] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def obstacles(self, claim: Held) -> list[Held]:
        """Return what is granted to others in the way."""
        return [each for each in self.granted.values() if each.id != claim.id and each.clashes(claim)]

    def ahead_of(self, claim: Held) -> list[Held]:
        """Return the waiters that a newcomer must not overtake: not those who wait for its holder anyway."""
        return [
            each
            for each in self.waiting.values()
            if each.clashes(claim) and claim.holder not in {other.holder for other in self.obstacles(each)}
        ]

    def is_free(self, claim: Held) -> bool:
        """Tell whether a newcomer may have this at once."""
        return not self.obstacles(claim) and not self.ahead_of(claim)

    def needs(self, waiter: Held) -> set[str]:
        """Return the holders that a waiter waits for."""
        ahead = [self.waiting[each] for each in waiter.behind if each in self.waiting]
        return {each.holder for each in (*self.obstacles(waiter), *ahead)}

    def is_circular(self, holder: str, needed: Iterable[str]) -> bool:
        """Tell whether somebody who is needed waits, over however many others, for the holder."""
        reached: set[str] = set()
        agenda = list(needed)
        while agenda:
            one = agenda.pop()
            if one not in reached:
                reached.add(one)
                agenda += [each for wait in self.waiting.values() if wait.holder == one for each in self.needs(wait)]
        return holder in reached

    def enqueue(self, claim: Held) -> None:
        """Let a newcomer wait; of two waiters that clash one is behind the other."""
        ahead = {each.id for each in self.ahead_of(claim)}
        for each in self.waiting.values():
            if each.clashes(claim) and each.id not in ahead:
                self.waiting[each.id] = replace(each, behind=each.behind | {claim.id})
        self.waiting[claim.id] = replace(claim, behind=frozenset(ahead))

    def admit(self, mono_s: float) -> None:
        """Grant whatever nothing stands in the way of."""
        ready = [
            each
            for each in self.waiting.values()
            if not self.obstacles(each) and not any(other in self.waiting for other in each.behind)
        ]
        for each in ready:
            del self.waiting[each.id]
            self.granted[each.id] = replace(each, ends_s=mono_s + each.ttl_s, behind=frozenset())

    def settle(self, mono_s: float) -> None:
        """Refuse the latest who would wait for itself, until nobody does; then grant what is free."""
        while True:
            circular = [each for each in self.waiting.values() if self.is_circular(each.holder, self.needs(each))]
            if not circular:
                break
            del self.waiting[circular[-1].id]
        self.admit(mono_s)

    def end(self, claim_id: str, how: str, mono_s: float) -> None:
        """Let a grant end."""
        self.end_together([self.granted[claim_id]], how, mono_s)

    def silent(self, holder: str, mono_s: float) -> bool:
        """Tell whether an agent has said nothing for too long; who never registered cannot be silent."""
        return mono_s - self.heard_s.get(holder, math.inf) >= limits.AGENT_SILENCE_S

    def let_time_do(self, mono_s: float) -> None:
        """End what is due, then the waits, then what the silent hold."""
        self.end_together([each for each in self.granted.values() if each.ends_s <= mono_s], "expired", mono_s)
        for each in list(self.waiting.values()):
            if each.ends_s <= mono_s or self.silent(each.holder, mono_s):
                del self.waiting[each.id]
        self.admit(mono_s)
        silent = [each for each in self.granted.values() if self.silent(each.holder, mono_s)]
        self.end_together(silent, "owner_stale", mono_s)

    def end_together(self, claims: list[Held], how: str, mono_s: float) -> None:
        """Let several grants end, and then those go on who waited."""
        for each in claims:
            del self.granted[each.id]
            self.ended[each.id] = how
        self.admit(mono_s)

    def next_event_s(self) -> float:
        """Return when time does something next."""
        known = [*self.granted.values(), *self.waiting.values()]
        silences = [self.heard_s[each.holder] + limits.AGENT_SILENCE_S for each in known if each.holder in self.heard_s]
        return min([each.ends_s for each in known] + silences, default=math.inf)

    def restart(self, mono_s: float) -> None:
        """Forget the queue; whoever holds something or was live has a minute at least."""
        self.waiting.clear()
        for each in self.granted.values():
            self.granted[each.id] = replace(each, ends_s=max(each.ends_s, mono_s + limits.RESTART_GRACE_S))
