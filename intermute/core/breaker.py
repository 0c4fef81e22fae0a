"""The circuit breaker of one project's storage.

Decided here and nowhere else: whether a write may be tried after storage faults. The caller decides what a fault is; a
refusal never is one (design.md 3.7). Invariants: only faults in a row open it; at half-open exactly one probe is out;
a probe that was cancelled gives its place back. Time is passed in and never goes back.

Source: guarantees.md T26; hazards.md "Libraries" for what the breakers on offer get wrong.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FAULTS_TO_OPEN: Final = 5  # faults in a row; contract.md 10.2.
OPEN_S: Final = 5.0  # seconds; guarantees.md G19: back to normal 5 s after the disk has space again.
OPEN_MAX_S: Final = 60.0  # seconds; guarantees.md G16: quarantine rests 1 to 60 s.
PROBE_RETRY_S: Final = 1.0  # seconds told to callers while a probe is out; a guess: a commit or its failure takes less.


class BreakerState(StrEnum):
    """Whether work is let through: all of it, none, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """The breaker at one instant, for /health and for `Retry-After`."""

    state: BreakerState
    openings: int
    """How often it opened since it was made; a failed probe opens it again."""
    last_fault: str | None
    retry_after_s: float
    """How long a refused caller should wait; 0 if it would be let through."""


class Breaker:
    """Opens after faults in a row, lets one probe through after a rest, doubles the rest while probes fail.

    Every permit of `try_acquire` is answered by exactly one of `record_success`, `record_fault` and `release_probe`.
    The actor works one batch at a time, so an outcome always belongs to the last permit.
    """

    def __init__(
        self, *, faults_to_open: int = FAULTS_TO_OPEN, open_s: float = OPEN_S, open_max_s: float = OPEN_MAX_S
    ) -> None:
        assert faults_to_open >= 1, "no fault is no reason to open"
        assert 0 < open_s <= open_max_s, "rests grow up to the bound"
        self._faults_to_open, self._first_open_s, self._open_max_s = faults_to_open, open_s, open_max_s
        self._faults_in_a_row = 0
        self._open_s = open_s
        self._open_until_s: float | None = None
        self._is_probe_out = False
        self._openings = 0
        self._last_fault: str | None = None

    def allows(self, now_s: float) -> bool:
        """Tell whether `try_acquire` would let this caller through; takes nothing."""
        match self.state(now_s):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                return not self._is_probe_out

    @property
    def is_probing(self) -> bool:
        """Tell whether a probe is out."""
        return self._is_probe_out

    def try_acquire(self, now_s: float) -> bool:
        """Let the caller through or not; at half-open the one let through is the probe."""
        if not self.allows(now_s):
            return False
        self._is_probe_out = self._open_until_s is not None
        return True

    def record_success(self, now_s: float) -> None:
        """Note that storage worked: ends a row of faults; as the probe's outcome it closes the breaker.

        Ignored while open: it is the late outcome of work let through before.
        """
        match self.state(now_s):
            case BreakerState.CLOSED:
                self._faults_in_a_row = 0
            case BreakerState.HALF_OPEN if self._is_probe_out:
                self._is_probe_out, self._open_until_s = False, None
                self._faults_in_a_row, self._open_s = 0, self._first_open_s
            case _:
                pass

    def record_fault(self, now_s: float, what: str) -> None:
        """Note a storage fault: counts towards opening; as the probe's outcome it opens for twice as long.

        While open only its text is kept, for the reason above.
        """
        self._last_fault = what
        match self.state(now_s):
            case BreakerState.CLOSED:
                self._faults_in_a_row += 1
                if self._faults_in_a_row >= self._faults_to_open:
                    self._open(now_s)
            case BreakerState.HALF_OPEN if self._is_probe_out:
                self._open_s = min(2 * self._open_s, self._open_max_s)
                self._open(now_s)
            case _:
                pass

    def release_probe(self) -> None:
        """Give the permit back without an outcome: the caller was cancelled or refused before it reached storage.

        Also after the actor was restarted: a probe whose outcome nobody tells would hold the breaker half-open for ever.
        """
        self._is_probe_out = False

    def state(self, now_s: float) -> BreakerState:
        """Return the state; an open breaker turns half-open by the passing of time alone."""
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    def snapshot(self, now_s: float) -> BreakerSnapshot:
        """Return what /health shows."""
        state = self.state(now_s)
        retry_after_s = 0.0
        if state is BreakerState.OPEN and self._open_until_s is not None:
            retry_after_s = self._open_until_s - now_s
        elif self._is_probe_out:
            retry_after_s = PROBE_RETRY_S
        return BreakerSnapshot(state, self._openings, self._last_fault, retry_after_s)

    def _open(self, now_s: float) -> None:
        self._open_until_s = now_s + self._open_s
        self._is_probe_out = False
        self._openings += 1
