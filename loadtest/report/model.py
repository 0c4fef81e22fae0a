"""The report of one run: the shape of its JSON file, and the seam between what measures and what shows.

What is read is whole: a file of another format, with a field too many or too few, or with lists that do not fit
together is refused, so that nothing behind this module looks twice.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

FORMAT: Final = "intermute-loadtest/1"
REPORT_BYTES_MAX: Final = 64 << 20
"""Of a file that is read. A full run takes about 1 MB; 64 times that is no report (a guess, revisit)."""

Loop = Literal["open", "closed"]


class ReportRefused(Exception):
    """A file that is no report of this version; the text says what to do."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the report: closed, and read only."""


class Machine(_Part, frozen=True, kw_only=True):
    """What it ran on."""

    cores: int
    cpu: str
    python: str
    system: str
    disk: str


class Service(_Part, frozen=True, kw_only=True):
    """What was asked."""

    version: str
    lane: str


class Round(_Part, frozen=True, kw_only=True):
    """One slice of load, with the references that were measured around it. 0 stands for a figure that was not measured."""

    seconds: float
    requests: int
    per_s: float
    echo_per_s: float = 0.0
    commits_per_s: float = 0.0
    commit_ms: float = 0.0
    """The median of one."""
    one_commit_per_request_per_s: float = 0.0
    server_cpu_us: float = 0.0
    """For each request."""
    server_rss_mb: float = 0.0
    clients_cpu_share: float = 0.0
    """Of one core: near 1, the clients were what limited the rate."""


class Quantiles(_Part, frozen=True, kw_only=True):
    """Latencies of all rounds together; all 0 where there is no sample."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class PerRound(_Part, frozen=True, kw_only=True):
    """Quantiles of each round; None for a round without a sample."""

    p50: list[float | None]
    p99: list[float | None]


class Histogram(_Part, frozen=True, kw_only=True):
    """How often each latency was seen: `counts[i]` from `edges_ms[i]` on and below `edges_ms[i + 1]`."""

    edges_ms: list[float]
    counts: list[int]

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises: ValueError."""
        if len(self.edges_ms) != (len(self.counts) + 1 if self.counts else 0):
            raise ValueError(f"{len(self.counts)} counts need one edge more, not {len(self.edges_ms)}")


class Timeline(_Part, frozen=True, kw_only=True):
    """Requests by the time at which they should have started; None for a bin without a sample."""

    bin_s: float
    counts: list[int]
    p50_ms: list[float | None]
    p99_ms: list[float | None]

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises: ValueError."""
        if not len(self.counts) == len(self.p50_ms) == len(self.p99_ms):
            raise ValueError("counts, p50_ms and p99_ms of a timeline are of one length")
        if self.bin_s <= 0:
            raise ValueError("the bins of a timeline last longer than nothing")


class Operation(_Part, frozen=True, kw_only=True):
    """One kind of request of a scenario, in one kind of loop."""

    name: str
    loop: Loop
    offered_per_s: float | None = None
    """What an open loop was told to send."""
    count: int
    statuses: dict[str, int]
    """How many answers of each status; "0" where the connection ended first."""
    latency_ms: Quantiles
    """Open loop: from the intended start. Closed loop: from the sending, so that a slow answer delays its successors unseen."""
    per_round: PerRound
    histogram: Histogram
    timeline: Timeline


class Measure(_Part, frozen=True, kw_only=True):
    """A figure of one scenario's own, one value a round."""

    name: str
    unit: str
    values: list[float]
    better: Literal["more", "less", "none"] = "none"


class Target(_Part, frozen=True, kw_only=True):
    """What a figure should be, and what it was."""

    name: str
    value: float
    wanted: str
    """Such as `>= 0.30 of the echo`."""
    is_met: bool | None
    """None where it cannot be told."""
    why: str = ""


class Fault(_Part, frozen=True, kw_only=True):
    """What was done to the service while it was loaded; `at_s` is load time, as in the timelines."""

    at_s: float
    what: str
    back_after_s: float | None = None
    """None where it did not come back, or was never away."""


class Violation(_Part, frozen=True, kw_only=True):
    """A promise that the service broke, and what the clients saw of it."""

    promise: str
    explanation: str
    history: list[str]


class Scenario(_Part, frozen=True, kw_only=True):
    """What one scenario saw."""

    name: str
    title: str
    rounds: list[Round]
    operations: list[Operation]
    measures: list[Measure] = []
    targets: list[Target] = []
    checked: dict[str, int] = {}
    faults: list[Fault] = []
    violation: Violation | None = None

    def __post_init__(self) -> None:
        """Refuse operations of other rounds: their figures are divided by references of the same round. Raises: ValueError."""
        for operation in self.operations:
            if not len(operation.per_round.p50) == len(operation.per_round.p99) == len(self.rounds):
                raise ValueError(
                    f"per_round of {operation.name!r} has one value for each of the {len(self.rounds)} rounds"
                )


class Report(_Part, frozen=True, kw_only=True):
    """What one run saw."""

    format: Literal["intermute-loadtest/1"] = FORMAT
    started_at: str
    """UTC, as in RFC 3339."""
    took_s: float
    seed: int
    quick: bool
    url: str | None = None
    """Of a service that was running already; None for one that the run started."""
    machine: Machine
    service: Service
    options: dict[str, str | int | float | bool | None]
    scenarios: list[Scenario]


def encode(report: Report) -> bytes:
    """Return the report as JSON.

    Raises:
        ReportRefused: it could not be read again, for instance for a figure that is no number.
    """
    content = msgspec.json.encode(report) + b"\n"
    decode(content, "this report")
    return content


def decode(content: bytes, name: str) -> Report:
    """Return the report in JSON. Raises: ReportRefused, which says `name`."""
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportRefused(
            f"{name} is not JSON ({error}): give a file that `python -m loadtest --json FILE` wrote."
        ) from error
    found = document.get("format") if isinstance(document, Mapping) else None
    if found != FORMAT:
        shown = f"has the format {found!r}" if isinstance(found, str) else "names no format"
        raise ReportRefused(
            f"{name} {shown}, and {FORMAT!r} is read here: run `python -m loadtest --json FILE` with the version of then, "
            "and give that file."
        )
    try:
        return msgspec.convert(document, Report)
    except msgspec.ValidationError as error:
        raise ReportRefused(
            f"{name} is no whole report ({error}): it was cut or changed; write it anew with `python -m loadtest --json FILE`."
        ) from error


def write(path: Path, report: Report) -> None:
    """Write the report to a file. Raises: OSError; ReportRefused as `encode` does, and nothing is written then."""
    path.write_bytes(encode(report))


def read(path: Path, *, bytes_max: int = REPORT_BYTES_MAX) -> Report:
    """Return the report in a file.

    Raises:
        ReportRefused: there is no such file, or it is no report of this version.
    """
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise ReportRefused(
            f"{path} cannot be read ({error.strerror}): give a file that `python -m loadtest --json FILE` wrote."
        ) from error
    if len(content) > bytes_max:
        raise ReportRefused(
            f"{path} is longer than {bytes_max} bytes: give a file that `python -m loadtest --json FILE` wrote."
        )
    return decode(content, str(path))
