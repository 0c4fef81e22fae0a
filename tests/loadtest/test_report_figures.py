"""The figures of a report: nothing is lost, nothing is counted twice, and a quantile is a latency that somebody waited."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report import figures

LATENCIES = st.lists(st.floats(min_value=0, max_value=1e9), max_size=200)
SAMPLES = st.tuples(st.floats(min_value=0, max_value=4), st.floats(min_value=0, max_value=1e5), st.integers(0, 599))
ROUNDS = st.lists(st.lists(SAMPLES, max_size=30), min_size=1, max_size=4)


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1), st.floats(min_value=0, max_value=1))
def test_quantile_is_the_least_value_that_reaches_the_share(values: list[float], share: float) -> None:
    """At least the share of the values is not above it, and that is so of no lesser value."""
    ordered = sorted(values)

    found = figures.quantile(ordered, share)

    assert found in values
    wanted = round(share * len(values), 9)
    assert sum(value <= found for value in values) >= wanted
    assert sum(value < found for value in values) < max(wanted, 1)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (2, 0.99, 2), (100, 0.99, 99), (1000, 0.999, 999), (1000, 0.99, 990), (100, 0.999, 100)],
)
def test_quantile_of_known_values(count: int, share: float, expected: int) -> None:
    """The p99 of the numbers from 1 to 100 is 99, and the p99 of two answers is the slower one."""
    assert figures.quantile(range(1, count + 1), share) == expected


@given(LATENCIES)
def test_histogram_counts_each_sample_once(latencies: list[float]) -> None:
    """The counts add up to the samples, whatever the latencies are."""
    drawn = figures.histogram(latencies)

    assert sum(drawn.counts) == len(latencies)
    assert len(drawn.edges_ms) == (len(drawn.counts) + 1 if latencies else 0)


@given(st.lists(st.floats(min_value=0.001, max_value=999_999), min_size=1, max_size=200))
def test_histogram_counts_each_sample_between_its_edges(latencies: list[float]) -> None:
    """Each bin has as many as lie from its lower edge on and below its upper one, and neither end is empty."""
    drawn = figures.histogram(latencies)

    for low, high, count in zip(drawn.edges_ms[:-1], drawn.edges_ms[1:], drawn.counts, strict=True):
        assert count == sum(low <= latency < high for latency in latencies)
    assert drawn.counts[0] > 0
    assert drawn.counts[-1] > 0


def test_histogram_bins_are_equal_on_a_log_axis() -> None:
    """Twenty bins multiply the latency by ten, and the edges are the same for every run."""
    drawn = figures.histogram([0.5, 50.0])

    steps = [high / low for low, high in zip(drawn.edges_ms[:-1], drawn.edges_ms[1:], strict=True)]
    assert steps == pytest.approx([10 ** (1 / 20)] * len(steps))
    assert set(figures.histogram([3.0]).edges_ms) <= set(drawn.edges_ms)


@given(st.lists(st.tuples(st.floats(-1, 100), st.floats(0, 1e6)), max_size=100), st.floats(0.001, 1e6))
def test_timeline_counts_each_sample_once(samples: list[tuple[float, float]], total_s: float) -> None:
    """The counts add up to the samples, and the bins cover the time and are few."""
    drawn = figures.timeline(samples, total_s)

    assert sum(drawn.counts) == len(samples)
    assert drawn.bin_s * len(drawn.counts) >= total_s * (1 - 1e-6)
    assert len(drawn.counts) <= figures.TIMELINE_BINS_MAX
    assert [count == 0 for count in drawn.counts] == [p50 is None for p50 in drawn.p50_ms]


def test_timeline_shows_when_it_was_slow() -> None:
    """A sample is in the bin of its time, and an empty bin has no quantile rather than a fast one."""
    drawn = figures.timeline([(0.7, 1.0), (2.7, 80.0), (2.7, 90.0)], total_s=120)

    assert drawn.bin_s == 1
    assert drawn.counts[:4] == [1, 0, 2, 0]
    assert drawn.p50_ms[:4] == [1.0, None, 80.0, None]
    assert drawn.p99_ms[:4] == [1.0, None, 90.0, None]


@given(ROUNDS)
def test_operation_counts_each_sample_everywhere_once(rounds: list[list[figures.Sample]]) -> None:
    """Count, statuses, histogram and timeline agree."""
    drawn = figures.operation("reserve", "open", rounds, [4.0] * len(rounds))

    expected = sum(len(samples) for samples in rounds)
    counted = [drawn.count, sum(drawn.statuses.values()), sum(drawn.histogram.counts), sum(drawn.timeline.counts)]
    assert counted == [expected] * 4
    assert [p50 is None for p50 in drawn.per_round.p50] == [not samples for samples in rounds]


@given(ROUNDS, st.randoms(use_true_random=False))
def test_operation_knows_no_order_of_samples(rounds: list[list[figures.Sample]], chance: random.Random) -> None:
    """Samples come from many connections: their order within a round says nothing."""
    mixed = [chance.sample(samples, len(samples)) for samples in rounds]

    seconds = [4.0] * len(rounds)
    assert figures.operation("a", "open", mixed, seconds) == figures.operation("a", "open", rounds, seconds)


def test_operation_places_rounds_one_after_another() -> None:
    """The second round's first sample is where the first round ended: pauses for references are left out."""
    drawn = figures.operation("check", "closed", [[(0.0, 1.0, 200)], [(0.0, 7.0, 200)]], [3.0, 3.0])

    place = round(3.0 / drawn.timeline.bin_s)
    assert drawn.timeline.p50_ms[0] == 1.0
    assert drawn.timeline.p50_ms[place] == 7.0
    assert figures.load_time_s([3.0, 3.0], 1, 0.5) == 3.5


def test_operation_of_no_sample_is_all_nothing() -> None:
    """What was never answered has no quantile that looks fast beside others: the count is 0."""
    drawn = figures.operation("wait", "open", [[], []], [1.0, 1.0], offered_per_s=5.0)

    assert (drawn.count, drawn.statuses, drawn.histogram.counts) == (0, {}, [])
    assert drawn.per_round.p99 == [None, None]


def test_spread_is_the_median_and_the_range() -> None:
    """One slow round does not move the figure, and is seen in its noise."""
    assert figures.spread([10.0, 11.0, 2.0]) == figures.Spread(median=10.0, noise=9.0)


def test_ratios_are_those_of_the_same_round() -> None:
    """A minute in which everything was slow changes no ratio; a round without a reference says nothing."""
    assert figures.ratios([300.0, 150.0, 300.0], [1000.0, 500.0, 0.0]) == [0.3, 0.3]
