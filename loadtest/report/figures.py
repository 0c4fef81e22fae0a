"""Figures of raw samples: quantiles, histogram, timeline, and the median and noise of rounds. Pure.

A sample is (offset_s, latency_ms, status): when in its round the request should have started, how long its answer took
from then on (open loop) or from its sending (closed loop), and the status, 0 where the connection ended first.
The time of a timeline is load time: the rounds one after another, without the pauses in which references are measured.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Final

from loadtest.report.model import Histogram, Loop, Operation, PerRound, Quantiles, Timeline

Sample = tuple[float, float, int]

BINS_PER_DECADE: Final = 20
"""Of the histogram: a bin is 12 % wide, narrow enough to see two humps, wide enough for the samples of one second."""
_FIRST_DECADE, _LAST_DECADE = -3, 6
_EDGES_MS: Final = [
    10 ** (step / BINS_PER_DECADE)
    for step in range(_FIRST_DECADE * BINS_PER_DECADE, _LAST_DECADE * BINS_PER_DECADE + 1)
]
"""From 1 us to 1,000 s. The same for every run, so that histograms of two runs can be laid over each other."""

TIMELINE_BINS_MAX: Final = 120
"""About what can be told apart in a picture of 1,000 pixels."""
_BINS_S: Final = [digits * 10**exponent for exponent in range(-2, 5) for digits in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Spread:
    """What some rounds say together: their median, and from the least to the greatest of them."""

    median: float
    noise: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that is not below `share` of the values, which are in order; 0 of none.

    One of the values, never something between two: a latency that somebody waited.
    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 1.
    """
    assert 0 <= share <= 1
    if not ordered:
        return 0.0
    # Rounded first: 0.99 * 100 is 99.00000000000001 for some factors, and would name the value after.
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)]


def quantiles(latencies_ms: Iterable[float]) -> Quantiles:
    """Return the quantiles that a report has."""
    ordered = sorted(latencies_ms)
    return Quantiles(
        p50=quantile(ordered, 0.5),
        p90=quantile(ordered, 0.9),
        p99=quantile(ordered, 0.99),
        p999=quantile(ordered, 0.999),
        max=quantile(ordered, 1.0),
    )


def histogram(latencies_ms: Iterable[float]) -> Histogram:
    """Return how often each latency occurs, in log-spaced bins; what lies outside of them is in the first or the last."""
    last = len(_EDGES_MS) - 2
    found = Counter(min(max(bisect_right(_EDGES_MS, latency) - 1, 0), last) for latency in latencies_ms)
    if not found:
        return Histogram(edges_ms=[], counts=[])
    first, end = min(found), max(found) + 1
    return Histogram(edges_ms=_EDGES_MS[first : end + 1], counts=[found[place] for place in range(first, end)])


def timeline(samples: Iterable[tuple[float, float]], total_s: float) -> Timeline:
    """Return (offset_s, latency_ms) in bins of equal length that cover `total_s`.

    What starts before the first or after the last bin is counted in that one.
    """
    bin_s = bin_length_s(total_s)
    bins: list[list[float]] = [[] for _ in range(max(1, math.ceil(round(total_s / bin_s, 9))))]
    for offset_s, latency_ms in samples:
        bins[min(max(int(offset_s / bin_s), 0), len(bins) - 1)].append(latency_ms)
    for each in bins:
        each.sort()
    return Timeline(
        bin_s=bin_s,
        counts=[len(each) for each in bins],
        p50_ms=[quantile(each, 0.5) if each else None for each in bins],
        p99_ms=[quantile(each, 0.99) if each else None for each in bins],
    )


def bin_length_s(total_s: float) -> float:
    """Return the shortest round length with which `TIMELINE_BINS_MAX` bins cover the time."""
    return next((length for length in _BINS_S if length * TIMELINE_BINS_MAX >= total_s), total_s / TIMELINE_BINS_MAX)


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the noise of rounds; at least one is needed."""
    return Spread(median=median(values), noise=max(values) - min(values))


def ratios(values: Sequence[float], references: Sequence[float]) -> list[float]:
    """Return each round's value divided by the same round's reference; rounds without a reference are left out."""
    return [value / reference for value, reference in zip(values, references, strict=True) if reference > 0]


def load_time_s(round_s: Sequence[float], round_index: int, offset_s: float) -> float:
    """Return the load time of a moment of a round, as the timelines count it; for the marks of faults."""
    return sum(round_s[:round_index]) + offset_s


def operation(
    name: str,
    loop: Loop,
    rounds: Sequence[Sequence[Sample]],
    round_s: Sequence[float],
    *,
    offered_per_s: float | None = None,
) -> Operation:
    """Return what the samples of some rounds say together.

    Args:
        rounds: the samples of each round, in any order; a round may have none.
        round_s: how long each round lasted.
        offered_per_s: what an open loop was told to send.
    """
    starts_s = list(accumulate(round_s, initial=0.0))
    placed = [
        (start_s + offset_s, latency_ms)
        for start_s, samples in zip(starts_s[:-1], rounds, strict=True)
        for offset_s, latency_ms, _ in samples
    ]
    latencies_ms = [latency_ms for _, latency_ms in placed]
    statuses = Counter(status for samples in rounds for _, _, status in samples)
    by_round = [sorted(latency_ms for _, latency_ms, _ in samples) for samples in rounds]
    return Operation(
        name=name,
        loop=loop,
        offered_per_s=offered_per_s,
        count=len(placed),
        statuses={str(status): statuses[status] for status in sorted(statuses)},
        latency_ms=quantiles(latencies_ms),
        per_round=PerRound(
            p50=[quantile(ordered, 0.5) if ordered else None for ordered in by_round],
            p99=[quantile(ordered, 0.99) if ordered else None for ordered in by_round],
        ),
        histogram=histogram(latencies_ms),
        timeline=timeline(placed, starts_s[-1]),
    )
