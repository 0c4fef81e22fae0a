"""The hub: tells every reader of a project's log that it grew. A reader is a cursor, never a queue.

The newest events stay in memory, so that live readers need no disk; whoever is further behind reads the log itself.
Nothing is pushed from a request handler: only the actor publishes, after its commit (design.md 3.4).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import trio

from intermute.core import limits
from intermute.core.errors import ShuttingDown, TooManySubscribers
from intermute.core.events import Event, EventType, weight


class Hub:
    """The head of one project's log, and those who wait for it to grow."""

    def __init__(self) -> None:
        self.head = 0
        self.subscribers = 0
        self._tail: deque[Event] = deque()
        self._tail_from = 0
        self._tail_chars = 0
        self._grew = trio.Event()
        self._is_closed = False

    def restart(self, head: int) -> None:
        """Take over the log's head from the disk; waiting readers look again, since something may have come with it."""
        self._tail.clear()
        self._tail_chars = 0
        self.head = self._tail_from = head
        self._wake()

    def publish(self, events: Sequence[Event], head: int) -> None:
        """Let the readers have these events, which are on the disk; `head` is the last cursor given out."""
        for event in events:
            self._tail.append(event)
            self._tail_chars += weight(event)
            if event.type == EventType.PROJECT_TRIMMED:
                self._forget(max(event.data["last"].values(), default=0))
            while len(self._tail) > limits.EVENT_TAIL_MAX or self._tail_chars > limits.EVENT_TAIL_CHARS_MAX:
                oldest = self._tail.popleft()
                self._tail_chars -= weight(oldest)
                self._tail_from = oldest.cursor
        self.head = max(self.head, head)
        if events:
            self._wake()

    def after(self, cursor: int, limit: int) -> list[Event] | None:
        """Return the events after the cursor, or None where memory does not reach back that far."""
        if cursor < self._tail_from:
            return None
        # The tail is short and in order, so looking from its end costs no more than what is returned.
        skip = len(self._tail)
        for event in reversed(self._tail):
            if event.cursor <= cursor:
                break
            skip -= 1
        return list(islice(self._tail, skip, skip + limit))

    @contextmanager
    def subscription(self) -> Iterator[None]:
        """Count the caller as a reader while the block lasts. Raises: TooManySubscribers."""
        if self.subscribers >= limits.SUBSCRIBERS_PER_PROJECT_MAX:
            raise TooManySubscribers
        self.subscribers += 1
        try:
            yield
        finally:
            self.subscribers -= 1

    async def wait_beyond(self, cursor: int) -> None:
        """Return once the log's head is beyond the cursor; always a checkpoint. Raises: ShuttingDown, once it is closed."""
        await trio.lowlevel.checkpoint()
        while self.head <= cursor:
            if self._is_closed:
                raise ShuttingDown
            await self._grew.wait()

    def close(self) -> None:
        """Send everyone home who waits for events, now and from now on; what is in the log can still be read."""
        self._is_closed = True
        self._wake()

    def _forget(self, cursor: int) -> None:
        """Send readers up to this cursor to the log, which knows what of it has been trimmed; here all of it might be."""
        while self._tail and self._tail[0].cursor <= cursor:
            self._tail_chars -= weight(self._tail.popleft())
        self._tail_from = max(self._tail_from, cursor)

    def _wake(self) -> None:
        grew, self._grew = self._grew, trio.Event()
        grew.set()
