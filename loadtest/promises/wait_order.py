"""Who waits is served in order: first come, first served.

The order of two requests on their way is nobody's to know; what the service lists as waiting is. Of two exclusive wishes for
one path the one that was listed in front has to be granted first. As the second is granted only when the first has been
released, its client has read the first grant by then, so the order in which grants are read can be relied on.
"""

from collections.abc import Sequence
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "first come, first served"


class WaitOrder:
    """The queue of each path, as it was listed last."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._queues: dict[str, list[str]] = {}
        self._gone: set[str] = set()
        self.checked = 0

    def listed(self, at_s: float, path: str, tickets: Sequence[str]) -> None:
        """Note who waits for a path, the first in front; who was granted or gave up meanwhile does not count.

        Raises: Violation, where two have changed places since they were listed before.
        """
        queue = [ticket for ticket in tickets if ticket not in self._gone]
        known = [ticket for ticket in self._queues.get(path, []) if ticket in queue]
        self._history.note(at_s, "the list", path, f"has waiting {', '.join(queue)}")
        self.checked += max(len(known) - 1, 0)
        if known != [ticket for ticket in queue if ticket in known]:
            raise Violation(
                PROMISE, f"those who wait for {path} have changed places: {known} before", self._history.about(path)
            )
        self._queues[path] = queue

    def granted(self, at_s: float, path: str, ticket: str) -> None:
        """Note that a wish was granted, when its answer has been read. Raises: Violation, if somebody was in front."""
        self._history.note(at_s, ticket, path, "was granted")
        self._gone.add(ticket)
        queue = self._queues.get(path, [])
        if ticket in queue:
            self.checked += 1
            if queue[0] != ticket:
                raise Violation(
                    PROMISE,
                    f"{ticket} was granted {path} before {queue[0]}, which was in front of it",
                    self._history.about(path),
                )
            queue.pop(0)

    def gave_up(self, at_s: float, path: str) -> None:
        """Note that somebody left the queue of a path, or that it was emptied: what was listed of it counts no more."""
        self._history.note(at_s, "somebody", path, "gave up or was cut off")
        self._queues.pop(path, None)
