"""How often somebody may do something: so many times within any span of so many seconds.

Decided here and nowhere else: the span slides, so that a burst at the end of one minute and another at the start of the next
are one burst; and the wait that is told is exact, for whoever comes back after it is served unless it was there meanwhile.
Pure: time is given, and it is monotonic.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SlidingWindow:
    """Who did it when, as far back as matters; nobody is remembered for longer than the span."""

    most: int
    span_s: float
    _times_of: dict[Hashable, deque[float]] = field(default_factory=dict)
    """By who did it; whoever did it last comes last."""

    def __len__(self) -> int:
        return len(self._times_of)

    def wait_s(self, who: Hashable, mono_s: float) -> float:
        """Return after how many seconds it may be done again; 0 for now."""
        times = self._times_of.get(who)
        if times is None or len(times) < self.most:
            return 0.0
        return max(0.0, times[0] + self.span_s - mono_s)

    def take(self, who: Hashable, mono_s: float) -> None:
        """Note that it is done now, which `wait_s` allowed."""
        assert self.wait_s(who, mono_s) == 0.0
        times = self._times_of.pop(who, None) or deque(maxlen=self.most)
        times.append(mono_s)
        self._times_of[who] = times
        self._forget(mono_s)

    def _forget(self, mono_s: float) -> None:
        """Forget those whose times are all over; they come first."""
        while self._times_of:
            oldest = next(iter(self._times_of))
            if self._times_of[oldest][-1] + self.span_s > mono_s:
                return
            del self._times_of[oldest]
