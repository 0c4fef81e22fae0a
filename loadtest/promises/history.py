"""What clients saw, in the order they saw it, and what is told of it when a promise is broken."""

from collections import deque
from collections.abc import Iterable
from typing import Final

NOTES_MAX: Final = 400_000  # notes kept; the oldest go first. About 60 MB, and more than one slice makes.
LINES_MAX: Final = 60  # lines told of one violation, the last ones; what matters is near the end.


class Violation(Exception):
    """A promise of the service was broken; `history` is what led to it, a line each."""

    def __init__(self, promise: str, explanation: str, history: Iterable[str] = ()) -> None:
        super().__init__(f"{promise}: {explanation}")
        self.promise = promise
        self.explanation = explanation
        self.history = list(history)


class History:
    """Notes of who asked for what, about which subject, and what came of it."""

    def __init__(self, notes_max: int = NOTES_MAX) -> None:
        self._notes: deque[tuple[float, str, str, str]] = deque(maxlen=notes_max)

    def note(self, at_s: float, who: str, subject: str, what: str) -> None:
        """Add what somebody saw at a time of the clients' clock."""
        self._notes.append((at_s, who, subject, what))

    def about(self, *subjects: str) -> list[str]:
        """Return the last notes about any of these subjects, as lines with times in seconds since the first one kept."""
        wanted = set(subjects)
        found = [note for note in self._notes if note[2] in wanted]
        begun_s = self._notes[0][0] if self._notes else 0.0
        lines = [
            f"{at_s - begun_s:12.6f} s  {who:<24} {what}  [{subject}]"
            for at_s, who, subject, what in found[-LINES_MAX:]
        ]
        if len(found) > LINES_MAX:
            lines.insert(0, f"({len(found) - LINES_MAX} earlier ones are left out)")
        return lines
