"""The composition root: builds everything, supervises it, and takes it down in order. The only place that wires.

Tree: `intermute` supervises one child for each open project (parks), `web` and `push` (escalate), `watchdog`, `loop-guard`,
`courier`, `sweeper`, `quarantine` and, once, `diagnosis`. Shutdown: stop accepting and finish what was accepted, close the
sockets with 1001, let the actors finish the batch in hand, checkpoint and close the files. Source: design.md 5, hazards.md 13
to 18.
"""

import dataclasses
import gc
import os
import secrets
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from functools import partial
from typing import Final

import apsw
import trio

from intermute import __version__, preflight
from intermute.config import LaneName, Settings
from intermute.core import limits
from intermute.core.ids import ProjectName
from intermute.project.clock import SystemClock
from intermute.project.registry import CHILD_PREFIX, Registry
from intermute.project.room import Room
from intermute.store.diagnosis import examine
from intermute.store.directory import DataDirectory, DirectoryRefused
from intermute.store.hop import thread_hop
from intermute.store.migrate import known_migrations
from intermute.web.auth import KeyRing
from intermute.web.courier import Courier
from intermute.web.fast_lane import FastLane
from intermute.web.front import Front
from intermute.web.gate import Gate
from intermute.web.health import HealthReport
from intermute.web.keys import DEV_PROJECT, Keys, KeysRefused, bootstrap, is_private, load_keys
from intermute.web.lane import build_app
from intermute.web.push import Push
from intermute.web.server import Listener, ListenError, ServerLimits, open_tcp_listener, open_unix_listener, serve
from intermute.web.sockets import Sockets
from intermute.web.system import Surroundings
from intermute.web.tmux import Tmux
from supervisor import (
    Child,
    ChildEscalated,
    ChildSpec,
    ChildState,
    Finding,
    LoopGuard,
    OnExhausted,
    Restart,
    Supervisor,
    open_supervisor,
    watch,
)

Log = Callable[..., None]

WATCH_EVERY_S: Final = 1.0  # seconds between the watchdog's rounds.
SHUTDOWN_LIMIT_S: Final = 9.5  # seconds from the signal to the end, whatever hangs; design.md 5 promises 10.
_SETTLED_AFTER_S: Final = 0.5  # seconds after the start, by which everything that stays has been built.
_DIAGNOSED_EVENTS: Final = 1_000  # events of each project checked at the start; 4 ms of the processor (measured).
_COLLECTOR_THRESHOLDS: Final = (20_000, 20, 50)  # allocations and generations per collection; see `_tune_collector`.


class ExitCode(IntEnum):
    """What the process says when it ends; docs/operations.md explains each to operators."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    STUCK = 4
    INTERRUPTED = 130


class StartRefused(Exception):
    """The service cannot start as it was told to; the text says why and what to do."""


def run(settings: Settings, log: Log) -> ExitCode:
    """Serve until a signal; return how it ended."""
    code = ExitCode.OK
    try:
        trio.run(partial(serve_until_signalled, settings, log))
    except* StartRefused as refused:
        # The one `except*` of the service (hazards.md 19): it chooses the exit code.
        for error in refused.exceptions:
            sys.stderr.write(f"intermute: {error}\n")
        code = ExitCode.REFUSED
    except* ChildEscalated as escalated:
        log("server.failed", error=escalated.exceptions[0])
        code = ExitCode.FAILED
    return code


async def serve_until_signalled(settings: Settings, log: Log) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once. Raises: StartRefused, ChildEscalated."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop, log)
        nursery.start_soon(_tune_collector, stop)
        await serve_intermute(settings, log, stop=stop)
        nursery.cancel_scope.cancel()


async def _tune_collector(stop: trio.Event) -> None:
    """Spare the collector what lives as long as the process, and let it look less often: fewer and shorter pauses.

    Measured on reservations at 64 connections: a fifth more a second, and the p99 halved (docs/performance.md).
    """
    with trio.move_on_after(_SETTLED_AFTER_S):
        await stop.wait()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


async def _watch_signals(stop: trio.Event, log: Log, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                os._exit(ExitCode.INTERRUPTED)
            log("server.stopping", signal=signal.Signals(number).name)
            _limit_shutdown()
            stop.set()


def _limit_shutdown() -> None:
    """End the process if shutting down takes too long: a disk that hangs cannot be cancelled (hazards.md 13)."""
    timer = threading.Timer(SHUTDOWN_LIMIT_S, os._exit, (ExitCode.STUCK,))
    timer.daemon = True
    timer.start()


async def serve_intermute(
    settings: Settings,
    log: Log,
    *,
    stop: trio.Event,
    on_stall: Callable[[], object] = os.abort,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set, then close everything in order.

    `task_status` is started with the URLs once requests are answered. `on_stall` is called, in a thread, when the loop has
    stood still for ten seconds: by default it ends the process. Raises: StartRefused, ChildEscalated.
    """
    if (outdated := preflight.outdated()) is not None:
        raise StartRefused(outdated)
    directory = DataDirectory(settings.data)
    try:
        directory.prepare()
        directory.lock()
    except DirectoryRefused as refused:
        raise StartRefused(str(refused)) from refused
    try:
        keys = _load_keys(settings, log)
        listeners = _listen(settings, keys, log)
        _log_diagnostics(settings, directory, keys, listeners, log)
        await _supervise(settings, directory, keys, listeners, log, stop, task_status, on_stall)
    finally:
        directory.unlock()


