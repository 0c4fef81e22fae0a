"""One WebSocket of events, from the handshake to its end. wsproto does the framing, on a stream of trio's.

There is no task behind it: who waits for an event reads the socket, so that nothing has to be handed over, nothing is read
that nobody asked for, and a refusal is raised where it is heard. Whatever ends the socket is a `StreamEnded`; what refuses it
is the service's own error. Source: docs/decisions/0017-client-library.md; hazards.md 24, 43.
"""

import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from intermute.client.errors import refusal_of
from intermute.client.settings import ClientSettings

EVENT_CHARS_MAX: Final = 8 * 1024 * 1024  # characters of one event; those of the service come from a body of 1 MiB.
QUIET_S: Final = 30.0  # seconds without a byte until we ask whether anybody is there; the server pings after 20.
ANSWERS_WITHIN_S: Final = 10.0  # seconds after which nobody is.
_RECEIVE_BYTES: Final = 64 * 1024
_GOODBYE_S: Final = 1.0  # seconds for saying goodbye.
_NORMAL: Final = 1000
_PORTS: Final = {"http": 80, "https": 443}


class StreamEnded(Exception):
    """The socket is gone, or never came about; the text says how."""


class Stream:
    """A socket. Resources: `aclose` or `abort` it."""

    def __init__(self, raw: trio.abc.Stream) -> None:
        self._raw, self._frames = raw, WSConnection(ConnectionType.CLIENT)
        self._texts: deque[str] = deque()
        self._parts: list[str] = []
        self._part_chars = 0
        self._ended: str | None = None
        """Why nothing more comes after `_texts`."""

    async def shake_hands(self, host: str, target: str, headers: Mapping[str, str]) -> None:
        """Ask for the events. Raises: DomainError, for what the service refuses; StreamEnded; NotIntermute."""
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send(Request(host=host, target=target, extra_headers=fields))
        refused, body = None, bytearray()
        while True:
            await self._receive()
            for event in self._frames.events():
                if isinstance(event, AcceptConnection):
                    await self._take_all()
                    return
                if isinstance(event, RejectConnection):
                    refused = event
                if isinstance(event, RejectData):
                    body += event.data
                if refused is not None and (
                    not refused.has_body or (isinstance(event, RejectData) and event.body_finished)
                ):
                    told = {name.decode().lower(): value.decode() for name, value in refused.headers}
                    raise refusal_of(f"GET {target.partition('?')[0]}", refused.status_code, told, bytes(body))

    async def next_text(self) -> str:
        """Return the next event as it was sent.

        Cancellation: the next call goes on, or says that the socket has ended. Raises: StreamEnded.
        """
        while not self._texts:
            if self._ended is not None:
                raise StreamEnded(self._ended)
            await self._receive()
            await self._take_all()
        return self._texts.popleft()

    async def aclose(self) -> None:
        """End it: with a goodbye where that is possible within a second, and in any case."""
        if self._ended is None:
            with trio.move_on_after(_GOODBYE_S, shield=True):
                with suppress(StreamEnded):  # That is what was wanted.
                    await self._send(CloseConnection(code=_NORMAL))
        await self.abort()

    async def abort(self) -> None:
        """End it at once."""
        await trio.aclose_forcefully(self._raw)

    async def _receive(self) -> None:
        """Read what comes next. Raises: StreamEnded, also after a long silence in which nobody answered."""
        data: bytes | bytearray | None = None
        try:
            with trio.move_on_after(QUIET_S):
                data = await self._raw.receive_some(_RECEIVE_BYTES)
            if data is None:
                await self._send(Ping())
                with trio.move_on_after(ANSWERS_WITHIN_S):
                    data = await self._raw.receive_some(_RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise StreamEnded(f"the connection broke: {error}") from None
        if not data:
            raise StreamEnded("the other end is silent" if data is None else "the connection was closed")
        try:
            self._frames.receive_data(bytes(data))
        except RemoteProtocolError as error:
            raise StreamEnded(f"something else than WebSocket came: {error}") from None

    async def _take_all(self) -> None:
        """Take what has been read. Raises: StreamEnded."""
        try:
            for event in self._frames.events():
                await self._take(event)
        except RemoteProtocolError as error:
            raise StreamEnded(f"something else than WebSocket came: {error}") from None

    async def _take(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._parts.append(event.data)
            self._part_chars += len(event.data)
            if self._part_chars > EVENT_CHARS_MAX:
                raise StreamEnded(f"an event has more than {EVENT_CHARS_MAX} characters")
            if event.message_finished:
                self._texts.append("".join(self._parts))
                self._parts, self._part_chars = [], 0
        elif isinstance(event, Ping):
            await self._send(event.response())
        elif isinstance(event, CloseConnection):
            self._ended = f"closed with {int(event.code)} {event.reason or ''}".rstrip()
            await self._send(event.response())
        elif isinstance(event, BytesMessage):
            raise StreamEnded("something came that is no text")

    async def _send(self, event: Event) -> None:
        before, self._ended = self._ended, "a message was cut short"  # What cancels us here leaves half a frame behind.
        try:
            await self._raw.send_all(self._frames.send(event))
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError) as error:
            if before is None:
                raise StreamEnded(f"the connection broke: {error}") from None
        self._ended = before


async def open_stream(settings: ClientSettings, target: str, headers: Mapping[str, str]) -> Stream:
    """Open a socket on a path of the service. Raises: DomainError, for what the service refuses; StreamEnded; NotIntermute."""
    parts = urlsplit(settings.url)
    host, raw = parts.hostname or "", None
    try:
        with trio.fail_after(settings.timeout_s):
            raw = await _connected(settings, host, parts.port or _PORTS[parts.scheme])
            stream = Stream(raw)
            await stream.shake_hands(parts.netloc, parts.path.rstrip("/") + target, headers)
            return stream
    except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
        if raw is not None:
            await trio.aclose_forcefully(raw)
        raise StreamEnded(f"{type(error).__name__} {error}".rstrip()) from None
    except BaseException:
        if raw is not None:
            await trio.aclose_forcefully(raw)
        raise


async def _connected(settings: ClientSettings, host: str, port: int) -> trio.abc.Stream:
    tcp = await trio.open_tcp_stream(host, port)
    if not settings.is_encrypted:
        return tcp
    return trio.SSLStream(tcp, ssl.create_default_context(), server_hostname=host)
