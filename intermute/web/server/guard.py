"""One connection in its own guard: whatever happens in it ends it, and nothing else.

Decided here: the order of a connection (head, application, body, recycle, close), the deadline of each step, and
what an exception costs. Built on Hypercorn's ASGI streams with our own reader in place of its `TCPServer` and
`H11Protocol`, which cannot be bounded from outside (decisions/0005-guarded-hypercorn.md).

Invariant: nothing from the network ends the process or another connection (design.md, invariant 9).
"""

import traceback
from collections.abc import Callable
from math import inf
from typing import Any, cast

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.protocol.events import Body, Data, EndBody, Request, StreamClosed
from hypercorn.typing import ASGIFramework, ConnectionState, TaskGroup

from intermute.web.server.application import Application
from intermute.web.server.framing import Refused, StrictConnection, check_upgrade, wants_websocket
from intermute.web.server.limits import ServerLimits
from intermute.web.server.listeners import Peer
from intermute.web.server.plain import Lane, PlainConnection, Upgrade, reply_bytes
from intermute.web.server.push import PushSocket
from intermute.web.server.responder import CONFIG, Responder
from intermute.web.server.streams import CONTEXT, STREAM_ID, GuardedHTTPStream, GuardedWSStream
from intermute.web.server.wire import Wire

Log = Callable[..., None]
Address = tuple[str, int]
# As the careful lane writes it where it refuses an upgrade.
_REFUSING = "connection: close"


