"""What agents, time and the machine do to a project's reservations, done to the model as well, and compared."""

from collections.abc import Iterable
from typing import Any, Final

import hypothesis.strategies as st
from claims_model import DESTINATIONS, TARGETS, Held, Wanted
from claims_promises import ClaimsPromises
from handler_bench import LOCAL
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.claims import TargetWish
from intermute.core.api.handing_over import ForceRelease, TransferReservation
from intermute.core.api.reservations import ReleaseAll, ReleaseReservation, RenewReservation, Reserve
from intermute.core.errors import (
    Deadlock,
    DomainError,
    InvalidRequest,
    ReservationConflict,
    ReservationEnded,
    TransferConflict,
    UnknownAgent,
    UnknownTicket,
)
from intermute.core.lock_table import Mode
from intermute.core.wishes import OnConflict
from intermute.project.handlers.liveness import Tick
from intermute.project.handlers.turns import Queued

NAMES: Final = ("anna", "ben", "carl", "dora")
"""Agents; the first three register at the beginning, the fourth one may do so later."""
TTLS_S: Final = (30, 400, 2000)

names = st.sampled_from(NAMES)
ttls = st.sampled_from(TTLS_S)
waits = st.sampled_from([20, 200, 600])
by_mode = st.builds(Wanted, st.sampled_from(TARGETS), st.sampled_from([each.value for each in Mode]))
by_work = st.one_of(
    st.builds(Wanted, st.sampled_from(TARGETS), st.just("S"), st.just("read")),
    st.builds(Wanted, st.sampled_from(TARGETS), st.just("X"), st.sampled_from(["modify", "delete"])),
    st.builds(
        Wanted,
        st.sampled_from(TARGETS),
        st.just("X"),
        st.sampled_from(["rename", "move"]),
        st.sampled_from(DESTINATIONS),
    ),
)
wishes = st.lists(by_mode | by_work, min_size=1, max_size=3, unique_by=lambda wanted: wanted.text)
modes = st.sampled_from([each.value for each in Mode])


def command_for(name: str, wanted: Iterable[Wanted], ttl_s: float, **more: Any) -> Reserve:  # Any: fields of Reserve.
    """Return the request for these targets; whoever names an operation leaves the mode to it."""
    targets = [
        TargetWish(pattern=each.text, mode=None if each.op else each.mode, op=each.op, to=each.to) for each in wanted
    ]
    return Reserve(agent_id=name, targets=targets, ttl_seconds=int(ttl_s), **more)