def _load_keys(settings: Settings, log: Log) -> Keys:
    try:
        made = bootstrap(settings.keys_file)
        if made is not None:
            log("keys.bootstrapped", file=str(settings.keys_file), project=DEV_PROJECT)
        if not is_private(settings.keys_file):
            log("keys.readable_by_others", file=str(settings.keys_file))
        return load_keys(settings.keys_file)
    except KeysRefused as refused:
        raise StartRefused(str(refused)) from refused


def _listen(settings: Settings, keys: Keys, log: Log) -> list[Listener]:
    listeners: list[Listener] = []
    try:
        listeners.append(open_tcp_listener(settings.host, settings.port))
        host = listeners[0].host or ""
        undue = preflight.undue_trust([host], allows_local=keys.allows_local, is_accepted=settings.trusts_local)
        if undue is not None:
            raise StartRefused(undue)
        if settings.socket is not None:
            listeners.append(open_unix_listener(settings.socket))
    except (ListenError, StartRefused) as error:
        for listener in listeners:
            listener.close()
        raise StartRefused(error.strerror if isinstance(error, ListenError) else str(error)) from error
    if not preflight.is_loopback(host):
        log("server.not_loopback", host=host, advice="traffic is not encrypted; callers from outside need a key")
    return listeners


def _may_trust(settings: Settings, listeners: Sequence[Listener]) -> bool:
    return settings.trusts_local or all(preflight.is_loopback(each.host) for each in listeners if each.host is not None)


def _server_limits(log: Log) -> ServerLimits:
    wished = ServerLimits()
    descriptors = preflight.raise_descriptor_limit(wished)
    bounds = preflight.fitted(wished, descriptors)
    if bounds != wished:
        log("server.few_descriptors", descriptors=descriptors, connections=bounds.connections_max)
    return bounds


def _log_diagnostics(
    settings: Settings, directory: DataDirectory, keys: Keys, listeners: Sequence[Listener], log: Log
) -> None:
    log(
        "server.diagnosed",
        version=__version__,
        python=sys.version.split()[0],
        sqlite=apsw.sqlite_lib_version(),
        schema=len(known_migrations()),
        data=str(settings.data),
        projects=len(directory.files()),
        keys_file=str(settings.keys_file),
        keys=len(keys.projects),
        local_needs_key=not keys.allows_local,
        addresses=",".join(listener.url for listener in listeners),
    )


def _registry(settings: Settings, directory: DataDirectory, supervisor: Supervisor, log: Log) -> Registry:
    return Registry(
        directory,
        supervisor,
        SystemClock(),
        secrets.randbits,
        log,
        room=Room(directory.ballast(), thread_hop(), log),
        batch_max=settings.batch_max,
    )


