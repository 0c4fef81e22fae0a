"""WebSockets of the fast lane: opened as the careful lane opens them, and fed together. Source: issue 7, decision 0023.

Gate, identity and subscription come before the upgrade is accepted, so nothing is lost between the two and a refusal is an
ordinary HTTP answer. The places of a reader are its own as long as its connection reads.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final

import trio

from intermute.core.agents import Directory
from intermute.core.errors import DomainError
from intermute.project.project import Project
from intermute.web.answer import Answer, Call
from intermute.web.errors import answered
from intermute.web.feed import Feed, Follower
from intermute.web.following import Subscription, Wish, check_reader, heard, subscription_to, told, wish_of
from intermute.web.front import Front
from intermute.web.server import PushSocket
from supervisor import Child

_ADMITTED: Final = Answer(101, b"")


class Push:
    """The feeds of all projects. `run` is the `main` of a supervised child: until it runs, whoever has caught up waits."""

    def __init__(self, front: Front, log: Callable[..., None]) -> None:
        self._front, self._log = front, log
        self._feeds: dict[Project, tuple[Feed, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None

    def __len__(self) -> int:
        return len(self._feeds)

    async def run(self, child: Child) -> None:
        """Run the feeds that there are, and those that come."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            child.started()
            try:
                for feed in [feed for feed, _ in self._feeds.values()]:
                    self._begin(feed)
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def serve(self, socket: PushSocket, call: Call, agent: str | None) -> Answer | None:
        """Stream events over one socket until either side ends it; return the answer that refuses it instead."""

        def on_bug(bug: Exception) -> None:
            self._log("request.crashed", operation=call.path, error=bug)

        with ExitStack() as places:
            visit = _Visit(socket, places)
            answer = await answered(self._admit(visit, call, agent), on_bug)
            if answer is not _ADMITTED:
                return answer
            await socket.accept()
            visit.begin()
            await socket.read(heard)
        return None

    async def _admit(self, visit: "_Visit", call: Call, agent: str | None) -> Answer:
        wish = await wish_of(self._front, call, agent)
        registry = self._front.registry
        if registry.knows(wish.project):
            visit.begin = self._placed(visit, await subscription_to(self._front, wish)).start
        else:
            # It waits for its project without a file, and then misses nothing.
            check_reader(registry.identify_stranger(wish.caller), wish, Directory())
            arrived = visit.places.enter_context(registry.arrivals.expecting(wish.project))
            visit.begin = partial(visit.socket.start, partial(self._arrive, visit, wish, arrived))
        return _ADMITTED

    async def _arrive(self, visit: "_Visit", wish: Wish, arrived: trio.Event) -> None:
        await arrived.wait()
        cursor = wish.query.since_cursor or 0
        try:
            self._front.registry.arrivals.check_open()
            reader = await subscription_to(self._front, wish)
            reader.cursor = cursor
            if visit.socket.is_over:  # Its places have been given back.
                return
            follower = self._placed(visit, reader)
        except DomainError as error:
            visit.socket.end(told(error, cursor))
            return
        await follower.catch_up()

    def _placed(self, visit: "_Visit", reader: Subscription) -> Follower:
        """Give a reader its places: in the project, and with the feed. Raises: TooManySubscribers."""
        visit.places.enter_context(reader.project.hub.subscription(reader.reader))
        feed = self.feed_of(reader.project)
        follower = Follower(feed, visit.socket, reader)
        feed.readers += 1
        visit.places.callback(self._leave, feed, follower)
        return follower

    def feed_of(self, project: Project) -> Feed:
        """Return the feed of a project, begun with its first reader."""
        if project not in self._feeds:
            self._feeds[project] = Feed(project), trio.CancelScope()
            self._begin(self._feeds[project][0])
        return self._feeds[project][0]

    def _begin(self, feed: Feed) -> None:
        if self._nursery is not None:
            scope = trio.CancelScope()
            self._feeds[feed.project] = feed, scope
            self._nursery.start_soon(_run, feed, scope)

    def _leave(self, feed: Feed, follower: Follower) -> None:
        feed.leave(follower)
        feed.readers -= 1
        if not feed.readers:
            self._feeds.pop(feed.project)[1].cancel()


class _Visit:
    """One socket while it is served: its places, and how it begins once it has been accepted."""

    __slots__ = ("begin", "places", "socket")

    def __init__(self, socket: PushSocket, places: ExitStack) -> None:
        self.socket, self.places = socket, places
        self.begin: Callable[[], None]


async def _run(feed: Feed, scope: trio.CancelScope) -> None:
    with scope:
        await feed.run()
