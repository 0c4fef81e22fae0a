"""The application's calls for one connection: started by Hypercorn's streams, ended and reported by us."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIFramework, ASGIReceiveEvent, ASGISendEvent, Scope

from intermute.web.server.inbox import Inbox
from intermute.web.server.limits import ServerLimits
from intermute.web.server.listeners import Peer

PEER_EXTENSION = "intermute.peer"
"""Key in `scope["extensions"]` under which the application finds who is at the other end of the socket."""

_Send = Callable[[ASGISendEvent | None], Awaitable[None]]


class Application:
    """Runs the ASGI application, one call at a time; the streams take it for Hypercorn's task group."""

    def __init__(
        self,
        app: ASGIFramework,
        nursery: trio.Nursery,
        peer: Peer,
        limits: ServerLimits,
        report: Callable[[str, Exception], None],
        on_done: Callable[[], None],
    ) -> None:
        self._app = app
        self._nursery = nursery
        self._peer = peer
        self._limits = limits
        self._report = report
        self._on_done = on_done
        self.is_done = True
        """No call is running."""

    async def spawn_app(
        self, _app: AppWrapper, _config: Config, scope: Scope, send: _Send
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start the call for one request and return where its events go. Not a checkpoint."""
        # cast: the type knows no extensions but Hypercorn's own.
        cast("dict[str, Any]", scope)["extensions"][PEER_EXTENSION] = self._peer.as_extension()
        inbox = Inbox(self._limits)
        self.is_done = False
        self._nursery.start_soon(self._run, scope, inbox, send)
        return inbox.put

    async def _run(self, scope: Scope, inbox: Inbox, send: _Send) -> None:
        try:
            await self._app(scope, inbox.receive, send)
        except Exception as error:  # noqa: BLE001 # an application's failure costs its own request (design.md 3.9).
            self._report("app.failed", error)
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if failures is None:
                raise
            # Cancelled next to a failure: the failure is what happened, and the peer has to be told.
            self._report("app.failed", failures)
            if rest is not None and rest.split(trio.Cancelled)[1] is not None:
                raise rest from None
        await send(None)
        self.is_done = True
        inbox.close()
        self._on_done()
