"""Postboxes: where calls wait for mail, and are woken by the commit that brings some. Source: issue 6 point 4.

A waiting call has no thread and no place with the actor; it is a reader of the log like a socket, and is counted as one.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Final, Protocol

import trio

from intermute.core.api.messages import Inbox, MessagePage
from intermute.core.events import Event, EventType
from intermute.core.ids import AgentId

_MAIL: Final = frozenset({EventType.MESSAGE_CREATED, EventType.MESSAGE_UPDATED})
_NAMES: Final = frozenset({EventType.AGENT_REGISTERED, EventType.AGENT_RENEWED, EventType.AGENT_DEREGISTERED})
"""After one of these an address may mean another agent."""


class Postboxes:
    """The calls that wait for mail in one project, by the canonical address that it comes to."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[trio.Event]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def expecting(self, address: str) -> Iterator[trio.Event]:
        """Return an event that is set once there may be mail there, or the address mean another agent, or `wake` is called."""
        news = trio.Event()
        waiting = self._waiting.setdefault(address, set())
        waiting.add(news)
        try:
            yield news
        finally:
            waiting.discard(news)
            if not waiting:
                del self._waiting[address]

    def tell(self, events: Sequence[Event]) -> None:
        """Wake those whom the events concern; they are on the disk."""
        if not self._waiting:
            return
        for event in events:
            for address in _addresses(event):
                for news in self._waiting.get(address, ()):
                    news.set()

    def wake(self) -> None:
        """Let every waiting call look again."""
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()


def _addresses(event: Event) -> Set[str]:
    if event.type in _MAIL:
        return event.audience or frozenset()
    if event.type in _NAMES:
        return {event.data["agent_id"], event.data["name"]}
    return frozenset()


class Delivering(Protocol):
    """What a call that waits for mail needs of its project's hub."""

    postboxes: Postboxes

    @property
    def is_closed(self) -> bool:
        """Whether everybody has been sent home."""


async def wait_for_mail(
    query: Inbox, hub: Delivering, canonical: Callable[[str], AgentId], look: Callable[[], Awaitable[MessagePage]]
) -> MessagePage:
    """Return the page that `look` finds as soon as it has a message; an empty one when the time is up, or the hub closed.

    Cancellation: the client has gone, and nothing is left behind. Raises: what `look` raises.
    """
    ends_s = trio.current_time() + (query.wait_seconds or 0.0)
    while True:
        # Before looking: what comes in between is not missed.
        with hub.postboxes.expecting(canonical(query.agent)) as news:
            page = await look()
            if page.messages or hub.is_closed or trio.current_time() >= ends_s:
                return page
            with trio.move_on_at(ends_s):
                await news.wait()
