"""Stand-ins for a feed: a project whose log the test writes, and sockets that take as many frames as the test lets them."""

import json
from collections.abc import Awaitable, Callable, Sequence

import trio
import trio.testing

from intermute.core.agents import Directory
from intermute.core.errors import CursorExpired
from intermute.core.events import Event, EventType
from intermute.core.ids import Micros, ProjectName
from intermute.project.hub import Hub
from intermute.web.feed import Feed, Follower
from intermute.web.following import Subscription
from intermute.web.server import Ending


class Log:
    """A project with a log of its own that the hub can lack."""

    name = ProjectName("p")

    def __init__(self) -> None:
        self.hub, self.events, self.oldest, self.reads = Hub(), list[Event](), 0, 0
        self.on_read: Callable[[], None] = lambda: None
        self.agents = Directory()

    def known_state(self) -> "Log":
        """Return what knows the agents."""
        return self

    async def events_after(self, cursor: int, limit: int, _types: object) -> Sequence[Event]:
        """Return events of memory, else of the log."""
        if (found := self.hub.after(cursor, limit)) is not None:
            self.on_read()
            return found
        await trio.lowlevel.checkpoint()
        self.reads += 1
        if cursor < self.oldest:
            raise CursorExpired(self.oldest)
        return [event for event in self.events if event.cursor > cursor][:limit]

    def grow(self, count: int = 1, **data: object) -> None:
        """Let this much happen in one commit."""
        last = self.hub.head
        new = [Event(last + n, EventType.SPEC_CREATED, Micros(n), None, data) for n in range(1, count + 1)]
        self.events += new
        self.hub.publish(new, last + count)


class Ear:
    """A socket that takes so many frames, and remembers them; `sent_at` is asked when something is sent."""

    def __init__(self, nursery: trio.Nursery, room: float = float("inf")) -> None:
        self.nursery, self.room, self.heard = nursery, room, list[bytes]()
        self.offers = 0
        self.ending: Ending | None = None
        self.is_over = False
        self.made_room = trio.Event()
        self.on_offer: Callable[[], None] = lambda: None

    def offer(self, joined: bytes, frames: Sequence[bytes]) -> int:
        """Take what there is room for."""
        assert joined == b"".join(frames)
        self.offers += 1
        self.on_offer()
        taken = int(min(self.room, len(frames)))
        self.heard += frames[:taken]
        self.room -= taken
        return taken

    async def send(self, frame: bytes = b"") -> None:
        """Wait for room, and take the frame."""
        if frame:
            while self.room < 1:
                await self.made_room.wait()
            self.heard.append(frame)
            self.room -= 1

    def make_room(self, frames: float) -> None:
        """Let the peer read."""
        self.room += frames
        self.made_room.set()
        self.made_room = trio.Event()

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the work."""
        self.nursery.start_soon(work)

    def end(self, ending: Ending) -> None:
        """Note how it was closed."""
        self.ending = self.ending or ending
        self.is_over = True

    @property
    def cursors(self) -> list[int]:
        """Where in the log the events stand that were heard."""
        return [json.loads(frame[frame.index(b"{") :])["cursor"] for frame in self.heard]


def follow(feed: Feed, ear: Ear, cursor: int = 0) -> Follower:
    """Let an ear follow the feed from a cursor."""
    reader = Subscription(feed.project, cursor, None, None, None, None)
    follower = Follower(feed, ear, reader)  # type: ignore[arg-type] # an ear is all of a socket that a feed needs.
    follower.start()
    return follower


def feed_of(log: Log) -> Feed:
    """Return the feed of this log."""
    return Feed(log)  # type: ignore[arg-type] # all of a project that a feed needs.


settled = trio.testing.wait_all_tasks_blocked
