"""The restart budget and the back-off: pure rules, checked against plain models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import Backoff, RestartBudget

STEPS_S = st.lists(st.sampled_from([0.0, 0.5, 1.0, 9.5, 10.0, 30.0]), max_size=60)


class EndlessBudget(RestartBudget):
    """The negative control: a budget that never ends."""

    def spend(self, now_s: float) -> bool:
        """Grant everything."""
        super().spend(now_s)
        return True


def check_window(budget: RestartBudget, steps_s: list[float]) -> None:
    """Assert that the budget grants exactly what a list of all grants says it should."""
    granted_at_s: list[float] = []
    now_s = 0.0
    for step_s in steps_s:
        now_s += step_s
        inside = [at_s for at_s in granted_at_s if at_s > now_s - 10.0]

        is_granted = budget.spend(now_s)

        assert is_granted == (len(inside) < 3)
        if is_granted:
            granted_at_s.append(now_s)
            assert budget.spent(now_s) == len(inside) + 1


@given(STEPS_S)
def test_budget_never_exceeds_intensity_in_any_window(steps_s: list[float]) -> None:
    """In each window of 10 s there are at most 3 restarts, and none of the 3 is withheld."""
    check_window(RestartBudget(max_restarts=3, within_s=10.0), steps_s)


def test_budget_check_catches_an_endless_budget() -> None:
    """Negative control: the check above fails for a budget that grants everything."""
    with pytest.raises(AssertionError):
        check_window(EndlessBudget(max_restarts=3, within_s=10.0), [0.0] * 4)


@pytest.mark.parametrize(("count", "is_granted"), [(2, True), (3, True), (4, False)])
def test_budget_limit_is_exact(count: int, is_granted: bool) -> None:
    """The restart at n is granted and the one at n+1 is not."""
    budget = RestartBudget(max_restarts=3, within_s=30.0)

    last = [budget.spend(1.0) for _ in range(count)][-1]

    assert last == is_granted


def test_budget_cleared_grants_again() -> None:
    """A cleared budget is a whole one."""
    budget = RestartBudget(max_restarts=1, within_s=30.0)
    budget.spend(0.0)

    budget.clear()

    assert budget.spend(0.0)


def test_budget_of_none_grants_none() -> None:
    """An intensity of zero restarts never restarts."""
    assert not RestartBudget(max_restarts=0, within_s=1.0).spend(0.0)


@given(
    attempt=st.integers(1, 10_000),
    draw=st.floats(0, 1, exclude_max=True),
    factor=st.sampled_from([1.0, 1.5, 2.0, 10.0]),
    jitter=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_backoff_delay_stays_within_bounds(attempt: int, draw: float, factor: float, jitter: float) -> None:
    """A wait is never over its bound, never under its jittered first value, and finite for any attempt."""
    backoff = Backoff(first_s=0.1, max_s=5.0, factor=factor, jitter=jitter)

    delay_s = backoff.delay_s(attempt, draw)

    assert 0.1 * (1 - jitter) <= delay_s <= 5.0


def test_backoff_delay_grows_to_its_bound() -> None:
    """Without jitter the waits are first, times factor, and then the bound."""
    backoff = Backoff(first_s=1.0, max_s=5.0, factor=2.0, jitter=0.0)

    assert [backoff.delay_s(attempt, 0.5) for attempt in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
