"""The real service, in a process that dies or crashes at a named point: a program for tests, `python failing_server.py serve …`.

FAILPOINTS in the environment says where, separated by commas: `kill after COMMIT 17` ends the process with SIGKILL when the
point is met for the 17th time, `crash before reply 5` raises there, and `hasty` makes replies that do not wait for their
commit: the control. The service itself has no hooks: a switch that ends it
would be a danger in production and cost something on the hottest path. So this program puts its own around a few public
names, and watches SQLite from outside. A point that is never met fails the tests that count them.
"""

import math
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, NoReturn

import apsw
import trio

from intermute.cli.main import main
from intermute.project.hub import Hub
from intermute.store import writer
from supervisor import Envelope, Mailbox

PROGRAM: Final = str(Path(__file__))
VARIABLE: Final = "FAILPOINTS"
POINTS: Final = tuple(
    f"{when} {what}"
    for what in ("enqueue", "BEGIN", "COMMIT", "reply", "push", "checkpoint")
    for when in ("before", "after")
)
CHECKPOINT_PAGES: Final = 40
"""A checkpoint comes much more often than in production, so that it is met."""


class CrashedOnPurpose(Exception):
    """What a failpoint raises."""


class Failpoints:
    """Counts how often each point is met, and acts when it is time."""

    def __init__(self, text: str) -> None:
        self._met: Counter[str] = Counter()
        self._acts: dict[tuple[str, int], str] = {}
        self.is_hasty = text == "hasty"
        for each in filter(None, () if self.is_hasty else text.split(",")):
            action, when, what, number = each.split()
            assert action in {"kill", "crash"}, each
            assert f"{when} {what}" in POINTS, each
            self._acts[f"{when} {what}", int(number)] = action

    def meet(self, point: str) -> None:
        """Be at this point. Raises: CrashedOnPurpose."""
        self._met[point] += 1
        match self._acts.get((point, self._met[point])):
            case "kill":
                _die()
            case "crash":
                raise CrashedOnPurpose(point)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _around(owner: type, name: str, failpoints: Failpoints, before: str | None, after: str | None) -> None:
    """Meet a point before a method and one after it; of an asynchronous one there is only a before."""
    original: Callable[..., Any] = getattr(owner, name)  # Any: whatever the method has.

    @wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:  # Any: as above.
        if before:
            failpoints.meet(before)
        answer = original(*arguments, **named)
        if after:
            failpoints.meet(after)
        return answer

    setattr(owner, name, wrapped)


def _watch_statements(failpoints: Failpoints) -> None:
    """Meet BEGIN and COMMIT of every writer, before they run and once they have run."""
    names = {"BEGIN IMMEDIATE": "BEGIN", "COMMIT": "COMMIT"}

    def note(event: dict[str, Any]) -> None:  # Any: as apsw has it.
        if (what := names.get(event.get("sql", ""))) is not None:
            failpoints.meet(f"{'before' if event['code'] == apsw.SQLITE_TRACE_STMT else 'after'} {what}")

    def watch(connection: apsw.Connection) -> None:
        if not connection.filename:
            return  # In memory: what the service tries out while it starts.
        connection.trace_v2(apsw.SQLITE_TRACE_STMT | apsw.SQLITE_TRACE_PROFILE, note)

    apsw.connection_hooks.append(watch)


def _reply_before_commits() -> None:
    """Let every commit be reported at once and be made a little later."""
    commit = writer.Writer.commit
    give, take = trio.open_memory_channel[Callable[[], Awaitable[Any]]](math.inf)  # Any: nobody looks.
    started: list[trio.lowlevel.Task] = []

    async def work_off() -> None:
        async for late in take:
            await trio.sleep(0.02)
            await late()

    async def hasty(
        self: writer.Writer, groups: Sequence[writer.Group], **named: Any
    ) -> writer.Committed:  # Any: as there.
        if not started:
            started.append(trio.lowlevel.spawn_system_task(work_off))
        give.send_nowait(partial(commit, self, groups, **named))
        return writer.Committed(len(groups))

    setattr(writer.Writer, "commit", hasty)  # noqa: B010 - a control that breaks what is right.


class _File(apsw.VFSFile):
    def __init__(self, failpoints: Failpoints, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._failpoints = failpoints
        self._is_database = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name.
        if self._is_database:
            self._failpoints.meet("before checkpoint")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name.
        super().xSync(flags)
        if self._is_database:
            self._failpoints.meet("after checkpoint")


class _Vfs(apsw.VFS):
    def __init__(self, failpoints: Failpoints) -> None:
        self._failpoints = failpoints
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name.
        assert name is not None, "no temporary files: temp_store is MEMORY"
        return _File(self._failpoints, name, flags)


def install(failpoints: Failpoints) -> apsw.VFS:
    """Put the failpoints around the service; what is returned must be kept as long as it runs."""
    _around(Mailbox, "ask", failpoints, "before enqueue", None)
    _around(Envelope, "take", failpoints, None, "after enqueue")
    _around(Envelope, "answer", failpoints, "before reply", "after reply")
    _around(Hub, "publish", failpoints, "before push", "after push")
    _watch_statements(failpoints)
    if failpoints.is_hasty:
        _reply_before_commits()
    setattr(writer, "WAL_PAGES_MAX", CHECKPOINT_PAGES)  # noqa: B010 - it is final, and meant to be, everywhere else.
    return _Vfs(failpoints)


if __name__ == "__main__":
    _vfs = install(Failpoints(os.environ.get(VARIABLE, "")))
    sys.argv[0] = "intermute"
    main()