class ClaimsMachine(ClaimsPromises):
    """Does to a project and to the model the same, and compares."""

    @initialize()
    def begin(self) -> None:
        """Three agents are there from the beginning."""
        for name in NAMES[:3]:
            self.register(name)

    # What agents do.

    @rule(name=names)
    def register(self, name: str) -> None:
        """Register an agent, or renew it; what its name holds is its own then, and what it waits for is asked anew."""
        session = f"0d6a3c5e-1a8b-4a0e-8a55-00000000000{NAMES.index(name)}"
        is_new = name not in self.model.heard_s

        self.bench.run(RegisterAgent(name=name, session_id=session))

        self.model.heard_s[name] = self.bench.mono_s
        if is_new:
            for each in [each for each in self.model.waiting.values() if each.holder == name]:
                del self.model.waiting[each.id]
            self.model.admit(self.bench.mono_s)

    @rule(name=names, wanted=wishes, ttl_s=ttls)
    def reserve(self, name: str, wanted: list[Wanted], ttl_s: int) -> None:
        """Ask and be refused: granted exactly where the model finds nothing in the way and nobody ahead."""
        outcome = self._outcome(command_for(name, wanted, ttl_s))

        self._compare_newcomer(self._claim(name, wanted, ttl_s), outcome)

    @rule(name=names, wanted=wishes, ttl_s=ttls, wait_s=waits)
    def reserve_or_wait(self, name: str, wanted: list[Wanted], ttl_s: int, wait_s: int) -> None:
        """Ask and wait: who would wait for itself is refused."""
        if sum(each.holder == name for each in self.model.waiting.values()) >= limits.WAITERS_PER_AGENT_MAX:
            return
        claim = self._claim(name, wanted, wait_s, ttl_s)
        command = command_for(name, wanted, ttl_s, on_conflict=OnConflict.WAIT, wait_seconds=wait_s)

        outcome = self._outcome(command)

        if self.model.is_free(claim):
            self._compare_newcomer(self._claim(name, wanted, ttl_s), outcome)
            return
        needed = [each.holder for each in (*self.model.obstacles(claim), *self.model.ahead_of(claim))]
        if self.model.is_circular(name, needed):
            assert isinstance(outcome, Deadlock)
            assert outcome.cycle[0] == name
            return
        assert isinstance(outcome, Queued), outcome
        self.model.enqueue(Held(outcome.ticket, name, claim.wanted, ttl_s, claim.ends_s))
        self._heard(name)

    @rule(name=names, wanted=wishes, ttl_s=ttls)
    def reserve_in_part(self, name: str, wanted: list[Wanted], ttl_s: int) -> None:
        """Take what is free and hear what is not."""
        units = [self._claim(name, [each], ttl_s) for each in wanted]
        free = [each for unit, each in zip(units, wanted, strict=True) if self.model.is_free(unit)]

        outcome = self._outcome(command_for(name, wanted, ttl_s, partial=True))

        if not free:
            assert isinstance(outcome, ReservationConflict)
            return
        denied = [number for number, each in enumerate(wanted) if each not in free]
        assert [each.n for each in outcome.denied or ()] == denied
        self._grant(self._claim(name, free, ttl_s), outcome)

    @precondition(lambda self: self.model.granted)
    @rule(data=st.data(), mode=modes)
    def convert(self, data: st.DataObject, mode: str) -> None:
        """Hold something in another mode: what others hold counts, who waits does not."""
        known = self._draw(data, self.model.granted)
        if known is None:
            return
        claim = self.model.granted[known]
        wished = claim.in_mode(mode)

        outcome = self._outcome(RenewReservation(reservation_id=known, mode=mode))

        if self.model.obstacles(wished):
            assert isinstance(outcome, ReservationConflict)
            return
        assert not isinstance(outcome, DomainError), outcome
        self._heard(claim.holder)
        if any(each.mode != mode for each in claim.wanted):
            self.model.granted[known] = wished
            self.model.settle(self.bench.mono_s)

    @precondition(lambda self: self.model.granted)
    @rule(data=st.data(), name=names)
    def transfer(self, data: st.DataObject, name: str) -> None:
        """Hand something over; the giver's own other reservations may stand in the way now."""
        known = self._draw(data, self.model.granted)
        if known is not None:
            self._hand_over(known, name)

    def _hand_over(self, known: str, name: str) -> None:
        claim = self.model.granted[known]
        given = Held(known, name, claim.wanted, claim.ttl_s, claim.ends_s)

        outcome = self._outcome(TransferReservation(reservation_id=known, to=name))

        if name not in self.model.heard_s:
            assert isinstance(outcome, UnknownAgent)
        elif name == claim.holder:
            assert isinstance(outcome, InvalidRequest)
        elif self.model.obstacles(given):
            assert isinstance(outcome, TransferConflict)
        else:
            self.model.granted[known] = given
            self.model.settle(self.bench.mono_s)
            self._heard(claim.holder)

    @rule(trio=st.permutations(NAMES[:3]))
    def tie_a_knot(self, trio: list[str]) -> None:
        """Hand something to one who waits for him who waits for it: a circle past the queue, if all goes well before."""
        one, other, third = trio
        self.reserve(one, [Wanted("docs", "X")], 2000)
        self.reserve(other, [Wanted("src/b.py", "X")], 2000)
        self.reserve_or_wait(one, [Wanted("src/b.py", "S")], 2000, 600)
        self.reserve_or_wait(third, [Wanted("docs", "S")], 2000, 600)
        for wait in list(self.model.waiting.values()):
            for wanted in self.model.obstacles(wait):
                for each in self.model.waiting.values():
                    if each.holder != wanted.holder and wait.holder in self.model.needs(each):
                        self._hand_over(wanted.id, each.holder)
                        return

    @rule(data=st.data(), is_forced=st.booleans())
    def release(self, data: st.DataObject, is_forced: bool) -> None:
        """Give something back, or lose it to the operator; what has ended has ended."""
        known = self._draw(data, {**self.model.granted, **self.model.ended})
        if known is None:
            return
        command = (
            ForceRelease(reservation_id=known, reason="r") if is_forced else ReleaseReservation(reservation_id=known)
        )

        outcome = self._outcome(command)

        if known in self.model.ended:
            assert isinstance(outcome, ReservationEnded)
            assert outcome.how == self.model.ended[known]
            return
        assert outcome.released == [known]
        if not is_forced:
            self._heard(self.model.granted[known].holder)
        self.model.end(known, "forced" if is_forced else "released", self.bench.mono_s)

    @rule(name=names)
    def release_all(self, name: str) -> None:
        """Give everything back and leave the queue everywhere."""
        mine = [each.id for each in self.model.granted.values() if each.holder == name]
        waits = [each.id for each in self.model.waiting.values() if each.holder == name]

        outcome = self.bench.run(ReleaseAll(agent_id=name))

        assert set(outcome.released) == {*mine, *waits}
        self._heard(name)
        for each in waits:
            del self.model.waiting[each]
        self.model.admit(self.bench.mono_s)
        self.model.end_together([self.model.granted[each] for each in mine], "released", self.bench.mono_s)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Give a place in the queue up."""
        ticket = self._draw(data, self.model.waiting)
        if ticket is None:
            return

        outcome = self._outcome(ReleaseReservation(reservation_id=ticket))

        assert outcome.released == [ticket]
        self._heard(self.model.waiting.pop(ticket).holder)
        self.model.admit(self.bench.mono_s)

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data(), wait_s=waits)
    def resume(self, data: st.DataObject, wait_s: int) -> None:
        """Ask what has become of a ticket, and wait on in the same place."""
        known = self._draw(data, {**self.model.waiting, **self.model.granted})
        if known is None:
            return
        is_waiting = known in self.model.waiting
        claim = self.model.waiting[known] if is_waiting else self.model.granted[known]
        command = Reserve(agent_id=claim.holder, ticket=known, on_conflict=OnConflict.WAIT, wait_seconds=wait_s)

        outcome = self._outcome(command)

        if not is_waiting:
            assert outcome.id == known
            return
        assert outcome == Queued(known)
        self._heard(claim.holder)
        self.model.waiting[known] = Held(
            known, claim.holder, claim.wanted, claim.ttl_s, self.bench.mono_s + wait_s, claim.behind
        )

    # What time and the machine do.

    @rule(name=names)
    def heartbeat(self, name: str) -> None:
        """A sign of life; whoever sends none is gone after five minutes."""
        if name in self.model.heard_s:
            self.bench.heartbeat(name)
            self.model.heard_s[name] = self.bench.mono_s

    @rule(seconds=st.sampled_from([0.5, 20, 150, 300, 1999]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, with the ticker awake at every deadline on the way."""
        until_s = self.bench.mono_s + seconds
        while (next_s := self.model.next_event_s()) <= until_s:
            self.bench.wait(max(0.0, next_s - self.bench.mono_s))
            self.bench.run(Tick())
            self.model.let_time_do(self.bench.mono_s)
        self.bench.wait(until_s - self.bench.mono_s)

    @rule(is_new_process=st.booleans())
    def start_over(self, is_new_process: bool) -> None:
        """A new run of the actor: the queue is empty, no grant is lost."""
        tickets = list(self.model.waiting)
        if is_new_process:
            self.bench.tick(flushes_heartbeats=True)
            self.model.let_time_do(self.bench.mono_s)
            self.bench.restart()
            self.model.restart(self.bench.mono_s)
            self._note_silence_after_a_restart()
        else:
            self.bench.crash()
            self.model.waiting.clear()
        self.furnish()

        for ticket in tickets[:1]:
            asked = self._outcome(Reserve(agent_id=NAMES[0], ticket=ticket))
            assert isinstance(asked, UnknownTicket)

    @rule(
        asks=st.lists(st.tuples(names, wishes, st.sampled_from([None, OnConflict.WAIT])), min_size=1, max_size=4),
        data=st.data(),
        is_lost=st.booleans(),
    )
    def decide_before_storing(
        self, asks: list[tuple[str, list[Wanted], OnConflict | None]], data: st.DataObject, is_lost: bool
    ) -> None:
        """While a batch is on its way to the disk, others see what is stored; if it is lost, nothing was asked."""
        commands: list[Any] = [command_for(name, wanted, 400, on_conflict=how) for name, wanted, how in asks]
        if (known := self._draw(data, self.model.granted)) is not None:
            commands += [RenewReservation(reservation_id=known, mode="S"), ReleaseReservation(reservation_id=known)]
        before, stored = self._seen(), dict(self._committed())

        outcomes, transactions = self.bench.decide(*((command, LOCAL) for command in commands))

        assert self._seen() == before
        assert dict(self._committed()) == stored
        if is_lost:
            for (name, _, _), outcome in zip(asks, outcomes, strict=False):
                if not isinstance(outcome, DomainError):
                    self._heard(name)
            if known is not None:
                self._heard(self.model.granted[known].holder)
            self.bench.crash()
            self.model.waiting.clear()
            self.furnish()
        else:
            self.bench.store(transactions)
            self._follow(asks, outcomes, known)

    def _follow(
        self, asks: list[tuple[str, list[Wanted], OnConflict | None]], outcomes: list[Any], known: str | None
    ) -> None:
        """Do to the model what the stored batch has done; what each answer had to be is the business of other rules."""
        for (name, wanted, how), outcome in zip(asks, outcomes, strict=False):
            if isinstance(outcome, Queued):
                assert how is OnConflict.WAIT
                self.model.enqueue(Held(outcome.ticket, name, tuple(wanted), 400, self._in(limits.WAIT_MAX_S)))
                self._heard(name)
            elif isinstance(outcome, DomainError):
                assert not self.model.is_free(self._claim(name, wanted, 400))
            else:
                self._compare_newcomer(self._claim(name, wanted, 400), outcome)
        if known is not None:
            converted, released = outcomes[-2:]
            claim = self.model.granted[known]
            if not isinstance(converted, DomainError) and any(each.mode != "S" for each in claim.wanted):
                self.model.granted[known] = claim.in_mode("S")
                self.model.settle(self.bench.mono_s)
            assert released.released == [known]
            self._heard(claim.holder)
            self.model.end(known, "released", self.bench.mono_s)


class ContestingMachine(ClaimsMachine):
    """Grants past what stands in the way, too: what is contested is known, and nothing else clashes."""

    @rule(name=names, wanted=wishes, ttl_s=ttls)
    def reserve_all_the_same(self, name: str, wanted: list[Wanted], ttl_s: int) -> None:
        """Take it whatever stands in the way."""
        claim = self._claim(name, wanted, ttl_s)
        obstacles = self.model.obstacles(claim)

        outcome = self._outcome(command_for(name, wanted, ttl_s, on_conflict=OnConflict.GRANT))

        self._grant(claim, outcome)
        self.contested |= {frozenset({outcome.id, each.id}) for each in obstacles}
        told = {each.reservation_id for each in outcome.contested or () if each.standing == "enforced"}
        is_cut = len(outcome.contested or ()) == limits.CONFLICTS_SHOWN_MAX
        expected = {each.id for each in obstacles}
        assert told <= expected if is_cut else told == expected
        self.model.settle(self.bench.mono_s)
