"""Ends the process when the trio loop stands still: nothing inside the loop could notice or mend that.

An OS thread counts its own looks at a tick that a trio task moves. It counts looks and not seconds, so that a process
that was frozen as a whole (SIGSTOP, a paused virtual machine) is not taken for a stalled loop when it comes back.
It needs the interpreter lock: a C extension that never releases it is beyond this guard.
"""

import faulthandler
import os
import threading
from collections.abc import Callable
from typing import Final, TextIO

import trio

from supervisor.child import Child

LOOKS: Final = 10  # looks without a tick that make a stall; a guess: 10 % precision for one wake-up per second.
JOIN_TIMEOUT_S: Final = 1.0  # seconds; the thread only waits for an event, so it ends at once.


class LoopGuard:
    """Watches the loop that runs `run`.

    Args:
        dump_to: an open file with a descriptor; all stacks go there. The caller closes it, after `run`.
        abort: what ends the process. `os.abort` by default: no `finally` runs, which is right since the loop that
            would run it stands; the core and exit by SIGABRT tell the service manager that it was a crash; SQLite
            recovers from its log.
        wait: waits for the given seconds or until `run` ends; returns whether it ended. `threading.Event.wait` by
            default.

    Source: guarantees.md G17.
    """

    def __init__(
        self,
        *,
        dump_to: TextIO,
        stall_s: float = 10.0,
        abort: Callable[[], object] = os.abort,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        assert stall_s > 0, "a stall lasts"
        self._dump_to, self._abort = dump_to, abort
        self._interval_s = stall_s / LOOKS
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._ticks = 0

    async def run(self, child: Child) -> None:
        """Tick for ever, under the eyes of the thread; the main of a child.

        Cancellation: the thread ends.
        """
        self._ended.clear()
        thread = threading.Thread(target=self.watch, name="loop-guard", daemon=True)
        thread.start()
        child.started()
        try:
            while True:
                self._ticks += 1
                await trio.sleep(self._interval_s)
        finally:
            self._ended.set()
            thread.join(JOIN_TIMEOUT_S)

    def watch(self) -> None:
        """Look until `run` ends, or until `LOOKS` looks in a row saw no tick; then dump all stacks and abort."""
        seen, misses = self._ticks, 0
        while not self._wait(self._interval_s):
            misses = misses + 1 if self._ticks == seen else 0
            seen = self._ticks
            if misses >= LOOKS:
                faulthandler.dump_traceback(self._dump_to, all_threads=True)
                self._dump_to.flush()
                self._abort()
                return
