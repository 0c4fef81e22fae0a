"""One WebSocket of events, from the handshake to its end. trio-websocket carries it.

Whatever ends it is a `StreamEnded`; what refuses it is the service's own error.
"""

import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream

from intermute.client.errors import Told, refusal_of
from intermute.client.settings import ClientSettings

EVENT_BYTES_MAX: Final = 8 * 1024 * 1024  # bytes of one event; those of the service come from a body of 1 MiB.
_WAITING_MAX: Final = 128  # events received and not yet asked for; then the socket is not read, and the server waits.
_RECEIVE_BYTES: Final = 64 * 1024
_CLOSE_TIMEOUT_S: Final = 1.0  # seconds for saying goodbye.
_PORTS: Final = {"http": 80, "https": 443}


class StreamEnded(Exception):
    """The socket is gone, or never came about; the text says how."""


class Stream:
    """An open socket. Resources: `aclose` it; its reader task lives in the nursery that it was opened with."""

    def __init__(self, stream: trio.abc.Stream, connection: WebSocketConnection) -> None:
        self._stream, self._connection = stream, connection

    async def next_text(self) -> str:
        """Return the next event as it was sent. Cancellation: nothing is taken. Raises: StreamEnded."""
        try:
            message = await self._connection.get_message()
        except ConnectionClosed as closed:
            reason = closed.reason
            raise StreamEnded(
                "the connection broke" if reason is None else f"{reason.code} {reason.reason or ''}"
            ) from None
        if not isinstance(message, str):
            raise StreamEnded("something came that is no text")
        return message

    async def is_answering(self, within_s: float) -> bool:
        """Tell whether the other end answers a ping; where it does not, the socket is ended."""
        with trio.move_on_after(within_s):
            try:
                await self._connection.ping()
            except ConnectionClosed:
                return False
            return True
        return False

    async def aclose(self) -> None:
        """End it: with a goodbye where that is possible within a second, and in any case."""
        with trio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await self._connection.aclose()
        await self.abort()

    async def abort(self) -> None:
        """End it at once; whoever waits for an event hears that."""
        await trio.aclose_forcefully(self._stream)


async def open_stream(
    nursery: trio.Nursery, settings: ClientSettings, target: str, headers: Mapping[str, str], timeout_s: float
) -> Stream:
    """Open a socket on a path of the service. Raises: DomainError, for what the service refuses; StreamEnded; NotIntermute."""
    parts = urlsplit(settings.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw: trio.abc.Stream | None = None
    try:
        with trio.fail_after(timeout_s):
            tcp = raw = await trio.open_tcp_stream(host, port)
            if settings.is_encrypted:
                raw = trio.SSLStream(tcp, ssl.create_default_context(), server_hostname=host)
            connection = await wrap_client_stream(
                nursery, raw, parts.netloc, parts.path.rstrip("/") + target, extra_headers=fields,
                message_queue_size=_WAITING_MAX, max_message_size=EVENT_BYTES_MAX, receive_buffer_size=_RECEIVE_BYTES,
            )  # fmt: skip
    except BaseException as error:
        if raw is not None:
            await trio.aclose_forcefully(raw)
        if isinstance(error, ConnectionRejected):
            raise _refusal(error, target) from None
        if isinstance(
            error, OSError | HandshakeError | ConnectionClosed | trio.BrokenResourceError | trio.TooSlowError
        ):
            raise StreamEnded(f"{type(error).__name__} {error}".rstrip()) from None
        raise
    return Stream(raw, connection)


def _refusal(rejected: ConnectionRejected, target: str) -> Told:
    """Return the error that a refused handshake tells of. Raises: NotIntermute."""
    headers = {name.decode().lower(): value.decode() for name, value in rejected.headers or ()}
    return refusal_of(f"GET {target.partition('?')[0]}", rejected.status_code, headers, bytes(rejected.body or b""))
