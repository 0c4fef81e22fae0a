"""What is done to the service on purpose while it is loaded: kill -9 at a drawn moment, then a start on the same data."""

import random
import time

from loadtest.engine.server import Server
from loadtest.report.model import Fault

EARLIEST, LATEST = 0.15, 0.75  # of a slice; in its middle, so that there is load before and after.


def kill_and_restart(server: Server, chance: random.Random, slice_s: float, begun_s: float) -> Fault:
    """Wait for the moment, kill the service, start it again on the same port; return what it took. Raises: ServerFailed.

    `begun_s` is when the run began (`time.monotonic`); the fault's time counts from there.
    """
    time.sleep(chance.uniform(EARLIEST, LATEST) * slice_s)
    killed_s = time.monotonic()
    server.kill()
    server.restart()
    return Fault(at_s=killed_s - begun_s, what="kill -9", back_after_s=time.monotonic() - killed_s)
