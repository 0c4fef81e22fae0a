"""`intermute demo`: a real server and three agents that race for the files of the directory it stands in.

The server is the one of `serve`, on a free port, with its data and keys in a temporary directory that is gone afterwards.
Nothing in the working directory is written; the agents only say that they edit.
"""

import signal
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import trio

from intermute.app import ExitCode, StartRefused, serve_intermute
from intermute.cli.demo_agents import Agent, roam, write
from intermute.cli.demo_client import CallFailed, Client
from intermute.cli.demo_files import Stakes, find_stakes
from intermute.cli.demo_stage import Stage
from intermute.config import Settings

PROJECT: Final = "demo"
_STOP_LIMIT_S: Final = 5.0  # seconds the server gets to close; after them its tasks are cancelled.
_LOG_LINES_MAX: Final = 20  # of the server's, shown if the demo fails.
_EVENTS_MAX: Final = 1000  # rows; the largest page, and some thirty times what the demo leaves in the log.


@dataclass(slots=True)
class _Outcome:
    """How the demo ended, and what the server logged meanwhile."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    code: ExitCode = ExitCode.OK
    failure: str | None = None
    log_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES_MAX))

    def log(self, event: str, **fields: object) -> None:
        """Keep a line of the server's log, in case somebody has to look."""
        self.log_lines.append(" ".join([event, *(f"{name}={value}" for name, value in fields.items())]))

    def end(self, code: ExitCode, failure: str | None = None) -> None:
        """End the demo early; the first reason counts."""
        if self.code is ExitCode.OK:
            self.code, self.failure = code, failure
        self.scope.cancel()


@click.command(epilog="Example:  cd your-repository && intermute demo --fast")
@click.option("--fast", is_flag=True, help="Do not pause between the lines.")
def demo(fast: bool) -> None:
    """Watch three agents share this directory: reserve, collide, talk, wait, hand over. Changes nothing here."""
    with tempfile.TemporaryDirectory(prefix="intermute-demo-") as scratch:
        outcome = trio.run(partial(_demonstrate, Path(scratch), is_paced=not fast))
    if outcome.failure is not None:
        for line in outcome.log_lines:
            click.echo(f"server: {line}", err=True)
        click.echo(f"intermute demo: {outcome.failure}", err=True)
    sys.exit(outcome.code)


async def _demonstrate(scratch: Path, *, is_paced: bool) -> _Outcome:
    """Serve, play and take the server down again, whatever happens."""
    outcome = _Outcome()
    async with trio.open_nursery() as watching:
        await watching.start(_watch_signals, outcome)
        stop = trio.Event()
        settings = Settings(port=0, data=scratch / "data", keys_file=scratch / "keys.yaml")
        async with trio.open_nursery() as serving:
            try:
                [url] = await serving.start(partial(serve_intermute, settings, outcome.log, stop=stop))
            except StartRefused as refused:
                outcome.end(ExitCode.REFUSED, str(refused))
            else:
                with outcome.scope:
                    await _play(Stage(is_paced=is_paced), str(url), outcome)
            stop.set()
            serving.cancel_scope.deadline = trio.current_time() + _STOP_LIMIT_S
        watching.cancel_scope.cancel()
    return outcome


async def _watch_signals(outcome: _Outcome, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            outcome.end(ExitCode.INTERRUPTED)


async def _play(stage: Stage, url: str, outcome: _Outcome) -> None:
    root = Path.cwd()
    stakes = await find_stakes(root)
    stage.title(f"Three agents share {root}")
    stage.print(f"{stakes.source}; a real server at {url}; nothing here is changed\n")
    address = urlsplit(url)
    client = Client(str(address.hostname), int(address.port or 0), PROJECT)
    await _perform(stage, client, stakes, outcome)
    try:
        await _sum_up(stage, client)
    except CallFailed as failed:
        outcome.end(ExitCode.FAILED, str(failed))


async def _perform(stage: Stage, client: Client, stakes: Stakes, outcome: _Outcome) -> None:
    """Run the three agents side by side; they start once all have joined."""
    start = trio.Event()
    joined, arrivals = trio.open_memory_channel[str](3)
    roles = (("Ada", write, "rename a field"), ("Ben", write, "fix a bug"), ("Cleo", roam, "sort the imports"))

    async def guarded(act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except CallFailed as failed:
            outcome.end(ExitCode.FAILED, str(failed))

    async with trio.open_nursery() as nursery:
        for name, role, errand in roles:
            agent = Agent(name, client, stage)
            nursery.start_soon(guarded, partial(role, agent, stakes, errand, start, joined))
        for _ in roles:
            await arrivals.receive()
        start.set()


async def _sum_up(stage: Stage, client: Client) -> None:
    """Tell from the project's log alone what has happened, and what to do next."""
    page = await client.call("GET", "/api/events", {"since_cursor": 0, "limit": _EVENTS_MAX})
    events = page.body["events"]
    counts = Counter(event["type"] for event in events)
    stage.title(f"\nThe log has all {len(events)} events, in order: GET /api/events, or a WebSocket on /ws/events")
    stage.print("  " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    stage.title("Who edited what, one after the other, and never two at once")
    for event in events:
        if event["type"] == "reservation.created":
            stage.print(f"  {event['held_by']:<5} {event['path_pattern']}  (fence {event['fence']})")
    stage.title("Next")
    stage.print("  python -m intermute          serve on 127.0.0.1:7338, for your own agents")
    stage.print("  docs/index.md                the same story with curl, in two terminals")
    stage.print("  python -m intermute --help   the other commands")
