"""The reservations of one project against a plain model: all modes, symbols and operations, and the queue.

Whatever is done in whatever order, memory is the model, the disk is memory, and the promises hold: nobody overtakes,
nothing waits that could be granted, nobody waits for itself (guarantees.md G6, claims.md 4 and 7).
"""

from collections.abc import Collection
from typing import Final

from claims_machine import ClaimsMachine, ContestingMachine
from claims_model import ATOMS, stand_in_the_way
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace
from pytest import mark, raises

from intermute.core.claim_index import ALL_SHOWN, FindingBounds, Work
from intermute.core.claim_modes import clashes
from intermute.core.claim_records import Claim
from intermute.core.claim_targets import target_relation
from intermute.core.claims import Policy
from intermute.core.findings import Finding
from intermute.core.lease_book import LeaseBook
from intermute.core.lock_table import Mode
from intermute.core.reservation import Reservation
from intermute.core.targets import parse_target
from intermute.core.waiting_room import Wait, WaitingRoom

SIMULATED: Final = settings(
    max_examples=80,
    phases=[Phase.generate],
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_claims_behave_as_the_model() -> None:
    """Eighty lives of a project's reservations of up to forty steps each."""
    run_state_machine_as_test(ClaimsMachine, settings=SIMULATED)


def test_contested_claims_behave_as_the_model() -> None:
    """The same, where agents take what others hold."""
    run_state_machine_as_test(ContestingMachine, settings=SIMULATED)


def test_universe_tells_the_targets_apart() -> None:
    """Control: the model's sets lie to each other as the targets do, so that what it says of two modes is about them."""
    texts = list(ATOMS)
    for a in texts:
        for b in texts:
            relation = target_relation(parse_target("pattern", a), parse_target("pattern", b))
            for mine in Mode:
                for theirs in Mode:
                    expected = stand_in_the_way(a, mine.value, b, theirs.value)
                    assert clashes(relation, mine, theirs) == expected, (a, mine, b, theirs, relation)


# Controls: an engine that breaks a promise is found.


class _Overtaking(WaitingRoom):
    """Lets newcomers pass those who wait."""

    def ahead_of(self, *_asked: object) -> list[Claim]:
        return []


class _Idle(WaitingRoom):
    """Never calls anybody."""

    def admit(self, *_asked: object) -> list[Wait]:
        return []


class _Circling(WaitingRoom):
    """Lets those wait who wait for themselves."""

    def break_cycles(self, *_asked: object) -> list[Wait]:
        return []


class _Forgetful(LeaseBook):
    """Keeps the first target of a reservation in mind."""

    __slots__ = ()

    def grant(self, reservation: Reservation) -> None:
        kept = replace(reservation.claim, targets=reservation.claim.targets[:1])
        super().grant(replace(reservation, claim=kept))


class _Hasty(LeaseBook):
    """Shows what is not stored yet."""

    __slots__ = ()

    def committed_findings(
        self, requested: Claim, policy: Policy, bounds: FindingBounds = ALL_SHOWN, *, work: Work | None = None
    ) -> list[Finding]:
        return self.findings(requested, policy, bounds, work=work)


class _ReadersOnly(LeaseBook):
    """Takes every intention for harmless."""

    __slots__ = ()

    def findings(
        self,
        requested: Claim,
        policy: Policy,
        bounds: FindingBounds = ALL_SHOWN,
        *,
        besides: Collection[str] = (),
        work: Work | None = None,
    ) -> list[Finding]:
        found = super().findings(requested, policy, bounds, besides=besides, work=work)
        return [finding for finding in found if finding.requested.mode not in (Mode.IS, Mode.IX)]


@mark.parametrize("room", [_Overtaking, _Idle, _Circling])
def test_broken_queue_is_found(room: type[WaitingRoom]) -> None:
    """A queue that lets pass, forgets or circles does not behave as the model."""

    class Broken(ContestingMachine):
        def furnish(self) -> None:
            self.bench.state.waiting = room()

    with raises(AssertionError):
        run_state_machine_as_test(Broken, settings=SIMULATED)


@mark.parametrize("book", [_Forgetful, _Hasty, _ReadersOnly])
def test_broken_book_is_found(book: type[LeaseBook]) -> None:
    """A book that forgets, hurries or looks away does not behave as the model."""

    class Broken(ClaimsMachine):
        def furnish(self) -> None:
            self.bench.state.leases.__class__ = book  # As the actor loads it, with what is in it.

    with raises(AssertionError):
        run_state_machine_as_test(Broken, settings=SIMULATED)
