"""The hub: tells every reader of a project's log that it grew. A reader is a cursor, never a queue.

The newest events stay in memory, so that live readers need no disk; whoever is further behind reads the log itself.
Nothing is pushed from a request handler: only the actor publishes, after its commit (design.md 3.4).
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import trio

from intermute.core import limits
from intermute.core.errors import DomainError, ShuttingDown, TooManySubscribers
from intermute.core.events import Event, EventType, weight
from intermute.project.postboxes import Postboxes


class Hub:
    """The head of one project's log, and those who wait for it to grow."""

    def __init__(self) -> None:
        self.head = 0
        self.subscribers = 0
        self._subscribers_of: Counter[str] = Counter()
        self._tail: deque[Event] = deque()
        self._tail_from = 0
        self._tail_chars = 0
        self._grew = trio.Event()
        self._closed: DomainError | None = None
        self.postboxes = Postboxes()

    def restart(self, head: int) -> None:
        """Take over the log's head from the disk; waiting readers look again, since something may have come with it."""
        self._tail.clear()
        self._tail_chars = 0
        self.head = self._tail_from = head
        self._wake()
        self.postboxes.wake()

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
            self.postboxes.tell(events)

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
    def subscription(self, reader: str | None = None) -> Iterator[None]:
        """Count the caller as a reader while the block lasts; a named one has a bound of its own. Raises: TooManySubscribers."""
        if self.subscribers >= limits.SUBSCRIBERS_PER_PROJECT_MAX:
            raise TooManySubscribers
        if reader is not None:
            if self._subscribers_of.get(reader, 0) >= limits.SUBSCRIBERS_PER_READER_MAX:
                raise TooManySubscribers(is_one_reader=True)
            self._subscribers_of[reader] += 1
        self.subscribers += 1
        try:
            yield
        finally:
            self.subscribers -= 1
            if reader is not None:
                self._subscribers_of[reader] -= 1
                if not self._subscribers_of[reader]:
                    del self._subscribers_of[reader]

    async def wait_beyond(self, cursor: int) -> None:
        """Return once the log's head is beyond the cursor; always a checkpoint. Raises: DomainError, once it is closed."""
        await trio.lowlevel.checkpoint()
        while self.head <= cursor:
            if self._closed is not None:
                raise self._closed.with_traceback(None)
            await self._grew.wait()

    def close(self, reason: DomainError | None = None) -> None:
        """Send everyone home who waits for events, now and from now on; what is in the log can still be read."""
        self._closed = reason or ShuttingDown()
        self._wake()
        self.postboxes.wake()

    @property
    def is_closed(self) -> bool:
        """Whether everyone has been sent home."""
        return self._closed is not None

    @property
    def closed_for(self) -> DomainError | None:
        """Why everyone has been sent home; None while they have not."""
        return self._closed

    def _forget(self, cursor: int) -> None:
        """Send readers up to this cursor to the log, which knows what of it has been trimmed; here all of it might be."""
        while self._tail and self._tail[0].cursor <= cursor:
            self._tail_chars -= weight(self._tail.popleft())
        self._tail_from = max(self._tail_from, cursor)

    def _wake(self) -> None:
        grew, self._grew = self._grew, trio.Event()
        grew.set()
