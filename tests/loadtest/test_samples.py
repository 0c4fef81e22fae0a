"""What is recorded, round by round."""

from loadtest.engine.samples import Samples


def test_round_that_never_ends_does_not_count() -> None:
    """What was seen until a violation has no references beside it, so it is left out."""
    samples = Samples()
    for number in range(2):
        samples.begin_round(10.0 * number)
        samples.record("ask", "closed", 10.0 * number + 1.0, 10.0 * number + 1.5, 200)
        if number == 0:
            samples.end_round(5.0)

    [found] = samples.operations()
    assert (found.count, found.latency_ms.p50) == (1, 500.0)
    assert sum(found.timeline.counts) == 1


def test_refusals_are_set_apart_in_every_round() -> None:
    """What was served and what was refused have latencies of their own, under the same two names in all rounds."""
    samples = Samples()
    for number in range(2):
        samples.begin_round(10.0 * number)
        samples.record("ask", "open", 10.0 * number, 10.0 * number + 1.0, 200)
        samples.record("ask", "open", 10.0 * number, 10.0 * number + 0.1, 429)
        samples.record("ask", "closed", 10.0 * number, 10.0 * number + 0.1, 429)
        samples.set_apart("open", {429}, "refused")
        samples.end_round(10.0 * number + 5.0)

    assert {(each.name, each.loop): each.statuses for each in samples.operations()} == {
        ("ask", "open"): {"200": 2},
        ("ask", "closed"): {"429": 2},
        ("ask refused", "open"): {"429": 2},
    }


def test_latency_counts_from_the_intended_time() -> None:
    """A request that could not be sent in time has waited for as long."""
    samples = Samples()
    samples.begin_round(0.0)
    samples.record("ask", "open", 1.0, 3.0, 200)
    samples.offered("ask", 100.0)
    samples.end_round(5.0)

    [found] = samples.operations()
    assert (found.latency_ms.p50, found.offered_per_s) == (2000.0, 100.0)
