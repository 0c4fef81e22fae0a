"""WebSockets: a project's events, replayed from a cursor and then live. Source: design.md 4, contract.md 2, hazards.md 36 to 42.

Gate, identity and subscription come before the handshake is accepted, so nothing is lost between the two and a refusal is
an ordinary HTTP answer. Incoming messages are read and dropped; a reader task always drains them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
import trio
from quart.wrappers import Websocket

from intermute.core.agents import Caller, Directory, Identity
from intermute.core.api.system import EventPage, ListEvents
from intermute.core.errors import AgentIdentityMismatch, CursorExpired, DomainError, InvalidRequest, ShuttingDown
from intermute.core.events import is_for, on_the_wire, parse_topic, parse_types, shortened
from intermute.core.ids import ProjectName
from intermute.core.operations import Operation
from intermute.project.project import Project
from intermute.web.answer import Answer, Call
from intermute.web.auth import reader_of
from intermute.web.decode import decode
from intermute.web.errors import error_answer
from intermute.web.front import Front

SOCKETS: Final = ("/ws/agents/<path:agent>", "/ws/events")
_PAGE: Final = 100  # events read at a time; a reader far behind must not hold much in memory.
_GOING_AWAY: Final = 1001
_UNSUPPORTED: Final = 1003
_INVALID: Final = 1007
_TRY_AGAIN: Final = 1013
_EXPIRED: Final = 4410  # Of the codes that are ours (RFC 6455, 7.4.2): the 410 of a socket that is open already.
_STREAM: Final = Operation(method="GET", path="/ws", input=ListEvents, output=EventPage)
"""How a socket finds its project, and what it takes: as reading the log over HTTP does."""


@dataclass(frozen=True, slots=True)
class _Close:
    """Why the server ends a socket: a code of RFC 6455 and a few words."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a client asks for: the log of which project, from where, as whom."""

    project: ProjectName
    caller: Caller
    query: ListEvents
    is_of_agent: bool


@dataclass(slots=True)
class _Subscription:
    """One reader of the log: where it is, and what it wants to see."""

    project: Project
    cursor: int
    asked_as: str | None
    reader: str | None
    types: frozenset[str] | None
    topic: str | None
    is_short: bool
    """Whether it named no place, as the original's client, which can read only so much at once."""


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
            wish = await self._wish(call, agent)
            if self._front.registry.knows(wish.project):
                await self._follow(socket, wish)
            else:
                await self._await_project(socket, wish)
        except DomainError as error:
            return error_answer(error)
        return None

    async def _wish(self, call: Call, agent: str | None) -> _Wish:
        principal = self._front.authenticate(call)
        path = {} if agent is None else {"agent": agent.strip("/")}
        query = decode(_STREAM, path, call.query, b"")
        if agent is not None and not path["agent"]:
            raise InvalidRequest([("agent", "name the agent in the path: /ws/agents/{agent}")])
        name = await self._front.project_for(_STREAM, query, principal)
        return _Wish(name, principal.caller, query, agent is not None)

    async def _follow(self, socket: Websocket, wish: _Wish) -> None:
        subscription = await self._subscription(wish)
        with subscription.project.hub.subscription(subscription.reader):
            await socket.accept()
            await _stream(socket, partial(_write, socket, subscription))

    async def _await_project(self, socket: Websocket, wish: _Wish) -> None:
        """Serve a reader of a project that does not exist: it waits without a file, and then misses nothing."""
        registry = self._front.registry
        _check_reader(registry.identify_stranger(wish.caller), wish, Directory())

        async def write() -> _Close:
            await arrived.wait()
            cursor = wish.query.since_cursor or 0
            try:
                registry.arrivals.check_open()
                subscription = await self._subscription(wish)
                subscription.cursor = cursor
                with subscription.project.hub.subscription(subscription.reader):
                    return await _write(socket, subscription)
            except DomainError as error:
                return _told(error, cursor)

        with registry.arrivals.expecting(wish.project) as arrived:
            await socket.accept()
            await _stream(socket, write)

    async def _subscription(self, wish: _Wish) -> _Subscription:
        project = await self._front.registry.project(wish.project)
        identity, directory = project.identify(wish.caller), project.known_state().agents
        _check_reader(identity, wish, directory)
        query = wish.query
        reader = reader_of(identity, wish.caller, directory.canonical(query.agent or "") if wish.is_of_agent else None)
        types = parse_types(query.type)
        cursor = project.hub.head if query.since_cursor is None else query.since_cursor
        await project.check_cursor(cursor, types)
        is_short = query.since_cursor is None
        return _Subscription(project, cursor, query.agent, reader, types, parse_topic(query.topic), is_short)


def _check_reader(identity: Identity, wish: _Wish, directory: Directory) -> None:
    if wish.is_of_agent and identity.address not in (None, directory.canonical(wish.query.agent or "")):
        raise AgentIdentityMismatch


async def _stream(socket: Websocket, write: Callable[[], Awaitable[_Close]]) -> None:
    """Run writer and reader of one socket; the first to end says how the socket is closed."""
    endings: list[_Close] = []
    async with trio.open_nursery() as nursery:

        def ends(close: _Close) -> None:
            endings.append(close)
            nursery.cancel_scope.cancel()

        async def drain() -> None:
            ends(await _drain(socket))

        nursery.start_soon(drain)
        ends(await write())
    await socket.close(endings[0].code, endings[0].reason)


def _told(error: DomainError, cursor: int) -> _Close:
    if isinstance(error, CursorExpired):
        return _Close(_EXPIRED, f"{error.code}: the oldest is since_cursor={error.oldest_cursor}")
    code = _GOING_AWAY if isinstance(error, ShuttingDown) else _TRY_AGAIN
    return _Close(code, f"{error.code}: come back with since_cursor={cursor}")


async def _write(socket: Websocket, subscription: _Subscription) -> _Close:
    """Send what the log has after the cursor, then what it gets, in order; returns only when it cannot go on."""
    project = subscription.project
    while True:
        try:
            # Always a checkpoint: sending need not be one, and does nothing once the peer is gone (hazards.md 37).
            await project.hub.wait_beyond(subscription.cursor)
            page = await project.events_after(subscription.cursor, _PAGE, subscription.types)
        except DomainError as error:
            return _told(error, subscription.cursor)
        asked_as = subscription.asked_as
        reader = project.known_state().agents.addresses_of(asked_as) if asked_as else None
        for event in page:
            if is_for(event, reader, subscription.types, subscription.topic):
                fields = on_the_wire(shortened(event) if subscription.is_short else event, project.name, asked_as)
                await socket.send(msgspec.json.encode(fields).decode() + "\n")
            subscription.cursor = event.cursor
        if not page:  # The head is beyond the newest event: a cursor was given out that no event took.
            subscription.cursor = max(subscription.cursor, project.hub.head)


async def _drain(socket: Websocket) -> _Close:
    """Read and drop what the client sends: JSON of any kind, as the original does (contract.md 2.1)."""
    while True:
        message = await socket.receive()
        if not isinstance(message, str):
            return _Close(_UNSUPPORTED, "send text only")
        try:
            msgspec.json.decode(message)
        except (msgspec.DecodeError, RecursionError):
            return _Close(_INVALID, "failed to unmarshal JSON")