class Connection:
    """Serves one accepted socket until it ends; `run` once."""

    def __init__(
        self,
        app: ASGIFramework,
        wire: Wire,
        peer: Peer,
        addresses: tuple[Address | None, Address | None],
        limits: ServerLimits,
        log: Log,
        lane: Lane | None = None,
    ) -> None:
        self._app = app
        self._plain = PlainConnection(wire, limits, lane) if lane is not None else None
        self._wire = wire
        self._peer = peer
        self._client, self._server = addresses
        self._limits = limits
        self._log = log
        self._h11 = StrictConnection(limits)
        self._stream: GuardedHTTPStream | GuardedWSStream | None = None
        self._responder = Responder(wire, self._h11)
        self._is_idle = True
        self._is_stopping = False
        self._application: Application
        self._reading = trio.CancelScope()
        self._waiting = trio.CancelScope()

    async def run(self) -> None:
        """Serve the connection to its end, in a guard of its own.

        What goes wrong is logged once and stays here; `Cancelled` and `KeyboardInterrupt` pass.
        """
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 # the guard itself: design.md, invariant 9.
            self._report("connection.failed", error)
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if failures is not None:
                self._report("connection.failed", failures)
            assert rest is not None  # else it would have been an ExceptionGroup.
            raise rest from None
        finally:
            self._wire.abort()

    def stop(self) -> None:
        """End the connection after the request in hand; at once, if there is none. WebSockets end themselves."""
        self._is_stopping = self._responder.is_last = True
        if self._plain is not None:
            self._plain.is_last = True
        if self._is_idle and (self._plain is None or self._plain.is_idle):
            self._reading.cancel()

    def look(self, now_s: float) -> None:
        """See to the deadlines of the plain part, if it is in that; called at `look_interval_s`."""
        if self._plain is not None:
            self._plain.look(now_s)

    async def _run(self) -> None:
        self._wire.on_abort(self._reading.cancel)
        async with trio.open_nursery() as nursery:
            self._application = Application(self._app, nursery, self._peer, self._limits, self._report, self._app_done)
            with self._reading:
                try:
                    first = b"" if self._plain is None else await self._plain.serve(nursery)
                    self._plain = None
                    if isinstance(first, Upgrade):
                        self._is_idle = False
                        await self._serve_push(first, nursery)
                    elif first is not None:
                        if first:
                            self._h11.receive_data(first)
                        await self._serve_requests()
                except Refused as refusal:
                    await self._responder.refuse(refusal)
            if self._stream is not None:
                await self._stream.handle(StreamClosed(stream_id=STREAM_ID))
            await self._wire.close()
            if self._wire.is_stalled:
                self._log("connection.stalled", **self._describe())
            nursery.cancel_scope.deadline = trio.current_time() + self._limits.farewell_timeout_s

    async def _serve_push(self, upgrade: Upgrade, nursery: trio.Nursery) -> None:
        reply = await upgrade.opening(PushSocket(self._wire, self._limits, nursery, upgrade.key))
        if reply is not None:
            await self._wire.send(reply_bytes(reply, _REFUSING))

    async def _serve_requests(self) -> None:
        while (request := await self._next_request()) is not None:
            if wants_websocket(request):
                await self._serve_websocket(request)
                return
            self._stream = GuardedHTTPStream(*self._stream_arguments())
            await self._start(self._stream, request, list(request.headers))
            await self._feed_body(self._stream)
            is_complete = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
            if not (self._application.is_done and is_complete) or self._is_stopping or not self._wire.is_open:
                return
            self._stream = None
            self._h11.start_next_cycle()

    async def _next_request(self) -> h11.Request | None:
        """Return the next request; None when the peer ended or has been quiet for too long.

        Raises:
            Refused: the head is not acceptable, or did not come in time.
        """
        self._is_idle = True
        has_begun = False
        with trio.move_on_after(self._limits.idle_timeout_s) as waiting:
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.Request):
                    self._is_idle = False
                    return event
                if isinstance(event, h11.ConnectionClosed):
                    return None
                if self._h11.unparsed_bytes and not has_begun:
                    has_begun = True
                    waiting.deadline = trio.current_time() + self._limits.head_timeout_s
                data = await self._wire.receive()
                if not data:
                    return None
                self._h11.receive_data(data)
        if has_begun:
            raise Refused(408, "head_timeout", f"Send the whole head within {self._limits.head_timeout_s:g} seconds.")
        return None

    async def _feed_body(self, stream: GuardedHTTPStream) -> None:
        """Give the application its body, and notice when the peer leaves; returns when the application has."""
        deadline_s = trio.current_time() + self._limits.body_timeout_s
        while not self._application.is_done:
            if self._h11.they_are_waiting_for_100_continue:
                await self._responder.send_continue()
            event = self._h11.next_event()
            handed_at_s = trio.current_time()
            if isinstance(event, h11.Data):
                await stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await stream.handle(EndBody(stream_id=STREAM_ID))
            elif isinstance(event, h11.ConnectionClosed):
                return
            elif self._h11.unparsed_bytes >= self._limits.receive_bytes and event is h11.PAUSED:
                await self._wait_for_app()  # enough of the next requests is here; this one has to end first.
            else:
                is_body_due = self._h11.their_state is h11.SEND_BODY
                if not await self._read_more(deadline_s if is_body_due else inf):
                    return
                continue
            # The time for which the application let the body wait is not the peer's.
            deadline_s += trio.current_time() - handed_at_s

    async def _read_more(self, deadline_s: float) -> bool:
        data = b""
        if self._application.is_done:
            return False
        with trio.CancelScope(deadline=deadline_s) as self._waiting:
            data = await self._wire.receive()
        if self._waiting.cancelled_caught and not self._application.is_done:
            raise Refused(408, "body_timeout", f"Send the whole body within {self._limits.body_timeout_s:g} seconds.")
        if not self._waiting.cancelled_caught:
            self._h11.receive_data(data)
        return bool(data)

    async def _wait_for_app(self) -> None:
        with trio.CancelScope() as self._waiting:
            await trio.sleep_forever()

    async def _serve_websocket(self, request: h11.Request) -> None:
        check_upgrade(request)
        self._h11.next_event()  # the end of the empty body; what follows belongs to the WebSocket.
        self._stream = stream = GuardedWSStream(*self._stream_arguments())
        stream.bound_by(self._limits)
        # Without the offer nothing can be negotiated: permessage-deflate is how 509 KiB became 729 MB.
        headers = [(name, value) for name, value in request.headers if name != b"sec-websocket-extensions"]
        self._responder.is_last = True  # a refused upgrade ends the connection.
        await self._start(stream, request, headers)
        data = self._h11.trailing_data[0]
        while not (stream.is_over or self._application.is_done):
            if data:
                await stream.handle(Data(stream_id=STREAM_ID, data=data))
                data = b""
                continue
            with trio.move_on_after(self._limits.ping_interval_s) as self._waiting:
                data = await self._wire.receive()
                if not data:
                    return
            if self._waiting.cancelled_caught and not self._application.is_done:
                await stream.ping()

    async def _start(
        self, stream: GuardedHTTPStream | GuardedWSStream, request: h11.Request, headers: list[tuple[bytes, bytes]]
    ) -> None:
        event = Request(
            stream_id=STREAM_ID,
            headers=headers,
            http_version=request.http_version.decode("ascii"),
            method=request.method.decode("ascii").upper(),
            raw_path=request.target,
            state=ConnectionState({}),
        )
        await stream.handle(event)

    def _stream_arguments(self) -> tuple[Any, ...]:  # Any: the positional arguments of Hypercorn's streams.
        tasks = cast("TaskGroup", self._application)  # cast: `spawn_app` is all that the streams call.
        send = self._responder.send
        return (ASGIWrapper(self._app), CONFIG, CONTEXT, tasks, False, self._client, self._server, send, STREAM_ID)

    def _app_done(self) -> None:
        # Only the waiting for the peer ends: a pong of ours that is half sent must not be cut.
        self._waiting.cancel()

    def _report(self, event: str, error: Exception) -> None:
        self._log(event, error=repr(error), traceback="".join(traceback.format_exception(error)), **self._describe())

    def _describe(self) -> dict[str, object]:
        return {"transport": "unix" if self._peer.is_unix else "tcp", "client": self._client, "uid": self._peer.uid}
