"""A lane with a socket that does what a test wants, on a path that the careful lane does not know."""

from collections.abc import Awaitable, Callable

from guarded_server import Client, Running, ToyLane

from intermute.web.server import Opening, PlainHead, PlainReply, PushSocket, ServerLimits

QUICK = ServerLimits(linger_timeout_s=0.1, farewell_timeout_s=0.1, graceful_timeout_s=0.2, send_timeout_s=0.3)
OWN = "/ws/lane"
"""A path of the lane alone: the other one has nothing there."""


class PushLane(ToyLane):
    """A lane with one socket more, that does what a test wants."""

    def __init__(self, serve: Callable[[PushSocket], Awaitable[PlainReply | None]] | None = None) -> None:
        super().__init__()
        self._serve = serve or _wait
        self.opened = 0

    def open(self, head: PlainHead) -> Opening | None:
        """Count what is opened on our path."""
        if head.path != OWN:
            return super().open(head)
        self.opened += 1
        return self._serve


async def _wait(socket: PushSocket) -> None:
    await socket.accept()
    await socket.read(lambda _: None)


async def opened(server: Running) -> Client:
    """Return a client whose socket the lane has taken."""
    client = await server.connect()
    assert (await client.open_websocket(OWN)).status == 101
    return client
