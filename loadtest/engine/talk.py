"""What the run and its clients' process say to each other: one JSON object a line, a command and its reply in turn."""

import contextlib
import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from loadtest.engine.slices import References
from loadtest.report.model import Measure, Operation, Round, Violation

REPLY_WITHIN_S: Final = 600.0  # preparing 100,000 of something takes a minute or two; a process that hangs must end.
LEAVE_WITHIN_S: Final = 10.0
_READ_BYTES: Final = 1024 * 1024


class Begin(msgspec.Struct, tag=True, kw_only=True):
    """The first command: what to load, and how. Answered when the scenario is prepared."""

    scenario: str
    host: str
    port: int
    echo_port: int
    single_port: int | None
    run: str
    directory: str
    seed: int
    is_quick: bool
    has_faults: bool
    pid: int | None
    connections: int
    echo_s: float
    commits_s: float
    single_s: float
    slice_s: float


class AskReferences(msgspec.Struct, tag=True):
    """Measure the references of a round."""


class LoadSlice(msgspec.Struct, tag=True):
    """Load the service for a slice; it is this process now."""

    number: int
    pid: int | None


class Verify(msgspec.Struct, tag=True):
    """Ask for what must be true now, then leave."""


Command = Begin | AskReferences | LoadSlice | Verify


class Done(msgspec.Struct, tag=True):
    """Prepared, or the references are measured."""

    references: References | None = None


class Sliced(msgspec.Struct, tag=True):
    """A slice is over."""

    round: Round


class Seen(msgspec.Struct, tag=True):
    """The last reply: all that was seen. `violation` and `failure` also come instead of any other reply."""

    operations: list[Operation]
    measures: list[Measure]
    checked: dict[str, int]
    violation: Violation | None = None
    failure: str | None = None


Reply = Done | Sliced | Seen

Phase = Literal["prepare", "references", "slice", "verify"]
_encode: Final = msgspec.json.Encoder().encode
_replies: Final = msgspec.json.Decoder(Done | Sliced | Seen)
commands: Final = msgspec.json.Decoder(Begin | AskReferences | LoadSlice | Verify)


class ClientsFailed(Exception):
    """The clients' process ended or said nothing."""


def line_of(what: Command | Reply) -> bytes:
    """Return it as a line."""
    return _encode(what) + b"\n"


class Clients:
    """The clients' process, from outside. A context; it is gone afterwards."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.engine.clients"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            # It leaves when its input ends; in the middle of something it is of no use any more.
            self._process.wait(LEAVE_WITHIN_S if kind is None else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def end(self) -> None:
        """End it at once; for one that is of no use any more."""
        self._process.kill()

    def say(self, command: Command) -> None:
        """Send a command. Raises: ClientsFailed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line_of(command))
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ClientsFailed("the clients' process has ended; what it said is above") from None

    def hear(self) -> Reply:
        """Return the reply to the last command. Raises: ClientsFailed."""
        assert self._process.stdout is not None
        fd, deadline_s = self._process.stdout.fileno(), time.monotonic() + REPLY_WITHIN_S
        pieces = [self._buffer]
        while b"\n" not in pieces[-1]:
            readable, _, _ = select.select([fd], [], [], max(0.0, deadline_s - time.monotonic()))
            if not readable:
                raise ClientsFailed(f"the clients' process said nothing for {REPLY_WITHIN_S:.0f} s")
            data = os.read(fd, _READ_BYTES)
            if not data:
                raise ClientsFailed("the clients' process has ended; what it said is above")
            pieces.append(data)
        line, _, self._buffer = b"".join(pieces).partition(b"\n")
        reply: Reply = _replies.decode(line)
        return reply
