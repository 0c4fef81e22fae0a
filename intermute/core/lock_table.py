"""The lock table: who holds which pattern in which mode, and who stands in the way of a request.

Decided here and nowhere else: which modes may be held together, and that a holder never stands in its own way. The table
neither grants nor expires; it answers from what was added and removed.
Source: claims.md section 4; design.md sections 7 and 8.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, StrEnum, auto
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec

from intermute.core.lock_trie import LockTrie, WorkBudget
from intermute.core.patterns import Pattern, PreparedPattern, example_path, overlap


class Mode(StrEnum):
    """What a holder may do with what it holds; the terms are those of multi-granularity locking."""

    IS = "IS"
    IX = "IX"
    S = "S"
    SIX = "SIX"
    X = "X"


_COMPATIBLE: dict[Mode, frozenset[Mode]] = {
    Mode.IS: frozenset({Mode.IS, Mode.IX, Mode.S, Mode.SIX}),
    Mode.IX: frozenset({Mode.IS, Mode.IX}),
    Mode.S: frozenset({Mode.IS, Mode.S}),
    Mode.SIX: frozenset({Mode.IS}),
    Mode.X: frozenset(),
}


class Reach(Enum):
    """Which entries a question is about, of those that share a path with the asked pattern.

    The last two are sure to have what they are about, and may have some others that share a path.
    """

    MEETING = auto()
    """All of them."""
    INSIDE = auto()
    """Those that lie inside the asked pattern."""
    AROUND = auto()
    """Those that contain the asked pattern, read as `relations` reads it: a node by itself, whatever is below it."""


ALL_MODES: Final = dict.fromkeys(Mode, Reach.MEETING)
"""Every mode, and all that shares a path."""


def compatible(a: Mode, b: Mode) -> bool:
    """Tell whether two holders may hold the same node in these modes. Symmetric."""
    return b in _COMPATIBLE[a]


class Entry(msgspec.Struct, frozen=True, eq=False):
    """One pattern of one claim. Two entries are equal only where they are the same one."""

    entry_id: str
    holder: str
    pattern: Pattern
    mode: Mode
    number: int = 0
    """Which target of the claim it is; the table only keeps it."""


class Conflict(NamedTuple):
    """An entry in the way, with a path that it and the request both match."""

    entry: Entry
    example: str


_Slot = dict[Entry, None]
"""The entries of one mode at one alternative, in the order they were added."""


class LockTable:
    """An index of entries; answers take as long as the answer is large, not as the table is.

    All patterns must have been read with the same `fold_case`. Iterating yields the entries in the order of their ids'
    first adding; `len` counts entries, of which an id may have several.
    """

    __slots__ = ("_by_holder", "_by_id", "_count", "_tries")

    def __init__(self) -> None:
        # One index per mode: a request walks only those it can clash with, so a thousand readers cost a reader nothing.
        self._tries: dict[Mode, LockTrie[_Slot]] = {mode: LockTrie() for mode in Mode}
        self._by_id: dict[str, list[Entry]] = {}
        self._by_holder: dict[str, dict[Entry, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._by_id.values():
            yield from entries

    def add(self, entry_id: str, pattern: Pattern, holder: str, mode: Mode, number: int = 0) -> Entry:
        """Add one pattern of this id, whatever it clashes with, and return its entry."""
        entry = Entry(entry_id, holder, pattern, mode, number)
        for alternative in pattern.alternatives:
            self._tries[mode].setdefault(alternative, {})[entry] = None
        self._by_id.setdefault(entry_id, []).append(entry)
        self._by_holder.setdefault(holder, {})[entry] = None
        self._count += 1
        return entry

    def remove(self, entry_id: str) -> list[Entry]:
        """Remove all patterns of this id and return their entries; none where the id is unknown."""
        entries = self._by_id.pop(entry_id, [])
        for entry in entries:
            trie = self._tries[entry.mode]
            for alternative in entry.pattern.alternatives:
                slot = trie.setdefault(alternative, {})
                del slot[entry]
                if not slot:
                    trie.drop(alternative)
            held = self._by_holder[entry.holder]
            del held[entry]
            if not held:
                del self._by_holder[entry.holder]
        self._count -= len(entries)
        return entries

    def by_id(self, entry_id: str) -> list[Entry]:
        """Return the entries of this id, in the order they were added."""
        return list(self._by_id.get(entry_id, ()))

    def by_holder(self, holder: str) -> list[Entry]:
        """Return the entries of this holder, in the order they were added."""
        return list(self._by_holder.get(holder, ()))

    def overlapping(
        self,
        pattern: Pattern,
        *,
        ignore_holder: str | None = None,
        limit: int | None = None,
        budget: WorkBudget | None = None,
    ) -> list[Conflict]:
        """Return the entries that share a path with the pattern, whatever their mode, each with such a path.

        Args: limit, how many entries to find at most; which ones, is stable but not otherwise promised.
        Raises: PatternTooBroad, once the budget is spent.
        """
        return [*islice(self.meeting(pattern, ALL_MODES, ignore_holder=ignore_holder, budget=budget), limit)]

    def meeting(
        self,
        pattern: Pattern,
        modes: Mapping[Mode, Reach],
        *,
        ignore_holder: str | None = None,
        budget: WorkBudget | None = None,
        asked: PreparedPattern | None = None,
    ) -> Iterator[Conflict]:
        """Yield the entries in these modes that share a path with the pattern; lazy, so the first few cost little.

        Of each mode those are certain to come that its reach is about. Args: asked, the pattern prepared.
        Raises: PatternTooBroad, while it is being taken from, once the budget is spent.
        """
        return self._meeting(asked or PreparedPattern(pattern), modes, ignore_holder, budget or WorkBudget())

    def sharing_path(self, pattern: Pattern, budget: WorkBudget) -> Iterator[Entry]:
        """Yield the entries in any mode that share a path with the pattern, without examples; lazy.

        An entry with alternatives may come several times. Raises: PatternTooBroad, once the budget is spent.
        """
        asked = PreparedPattern(pattern)
        for slot in chain.from_iterable(self._tries[mode].meeting(asked, budget) for mode in Mode):
            for entry in slot:
                budget.spend()
                yield entry

    def conflicts(
        self,
        pattern: Pattern,
        mode: Mode,
        holder: str,
        *,
        besides: str | None = None,
        limit: int | None = None,
        budget: WorkBudget | None = None,
    ) -> list[Conflict]:
        """Return the entries of others that share a path with the pattern in a mode that does not go with this one.

        Exact for S and X. For IS, IX and SIX, which speak about a node and not about what lies below it, this is the
        verdict on equal nodes; for others it is the strict side, to be narrowed by the relation of the two patterns.
        Args: besides, an id whose entries do not count; limit, how many conflicts to find at most; budget, shared by all
        patterns of one request.
        Raises: PatternTooBroad, once the budget is spent.
        """
        clashing = {held: Reach.MEETING for held in Mode if not compatible(mode, held)}
        found = self.meeting(pattern, clashing, ignore_holder=holder, budget=budget)
        return [*islice((each for each in found if each.entry.entry_id != besides), limit)]

    def node_count(self) -> int:
        """Return the number of nodes of the index: 0 where the table is empty."""
        return sum(trie.node_count() for trie in self._tries.values())

    def _meeting(
        self, asked: PreparedPattern, modes: Mapping[Mode, Reach], ignored: str | None, budget: WorkBudget
    ) -> Iterator[Conflict]:
        pattern = asked.pattern
        seen: set[Entry] = set()
        for mode, reach in modes.items():
            trie = self._tries[mode]
            if trie.is_empty:
                continue
            for slot in _REACHED[reach](trie, asked, budget):
                examples: dict[Pattern, str | None] = {}  # One pattern is often held by many.
                for entry in slot:
                    budget.spend()
                    if entry.holder == ignored or entry in seen:
                        continue
                    seen.add(entry)
                    held = entry.pattern
                    if held not in examples:
                        is_plain = pattern.is_plain and held.is_plain
                        examples[held] = overlap(pattern, held) if is_plain else example_path(held, asked.lanes)
                    example = examples[held]
                    assert example is not None  # The index and the automaton agree, or one of them is wrong.
                    yield Conflict(entry, example)


_REACHED: Final = {
    Reach.MEETING: LockTrie[_Slot].meeting,
    Reach.INSIDE: LockTrie[_Slot].inside,
    Reach.AROUND: LockTrie[_Slot].around,
}
