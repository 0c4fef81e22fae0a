"""Every socket receives every event once and in order: many sockets at the same time, each held against the log.

A socket follows the log from a cursor. At rest, what it heard since then has to be the log after that cursor: nothing left
out, nothing twice, nothing out of order, nothing that the log does not have. What was heard is only collected while it
comes, and judged afterwards: there are tens of thousands of it a second.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from loadtest.promises.history import Violation

PROMISE: Final = "every socket hears every event once and in order"
AROUND: Final = 5  # events before and after the wrong one that are told.


class Heard:
    """What one socket heard since it was last held against the log. Over one connection after the other, if need be."""

    __slots__ = ("after", "cursors", "name", "times_s")

    def __init__(self, name: str, after: int) -> None:
        self.name, self.after = name, after
        self.cursors: list[int] = []
        self.times_s: list[float] = []
        """When each was read, in the clients' time."""

    @property
    def last(self) -> int:
        """The cursor from which the socket has to go on if it breaks."""
        return self.cursors[-1] if self.cursors else self.after


class EventsOnce:
    """The sockets and what they heard."""

    promise = PROMISE

    def __init__(self) -> None:
        self.checked = 0

    def demand(self, sockets: Sequence[Heard], log: Sequence[int]) -> None:
        """Hold all that the sockets heard against the cursors of the log, at rest. Raises: Violation.

        `log` is in its own order and reaches back to the first of their beginnings, or further.
        """
        expected: dict[int, list[int]] = {}
        for heard in sockets:
            wanted = expected.get(heard.after)
            if wanted is None:
                wanted = expected[heard.after] = [cursor for cursor in log if cursor > heard.after]
            self.checked += len(wanted)
            if heard.cursors != wanted:
                raise _violation(heard, wanted)

    def settle(self, sockets: Sequence[Heard]) -> None:
        """Forget what was heard and judged: the sockets go on from there."""
        for heard in sockets:
            heard.after = heard.last
            heard.cursors, heard.times_s = [], []


def _violation(heard: Heard, wanted: Sequence[int]) -> Violation:
    """Say what is wrong first."""
    cursors = heard.cursors
    both = zip(cursors, wanted, strict=False)
    at = next((place for place, (got, due) in enumerate(both) if got != due), min(len(cursors), len(wanted)))
    due = f"event {wanted[at]} was due" if at < len(wanted) else "no event was due"
    if at >= len(cursors):
        text = f"{due} and never came: {len(wanted) - at} of {len(wanted)} events are missing at the end"
    elif cursors[at] in cursors[:at]:
        text = f"{due}, and event {cursors[at]} came a second time"
    elif cursors[at] not in wanted:
        text = f"{due}, and event {cursors[at]} came, which the log does not have"
    elif wanted[at] in cursors[at:]:
        text = f"{due}, and event {cursors[at]} came before it"
    else:
        text = f"{due}, and event {cursors[at]} came instead: a gap"
    first = max(0, at - AROUND)
    near = slice(first, at + AROUND + 1)
    begun_s = heard.times_s[0] if heard.times_s else 0.0
    lines = [f"the log from there: {list(wanted[near])}", f"{heard.name} follows the log after {heard.after}"]
    lines += [
        f"{at_s - begun_s:12.6f} s  {heard.name} hears {cursor}"
        for cursor, at_s in islice(zip(cursors, heard.times_s, strict=False), first, at + AROUND + 1)
    ]
    if at >= len(cursors):
        lines.append(f"{heard.name} hears nothing more")
    return Violation(PROMISE, f"{heard.name}: {text}", lines)
