"""WebSockets of the careful lane: events, replayed from a cursor and then live. Source: design.md 4, hazards.md 36 to 42.

Gate, identity and subscription come before the handshake is accepted, so nothing is lost between the two and a refusal is
an ordinary HTTP answer. Incoming messages are read and dropped; a reader task always drains them. `push.py` has those of the
fast lane.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import trio
from quart.wrappers import Websocket

from intermute.core.agents import Directory
from intermute.core.errors import DomainError
from intermute.core.events import is_for, on_the_wire, shortened
from intermute.web.answer import Answer, Call
from intermute.web.errors import error_answer
from intermute.web.following import (
    EVENTS_AT_ONCE,
    Subscription,
    Wish,
    check_reader,
    heard,
    subscription_to,
    told,
    wish_of,
)
from intermute.web.front import Front
from intermute.web.server import Ending

SOCKETS: Final = ("/ws/agents/<path:agent>", "/ws/events")


class Sockets:
    """Serves event streams until their hub is closed, and then ends them with 1001."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def serve(self, socket: Websocket, call: Call, agent: str | None) -> Answer | None:
        """Stream events over one socket until either side ends it; return the answer that refuses it instead."""
        refusal = self._front.judge(call)
        if refusal is not None:
            return error_answer(refusal)
        try:
            wish = await wish_of(self._front, call, agent)
            if self._front.registry.knows(wish.project):
                await self._follow(socket, wish)
            else:
                await self._await_project(socket, wish)
        except DomainError as error:
            return error_answer(error)
        return None

    async def _follow(self, socket: Websocket, wish: Wish) -> None:
        subscription = await subscription_to(self._front, wish)
        with subscription.project.hub.subscription(subscription.reader):
            await socket.accept()
            await _stream(socket, partial(_write, socket, subscription))

    async def _await_project(self, socket: Websocket, wish: Wish) -> None:
        """Serve a reader of a project that does not exist: it waits without a file, and then misses nothing."""
        registry = self._front.registry
        check_reader(registry.identify_stranger(wish.caller), wish, Directory())

        async def write() -> Ending:
            await arrived.wait()
            cursor = wish.query.since_cursor or 0
            try:
                registry.arrivals.check_open()
                subscription = await subscription_to(self._front, wish)
                subscription.cursor = cursor
                with subscription.project.hub.subscription(subscription.reader):
                    return await _write(socket, subscription)
            except DomainError as error:
                return told(error, cursor)

        with registry.arrivals.expecting(wish.project) as arrived:
            await socket.accept()
            await _stream(socket, write)


async def _stream(socket: Websocket, write: Callable[[], Awaitable[Ending]]) -> None:
    """Run writer and reader of one socket; the first to end says how the socket is closed."""
    endings: list[Ending] = []
    async with trio.open_nursery() as nursery:

        def ends(close: Ending) -> None:
            endings.append(close)
            nursery.cancel_scope.cancel()

        async def drain() -> None:
            ends(await _drain(socket))

        nursery.start_soon(drain)
        ends(await write())
    await socket.close(endings[0].code, endings[0].reason)


async def _write(socket: Websocket, subscription: Subscription) -> Ending:
    """Send what the log has after the cursor, then what it gets, in order; returns only when it cannot go on."""
    project = subscription.project
    while True:
        try:
            # Always a checkpoint: sending need not be one, and does nothing once the peer is gone (hazards.md 37).
            await project.hub.wait_beyond(subscription.cursor)
            head = project.hub.head  # Before the reading: what comes meanwhile is not in the page.
            page = await project.events_after(subscription.cursor, EVENTS_AT_ONCE, subscription.types)
        except DomainError as error:
            return told(error, subscription.cursor)
        asked_as = subscription.asked_as
        reader = project.known_state().agents.addresses_of(asked_as) if asked_as else None
        for event in page:
            if is_for(event, reader, subscription.types, subscription.topic):
                fields = on_the_wire(shortened(event) if subscription.is_short else event, project.name, asked_as)
                await socket.send(msgspec.json.encode(fields).decode() + "\n")
            subscription.cursor = event.cursor
        if not page:  # The head is beyond the newest event: a cursor was given out that no event took.
            subscription.cursor = max(subscription.cursor, head)


async def _drain(socket: Websocket) -> Ending:
    while True:
        ending = heard(await socket.receive())
        if ending is not None:
            return ending
