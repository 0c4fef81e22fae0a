"""The real service on stock Hypercorn instead of our guarded server: the control of `throwing.py`, `python stock_server.py …`."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import hypercorn.trio
import trio
from hypercorn.config import Config

from intermute import app
from intermute.cli.main import main
from intermute.web.server import LaneFor, Listener, ServerLimits

PROGRAM: Final = str(Path(__file__))


async def serve(
    application: Any,  # Any: an ASGI application, under whichever of its names.
    listeners: Sequence[Listener],
    *,
    limits: ServerLimits,
    stop: trio.Event,
    log: Callable[..., None],
    lanes: LaneFor | None,
    task_status: trio.TaskStatus[list[str]],
) -> None:
    """Serve as `intermute.web.server.serve` does, without its guard and without a lane of ours."""
    config = Config()
    config.errorlog = None
    config.bind = [f"fd://{os.dup(each.socket_listener.socket.fileno())}" for each in listeners]
    task_status.started([each.url for each in listeners])
    await hypercorn.trio.serve(application, config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    setattr(app, "serve", serve)  # noqa: B010 - a control that takes the protection away.
    sys.argv[0] = "intermute"
    main()
