"""Events as an async iterator that comes back to where it was: none is lost and none comes twice.

A reader is a cursor. After whatever happens to the connection or to the server, everything after the cursor is asked for
again, and what was seen already is passed over. Decided here: when to come back, how often, and when to give up.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import msgspec
import trio

from intermute.client.calls import Calls
from intermute.client.errors import NoAnswer, NotIntermute, Told
from intermute.client.retrying import OF_PROXIES, is_passing, pause_s
from intermute.client.stream import Stream, StreamEnded, open_stream
from intermute.core.api.checks import Checked, CheckTargets

PATIENCE_S: Final = 300.0  # seconds without a connection after which the reader is told.
_LASTED_S: Final = 5.0  # seconds after which a connection counts as a good one, though nothing came.
_NO_PATH: Final = "intermute/head"
"""Any literal path: a check of it tells where the log stands, whatever it finds."""
_OF_ALL: Final = frozenset({"type", "project", "cursor", "created_at", "agent"})


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log. `agent` is there where it is addressed to somebody; `fields` are those of its type."""

    cursor: int
    type: str
    project: str
    created_at: str
    fields: dict[str, Any]  # Any: JSON; docs/api.md lists them.
    agent: str | None = None


class Events:
    """The events after a cursor, for ever: `async for event in events`. `cursor` is that of the last one given out.

    Kept with what was made of the event, the cursor is where another reader goes on after a crash.
    """

    def __init__(self, calls: Calls, path: str, query: Mapping[str, str], patience_s: float) -> None:
        self.cursor = 0
        self.connections = 0
        """How often a socket was opened."""
        self._calls, self._path, self._query = calls, path, query
        self._patience_s = patience_s
        self._stream: Stream | None = None
        self._is_closed = False
        self._opened_s = self._sound_s = trio.current_time()
        self._failures = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event, however long that takes.

        Cancellation: nothing is lost; the next call goes on. Raises: CursorExpired; DomainError, where the service refuses for
        good; NoAnswer, when there was no connection for too long; NotIntermute.
        """
        while True:
            if self._is_closed:
                raise StopAsyncIteration
            stream = self._stream or await self.connect()
            try:
                text = await stream.next_text()
            except StreamEnded as ended:
                await self._lose(stream, str(ended))
                continue
            # No await from here to the return: the event has been taken out of the socket.
            self._failures, self._sound_s = 0, trio.current_time()
            event = _event_of(text)
            if event.cursor > self.cursor:
                self.cursor = event.cursor
                return event

    async def connect(self) -> Stream:
        """Return an open socket that goes on after the cursor, trying again while that may help. Raises: as `__anext__`."""
        settings, retry_after_s = self._calls.settings, None
        while self._stream is None:
            try:
                stream = await open_stream(settings, self._target(), self._calls.headers())
            except Told as refused:
                if not is_passing(refused):
                    raise
                why, retry_after_s = str(refused), refused.retry_after_s
            except NotIntermute as stranger:
                if stranger.status not in OF_PROXIES:
                    raise
                why, retry_after_s = str(stranger), None
            except StreamEnded as ended:
                why, retry_after_s = str(ended), None
            else:
                self._stream, self._opened_s = stream, trio.current_time()
                self.connections += 1
                return stream
            await self._rest(why, retry_after_s)
        return self._stream

    async def aclose(self) -> None:
        """Close the socket; there are no further events."""
        self._is_closed = True
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _lose(self, stream: Stream, why: str) -> None:
        """Give up a socket that has ended; if it had barely been opened, rest before the next one."""
        self._stream = None
        await stream.abort()
        if trio.current_time() - self._opened_s >= _LASTED_S:
            self._failures, self._sound_s = 0, trio.current_time()
        if self._failures or self._received_nothing():
            await self._rest(why, None)

    def _received_nothing(self) -> bool:
        return self._sound_s < self._opened_s

    async def _rest(self, why: str, retry_after_s: float | None) -> None:
        """Wait before the next try. Raises: NoAnswer, when there was none for too long."""
        self._failures += 1
        pause = pause_s(self._calls.settings.retries, self._failures, self._calls.chance(), retry_after_s)
        if trio.current_time() + pause - self._sound_s > self._patience_s:
            raise NoAnswer(f"GET {self._path}", why, attempts=self._failures, may_be_done=False)
        await trio.sleep(pause)

    def _target(self) -> str:
        return f"{self._path}?{urlencode({**self._query, 'since_cursor': self.cursor})}"


@asynccontextmanager
async def follow(
    calls: Calls, *, since: int | None, types: Iterable[str], agent: str | None, patience_s: float
) -> AsyncIterator[Events]:
    """See `Client.follow`."""
    named = {} if calls.settings.project is None else {"project": calls.settings.project}
    kinds = ",".join(types)
    query = {**named, **({"type": kinds} if kinds else {})}
    path = "/ws/events" if agent is None else f"/ws/agents/{quote(agent, safe='')}"
    events = Events(calls, path, query, patience_s)
    # Without a cursor the server would begin at its own now, and a first socket that breaks would lose what comes before the
    # second: so the place is fixed first.
    events.cursor = await _head(calls) if since is None else since
    await events.connect()
    try:
        yield events
    finally:
        await events.aclose()


async def _head(calls: Calls) -> int:
    return (await calls.call(CheckTargets(paths=[_NO_PATH]), Checked)).seq


def _event_of(text: str) -> Event:
    """Return an event as it was sent. Raises: NotIntermute."""
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
        known = {name: said.pop(name) for name in _OF_ALL & said.keys()}
        return msgspec.convert({**known, "fields": said}, Event)
    except msgspec.DecodeError:
        raise NotIntermute("GET /ws/events", 101, text.encode()) from None
