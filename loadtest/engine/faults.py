"""What is done to the service on purpose while it is loaded: kill -9 at a drawn moment, then a start on the same data."""

import random
import time

from loadtest.engine.server import Server

EARLIEST, LATEST = 0.15, 0.75  # of a slice; in its middle, so that there is load before and after.


def kill_and_restart(server: Server, chance: random.Random, slice_s: float) -> tuple[float, float]:
    """Wait for the moment, kill the service, start it again on the same port.

    Return the moment, in seconds from now, and the seconds from the kill until it answered again. Raises: ServerFailed.
    """
    at_s = chance.uniform(EARLIEST, LATEST) * slice_s
    time.sleep(at_s)
    killed_s = time.monotonic()
    server.kill()
    server.restart()
    return at_s, time.monotonic() - killed_s
