"""What must be true of a project's reservations at any time, and a bench beside a model to hold it against."""

import math
from collections.abc import Iterable
from typing import Any

import hypothesis.strategies as st
from claims_model import ClaimsModel, Held, Wanted, stand_in_the_way
from handler_bench import LOCAL, Bench
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from intermute.core import limits
from intermute.core.api.checks import CheckReservations
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim
from intermute.core.claims import decide
from intermute.core.errors import (
    DomainError,
    ReservationConflict,
)
from intermute.core.findings import Verdict
from intermute.core.reservation import Reservation
from intermute.project.handlers.meetings import obstacles_in


def clash_by_decision(a: Claim, b: Claim) -> bool:
    """Tell whether two claims clash, by the rule that the service itself has."""
    return any(finding.verdict is Verdict.CONFLICT for finding in decide(a, b))


def clash_by_atoms(a: Claim, b: Claim) -> bool:
    """Tell whether two claims clash, by the sets of the model."""
    return a.holder != b.holder and any(
        stand_in_the_way(mine.target.text, mine.mode, theirs.target.text, theirs.mode)
        for mine in a.targets
        for theirs in b.targets
    )


class ClaimsPromises(RuleBasedStateMachine):
    """A project, the model of its claims, and every promise after every step; what is done is said by who inherits."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.model = ClaimsModel()
        self.contested: set[frozenset[str]] = set()
        self.fences: dict[str, int] = {}
        self.furnish()

    def furnish(self) -> None:
        """Put something else into the memory of each run of the actor: for controls."""

    # What must be true at any time.

    @invariant()
    def memory_is_the_models(self) -> None:
        """The same is granted, to the same and in the same modes, with the same deadlines; the same waits in order."""
        state = self.bench.state
        assert {each.id for each in state.leases} == set(self.model.granted)
        for lease in state.leases:
            held = self.model.granted[lease.id]
            assert lease.holder == state.agents.canonical(held.holder)
            assert [(each.target.text, each.mode) for each in lease.asked] == [(w.text, w.mode) for w in held.wanted]
            assert abs(lease.deadline_s - held.ends_s) < 0.01
        assert [wait.wish.claim.id for wait in state.waiting] == list(self.model.waiting)
        for wait in state.waiting:
            assert wait.ends_s == self.model.waiting[wait.wish.claim.id].ends_s

    @invariant()
    def no_two_hold_what_goes_not_together(self) -> None:
        """The promise of the whole service, by two rules that know nothing of each other, over every pair."""
        held = [each.claim for each in self.bench.state.leases]
        for at, one in enumerate(held):
            for other in held[at + 1 :]:
                by_decision = clash_by_decision(one, other)
                assert by_decision == clash_by_decision(other, one) == clash_by_atoms(one, other)
                assert not by_decision or frozenset({one.id, other.id}) in self.contested

    @invariant()
    def fences_only_grow(self) -> None:
        """Every grant and every new holder has a fence above all that were there before."""
        now: dict[str, int] = {each.id: each.fence for each in self.bench.state.leases}
        fresh = [fence for known, fence in now.items() if self.fences.get(known) != fence]
        assert min(fresh, default=math.inf) > max(self.fences.values(), default=0)
        self.fences |= now

    @invariant()
    def everybody_waits_for_a_reason(self) -> None:
        """Whoever waits has something in its way, or somebody ahead who has."""
        state = self.bench.state
        held = [each.claim for each in state.leases]
        for wait in state.waiting:
            claim = wait.wish.claim
            ahead = state.waiting.ahead_of(claim, state.policy, obstacles_in(state, Work()), Work())
            assert any(clash_by_atoms(claim, each) for each in held) or ahead
            assert all(clash_by_atoms(claim, each) for each in ahead)

    @invariant()
    def nobody_waits_for_itself(self) -> None:
        """The graph of who waits for whom has no cycle."""
        state = self.bench.state
        graph = dict(state.waiting.waits_for(obstacles_in(state, Work())))
        while free := [holder for holder, needed in graph.items() if not set(needed) & set(graph)]:
            for holder in free:
                del graph[holder]
        assert graph == {}

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        """A fresh load is the memory that there was, but for the queue, which is never stored."""
        fresh, state = self.bench.loaded(self.bench.state), self.bench.state

        assert {each.id: each for each in fresh.leases} == {each.id: each for each in state.leases}
        assert dict(self._committed()) == {each.id: each for each in fresh.leases}
        assert {each.id: each for each in fresh.agents} == {each.id: each for each in state.agents}
        assert (len(fresh.waiting), fresh.head, fresh.batch) == (0, state.head, state.batch)

    # Short cuts.

    def _in(self, seconds: float) -> float:
        ends_s: float = self.bench.mono_s + seconds
        return ends_s

    def _claim(self, name: str, wanted: Iterable[Wanted], ends_in_s: float, ttl_s: float | None = None) -> Held:
        return Held("", name, tuple(wanted), ends_in_s if ttl_s is None else ttl_s, self._in(ends_in_s))

    def _compare_newcomer(self, claim: Held, outcome: Any) -> None:  # Any: a view or an error.
        obstacles, ahead = self.model.obstacles(claim), self.model.ahead_of(claim)
        if obstacles or ahead:
            assert isinstance(outcome, ReservationConflict)
            told = {view.reservation_id for view in outcome.conflicts}  # type: ignore[attr-defined] # views.
            assert told == {each.id for each in (*obstacles, *ahead)}
            return
        self._grant(claim, outcome)

    def _grant(self, claim: Held, outcome: Any) -> None:  # Any: as above.
        assert not isinstance(outcome, DomainError), outcome
        self.model.granted[outcome.id] = Held(outcome.id, claim.holder, claim.wanted, claim.ttl_s, claim.ends_s)
        self._heard(claim.holder)

    def _seen(self) -> dict[str, str]:
        found = self.bench.ask(CheckReservations(pattern="**")).conflicts
        return {each.reservation_id: each.mode for each in found if each.standing == "enforced"}

    def _committed(self) -> Iterable[tuple[str, Reservation]]:
        return ((each.id, each) for each in self.bench.state.leases.all_committed())

    def _outcome(self, command: object) -> Any:  # Any: a view or an error.
        [outcome] = self.bench.batch((command, LOCAL))
        return outcome

    def _heard(self, name: str) -> None:
        if name in self.model.heard_s:
            self.model.heard_s[name] = self.bench.mono_s

    def _note_silence_after_a_restart(self) -> None:
        holders = {each.holder for each in self.model.granted.values()}
        for name, heard_s in self.model.heard_s.items():
            silence_s = self.bench.mono_s - heard_s
            if name in holders or silence_s < limits.AGENT_SILENCE_S + limits.LIVENESS_FLUSH_S:
                silence_s = min(silence_s, limits.AGENT_SILENCE_S - limits.RESTART_GRACE_S)
            self.model.heard_s[name] = self.bench.mono_s - silence_s

    def _draw(self, data: st.DataObject, known: Iterable[str]) -> str | None:
        ids = list(known)
        return data.draw(st.sampled_from(ids)) if ids else None