async def _supervise(
    settings: Settings,
    directory: DataDirectory,
    keys: Keys,
    listeners: Sequence[Listener],
    log: Log,
    stop: trio.Event,
    task_status: trio.TaskStatus[list[str]],
    on_stall: Callable[[], object],
) -> None:
    async with open_supervisor(partial(_log_state, log)) as supervisor:
        registry = _registry(settings, directory, supervisor, log)
        courier = Courier(registry, Tmux() if settings.goes_live else None, log)
        front = Front(
            registry,
            KeyRing(settings.keys_file, keys, trio.current_time, log, may_trust_local=_may_trust(settings, listeners)),
            Gate(settings.allowed_hosts),
            Surroundings(registry, HealthReport(registry, supervisor)),
            log,
            courier,
        )
        web_done = trio.Event()
        bounds = _server_limits(log)
        app = build_app(front, Sockets(front), log)
        push = Push(front, log)
        lanes = FastLane(front, push) if settings.lane is LaneName.FAST else None

        async def web(child: Child) -> None:
            async with trio.open_nursery() as nursery:
                urls = await nursery.start(
                    partial(serve, app, listeners, limits=bounds, stop=stop, log=log, lanes=lanes)
                )
                child.started()
                log("server.started", addresses=",".join(urls))
            web_done.set()

        guard = LoopGuard(dump_to=sys.__stderr__ or sys.stderr, abort=on_stall)
        # Without listeners there is nothing to restart the web child on, so its first crash ends the service.
        await supervisor.start(
            ChildSpec(
                name="web", main=web, restart=Restart.TRANSIENT, max_restarts=0, on_exhausted=OnExhausted.ESCALATE
            )
        )
        # Parked, it would leave every socket without events, and nobody would see why.
        await supervisor.start(ChildSpec(name="push", main=push.run, on_exhausted=OnExhausted.ESCALATE))
        parts: dict[str, Callable[[Child], Awaitable[object]]] = {
            "watchdog": _watchdog(registry, supervisor, log),
            "loop-guard": guard.run,
            "courier": courier.run,
        }
        for name, main in (parts | registry.parts()).items():
            await supervisor.start(ChildSpec(name=name, main=main))
        supervisor.spawn(ChildSpec(name="diagnosis", main=partial(_diagnose, registry, log), restart=Restart.TEMPORARY))
        task_status.started([listener.url for listener in listeners])
        await stop.wait()
        registry.stop()
        await web_done.wait()
        await supervisor.stop_all()
        await registry.close_readers()
        log("server.stopped")


def _watchdog(registry: Registry, supervisor: Supervisor, log: Log) -> Callable[[Child], Awaitable[object]]:
    def pull_lever(name: str) -> None:
        for project in registry.open_projects():
            if CHILD_PREFIX + project.name == name:
                project.writer.interrupt()

    return partial(
        watch,
        supervisor=supervisor,
        busy_limit_s=limits.STALLED_AFTER_S,
        lever=pull_lever,
        on_finding=partial(_log_finding, log),
        interval_s=WATCH_EVERY_S,
    )


async def _diagnose(registry: Registry, log: Log, child: Child) -> None:
    """Log what every project's file holds, one after the other while the service is serving, and give up damaged ones."""
    child.started()
    for path in registry.directory.files():
        found = await trio.to_thread.run_sync(partial(examine, path, tail=_DIAGNOSED_EVENTS))
        log("store.examined", **dataclasses.asdict(found))
        if found.is_damaged and found.project is not None:
            await registry.give_up(ProjectName(found.project), found.integrity)


def _log_state(log: Log, name: str, old: ChildState, new: ChildState, error: BaseException | None) -> None:
    if error is not None and new in (ChildState.BACKING_OFF, ChildState.PARKED):
        log("actor.crashed", child=name, state=new, error=error)
    elif new is ChildState.PARKED:
        log("actor.parked", child=name, was=old)


def _log_finding(log: Log, finding: Finding) -> None:
    log("watchdog.found", child=finding.name, verdict=finding.verdict, busy_with=finding.busy_with,
        busy_for_s=round(finding.busy_for_s, 1), lever_error=finding.error_text)  # fmt: skip
