"""The service inside another program: started and stopped by its host, with the promises of `python -m intermute serve`.

It runs in a trio program of its own, in a thread of its own, whatever the host runs: so a host that is busy holds up neither
the service's leases nor its watchdog, and a disk that hangs cannot keep the host from going on after ten seconds. Everything
is supervised as in the process. What a host may not have done to it is different: nothing here handles signals, tunes the
garbage collector, sets up logging, or ends the process; where the process would abort (its loop stood still for ten
seconds), the service is given up, and the host is told. One data directory is served once, as ever: a second start is
refused. Source: issue 6, docs/decisions/0017-client-library.md.
"""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from intermute.app import Log, StartRefused, serve_intermute
from intermute.config import DEFAULT_HOST, Settings
from intermute.logs import log as write_log

START_TIMEOUT_S: Final = 30.0  # seconds until requests are answered; half of one is usual.
_STOP_GRACE_S: Final = 8.0  # seconds in which everything is closed in order.
_STOP_CUT_S: Final = 1.0  # seconds more, after what is left has been cancelled.
_JOIN_S: Final = 0.5  # seconds for the thread itself; all three together stay below ten.
KEYS_FILE: Final = "keys.yaml"
"""The keys file, in the data directory unless the host names another."""

__all__ = ["Server", "ServerFailed", "StartRefused", "StopTimedOut", "in_thread", "serve"]


class ServerFailed(Exception):
    """The service came to an end that nobody asked for, or to a bad one; `__cause__` is why."""


class StopTimedOut(Exception):
    """The service could not be stopped: a thread of it hangs, on the disk as a rule. The data directory stays locked."""

    def __str__(self) -> str:
        return "The service did not end within ten seconds: end this process before its data directory is served again."


class Server:
    """A service in a thread. `url` is where it is, with the port it was given.

    `on_failure` is called in a thread of the service, once, when it has ended though nobody stopped it.
    """

    def __init__(self, settings: Settings, log: Log, on_failure: Callable[[], object] | None = None) -> None:
        self.url = ""
        self.addresses: list[str] = []
        """All addresses that it serves, `url` first."""
        self.data = settings.data
        self.failure: BaseException | None = None
        """Why it ended though nobody stopped it."""
        self._settings, self._log, self._on_failure = settings, log, on_failure
        self._started, self._ended = threading.Event(), threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop: trio.Event | None = None
        self._everything = trio.CancelScope()
        # A daemon: what hangs inside must not keep the host's process from ending.
        self._thread = threading.Thread(target=self._run, name="intermute", daemon=True)

    def start(self) -> None:
        """Start, and return once requests are answered. Raises: StartRefused; ServerFailed, where it cannot come up."""
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            self.stop()
            raise ServerFailed(f"the service did not come up within {START_TIMEOUT_S:g} s")
        if self.url:
            return
        self._thread.join()
        if isinstance(self.failure, StartRefused):
            raise self.failure
        raise ServerFailed("the service could not start") from self.failure

    def stop(self) -> None:
        """Close everything in order, and return within ten seconds. Raises: StopTimedOut."""
        for act, patience_s in ((self._set_stop, _STOP_GRACE_S), (self._everything.cancel, _STOP_CUT_S)):
            if self._ended.is_set() or self._token is None:
                break
            try:
                self._token.run_sync_soon(act)
            except trio.RunFinishedError:
                break
            self._ended.wait(patience_s)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise StopTimedOut from self.failure

    def check(self) -> None:
        """Raises: ServerFailed, where it ended though nobody stopped it."""
        if self.failure is not None:
            raise ServerFailed("the service has failed") from self.failure

    def _set_stop(self) -> None:
        assert self._stop is not None, "set before the token"
        self._stop.set()

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except* StartRefused as refused:
            self.failure = refused.exceptions[0]
        except* Exception as failed:  # noqa: BLE001 - told to the host, who decides; the process would have an exit code.
            self._fail(failed)
            self._log("server.failed", error=failed)
        finally:
            self._ended.set()
            self._started.set()

    async def _serve(self) -> None:
        self._stop = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        with self._everything:
            async with trio.open_nursery() as nursery:
                serving = partial(serve_intermute, self._settings, self._log, stop=self._stop, on_stall=self._give_up)
                self.addresses = await nursery.start(serving)
                self.url = self.addresses[0]
                self._started.set()

    def _give_up(self) -> None:
        """Take note that the loop stands still; called from the thread that watches it."""
        self._fail(RuntimeError("the service's loop stood still for ten seconds; all stacks are on standard error"))

    def _fail(self, why: BaseException) -> None:
        if self.failure is None:
            self.failure = why
            if self._on_failure is not None:
                self._on_failure()


@asynccontextmanager
async def serve(
    data_dir: str | Path,
    *,
    port: int = 0,
    host: str = DEFAULT_HOST,
    socket: str | Path | None = None,
    keys_file: str | Path | None = None,
    log: Log = write_log,
) -> AsyncIterator[Server]:
    """Serve while the block runs: `async with embedded.serve("data") as server:`, and then `server.url`.

    Port 0 takes a free one. If the service fails meanwhile, the block is cancelled and `ServerFailed` raised; an error of the
    block itself comes out as it is. Leaving takes ten seconds at most, which cannot be cancelled.

    Raises: StartRefused, with what to do; ServerFailed; StopTimedOut.
    """
    token, body = trio.lowlevel.current_trio_token(), trio.CancelScope()

    def cancel_body() -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(body.cancel)

    server = Server(_settings(data_dir, port, host, socket, keys_file), log, cancel_body)
    await trio.to_thread.run_sync(server.start)
    with body:
        try:
            yield server
        finally:
            with trio.CancelScope(shield=True):  # `stop` has a time limit of its own.
                await trio.to_thread.run_sync(server.stop)
    server.check()


@contextmanager
def in_thread(
    data_dir: str | Path,
    *,
    port: int = 0,
    host: str = DEFAULT_HOST,
    socket: str | Path | None = None,
    keys_file: str | Path | None = None,
    log: Log = write_log,
) -> Iterator[Server]:
    """Serve while the block runs, in any program: `with embedded.in_thread("data") as server:`.

    As `serve`, but a block without `await` cannot be cancelled: `server.check()` tells whether the service has failed, and so
    does the end of the block. Raises: StartRefused, with what to do; ServerFailed; StopTimedOut.
    """
    server = Server(_settings(data_dir, port, host, socket, keys_file), log)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    server.check()


def _settings(
    data_dir: str | Path, port: int, host: str, socket: str | Path | None, keys_file: str | Path | None
) -> Settings:
    data = Path(data_dir)
    return Settings(
        host=host,
        port=port,
        data=data,
        socket=None if socket is None else Path(socket),
        keys_file=data / KEYS_FILE if keys_file is None else Path(keys_file),
    )
