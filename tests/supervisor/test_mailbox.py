"""The mailbox, promise by promise; `test_mailbox_model.py` checks all of them together."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import (
    AskTimeout,
    Mailbox,
    MailboxClosed,
    MailboxError,
    MailboxFull,
    RequestCrashed,
    RequestLost,
)
from supervisor.mailbox import CONTROL_MAX

Box = Mailbox[str, str]


class Asker:
    """One caller of `ask`: what it got, and the means to send it away."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.outcome: object = None

    async def ask(self, box: Box, request: str, timeout_s: float = 100.0) -> None:
        """Ask, and keep the outcome."""
        with self.scope:
            try:
                self.outcome = await box.ask(request, timeout_s=timeout_s)
            except (MailboxError, ValueError) as error:
                self.outcome = error


@pytest.fixture
def box() -> Box:
    """A mailbox with room for three."""
    return Mailbox(3, "box")


async def ask_soon(nursery: trio.Nursery, box: Box, *requests: str) -> list[Asker]:
    """Start one asker per request, in order."""
    askers = []
    for request in requests:
        asker = Asker()
        nursery.start_soon(asker.ask, box, request)
        await wait_all_tasks_blocked()
        askers.append(asker)
    return askers


async def test_ask_answered_returns_the_reply(box: Box, nursery: trio.Nursery) -> None:
    """The reply of the owner reaches the asker."""
    [asker] = await ask_soon(nursery, box, "a")

    [envelope] = await box.take(10)
    envelope.begin()
    envelope.answer(envelope.request.upper())
    await wait_all_tasks_blocked()

    assert asker.outcome == "A"


@pytest.mark.parametrize("is_first", [True, False])
async def test_reply_at_the_cancellation_is_heard_once(box: Box, nursery: trio.Nursery, is_first: bool) -> None:
    """It goes to the asker or, where that one is on its way out already, to whom it has named for this."""
    heard: list[str] = []
    scope = trio.CancelScope()

    async def ask() -> None:
        with scope:
            heard.append("asker " + await box.ask("a", timeout_s=100, on_unheard=heard.append))

    nursery.start_soon(ask)
    await wait_all_tasks_blocked()
    [envelope] = await box.take(10)
    envelope.begin()

    if is_first:
        scope.cancel()
    envelope.answer("A")
    scope.cancel()
    await wait_all_tasks_blocked()

    assert heard == (["A"] if is_first else ["asker A"])


async def test_ask_refused_raises_that_error_alone(box: Box, nursery: trio.Nursery) -> None:
    """A refusal arrives as the very error, in no group."""
    [asker] = await ask_soon(nursery, box, "a")
    refusal = ValueError("no")

    [envelope] = await box.take(10)
    envelope.refuse(refusal)
    await wait_all_tasks_blocked()

    assert asker.outcome is refusal


@pytest.mark.parametrize(("waiting", "is_full"), [(2, False), (3, True), (4, True)])
async def test_tell_capacity_is_exact(box: Box, waiting: int, is_full: bool) -> None:
    """The request at the capacity is taken, the next is refused at once."""
    refused = 0
    for _ in range(waiting + 1):
        try:
            box.tell("x")
        except MailboxFull:
            refused += 1

    assert (refused > 0) == is_full
    assert box.depth == min(waiting + 1, 3)


async def test_ask_full_refuses_without_waiting(box: Box, autojump_clock: MockClock) -> None:
    """A full mailbox answers at once, whatever the deadline."""
    for _ in range(3):
        box.tell("x")
    began_at_s = trio.current_time()

    with pytest.raises(MailboxFull):
        await box.ask("y", timeout_s=100)

    assert trio.current_time() == began_at_s


async def test_ask_deadline_raises_and_is_not_run(box: Box, autojump_clock: MockClock) -> None:
    """A request whose deadline passes while it waits is never handed out, and the asker knows it."""
    with pytest.raises(AskTimeout) as timed_out:
        await box.ask("a", timeout_s=5)
    box.tell("b")

    assert not timed_out.value.was_taken
    assert trio.current_time() == 5.0
    assert [envelope.request for envelope in await box.take(10)] == ["b"]


