"""The mailbox against a plain model: nothing lost, nothing answered twice, order kept, the culprit never run again.

Hypothesis draws a history; one interpreter plays it on the mailbox and on the model and compares after each step. The
negative controls play short histories on mailboxes that are broken on purpose, and must be caught.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import (
    AskTimeout,
    Envelope,
    Mailbox,
    MailboxClosed,
    MailboxFull,
    RequestCrashed,
    RequestLost,
)

Box = Mailbox[int, int]
Step = tuple[str, int]
CAPACITY = 4
TIMEOUT_S = 10.0

STEPS = st.one_of(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "tell", "take", "take"]), st.integers(1, 4)),
    st.tuples(st.sampled_from(["begin", "decided", "commit_started", "answer", "refuse", "leave"]), st.integers(0, 7)),
    st.tuples(st.sampled_from(["crash", "cancel", "close", "reopen"]), st.just(0)),
    st.tuples(st.just("sleep"), st.integers(1, 6)),
)


@dataclass
class Model:
    """What should be: plain lists of request numbers."""

    waiting: list[int] = field(default_factory=list)
    taken: dict[int, str] = field(default_factory=dict)
    """In order of taking, with how far each got."""
    deadlines_s: dict[int, float] = field(default_factory=dict)
    """Of the askers that still wait; told requests have none."""
    told: set[int] = field(default_factory=set)
    outcomes: dict[int, object] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    """Culprits, lost and answered ones: must never be handed out again."""
    is_closed: bool = False

    def settle(self, number: int, outcome: object) -> None:
        """Note the one outcome; an asker that has gone has none to hear."""
        self.dead.add(number)
        if self.deadlines_s.pop(number, None) is not None:
            assert number not in self.outcomes
            self.outcomes[number] = outcome

    def is_wanted(self, number: int) -> bool:
        """Tell whether somebody waits for it, or it was told."""
        return number in self.told or number in self.deadlines_s

    def end_run(self, *, is_crash: bool) -> None:
        """Sort out the taken ones as the mailbox promises to."""
        again = []
        for number, phase in self.taken.items():
            if phase == "commit_started":
                self.settle(number, RequestLost)
            elif phase == "begin" and is_crash:
                self.settle(number, RequestCrashed)
            elif self.is_closed and number not in self.told:
                self.settle(number, MailboxClosed)
            elif self.is_wanted(number):
                again.append(number)
        self.taken.clear()
        self.waiting[:0] = again

    def pass_time(self, now_s: float) -> None:
        """Let the deadlines pass."""
        for number in [number for number, at_s in self.deadlines_s.items() if at_s <= now_s]:
            self.settle(number, AskTimeout)
        self.waiting = [number for number in self.waiting if self.is_wanted(number)]


class History:
    """Plays steps on the mailbox and on the model."""

    def __init__(self, make_box: Callable[[], Box], nursery: trio.Nursery) -> None:
        self.box, self.model, self.nursery = make_box(), Model(), nursery
        self.count = 0
        self.scopes: dict[int, trio.CancelScope] = {}
        self.heard: dict[int, object] = {}
        self.envelopes: dict[int, Envelope[int, int]] = {}

    async def play(self, steps: list[Step]) -> None:
        """Play all steps, then end the run and close, and assert that every asker heard exactly one thing."""
        for name, argument in steps:
            await self.step(name, argument)
            await wait_all_tasks_blocked()
            self.compare()
        for name in ("crash", "close"):
            await self.step(name, 0)
        await wait_all_tasks_blocked()
        self.compare()
        assert not self.model.deadlines_s, "an asker was left without an answer"

    def compare(self) -> None:
        """Assert that mailbox and model agree."""
        assert self.box.depth == len(self.model.waiting)
        assert self.box.depth <= CAPACITY + 8, "bounded by the capacity and what was taken"
        assert self.heard.keys() == self.model.outcomes.keys()
        for number, outcome in self.model.outcomes.items():
            heard = self.heard[number]
            assert heard == outcome or (isinstance(outcome, type) and isinstance(heard, outcome)), (heard, outcome)

    async def step(self, name: str, argument: int) -> None:
        """Play one step."""
        if name in ("ask", "tell"):
            await self.add(name)
        elif name == "take":
            await self.take(argument)
        elif name in ("begin", "decided", "commit_started", "answer", "refuse"):
            self.handle(name, argument)
        elif name == "leave":
            self.leave(argument)
        elif name in ("crash", "cancel"):
            self.box.end_run(ValueError("bug") if name == "crash" else None)
            self.model.end_run(is_crash=name == "crash")
            self.envelopes.clear()
        elif name == "close":
            self.box.close("parked")
            self.model.is_closed = True
            for number in [number for number in self.model.waiting if number not in self.model.told]:
                self.model.waiting.remove(number)
                self.model.settle(number, MailboxClosed)
        elif name == "reopen":
            self.box.reopen()
            self.model.is_closed = False
        else:
            await trio.sleep(argument)
            self.model.pass_time(trio.current_time())

    async def add(self, name: str) -> None:
        """Ask or tell the next number."""
        self.count += 1
        number, model = self.count, self.model
        refusal = MailboxClosed if model.is_closed else MailboxFull if len(model.waiting) >= CAPACITY else None
        if name == "tell":
            if refusal is None:
                self.box.tell(number)
                model.told.add(number)
                model.waiting.append(number)
            else:
                with pytest.raises(refusal):
                    self.box.tell(number)
            return
        self.nursery.start_soon(self.ask, number)
        model.deadlines_s[number] = trio.current_time() + TIMEOUT_S
        if refusal is None:
            model.waiting.append(number)
        else:
            model.settle(number, refusal)

    async def ask(self, number: int) -> None:
        """Ask and note what was heard, once."""
        self.scopes[number] = trio.CancelScope()
        with self.scopes[number]:
            outcome: object
            try:
                outcome = await self.box.ask(number, timeout_s=TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - whatever is heard is compared.
                outcome = error
            assert number not in self.heard
            self.heard[number] = outcome

    async def take(self, max_items: int) -> None:
        """Take, and assert that exactly the right ones come in the right order."""
        if len(self.model.taken) > CAPACITY:
            return  # The mailbox asserts that owners settle; `test_mailbox.py` tests that.
        expected = self.model.waiting[:max_items]
        batch: list[Envelope[int, int]] = []
        with trio.move_on_after(0.001 if not expected else 100):
            batch = await self.box.take(max_items)
        if not expected:
            self.model.pass_time(trio.current_time())
        numbers = [envelope.request for envelope in batch]
        assert numbers == expected, "order"
        assert not self.model.dead & set(numbers), "run again after its end"
        del self.model.waiting[: len(expected)]
        for envelope in batch:
            self.envelopes[envelope.request] = envelope
            self.model.taken[envelope.request] = "take"

    def handle(self, name: str, index: int) -> None:
        """Let the owner do something with one of the taken ones."""
        if not self.envelopes:
            return
        number = list(self.envelopes)[index % len(self.envelopes)]
        envelope = self.envelopes[number]
        assert envelope.is_wanted == self.model.is_wanted(number)
        if name == "answer":
            envelope.answer(-number)
            self.model.settle(number, -number)
        elif name == "refuse":
            envelope.refuse(KeyError(number))
            self.model.settle(number, KeyError)
        else:
            getattr(envelope, name)()
            self.model.taken[number] = name
            return
        del self.envelopes[number], self.model.taken[number]

    def leave(self, index: int) -> None:
        """Send one asker away."""
        present = list(self.model.deadlines_s)
        if present:
            number = present[index % len(present)]
            self.scopes[number].cancel()
            del self.model.deadlines_s[number]
            self.model.waiting = [other for other in self.model.waiting if other != number]


def play(make_box: Callable[[], Box], steps: list[Step]) -> None:
    """Play one history in a loop of its own."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await History(make_box, nursery).play(steps)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_mailbox_agrees_with_its_model(steps: list[Step]) -> None:
    """Whatever happens in whatever order, every asker hears one right thing and every request is run as promised."""
    play(lambda: Mailbox(CAPACITY, "model"), steps)


