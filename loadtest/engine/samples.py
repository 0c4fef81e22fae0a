"""What was recorded of each request, and its summary: quantiles, a histogram and a timeline for each operation."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from loadtest.report.model import Histogram, Latency, Operation, PerRound, Timeline

Loop = Literal["open", "closed"]

EDGES_PER_DECADE: Final = 12  # of the histogram: neighbours differ by a fifth, which is less than the noise of a p99.
EDGE_MIN_MS: Final = 0.01
EDGE_MAX_MS: Final = 100_000.0
BINS_PER_SLICE: Final = 20  # of the timeline.


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share lies; 0 of nothing."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


@dataclass(slots=True)
class _Series:
    """All samples of one operation in one loop: by round, each as (answered s since the round's begin, ms, status)."""

    rounds: dict[int, list[tuple[float, float, int]]] = field(default_factory=dict)
    offered_per_s: list[float] = field(default_factory=list)


class Samples:
    """Collects what happened and when. One for each scenario; all rounds go into it."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Loop], _Series] = {}
        self._round, self._begun_s = 0, 0.0
        self._lengths_s: dict[int, float] = {}
        self.recorded = 0

    def begin_round(self, number: int, begun_s: float, seconds: float) -> None:
        """Say that what is recorded from now on belongs to this round, which is to last so long."""
        self._round, self._begun_s = number, begun_s
        self._lengths_s[number] = seconds

    def record(self, operation: str, loop: Loop, intended_s: float, answered_s: float, status: int) -> None:
        """Note one answer. Its latency counts from the time at which the request should have been sent."""
        series = self._series.get((operation, loop))
        if series is None:
            series = self._series[operation, loop] = _Series()
        found = series.rounds.get(self._round)
        if found is None:
            found = series.rounds[self._round] = []
        found.append((answered_s - self._begun_s, (answered_s - intended_s) * 1000, status))
        self.recorded += 1

    def offered(self, operation: str, per_s: float) -> None:
        """Note at which rate an operation was offered in an open loop."""
        self._series.setdefault((operation, "open"), _Series()).offered_per_s.append(per_s)

    def times_ms(self, operation: str, loop: Loop, *, round_number: int | None = None) -> list[float]:
        """Return the latencies of an operation in a round; by default the present one."""
        series = self._series.get((operation, loop), _Series())
        return [ms for _, ms, _ in series.rounds.get(self._round if round_number is None else round_number, [])]

    def operations(self) -> list[Operation]:
        """Return the summary of everything that was recorded."""
        return [self._operation(name, loop, each) for (name, loop), each in self._series.items() if each.rounds]

    def _operation(self, name: str, loop: Loop, series: _Series) -> Operation:
        rounds = [series.rounds[number] for number in sorted(series.rounds)]
        times_ms = sorted(ms for found in rounds for _, ms, _ in found)
        statuses = Counter(str(status) for found in rounds for _, _, status in found)
        return Operation(
            name=name,
            loop=loop,
            offered_per_s=sum(series.offered_per_s) / len(series.offered_per_s) if series.offered_per_s else None,
            count=len(times_ms),
            statuses=dict(sorted(statuses.items())),
            latency_ms=Latency(
                p50=_rounded(quantile(times_ms, 0.5)),
                p90=_rounded(quantile(times_ms, 0.9)),
                p99=_rounded(quantile(times_ms, 0.99)),
                p999=_rounded(quantile(times_ms, 0.999)),
                max=_rounded(times_ms[-1]),
            ),
            per_round=PerRound(
                p50=[_rounded(quantile(_ms(each), 0.5)) for each in rounds],
                p99=[_rounded(quantile(_ms(each), 0.99)) for each in rounds],
            ),
            histogram=histogram(times_ms),
            timeline=self._timeline(series),
        )

    def _timeline(self, series: _Series) -> Timeline:
        bin_s = max(self._lengths_s.values()) / BINS_PER_SLICE
        bins: list[list[float]] = []
        for number in sorted(self._lengths_s):
            pieces: list[list[float]] = [[] for _ in range(math.ceil(self._lengths_s[number] / bin_s - 1e-9))]
            for at_s, ms, _ in series.rounds.get(number, []):
                # What is answered after the end belongs to the last piece of its round.
                pieces[min(max(int(at_s / bin_s), 0), len(pieces) - 1)].append(ms)
            bins += pieces
        return Timeline(
            bin_s=bin_s,
            counts=[len(each) for each in bins],
            p50_ms=[_rounded(quantile(each, 0.5)) for each in bins],
            p99_ms=[_rounded(quantile(each, 0.99)) for each in bins],
        )


def histogram(times_ms: Sequence[float]) -> Histogram:
    """Return how many of the times lie between edges that are a fixed factor apart; the edges fit the times."""
    if not times_ms:
        return Histogram([], [])
    low, high = _step(min(times_ms)), _step(max(times_ms)) + 1
    counts = [0] * (high - low)
    for ms in times_ms:
        counts[_step(ms) - low] += 1
    return Histogram([_rounded(EDGE_MIN_MS * 10 ** (step / EDGES_PER_DECADE)) for step in range(low, high + 1)], counts)


def _step(ms: float) -> int:
    inside = min(max(ms, EDGE_MIN_MS), EDGE_MAX_MS)
    return math.floor(math.log10(inside / EDGE_MIN_MS) * EDGES_PER_DECADE)


def _ms(found: Sequence[tuple[float, float, int]]) -> list[float]:
    return [ms for _, ms, _ in found]


def _rounded(ms: float) -> float:
    return round(ms, 4)
