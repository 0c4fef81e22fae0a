"""Hypercorn's two ASGI streams, with what it leaves open closed.

The HTTP stream no longer recycles the connection from inside the application's own task (hazards.md, "The server":
that task is cancelled while it does so). The WebSocket stream negotiates nothing, stops at every bound of its input,
and closes with the code that says why.

Source: guarantees.md T12; hazards.md 36, 37; RFC 6455 sections 5.4, 5.5 and 7.4.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

import trio
from hypercorn.protocol.events import Body, Data, EndBody, Event, Response
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGISendEvent
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason

from intermute.web.server.framing import Refused, refusal_body, refusal_headers
from intermute.web.server.limits import ServerLimits
from intermute.web.server.rations import Rations

STREAM_ID = 1
CONTEXT = WorkerContext(None)
"""What Hypercorn's streams want to have; ours ask it nothing."""
_SENTENCES = {
    403: ("forbidden", "This WebSocket is not open to you; ask for one that is."),
    500: ("internal_error", "The server failed on this request; it may have been applied, so look before you repeat."),
}


class GuardedHTTPStream(HTTPStream):
    """One request and its response; the connection is recycled when the application has returned, not before."""

    async def _send_closed(self) -> None:
        await self.send(EndBody(stream_id=self.stream_id))
        self.state = ASGIHTTPState.CLOSED

    async def _send_error_response(self, status_code: int) -> None:
        await _send_error(self.send, status_code)
        self.state = ASGIHTTPState.CLOSED


class GuardedWSStream(WSStream):
    """One WebSocket, from the handshake to the last frame."""

    limits: ServerLimits
    is_over = False
    """The last frame has been sent or received; nothing more is read."""

    def bound_by(self, limits: ServerLimits) -> None:
        """Set the bounds; to be called once, before the handshake is handled."""
        self.limits = limits
        self._rations = Rations(limits)

    async def handle(self, event: Event) -> None:
        """Take the handshake, the peer's bytes or the end of the connection."""
        if isinstance(event, Data):
            await self._receive(event.data)
        else:
            await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Take one event of the application; a checkpoint when the peer has gone (hazards.md 37)."""
        if self.closed or self.is_over:
            await trio.lowlevel.checkpoint()
        else:
            await super().app_send(message)

    async def ping(self) -> None:
        """Send a ping, if the WebSocket is open."""
        if self.handshake.accepted and self.state is ASGIWebsocketState.CONNECTED:
            await self._send_wsproto_event(Ping())

    async def _receive(self, data: bytes) -> None:
        if not self.handshake.accepted:
            raise Refused(400, "bad_handshake", "Send nothing on a WebSocket before it has been accepted.")
        self.connection.receive_data(data)
        for event in self.connection.events():
            await self._take(event)
            if self.is_over:
                return

    async def _take(self, event: FrameEvent) -> None:
        if isinstance(event, (TextMessage, BytesMessage)):
            await self._take_message(event)
        elif isinstance(event, (Ping, Pong)):
            if (excess := self._rations.of_control()) is not None:
                await self._end(*excess)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
        elif isinstance(event, CloseConnection):
            if self.connection.state is ConnectionState.REMOTE_CLOSING:
                self.state = ASGIWebsocketState.CLOSED
                self.is_over = True
                await self._send_wsproto_event(event.response())
            elif self.connection.state is ConnectionState.CLOSED:
                self.is_over = True  # the answer to our own close.
            else:
                await self._end(CloseReason(event.code), "bad frame")

    async def _take_message(self, event: TextMessage | BytesMessage) -> None:
        if (excess := self._rations.of_message(event)) is not None:
            await self._end(*excess)
        elif self.state is ASGIWebsocketState.CONNECTED:
            self.buffer.extend(event)
            if event.message_finished:
                await self._hand_over()

    async def _hand_over(self) -> None:
        message = self.buffer.to_message()
        self.buffer.clear()
        assert self.app_put is not None  # the handshake was accepted by the application that it belongs to.
        with trio.move_on_after(self.limits.unread_timeout_s) as waiting:
            await self.app_put(message)
        if waiting.cancelled_caught:
            await self._end(CloseReason.POLICY_VIOLATION, "messages are not being read; send fewer")

    async def _end(self, code: CloseReason, reason: str) -> None:
        self.is_over = True
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))

    async def _send_error_response(self, status_code: int) -> None:
        await _send_error(self.send, status_code)


async def _send_error(send: Callable[[Event], Awaitable[None]], status: int) -> None:
    code, message = _SENTENCES.get(status, ("refused", HTTPStatus(status).phrase))
    body = refusal_body(code, message)
    for event in (
        partial(Response, headers=refusal_headers(body), status_code=status),
        partial(Body, data=body),
        EndBody,
    ):
        await send(event(stream_id=STREAM_ID))
