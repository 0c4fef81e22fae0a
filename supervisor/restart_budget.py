"""When to give up on a child, and how long to wait before it is tried again. Pure: `now_s` and chance are passed in.

Rules: a child may be restarted `max_restarts` times in any window of `within_s` seconds (OTP's restart intensity);
a wait is never longer than its nominal value, so `max_s` is a true bound.
"""

from collections import deque
from dataclasses import dataclass


class RestartBudget:
    """Counts restarts in a sliding window; one more than the intensity is refused.

    Source: Erlang/OTP "Supervision Principles", maximum restart intensity.
    """

    def __init__(self, max_restarts: int, within_s: float) -> None:
        assert max_restarts >= 0, "a budget cannot be negative"
        assert within_s > 0, "the window needs a length"
        self._max_restarts, self._within_s = max_restarts, within_s
        self._spent_at_s: deque[float] = deque()

    def spend(self, now_s: float) -> bool:
        """Take one restart out of the budget, or answer False if there is none left."""
        if self.spent(now_s) >= self._max_restarts:
            return False
        self._spent_at_s.append(now_s)
        return True

    def spent(self, now_s: float) -> int:
        """Count the restarts that are still inside the window."""
        while self._spent_at_s and self._spent_at_s[0] <= now_s - self._within_s:
            self._spent_at_s.popleft()
        return len(self._spent_at_s)

    def clear(self) -> None:
        """Forget all restarts: somebody vouches that the cause is gone."""
        self._spent_at_s.clear()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing waits with jitter: `first_s`, then times `factor` up to `max_s`, shortened by chance by up to `jitter`."""

    first_s: float = 0.05  # G15: the first restart and the run's opening must fit into 250 ms.
    max_s: float = 5.0  # a guess, revisit: below the 8 s that an asker waits.
    factor: float = 2.0
    jitter: float = 0.2  # fraction; children that died of one cause shall not all come back in one instant.

    def __post_init__(self) -> None:
        assert 0 <= self.first_s <= self.max_s, "waits grow from first_s to max_s"
        assert self.factor >= 1, "waits do not shrink"
        assert 0 <= self.jitter <= 1, "jitter is a fraction"

    def delay_s(self, attempt: int, draw: float) -> float:
        """Return the wait before the given attempt.

        Args:
            attempt: 1 for the first restart.
            draw: chance, in [0, 1).
        """
        assert attempt >= 1, "attempts are counted from one"
        nominal_s = self.first_s
        for _ in range(attempt - 1):  # A power would overflow for large attempts; this stops at the bound.
            if nominal_s >= self.max_s or self.factor == 1:
                break
            nominal_s *= self.factor
        return min(nominal_s, self.max_s) * (1 - self.jitter * draw)