async def test_take_in_the_instant_of_the_deadline_hands_nothing_out(
    box: Box, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    """Asker and owner wake together, in an order that trio draws: in neither is the late request run."""
    for _ in range(30):
        asker = Asker()
        nursery.start_soon(asker.ask, box, "late", 5.0)
        await wait_all_tasks_blocked()
        mock_clock.jump(5)
        box.tell("told")

        [envelope] = await box.take(10)

        assert envelope.request == "told"
        envelope.answer("done")
        await wait_all_tasks_blocked()
        assert isinstance(asker.outcome, AskTimeout)
        assert not asker.outcome.was_taken


async def test_ask_deadline_after_take_says_outcome_unknown(
    box: Box, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Once it was handed out, nobody can promise that it is not run."""
    asker = Asker()
    nursery.start_soon(asker.ask, box, "a", 5.0)
    [envelope] = await box.take(10)

    await trio.sleep(6)

    assert isinstance(asker.outcome, AskTimeout)
    assert asker.outcome.was_taken
    assert not envelope.is_wanted


async def test_ask_cancelled_withdraws_the_request(box: Box, nursery: trio.Nursery) -> None:
    """A request whose asker has gone gives its room back at once."""
    first, _second = await ask_soon(nursery, box, "a", "b")

    first.scope.cancel()
    await wait_all_tasks_blocked()

    assert box.depth == 1
    [envelope] = await box.take(10)
    assert envelope.request == "b"
    envelope.answer("done")


async def test_ask_cancelled_after_take_turns_unwanted(box: Box, nursery: trio.Nursery) -> None:
    """A handed out request whose asker has gone shows it, and may still be answered."""
    [asker] = await ask_soon(nursery, box, "a")
    [envelope] = await box.take(10)

    asker.scope.cancel()
    await wait_all_tasks_blocked()

    assert not envelope.is_wanted
    envelope.answer("nobody hears")
    assert asker.outcome is None


async def test_take_keeps_order_and_limit(box: Box) -> None:
    """Requests come in order of arrival, no more than asked for."""
    for request in "abc":
        box.tell(request)

    assert [envelope.request for envelope in await box.take(2)] == ["a", "b"]
    assert [envelope.request for envelope in await box.take(2)] == ["c"]


async def test_take_is_a_checkpoint(box: Box) -> None:
    """A busy owner still yields (hazards.md 30), and a cancelled take takes nothing."""
    box.tell("a")

    with trio.move_on_after(0) as scope:
        await box.take(1)

    assert scope.cancelled_caught
    assert box.depth == 1


async def test_tell_first_goes_before_requests_in_its_own_order(box: Box) -> None:
    """Control messages pass a full queue and keep their own order; they are bounded, too."""
    for request in "abc":
        box.tell(request)
    for number in range(CONTROL_MAX):
        box.tell_first(str(number))

    with pytest.raises(MailboxFull):
        box.tell_first("one more")

    assert [envelope.request for envelope in await box.take(CONTROL_MAX + 1)] == [*map(str, range(CONTROL_MAX)), "a"]


async def test_end_run_crash_answers_the_culprit_and_requeues_the_rest(box: Box, nursery: trio.Nursery) -> None:
    """The one being executed is told and never run again; decided and merely taken ones keep their places."""
    decided, culprit, taken = await ask_soon(nursery, box, "decided", "culprit", "taken")
    first, second, _ = await box.take(10)
    box.tell("later")
    first.begin()
    first.decided()
    second.begin()

    box.end_run(ValueError("bug"))
    await wait_all_tasks_blocked()

    assert isinstance(culprit.outcome, RequestCrashed)
    assert culprit.outcome.error_text == "ValueError: bug"
    again = await box.take(10)
    assert [envelope.request for envelope in again] == ["decided", "taken", "later"]
    for envelope in again:
        envelope.answer("done")
    await wait_all_tasks_blocked()
    assert [decided.outcome, taken.outcome] == ["done", "done"]


async def test_end_run_after_commit_started_tells_that_it_is_lost(box: Box, nursery: trio.Nursery) -> None:
    """Past the point of no return the request is not run again; the asker hears that nobody knows."""
    [asker] = await ask_soon(nursery, box, "a")
    [envelope] = await box.take(10)
    envelope.begin()
    envelope.commit_started()

    box.end_run(None)
    await wait_all_tasks_blocked()

    assert isinstance(asker.outcome, RequestLost)
    assert box.depth == 0


async def test_end_run_cancelled_requeues_the_one_begun(box: Box, nursery: trio.Nursery) -> None:
    """A run that was stopped has no culprit."""
    await ask_soon(nursery, box, "a")
    [envelope] = await box.take(10)
    envelope.begin()

    box.end_run(None)

    [again] = await box.take(10)
    assert again.request == "a"
    again.answer("done")


async def test_end_run_drops_what_nobody_wants(box: Box, nursery: trio.Nursery) -> None:
    """A taken request whose asker has gone is not queued again."""
    [asker] = await ask_soon(nursery, box, "a")
    await box.take(10)
    asker.scope.cancel()
    await wait_all_tasks_blocked()

    box.end_run(ValueError("bug"))

    assert box.depth == 0


async def test_end_run_never_runs_a_told_culprit_again(box: Box) -> None:
    """A told request that crashed its run is gone; one that was merely taken comes back."""
    box.tell("culprit")
    box.tell("taken")
    culprit, _ = await box.take(10)
    culprit.begin()

    box.end_run(ValueError("bug"))

    assert [envelope.request for envelope in await box.take(10)] == ["taken"]


async def test_close_answers_all_and_refuses_until_reopen(box: Box, nursery: trio.Nursery) -> None:
    """Parking is told to everybody who waits and to everybody who comes, with the reason."""
    askers = await ask_soon(nursery, box, "a", "b")

    box.close("parked")
    await wait_all_tasks_blocked()

    assert [str(asker.outcome) for asker in askers] == ["mailbox 'box' is closed: parked"] * 2
    with pytest.raises(MailboxClosed, match="parked"):
        await box.ask("c", timeout_s=1)
    with pytest.raises(MailboxClosed):
        box.tell("d")
    box.reopen()
    box.tell("e")
    assert box.depth == 1


async def test_end_run_while_closed_answers_instead_of_queueing(box: Box, nursery: trio.Nursery) -> None:
    """What a stopped child had merely taken is answered, not kept for nobody."""
    [asker] = await ask_soon(nursery, box, "a")
    await box.take(10)
    box.close("stopping")

    box.end_run(None)
    await wait_all_tasks_blocked()

    assert isinstance(asker.outcome, MailboxClosed)
    assert box.depth == 0


async def test_answer_twice_is_a_bug(box: Box) -> None:
    """An envelope has one outcome."""
    box.tell("a")
    [envelope] = await box.take(1)
    envelope.answer("one")

    with pytest.raises(AssertionError, match="settled before"):
        envelope.answer("two")


async def test_answer_after_end_of_run_is_a_bug(box: Box) -> None:
    """What went back to the queue belongs to the next run."""
    box.tell("a")
    [envelope] = await box.take(1)
    box.end_run(None)

    with pytest.raises(AssertionError, match="queued again"):
        envelope.answer("late")


async def test_take_bounds_what_an_owner_leaves_unsettled(box: Box) -> None:
    """An owner that never settles is stopped by an assertion instead of filling memory."""
    with pytest.raises(AssertionError, match="does not settle"):
        for _ in range(10):
            box.tell("a")
            await box.take(1)


@pytest.mark.parametrize("method", [Box.tell, Box.tell_first])
async def test_tell_wakes_a_waiting_owner(
    box: Box, nursery: trio.Nursery, method: Callable[[Box, str], None], autojump_clock: MockClock
) -> None:
    """A waiting owner is woken by the first request."""
    got: list[str] = []

    async def own() -> None:
        got.extend(envelope.request for envelope in await box.take(1))

    nursery.start_soon(own)
    await wait_all_tasks_blocked()

    method(box, "a")
    await wait_all_tasks_blocked()

    assert got == ["a"]


async def test_requeue_wakes_a_waiting_owner(box: Box, nursery: trio.Nursery) -> None:
    """A next run that already waits gets what the last one left."""
    box.tell("a")
    await box.take(1)
    got: list[str] = []

    async def own() -> None:
        got.extend(envelope.request for envelope in await box.take(1))

    nursery.start_soon(own)
    await wait_all_tasks_blocked()

    box.end_run(None)
    await wait_all_tasks_blocked()

    assert got == ["a"]
