"""What became of the rows of the original's file, for a person and for a program."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

SHOWN_MAX: Final = 1000  # rows of one project that a report names; the rest are counted by reason.


@dataclass(frozen=True, slots=True)
class Line:
    """One row that a report names."""

    kind: str
    id: str
    says: str


@dataclass(slots=True)
class Tally:
    """What became of the rows of one kind."""

    taken: int = 0
    already_here: int = 0
    left_out: int = 0


@dataclass(slots=True)
class ProjectReport:
    """What became of one project. `problem` says why nothing of it was taken."""

    project: str
    called: list[str]
    """What it is called in the file; several names may mean one project."""
    problem: str | None = None
    kinds: dict[str, Tally] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    """How many rows were left out, by kind and reason."""
    left_out: list[Line] = field(default_factory=list)
    changed: list[Line] = field(default_factory=list)
    """Rows that were taken, but not as they stood."""
    changed_count: int = 0

    @property
    def taken(self) -> int:
        """How many rows were taken."""
        return sum(tally.taken for tally in self.kinds.values())

    def leave_out(self, kind: str, name: str, reason: str, *, is_named: bool = True) -> None:
        """Note a row that was left out; what was to be expected need not be named."""
        self.kinds[kind].left_out += 1
        self.reasons[f"{kind}: {reason}" if len(self.reasons) < SHOWN_MAX else f"{kind}: other reasons"] += 1
        if is_named and len(self.left_out) < SHOWN_MAX:
            self.left_out.append(Line(kind, name, reason))

    def change(self, kind: str, name: str, notes: list[str]) -> None:
        """Note a row that was taken, but not as it stood."""
        self.changed_count += bool(notes)
        self.changed += [Line(kind, name, note) for note in notes][: SHOWN_MAX - len(self.changed)]
