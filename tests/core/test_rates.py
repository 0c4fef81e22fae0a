"""How often somebody may do something: exactly so often within any span, and told exactly when again."""

import random

import pytest

from intermute.core.rates import SlidingWindow


def window() -> SlidingWindow:
    """Return one that allows three within ten seconds."""
    return SlidingWindow(3, 10)


def test_window_allows_so_many_and_no_more() -> None:
    """At n-1 and n it is free, at n+1 it is not."""
    rate = window()
    for at in (0.0, 1.0, 2.0):
        assert rate.wait_s("a", at) == 0
        rate.take("a", at)

    assert rate.wait_s("a", 2.0) == 8.0


def test_window_is_free_exactly_when_it_said() -> None:
    """Whoever waits for as long as it was told is served, and not a moment earlier."""
    rate = window()
    for at in (0.0, 1.0, 2.0):
        rate.take("a", at)
    wait_s = rate.wait_s("a", 4.0)

    assert rate.wait_s("a", 4.0 + wait_s - 0.001) > 0
    assert rate.wait_s("a", 4.0 + wait_s) == 0


def test_window_slides() -> None:
    """A burst around the end of a minute is one burst: the span has no seam."""
    rate = window()
    for at in (9.0, 9.5, 10.5):
        rate.take("a", at)

    assert rate.wait_s("a", 11.0) == 8.0


def test_window_is_of_each_alone() -> None:
    """One that has used its own up takes nothing from another."""
    rate = window()
    for _ in range(3):
        rate.take("a", 0.0)

    assert rate.wait_s("b", 0.0) == 0


def test_window_forgets_who_did_nothing_lately() -> None:
    """Names that come and go leave nothing behind."""
    rate = window()
    for number in range(1000):
        rate.take(f"a{number}", number / 10)

    assert len(rate) <= 101


@pytest.mark.parametrize("seed", range(20))
def test_window_agrees_with_counting(seed: int) -> None:
    """Against the definition: no span of ten seconds ever has more than three, and nothing is refused without need."""
    pick = random.Random(seed)
    rate, now = window(), 0.0
    done: list[float] = []
    for _ in range(200):
        now += pick.choice((0.0, 0.3, 2.0, 9.0))
        within = [at for at in done if at + 10 > now]
        assert (rate.wait_s("a", now) == 0) == (len(within) < 3)
        if len(within) < 3:
            rate.take("a", now)
            done.append(now)
