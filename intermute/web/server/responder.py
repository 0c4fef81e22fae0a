"""The answering half of one HTTP/1.1 connection: turns the events of a stream into bytes on the wire.

A response's head waits for the first piece of body and leaves with it, in one segment; ASGI asks for no less.
"""

import h11
import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Body, Data, EndBody, Event, Response

from intermute.web.server.framing import Refused, StrictConnection, refusal_body, refusal_headers
from intermute.web.server.wire import Wire


class Responder:
    """Sends what the application answers, or the one refusal that ends the connection."""

    def __init__(self, wire: Wire, connection: StrictConnection) -> None:
        self._wire = wire
        self._h11 = connection
        self._head = b""
        self._is_refused = False
        self.is_last = False
        """The connection ends after this response, and the response says so."""

    async def send(self, event: Event) -> None:
        """Send one event of a stream; a checkpoint and nothing else once the peer is gone or was refused."""
        if self._is_refused or not self._wire.is_open:
            await trio.lowlevel.checkpoint()
        elif isinstance(event, Response):
            await self._send_head(event)
        elif isinstance(event, Body):
            await self._send(h11.Data(data=event.data))
        elif isinstance(event, EndBody):
            await self._send(h11.EndOfMessage())
        elif isinstance(event, Data):
            await self._wire.send(event.data)

    async def send_continue(self) -> None:
        """Tell a client that asked (`Expect: 100-continue`) to send its body."""
        await self._send(h11.InformationalResponse(status_code=100, headers=[]))

    async def refuse(self, refusal: Refused) -> None:
        """Answer with the refusal, unless an answer has begun; everything after it is dropped."""
        self._is_refused = True
        if self._h11.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = refusal_body(refusal.code, refusal.message)
        headers = [*refusal_headers(body), *refusal.headers, *CONFIG.response_headers("h11")]
        self._head = self._h11.send(h11.Response(headers=headers, status_code=refusal.status))
        await self._send(h11.Data(data=body))

    async def _send_head(self, event: Response) -> None:
        headers = [*event.headers, *CONFIG.response_headers("h11")]
        if event.status_code < 200:
            await self._send(h11.InformationalResponse(headers=headers, status_code=event.status_code))
            return
        # An answer before the whole body is here: the rest of the body will not be read.
        if self.is_last or self._h11.their_state is h11.SEND_BODY:
            headers.append((b"connection", b"close"))
        self._head = self._h11.send(h11.Response(headers=headers, status_code=event.status_code))

    async def _send(self, event: h11.InformationalResponse | h11.Data | h11.EndOfMessage) -> None:
        data = self._head + self._h11.send(event)
        self._head = b""
        if data:
            await self._wire.send(data)


def _make_config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.websocket_ping_interval = None  # ours is `ServerLimits.ping_interval_s`.
    return config


CONFIG = _make_config()
"""Hypercorn's settings; it logs nothing and times nothing, since both are ours."""
