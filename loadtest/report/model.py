"""The report of a run: what the JSON file holds, and all that the table, the page and a comparison know.

Times end in their unit; a figure that cannot be told is 0, or None where 0 would be a finding.
"""

from typing import Literal

import msgspec

FORMAT = "intermute-loadtest/1"


class Machine(msgspec.Struct, frozen=True):
    """Where it ran."""

    cores: int
    cpu: str
    python: str
    system: str
    disk: str


class Service(msgspec.Struct, frozen=True):
    """What was measured."""

    version: str
    lane: str


class Round(msgspec.Struct):
    """One slice of a scenario, and the references of the same minute."""

    seconds: float = 0.0
    requests: int = 0
    per_s: float = 0.0
    echo_per_s: float = 0.0
    commits_per_s: float = 0.0
    commit_ms: float = 0.0
    one_commit_per_request_per_s: float = 0.0
    server_cpu_us: float = 0.0
    server_rss_mb: float = 0.0
    clients_cpu_share: float = 0.0


class Latency(msgspec.Struct, frozen=True):
    """Quantiles of all rounds together, in milliseconds."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class PerRound(msgspec.Struct):
    """Quantiles of each round, in milliseconds."""

    p50: list[float]
    p99: list[float]


class Histogram(msgspec.Struct):
    """How many lie between two edges that follow each other; `counts` is one shorter than `edges_ms`."""

    edges_ms: list[float]
    counts: list[int]


class Timeline(msgspec.Struct):
    """What happened in each piece of the measured time, round after round."""

    bin_s: float
    counts: list[int]
    p50_ms: list[float]
    p99_ms: list[float]


class Operation(msgspec.Struct):
    """One kind of request in one kind of loop."""

    name: str
    loop: Literal["open", "closed"]
    offered_per_s: float | None
    count: int
    statuses: dict[str, int]
    latency_ms: Latency
    per_round: PerRound
    histogram: Histogram
    timeline: Timeline


class Measure(msgspec.Struct):
    """A figure of its own, one value a round."""

    name: str
    unit: str
    values: list[float]
    better: Literal["more", "less", "none"] = "none"


class Target(msgspec.Struct):
    """What was wanted of a figure. `is_met` is None where this run cannot tell; `why` says so."""

    name: str
    value: float | None
    wanted: str
    is_met: bool | None
    why: str = ""


class Fault(msgspec.Struct):
    """Something that was done to the service on purpose."""

    at_s: float
    what: str
    back_after_s: float


class Violation(msgspec.Struct):
    """A promise that was broken, and what led to it."""

    promise: str
    explanation: str
    history: list[str]


class Scenario(msgspec.Struct):
    """What one scenario has shown."""

    name: str
    title: str
    rounds: list[Round] = []
    operations: list[Operation] = []
    measures: list[Measure] = []
    targets: list[Target] = []
    checked: dict[str, int] = {}
    faults: list[Fault] = []
    violation: Violation | None = None


class Report(msgspec.Struct):
    """A whole run."""

    started_at: str
    took_s: float
    seed: int
    quick: bool
    url: str | None
    machine: Machine
    service: Service
    options: dict[str, str | int | float | bool | None]
    scenarios: list[Scenario]
    format: str = FORMAT
