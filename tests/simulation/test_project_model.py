"""One project against a plain model: whatever is done in whatever order, every answer is the model's (guarantees.md 2, "all").

Time passes, actors crash and restart, batches are lost before they are stored.
"""

from typing import Any, Final

import hypothesis.strategies as st
from handler_bench import LOCAL, Bench
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace
from plain_model import MESSAGE_IDS, NAMES, PATTERNS, SILENCE_S, Lease, Model
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import AckMessage, Inbox, InboxCounts, ReadMessage, SendMessage, Threads
from intermute.core.api.reservations import ListReservations, ReleaseAll, ReleaseReservation, RenewReservation, Reserve
from intermute.core.errors import DomainError, MessageIdTaken, NotARecipient, ReservationConflict, ReservationEnded
from intermute.core.lock_table import Mode
from intermute.core.patterns import overlap
from intermute.project.handlers.liveness import Tick

names = st.sampled_from(NAMES)
patterns = st.sampled_from(PATTERNS)
wishes = st.lists(patterns, min_size=1, max_size=3)
recipients = st.lists(names, min_size=1, max_size=3)
message_ids = st.sampled_from(MESSAGE_IDS)


class ProjectMachine(RuleBasedStateMachine):
    """Does to a project and to the model the same, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.model = Model()
        self.head = 0

    # What agents do.

    @initialize()
    def begin(self) -> None:
        """Two agents are there from the beginning."""
        for name in NAMES[:2]:
            self.register(name)

    @rule(name=names)
    def register(self, name: str) -> None:
        """Register an agent, or renew it: it keeps its id, and adopts what its name has."""
        session = f"0d6a3c5e-1a8b-4a0e-8a55-00000000000{NAMES.index(name)}"

        registered = self.bench.run(RegisterAgent(name=name, session_id=session))

        assert registered.name == name
        assert registered.renewed == (name in self.model.heard_s)
        self.model.heard_s[name] = self.bench.mono_s

    @rule(name=names)
    def heartbeat(self, name: str) -> None:
        """A sign of life."""
        if name in self.model.heard_s:
            self.bench.heartbeat(name)
            self.model.heard_s[name] = self.bench.mono_s

    @rule(name=names, wanted=wishes, is_shared=st.booleans(), ttl_s=st.sampled_from([1, 60, 400, 2000]))
    def reserve(self, name: str, wanted: list[str], is_shared: bool, ttl_s: int) -> None:
        """Ask for patterns; granted exactly where the model finds nothing in the way."""
        self._apply_reserve(name, wanted, is_shared, ttl_s, self._outcome(self._wish(name, wanted, is_shared, ttl_s)))

    @rule(
        asks=st.lists(st.tuples(names, wishes, st.booleans()), min_size=2, max_size=4),
        ttl_s=st.sampled_from([60, 2000]),
    )
    def reserve_together(self, asks: list[tuple[str, list[str], bool]], ttl_s: int) -> None:
        """Several ask within one batch: the answers are those of one after the other."""
        commands = [(self._wish(name, wanted, is_shared, ttl_s), LOCAL) for name, wanted, is_shared in asks]

        for (name, wanted, is_shared), outcome in zip(asks, self.bench.batch(*commands), strict=True):
            self._apply_reserve(name, wanted, is_shared, ttl_s, outcome)

    def _wish(self, name: str, wanted: list[str], is_shared: bool, ttl_s: int) -> Reserve:
        return Reserve(agent_id=name, patterns=wanted, shared=is_shared, ttl_seconds=ttl_s)

    def _apply_reserve(
        self,
        name: str,
        wanted: list[str],
        is_shared: bool,
        ttl_s: int,
        outcome: Any,  # Any: as `_outcome`.
    ) -> None:
        expected = self.model.in_the_way(wanted, name, is_shared=is_shared)
        if expected:
            assert isinstance(outcome, ReservationConflict)
            told = {conflict.reservation_id for conflict in outcome.conflicts}  # type: ignore[attr-defined] # views.
            assert told <= expected if outcome.is_cut else told == expected
            return
        assert not isinstance(outcome, DomainError), outcome
        self.model.leases.append(
            Lease(outcome.id, name, tuple(wanted), is_shared, outcome.fence, self.bench.mono_s + ttl_s)
        )
        self.model.fences.append(outcome.fence)
        self._heard(name)

    @rule(data=st.data(), ttl_s=st.sampled_from([1, 60, 400, 2000]))
    def renew(self, data: st.DataObject, ttl_s: int) -> None:
        """Renew some reservation, active or ended."""
        lease_id = self._draw_lease(data)
        if lease_id is None:
            return

        outcome = self._outcome(RenewReservation(reservation_id=lease_id, ttl_seconds=ttl_s))

        if lease_id in self.model.ended:
            assert isinstance(outcome, ReservationEnded)
            assert outcome.how == self.model.ended[lease_id]
            return
        [lease] = [each for each in self.model.leases if each.id == lease_id]
        lease.deadline_s = self.bench.mono_s + ttl_s
        assert outcome.fence == lease.fence
        self._heard(lease.holder)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Release some reservation, active or ended."""
        lease_id = self._draw_lease(data)
        if lease_id is None:
            return

        outcome = self._outcome(ReleaseReservation(reservation_id=lease_id))

        if lease_id in self.model.ended:
            assert isinstance(outcome, ReservationEnded)
            return
        [lease] = [each for each in self.model.leases if each.id == lease_id]
        self._heard(lease.holder)
        self.model.end(lease, "released")
        assert outcome.released == [lease_id]

    @rule(name=names)
    def release_all(self, name: str) -> None:
        """Give back everything that one agent holds."""
        mine = [lease for lease in self.model.leases if lease.holder == name]

        outcome = self.bench.run(ReleaseAll(agent_id=name))

        assert outcome.released == [lease.id for lease in mine]
        self._heard(name)
        for lease in mine:
            self.model.end(lease, "released")

    @rule(
        sender=names,
        to=st.lists(names, min_size=1, max_size=3),
        message_id=st.sampled_from(MESSAGE_IDS),
        body=st.sampled_from("xy"),
    )
    def send(self, sender: str, to: list[str], message_id: str, body: str) -> None:
        """Send, repeat, update, or take another's id."""
        known = self.model.letter(message_id)

        outcome = self._outcome(SendMessage(sender=sender, to=to, id=message_id, body=body, thread_id="t"))

        match self.model.send(sender, tuple(to), message_id, body, getattr(outcome, "cursor", 0)):
            case "message_id_taken":
                assert isinstance(outcome, MessageIdTaken)
                return
            case "repeated":
                assert known is not None
                assert (outcome.replayed, outcome.cursor) == (True, known.first_cursor)
                return
            case heard:
                assert outcome.updated == (heard == "updated")
        self._heard(sender)

    @rule(name=names, message_id=message_ids, is_ack=st.booleans())
    def mark(self, name: str, message_id: str, is_ack: bool) -> None:
        """Read or acknowledge; only a recipient can."""
        if self.model.letter(message_id) is None:
            return

        outcome = self._outcome((AckMessage if is_ack else ReadMessage)(message_id=message_id, agent=name))

        expected = self.model.mark(name, message_id, is_ack=is_ack)
        if expected == "not_a_recipient":
            assert isinstance(outcome, NotARecipient)
            return
        assert ((outcome.read_at is not None), (outcome.ack_at is not None)) == expected
        self._heard(name)

    # What time and the machine do.

    @rule(seconds=st.sampled_from([0.5, 1, 59, 60, 150, 299, 300, 1999]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass, with the ticker awake at every deadline on the way."""
        until_s = self.bench.mono_s + seconds
        while (next_s := self.model.next_event_s()) <= until_s:
            self.bench.wait(max(0.0, next_s - self.bench.mono_s))
            self.bench.run(Tick())
            self.model.let_time_do(self.bench.mono_s)
        self.bench.wait(until_s - self.bench.mono_s)

    @rule()
    def flush_heartbeats(self) -> None:
        """Write what was heard."""
        self.bench.run(Tick(flushes_heartbeats=True))

    @rule()
    def crash(self) -> None:
        """A new run in the same process: nothing changes at all."""
        self.bench.crash()

    @precondition(lambda self: self.model.heard_s)
    @rule()
    def restart(self) -> None:
        """A new process: leases keep what is left of them and a minute at least; who was live is live."""
        self.bench.tick(flushes_heartbeats=True)

        self.bench.restart()

        self.model.restart(self.bench.mono_s)
        holders = {lease.holder for lease in self.model.leases}
        for name, heard_s in self.model.heard_s.items():
            silence_s = self.bench.mono_s - heard_s
            if name in holders or silence_s < SILENCE_S + limits.LIVENESS_FLUSH_S:
                silence_s = min(silence_s, SILENCE_S - limits.RESTART_GRACE_S)
            self.model.heard_s[name] = self.bench.mono_s - silence_s

    @rule(name=names, wanted=wishes)
    def lose_a_batch(self, name: str, wanted: list[str]) -> None:
        """A batch is decided and lost before it is stored: as if nobody had asked, but that its agents were heard."""
        self.bench.decide(
            (Reserve(agent_id=name, patterns=wanted), LOCAL),
            (ReleaseAll(agent_id=NAMES[0]), LOCAL),
            (SendMessage(sender=name, to=[NAMES[1]], id="lost"), LOCAL),
        )
        for each in (name, NAMES[0]):
            self._heard(each)

        self.bench.crash()

    # What must be true at any time.

    @invariant()
    def no_two_hold_what_goes_not_together(self) -> None:
        """The promise of the whole service (G6), by brute force on what is stored."""
        held = list(self.bench.state.leases)
        for at, one in enumerate(held):
            for other in held[at + 1 :]:
                if one.holder != other.holder and Mode.X in (one.mode, other.mode):
                    assert not any(overlap(a.target.pattern, b.target.pattern) for a in one.asked for b in other.asked)

    @invariant()
    def leases_are_the_models(self) -> None:
        """The same reservations, in memory and in the list that comes from the disk, with the same deadlines."""
        expected = {lease.id: lease.deadline_s for lease in self.model.leases}
        found = {str(lease.id): lease.deadline_s for lease in self.bench.state.leases}
        listed = {each.id for each in self.bench.ask(ListReservations(limit=1000)).reservations}

        assert found.keys() == expected.keys() == listed
        assert all(abs(found[each] - expected[each]) < 0.01 for each in found)
        assert self.model.fences == sorted(set(self.model.fences))

    @invariant()
    def checks_are_the_models(self) -> None:
        """A check finds what the model finds, for everyone."""
        for asker in (None, NAMES[0]):
            found = self.bench.ask(CheckReservations(pattern="src/**", agent=asker, mode="shared")).conflicts
            assert {each.reservation_id for each in found} == self.model.in_the_way(["src/**"], asker, is_shared=True)

    @invariant()
    def inboxes_are_the_models(self) -> None:
        """Every inbox holds what the model says, once, in the order of cursors."""
        for name in NAMES:
            mine = sorted((each for each in self.model.letters if name in each.inboxes), key=lambda each: each.cursor)
            page = self.bench.ask(Inbox(agent=name)).messages
            assert [(each.id, each.body, each.cursor) for each in page] == [(m.id, m.body, m.cursor) for m in mine]
            assert [(m.read_at is not None, m.ack_at is not None) for m in page] == [m.inboxes[name] for m in mine]
            assert self.bench.ask(InboxCounts(agent=name)).unread == sum(not m.inboxes[name][0] for m in mine)
            taking_part = [m for m in self.model.letters if name == m.sender or name in m.inboxes]
            counts = [thread.message_count for thread in self.bench.ask(Threads(agent=name)).threads]
            assert counts == ([len(taking_part)] if taking_part else [])

    @invariant()
    def cursors_grow_without_a_gap(self) -> None:
        """The log is 1, 2, 3 … and never shrinks (G5)."""
        events = self.bench.events()

        assert [event.cursor for event in events] == list(range(1, len(events) + 1))
        assert len(events) == self.bench.state.head >= self.head
        self.head = len(events)

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        """The actor may crash at any time: a fresh load is the memory that it had (design.md 3.3)."""
        fresh = self.bench.loaded(self.bench.state)

        assert {each.id: each for each in fresh.leases} == {each.id: each for each in self.bench.state.leases}
        assert {each.id: each for each in fresh.agents} == {each.id: each for each in self.bench.state.agents}
        for name in NAMES:
            assert fresh.agents.canonical(name) == self.bench.state.agents.canonical(name)
        assert (fresh.head, fresh.batch) == (self.bench.state.head, self.bench.state.batch)

    # Short cuts.

    def _outcome(self, command: object) -> Any:  # Any: a view or an error.
        [outcome] = self.bench.batch((command, LOCAL))
        return outcome

    def _heard(self, name: str) -> None:
        if name in self.model.heard_s:
            self.model.heard_s[name] = self.bench.mono_s

    def _draw_lease(self, data: st.DataObject) -> str | None:
        known = [lease.id for lease in self.model.leases] + list(self.model.ended)
        return data.draw(st.sampled_from(known)) if known else None


SIMULATED: Final = settings(
    max_examples=100,
    phases=[Phase.generate],
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_project_behaves_as_the_model() -> None:
    """A hundred lives of a project of up to fifty steps each."""
    run_state_machine_as_test(ProjectMachine, settings=SIMULATED)


class _Forgetful(ProjectMachine):
    """Loses a lease from the book now and then, as an index with a hole would."""

    @rule()
    def forget(self) -> None:
        """Drop what is held from the lock table, and nothing else."""
        for lease in list(self.bench.state.leases):
            self.bench.state.leases.end(lease)
            self.bench.state.leases.load(replace(lease, claim=replace(lease.claim, targets=lease.claim.targets[:1])))


def test_project_that_forgets_is_found() -> None:
    """Control: a project whose book loses patterns does not behave as the model."""
    with raises(AssertionError):
        run_state_machine_as_test(
            _Forgetful, settings=settings(SIMULATED, phases=[Phase.generate], report_multiple_bugs=False)
        )
