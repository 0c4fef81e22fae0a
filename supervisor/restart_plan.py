"""What follows a run that is to be repeated: a short rest, a long one, or the end. Pure: `now_s` is passed in.

Rule: parking by time does not clear the budget, so a child that is revived and fails again inside the window parks at
once and for twice as long; the doubling starts anew only after a run that outlived the window, or on `forgive`.
"""

import math
from dataclasses import dataclass

from supervisor.child_spec import ChildSpec, OnExhausted
from supervisor.health import ChildState
from supervisor.restart_budget import RestartBudget

_DOUBLINGS_MAX = 64  # keeps the power finite; any `revive_max_s` is met long before.


@dataclass(frozen=True, slots=True)
class Rest:
    """How to spend the time until the next run."""

    state: ChildState
    """`backing_off` or `parked`."""
    wait_s: float
    """math.inf: until it is revived."""


class RestartPlan:
    """Keeps the budget of one child and chooses its rests."""

    def __init__(self, spec: ChildSpec) -> None:
        self._spec = spec
        self._budget = RestartBudget(spec.max_restarts, spec.within_s)
        self._blamed_budget = RestartBudget(spec.max_blamed_restarts, spec.within_s)
        self._parkings = 0

    def note_life(self, lived_s: float) -> None:
        """Take account of how long the last run lasted."""
        if lived_s >= self._spec.within_s:
            self._parkings = 0

    def forgive(self) -> None:
        """Start anew: somebody vouches that the cause is gone."""
        self._budget.clear()
        self._blamed_budget.clear()
        self._parkings = 0

    def next_rest(self, now_s: float, *, is_blamed: bool = False) -> Rest | None:
        """Spend one restart and return the rest before it, or None if the child is to escalate.

        Args:
            is_blamed: a request is to blame; then the rest does not grow, since waiting would not mend the request.
        """
        spec = self._spec
        if is_blamed and self._blamed_budget.spend(now_s):
            return Rest(ChildState.BACKING_OFF, spec.backoff.delay_s(1, spec.draw()))
        if not is_blamed and self._budget.spend(now_s):
            attempt = self._budget.spent(now_s)
            return Rest(ChildState.BACKING_OFF, spec.backoff.delay_s(attempt, spec.draw()))
        return None if spec.on_exhausted is OnExhausted.ESCALATE else Rest(ChildState.PARKED, self._parking_s())

    def _parking_s(self) -> float:
        if self._spec.revive_after_s is None:
            return math.inf
        doubled_s = self._spec.revive_after_s * 2.0 ** min(self._parkings, _DOUBLINGS_MAX)
        self._parkings += 1
        return min(doubled_s, self._spec.revive_max_s) * (1 - self._spec.backoff.jitter * self._spec.draw())
