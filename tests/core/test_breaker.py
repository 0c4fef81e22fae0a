"""The circuit breaker, transition by transition and against a plain model."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from intermute.core.breaker import Breaker, BreakerState


def opened(at_s: float = 0.0) -> Breaker:
    """A breaker that has just opened, for 5 s."""
    breaker = Breaker(faults_to_open=2, open_s=5.0, open_max_s=60.0)
    for _ in range(2):
        breaker.record_fault(at_s, "disk I/O error")
    return breaker


@pytest.mark.parametrize(("faults", "state"), [(4, "closed"), (5, "open"), (6, "open")])
def test_breaker_opens_at_exactly_the_limit(faults: int, state: str) -> None:
    """The fifth fault in a row opens it, not the fourth."""
    breaker = Breaker()

    for _ in range(faults):
        breaker.record_fault(0.0, "disk I/O error")

    assert breaker.snapshot(0.0).state == state


def test_breaker_success_ends_a_row_of_faults() -> None:
    """Faults with successes between them never open it."""
    breaker = Breaker(faults_to_open=2)

    for _ in range(1000):
        breaker.record_fault(0.0, "busy")
        breaker.record_success(0.0)

    assert breaker.allows(0.0)


@pytest.mark.parametrize(("now_s", "is_allowed"), [(4.999, False), (5.0, True), (5.001, True)])
def test_breaker_open_refuses_until_its_time(now_s: float, is_allowed: bool) -> None:
    """While open nobody passes, to the instant."""
    assert opened().allows(now_s) == is_allowed


def test_breaker_half_open_lets_one_probe_through() -> None:
    """Of twenty callers one is the probe."""
    breaker = opened()

    assert [breaker.try_acquire(5.0) for _ in range(20)] == [True] + [False] * 19


def test_breaker_released_probe_gives_its_place_back() -> None:
    """A cancelled probe neither opens nor blocks; the next caller is the probe."""
    breaker = opened()
    breaker.try_acquire(5.0)

    breaker.release_probe()

    assert breaker.snapshot(5.0).state is BreakerState.HALF_OPEN
    assert breaker.try_acquire(5.0)


def test_breaker_probe_success_closes() -> None:
    """One good probe and all pass; the next opening is short again."""
    breaker = opened()
    breaker.try_acquire(5.0)
    breaker.record_fault(5.0, "still bad")
    breaker.try_acquire(15.0)

    breaker.record_success(15.0)

    assert breaker.snapshot(15.0).state is BreakerState.CLOSED
    for _ in range(2):
        breaker.record_fault(20.0, "again")
    assert breaker.snapshot(20.0).retry_after_s == 5.0


def test_breaker_failing_probes_double_the_rest_up_to_its_bound() -> None:
    """5, 10, 20, 40, 60, 60 seconds."""
    breaker, now_s, rests_s = opened(), 0.0, []

    for _ in range(6):
        rests_s.append(breaker.snapshot(now_s).retry_after_s)
        now_s += rests_s[-1]
        assert breaker.try_acquire(now_s)
        breaker.record_fault(now_s, "still bad")

    assert rests_s == [5, 10, 20, 40, 60, 60]
    assert breaker.snapshot(now_s).openings == 7


def test_breaker_late_outcomes_while_open_change_nothing() -> None:
    """Work let through before the opening neither closes nor prolongs it."""
    breaker = opened()

    breaker.record_success(1.0)
    breaker.record_fault(2.0, "late")

    assert breaker.snapshot(2.0).retry_after_s == 3.0
    assert breaker.snapshot(2.0).last_fault == "late"


def test_breaker_probe_out_tells_callers_to_wait() -> None:
    """A refused caller always gets a positive time to wait, an admitted one zero."""
    breaker = opened()
    assert breaker.snapshot(5.0).retry_after_s == 0

    breaker.try_acquire(5.0)

    assert breaker.snapshot(5.0).retry_after_s > 0


class ForgetfulBreaker(Breaker):
    """The negative control: at half-open it lets everybody through, as the libraries do (hazards.md)."""

    def try_acquire(self, now_s: float) -> bool:
        """Let through without counting probes."""
        is_allowed = super().try_acquire(now_s)
        if self.state(now_s) is BreakerState.HALF_OPEN:
            self.release_probe()
        return is_allowed


class BreakerMachine(RuleBasedStateMachine):
    """Plays random histories on the breaker and on four plain variables."""

    breaker_class = Breaker

    def __init__(self) -> None:
        super().__init__()
        self.breaker = self.breaker_class(faults_to_open=3, open_s=4.0, open_max_s=10.0)
        self.now_s = 0.0
        self.faults, self.rest_s, self.reopens_at_s, self.openings = 0, 4.0, -1.0, 0
        self.is_probing = False

    @property
    def expected(self) -> str:
        """The state that the model is in."""
        if self.reopens_at_s < 0:
            return "closed"
        return "open" if self.now_s < self.reopens_at_s else "half_open"

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 10.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    @rule()
    def acquire(self) -> None:
        """Ask to be let through."""
        is_expected = self.expected == "closed" or (self.expected == "half_open" and not self.is_probing)
        assert self.breaker.allows(self.now_s) == is_expected

        assert self.breaker.try_acquire(self.now_s) == is_expected

        self.is_probing = self.is_probing or (is_expected and self.expected == "half_open")

    @rule()
    def succeed(self) -> None:
        """Tell of a success."""
        self.breaker.record_success(self.now_s)
        if self.expected == "closed":
            self.faults = 0
        elif self.expected == "half_open" and self.is_probing:
            self.faults, self.rest_s, self.reopens_at_s, self.is_probing = 0, 4.0, -1.0, False

    @rule()
    def fail(self) -> None:
        """Tell of a fault."""
        self.breaker.record_fault(self.now_s, "fault")
        if self.expected == "closed":
            self.faults += 1
            if self.faults == 3:
                self.open()
        elif self.expected == "half_open" and self.is_probing:
            self.rest_s = min(self.rest_s * 2, 10.0)
            self.open()

    def open(self) -> None:
        """Open the model."""
        self.reopens_at_s, self.is_probing = self.now_s + self.rest_s, False
        self.openings += 1

    @precondition(lambda self: self.is_probing)
    @rule()
    def cancel_probe(self) -> None:
        """Give the probe's place back."""
        self.breaker.release_probe()
        self.is_probing = False

    @invariant()
    def agrees(self) -> None:
        """Breaker and model show the same."""
        snapshot = self.breaker.snapshot(self.now_s)
        assert snapshot.state == self.expected
        assert snapshot.openings == self.openings
        assert 0 <= snapshot.retry_after_s <= 10.0
        assert (snapshot.retry_after_s == 0) == self.breaker.allows(self.now_s)


class ForgetfulMachine(BreakerMachine):
    """The same histories on the broken breaker."""

    breaker_class = ForgetfulBreaker


def play_two_callers(machine: BreakerMachine) -> None:
    """Open the breaker, let it turn half-open, and send two callers."""
    for _ in range(3):
        machine.fail()
    machine.pass_time(4.0)
    machine.acquire()
    machine.acquire()


def test_breaker_agrees_with_its_model() -> None:
    """In every history the breaker is what four plain variables say."""
    run_state_machine_as_test(BreakerMachine)


def test_breaker_model_catches_two_probes() -> None:
    """Negative control: a breaker that lets several probes through fails in the model, the sound one does not."""
    play_two_callers(BreakerMachine())

    with pytest.raises(AssertionError):
        play_two_callers(ForgetfulMachine())
