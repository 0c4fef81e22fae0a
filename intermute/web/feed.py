"""The feed of a project: one loop that passes on what the log gets to every socket that has everything before it.

Invariants: a reader is a cursor, never a queue, and whoever does not keep up leaves the feed, reads the log by a task of its
own, and comes back when it has caught up; so a slow reader costs the others nothing. Nothing is sent from a request handler:
the feed waits for the hub like every reader. It never holds up the loop of the process for more than a few sockets.
Source: issue 7; guarantees.md G11, G12, T13; decisions/0023-push-lane.md.
"""

from collections.abc import Sequence
from typing import Final

import trio

from intermute.core import limits
from intermute.core.errors import DomainError, InternalError
from intermute.core.events import Event
from intermute.project.project import Project
from intermute.web.following import EVENTS_AT_ONCE, Subscription, told
from intermute.web.frames import Frames, Sheet
from intermute.web.server import PushSocket

_BEHIND_AT_ONCE: Final = 4  # readers behind that are given events before others get to run; 0.5 ms each at most.


class Feed:
    """The sockets of one project that its log is passed on to."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.turns = trio.Semaphore(_BEHIND_AT_ONCE)
        self.readers = 0
        """Those in the feed and those that are behind."""
        self._frames = Frames(project.name)
        self._cursor = project.hub.head
        self._ready: dict[Follower, None] = {}

    def __len__(self) -> int:
        """Return how many have everything there is."""
        return len(self._ready)

    async def run(self) -> None:
        """Pass on what comes until the hub is closed; however it ends, nobody is left waiting for more."""
        why: DomainError = InternalError()
        try:
            while True:
                await self.project.hub.wait_beyond(self._cursor)
                await self._pass_on()
        except DomainError as closed:
            why = closed
        finally:
            self._send_home(why)

    def join(self, follower: "Follower") -> bool:
        """Take in a reader that has everything there is; False where it has not."""
        hub = self.project.hub
        if follower.reader.cursor < hub.head:
            return False
        if hub.closed_for is None:
            self._ready[follower] = None
        else:
            follower.send_home(hub.closed_for)
        return True

    def leave(self, follower: "Follower") -> None:
        """Forget a reader, if it is in the feed."""
        self._ready.pop(follower, None)

    def sheet(self, start: int, events: Sequence[Event], head: int) -> Sheet:
        """Return the events after a cursor as readers get them. Args: head, that of the log before they were looked for."""
        return Sheet(start, events, head, self._frames, self.project.known_state().agents.addresses_of)

    async def _pass_on(self) -> None:
        hub = self.project.hub
        events = hub.after(self._cursor, EVENTS_AT_ONCE) if self._ready else []
        if events is None:  # More came at once than memory holds, or what was there has been trimmed.
            for follower in list(self._ready):
                follower.fall_behind()
            events = []
        sheet = self.sheet(self._cursor, events, hub.head)
        for number, follower in enumerate(list(self._ready), 1):
            if follower in self._ready:
                follower.take(sheet)
            if number % limits.PUSHES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        self._cursor = sheet.end

    def _send_home(self, why: DomainError) -> None:
        ready, self._ready = self._ready, {}
        for follower in ready:
            follower.send_home(why)


class Follower:
    """One socket on its way through the log: in the feed, or behind it."""

    __slots__ = ("_feed", "_socket", "reader")

    def __init__(self, feed: Feed, socket: PushSocket, reader: Subscription) -> None:
        self._feed, self._socket, self.reader = feed, socket, reader

    def start(self) -> None:
        """Go on after the reader's cursor. Not a checkpoint."""
        if not self._feed.join(self):
            self._socket.start(self.catch_up)

    def take(self, sheet: Sheet) -> None:
        """Send what the kernel takes of a sheet; whoever cannot be sent all of it is behind. Not a checkpoint."""
        reader = self.reader
        cut = sheet.cut(reader)
        taken = self._socket.offer(cut.joined, cut.frames) if cut.frames else 0
        if taken == len(cut.frames):
            reader.cursor = max(reader.cursor, sheet.end)
            return
        if taken:
            reader.cursor = cut.cursors[taken - 1]
        self.fall_behind()

    def fall_behind(self) -> None:
        """Leave the feed, and go on by a task of its own."""
        self._feed.leave(self)
        self._socket.start(self.catch_up)

    def send_home(self, why: DomainError) -> None:
        """Close the socket."""
        self._feed.leave(self)
        self._socket.end(told(why, self.reader.cursor))

    async def catch_up(self) -> None:
        """Send what the log has after the cursor, as fast as the peer takes it, until the reader can join the feed."""
        socket, reader, project = self._socket, self.reader, self._feed.project
        await socket.send()
        while not socket.is_over:
            # What comes while the log is being read, or while it is others' turn, is not in these events.
            head = project.hub.head
            try:
                events = await project.events_after(reader.cursor, EVENTS_AT_ONCE, reader.types)
            except DomainError as error:
                socket.end(told(error, reader.cursor))
                return
            async with self._feed.turns:  # Always a checkpoint.
                blocked = self._send_some(events, head)
            # While the peer makes room nothing is held but one frame, and that one with others.
            del events
            if blocked:
                await socket.send(blocked)
            elif not socket.is_over and self._feed.join(self):
                return

    def _send_some(self, events: Sequence[Event], head: int) -> bytes:
        """Send what the kernel takes of these, and return the frame for which it has no room; empty where all were taken."""
        reader = self.reader
        sheet = self._feed.sheet(reader.cursor, events, head)
        cut = sheet.cut(reader)
        taken = self._socket.offer(cut.joined, cut.frames) if cut.frames else 0
        if taken == len(cut.frames):
            reader.cursor = sheet.end
            return b""
        reader.cursor = cut.cursors[taken]
        return cut.frames[taken]
