"""Every event is received once and in order: what a reader heard, over however many sockets, is what the log has.

A reader comes back with the cursor of the last event that it heard. So the cursors it hears only rise, and when it has
come to the end, they are those of the log after the place where it began: none is missing, none came twice.
"""

from collections.abc import Sequence
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "every event once and in order"
AROUND: Final = 5  # events before and after the wrong one that are told.


class EventOrder:
    """What one reader heard."""

    promise = PROMISE

    def __init__(self, history: History, reader: str) -> None:
        self._history, self._reader = history, reader
        self.cursors: list[int] = []
        self.checked = 0

    @property
    def last(self) -> int:
        """The cursor of the last event heard, from which to go on; 0 before the first one."""
        return self.cursors[-1] if self.cursors else 0

    def heard(self, at_s: float, cursor: int, what: str) -> None:
        """Note an event as it comes. Raises: Violation, where it is not after the last one."""
        self.checked += 1
        self._history.note(at_s, self._reader, self._reader, f"heard {cursor} {what}")
        if cursor <= self.last:
            kind = "again" if cursor in self.cursors else "too late"
            raise Violation(
                PROMISE,
                f"{self._reader} heard event {cursor} {kind}, after {self.last}",
                self._history.about(self._reader),
            )
        self.cursors.append(cursor)

    def demand(self, log: Sequence[int]) -> None:
        """Hold all that was heard against the cursors of the log. Raises: Violation.

        What was heard after the end of the log, as it was read, does not count.
        """
        heard = [cursor for cursor in self.cursors if log and cursor <= log[-1]]
        self.checked += len(log)
        if heard == list(log):
            return
        missing, strange = sorted(set(log) - set(heard)), sorted(set(heard) - set(log))
        first = min([*missing[:1], *strange[:1]], default=0)
        near = [cursor for cursor in log if abs(cursor - first) <= AROUND]
        raise Violation(
            PROMISE,
            f"{self._reader} heard {len(heard)} events and the log has {len(log)}: "
            f"{len(missing)} were not heard, such as {missing[:3]}; {len(strange)} are not in the log, such as {strange[:3]}",
            [
                f"the log around {first}: {near}",
                f"heard around {first}: {[cursor for cursor in heard if abs(cursor - first) <= AROUND]}",
                *self._history.about(self._reader),
            ],
        )
