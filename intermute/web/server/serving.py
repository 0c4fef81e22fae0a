"""The HTTP server: accepts, bounds, guards and stops; HTTP/1.1 and WebSocket, and nothing else.

No signal handling, no lifespan, no TLS: the program's root decides when to stop, and builds everything before.
Source: guarantees.md G12, G20, G22, T8 to T14; hazards.md, "The server"; decisions/0005-guarded-hypercorn.md.
"""

import errno
from collections.abc import Callable, Sequence

import trio
from hypercorn.typing import ASGIFramework
from hypercorn.utils import parse_socket_addr

from intermute.web.server.crowd import Crowd, origin_of
from intermute.web.server.framing import refusal_body, refusal_headers
from intermute.web.server.guard import Address, Connection
from intermute.web.server.limits import ServerLimits
from intermute.web.server.listeners import Listener, Peer
from intermute.web.server.plain import Lane
from intermute.web.server.wire import Wire

LaneFor = Callable[[Peer, Address | None, Address | None], Lane]
"""Makes the plain lane of a connection from who is at its other end, and from the addresses of both ends."""

# Out of descriptors or memory: passes when connections end. The list and the wait are trio.serve_listeners's.
_CAPACITY_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_CAPACITY_WAIT_S = 0.1
# At most one line a second about a condition that meets every connection.
_REPEATED_LOG_S = 1.0


async def serve(
    app: ASGIFramework,
    listeners: Sequence[Listener],
    *,
    limits: ServerLimits,
    stop: trio.Event,
    log: Callable[..., None],
    lanes: LaneFor | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the application until `stop` is set; then finish the requests in hand, within the graceful timeout.

    Args:
        log: called with an event name and fields, from the trio thread.
        lanes: makes the plain lane of a connection; without it all requests go to the application.
        task_status: started with the URLs, when connections are being accepted.

    Resources: closes the listeners, however it ends.
    Cancellation: every connection is aborted.
    """
    server = _Server(app, limits, log, lanes)
    try:
        async with trio.open_nursery() as looking:
            looking.start_soon(server.look_after)
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(server.accept_from, listener, connections)
                    task_status.started([listener.url for listener in listeners])
                    await stop.wait()
                    accepting.cancel_scope.cancel()
                _close(listeners)
                server.stop()
                connections.cancel_scope.deadline = trio.current_time() + limits.graceful_timeout_s
            looking.cancel_scope.cancel()
    finally:
        _close(listeners)


class _Server:
    """The connections of one `serve`, and their bound."""

    def __init__(
        self, app: ASGIFramework, limits: ServerLimits, log: Callable[..., None], lanes: LaneFor | None
    ) -> None:
        self._app = app
        self._lanes = lanes
        self._limits = limits
        self._log = log
        self._connections: set[Connection] = set()
        self._came = trio.Event()
        """Somebody has connected, and there was nobody before."""
        self._crowd = Crowd(limits.connections_per_address_max)
        self._refusals = 0
        self._next_log_s: dict[str, float] = {}

    async def accept_from(self, listener: Listener, nursery: trio.Nursery) -> None:
        """Accept until cancelled; a lack of descriptors is waited out."""
        while True:
            try:
                stream = await listener.socket_listener.accept()
            except OSError as error:
                if error.errno not in _CAPACITY_ERRNOS:
                    raise
                self._log_sometimes("server.accept_failed", error=repr(error), open=len(self._connections))
                await trio.sleep(_CAPACITY_WAIT_S)
                continue
            # No await from here to the count: otherwise the bound could be passed.
            self._admit(listener, stream.socket, nursery)

    async def look_after(self) -> None:
        """See to the deadlines of all connections, until cancelled."""
        while True:
            if not self._connections:  # An idle service sleeps.
                self._came = trio.Event()
                await self._came.wait()
            await trio.sleep(self._limits.look_interval_s)
            now_s = trio.current_time()
            for connection in self._connections:
                connection.look(now_s)

    def stop(self) -> None:
        for connection in self._connections:
            connection.stop()

    def _admit(self, listener: Listener, sock: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        wire = Wire(sock, self._limits)
        try:
            peer = listener.admit(sock)
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
        except OSError:
            wire.abort()  # gone between its handshake and now.
            return
        if peer is None:
            self._log_sometimes("server.peer_refused", listener=listener.url)
            wire.abort()
        elif len(self._connections) >= self._limits.connections_max:
            self._log_sometimes("server.full", open=len(self._connections))
            nursery.start_soon(self._refuse, wire)
        elif not self._crowd.enter(origin := None if peer.is_unix or client is None else origin_of(client[0])):
            self._log_sometimes("server.crowded", address=origin, open=self._limits.connections_per_address_max)
            nursery.start_soon(self._refuse, wire)
        else:
            lane = None if self._lanes is None else self._lanes(peer, client, server)
            connection = Connection(self._app, wire, peer, (client, server), self._limits, self._log, lane)
            self._connections.add(connection)
            self._came.set()
            nursery.start_soon(self._run, connection, origin)

    async def _run(self, connection: Connection, origin: str | None) -> None:
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._crowd.leave(origin)

    async def _refuse(self, wire: Wire) -> None:
        try:
            if self._refusals < self._limits.refusals_max:
                self._refusals += 1
                try:
                    await wire.send(_full_response(self._limits.retry_after_s))
                    await wire.close()
                finally:
                    self._refusals -= 1
        finally:
            wire.abort()

    def _log_sometimes(self, event: str, **fields: object) -> None:
        now_s = trio.current_time()
        if now_s >= self._next_log_s.get(event, 0.0):
            self._next_log_s[event] = now_s + _REPEATED_LOG_S
            self._log(event, **fields)


def _full_response(retry_after_s: int) -> bytes:
    body = refusal_body(
        "too_many_connections", f"Close connections you do not use, and try again in {retry_after_s} s."
    )
    fields = [*refusal_headers(body), (b"retry-after", str(retry_after_s).encode())]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines + b"\r\n" + body


def _close(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        listener.close()