class RunsCulpritAgain(Box):
    """Broken: a crash has no culprit."""

    def end_run(self, error: BaseException | None) -> bool:  # noqa: ARG002 - ignored, that is the defect.
        """Sort out as if the run had only been cancelled."""
        return super().end_run(None)


class ForgetsTaken(Box):
    """Broken: what a crashed run had taken is gone."""

    def end_run(self, error: BaseException | None) -> bool:  # noqa: ARG002 - as above.
        """Forget."""
        return False


class RequeuesAtTheEnd(Box):
    """Broken: what comes back loses its place."""

    def end_run(self, error: BaseException | None) -> bool:
        """Queue again behind the others."""
        is_blamed = super().end_run(error)
        if (first := next(iter(self._waiting), None)) is not None:
            self._waiting.remove(first)
            self._waiting.add(first, is_needed=False)
        return is_blamed


class Unbounded(Box):
    """Broken: never full."""

    def __init__(self, capacity: int, name: str) -> None:
        super().__init__(capacity + 10**6, name)


class LeavesWaiting(Box):
    """Broken: parking is told to nobody."""

    def close(self, reason: str) -> None:
        """Refuse new ones only."""
        self._closed_reason = reason


@pytest.mark.parametrize(
    ("broken", "steps"),
    [
        (RunsCulpritAgain, [("ask", 1), ("take", 1), ("begin", 0), ("crash", 0)]),
        (ForgetsTaken, [("ask", 1), ("take", 1), ("crash", 0)]),
        (RequeuesAtTheEnd, [("tell", 1), ("tell", 1), ("take", 2), ("cancel", 0), ("take", 2)]),
        (Unbounded, [("tell", 1)] * (CAPACITY + 1)),
        (LeavesWaiting, [("ask", 1), ("close", 0)]),
    ],
)
def test_mailbox_model_catches_a_broken_mailbox(broken: type[Box], steps: list[Step]) -> None:
    """Negative control: each kind of broken mailbox fails in the model, and the sound one passes the same history."""
    play(lambda: Mailbox(CAPACITY, "sound"), steps)

    with pytest.raises((BaseExceptionGroup, AssertionError, pytest.fail.Exception)):
        play(lambda: broken(CAPACITY, "broken"), steps)
