"""Messages that wait for their recipient's approval (issue 6 point 2)."""

import pytest
from handler_bench import LOCAL, Bench, claiming, proving
from holding import guarded_bench, held, hold, types
from pytest import raises

from intermute.core import limits
from intermute.core.api.contacts import (
    ApproveMessage,
    DeclineMessage,
    ListHeld,
    PutContact,
    SetPolicy,
)
from intermute.core.api.messages import GetMessage, InboxCounts, SendMessage, Thread, Threads
from intermute.core.errors import (
    AgentIdentityMismatch,
    InvalidRequest,
    NotHeld,
    PolicyDenied,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben (who takes messages from contacts alone) and carl."""
    return guarded_bench()


def test_hold_keeps_what_nobody_takes(bench: Bench) -> None:
    """It is stored, in nobody's inbox; the answer says who has to approve it; the recipient hears that, and not a word of it."""
    head = bench.state.head

    sent = hold(bench, "ben", subject="secret", body="b" * 300)

    assert (sent.held, sent.denied, sent.delivery) == (["ben"], None, "held")
    assert bench.inbox("ben").messages == []
    assert bench.ask(InboxCounts(agent="ben")).unread == 0
    [waiting] = held(bench, "ben")
    assert (waiting.message_id, waiting.sender, waiting.reason) == ("m1", "anna", "not_a_contact")
    assert waiting.preview == "b" * limits.HELD_PREVIEW_CHARS
    assert types(bench, head) == [("message.created", frozenset()), ("message.held", frozenset({"ben"}))]
    [told] = [each for each in bench.events(head) if each.type == "message.held"]
    assert "secret" not in str(told.data)


def test_hold_is_for_those_who_are_missing(bench: Bench) -> None:
    """The others get it at once, and see nobody besides."""
    bench.run(SetPolicy(agent="carl", policy="block_all"))

    sent = hold(bench, "dora", "ben", "carl")

    assert (sent.delivery, sent.held, sent.denied) == ({"dora": "async", "ben": "held"}, ["ben"], ["carl"])
    assert [each.to for each in bench.inbox("dora").messages] == [["dora"]]


def test_approval_delivers_under_a_new_cursor(bench: Bench) -> None:
    """Who has read its inbox up to now finds the message after that, once, with its own place in the log and its event."""
    hold(bench, "ben", "carl", thread_id="t", body="hello")
    before = bench.send("carl", "dora").cursor

    approved = bench.run(ApproveMessage(message_id="m1", agent="ben"))

    assert approved.cursor > before
    page = bench.inbox("ben", since=before)
    assert [(each.id, each.cursor, each.to) for each in page.messages] == [("m1", approved.cursor, ["carl", "ben"])]
    assert page.cursor == approved.cursor
    assert bench.inbox("ben", since=approved.cursor).messages == []
    name_of = bench.state.agents.name_of
    [created, told] = bench.events(approved.cursor - 1)
    assert (created.type, created.cursor) == ("message.created", approved.cursor)
    assert set(created.audience or ()) == {str(bench.state.agents.canonical("ben"))}
    assert (told.type, {name_of(each) for each in told.audience or ()}) == ("message.approved", {"anna", "ben"})  # type: ignore[arg-type] # ids.
    assert held(bench, "ben") == []
    assert [each.thread_id for each in bench.ask(Threads(agent="ben")).threads] == ["t"]


def test_approval_leaves_the_message_where_it_is_for_the_others(bench: Bench) -> None:
    """Neither the inbox of who had it at once nor the thread's order knows of a later approval."""
    sent = hold(bench, "ben", "carl", thread_id="t")
    bench.run(ApproveMessage(message_id="m1", agent="ben"))

    assert [each.cursor for each in bench.inbox("carl").messages] == [sent.cursor]
    assert [each.cursor for each in bench.ask(Thread(thread_id="t")).messages] == [sent.cursor]
    again = hold(bench, "ben", "carl", thread_id="t")
    assert (again.replayed, again.delivery, again.held) == (True, {"ben": "async", "carl": "async"}, None)


def test_approval_makes_an_answer_possible(bench: Bench) -> None:
    """Once ben has let anna's word in, what carl received with it opens the thread between ben and carl."""
    hold(bench, "ben", "carl", thread_id="t")
    answer = SendMessage(sender="carl", to=["ben"], thread_id="t")
    with raises(PolicyDenied):
        bench.run(answer)

    bench.run(ApproveMessage(message_id="m1", agent="ben"))

    assert bench.run(answer).denied is None


def test_decline_is_told_to_the_sender(bench: Bench) -> None:
    """The sender hears it with the reason; the message is in no inbox and waits no more."""
    hold(bench, "ben")
    head = bench.state.head

    bench.run(DeclineMessage(message_id="m1", agent="ben", reason="not now"))

    [event] = bench.events(head)
    assert (event.type, event.data["reason"]) == ("message.declined", "not now")
    assert bench.state.agents.canonical("anna") in (event.audience or ())
    assert held(bench, "ben") == []
    assert bench.inbox("ben").messages == []
    assert hold(bench, "ben").denied == ["ben"]


@pytest.mark.parametrize("kind", [ApproveMessage, DeclineMessage])
def test_only_the_recipient_answers(bench: Bench, kind: type[ApproveMessage | DeclineMessage]) -> None:
    """Nobody lets a message into another's inbox, not even its sender; who says nothing of itself is asked."""
    dora = bench.register("dora")
    hold(bench, "ben")

    with raises(AgentIdentityMismatch):
        bench.run(kind(message_id="m1", agent="ben"), proving(dora))
    with raises(NotHeld):
        bench.run(kind(message_id="m1"), claiming("anna"))
    with raises(InvalidRequest):
        bench.run(kind(message_id="m1"))
    bench.run(kind(message_id="m1"), claiming("ben"))
    with raises(NotHeld):
        bench.run(kind(message_id="m1"), claiming("ben"))


def test_approval_twice_in_one_batch_delivers_once(bench: Bench) -> None:
    """The second one finds nothing that waits."""
    hold(bench, "ben")
    approve = ApproveMessage(message_id="m1", agent="ben")

    outcomes = bench.batch((approve, LOCAL), (approve, LOCAL))

    assert isinstance(outcomes[1], NotHeld)
    assert len(bench.inbox("ben").messages) == 1


def test_blind_copy_waits_blindly(bench: Bench) -> None:
    """A blind copy that is let in later is still known to its recipient and the sender alone."""
    hold(bench, "carl", bcc=["ben"])
    bench.run(ApproveMessage(message_id="m1", agent="ben"))

    assert bench.ask(GetMessage(message_id="m1"), claiming("carl")).bcc is None
    assert bench.ask(GetMessage(message_id="m1"), claiming("ben")).bcc == ["ben"]


def test_new_content_is_what_waits(bench: Bench) -> None:
    """The sender may change what waits; a contact meanwhile gets it with the change, and nothing waits any more."""
    hold(bench, "ben", body="one")
    hold(bench, "ben", body="two")
    assert [each.preview for each in held(bench, "ben")] == ["two"]
    bench.run(PutContact(agent="ben", other="anna"))

    hold(bench, "ben", body="three")

    assert held(bench, "ben") == []
    assert [each.body for each in bench.inbox("ben").messages] == ["three"]


def test_held_messages_are_bounded(bench: Bench) -> None:
    """So many wait and no more; the next one is denied with the reason, and has room once one is gone."""
    for number in range(limits.HELD_PER_AGENT_MAX):
        hold(bench, "ben", message_id=f"m{number}")

    with raises(PolicyDenied) as refused:
        hold(bench, "ben", message_id="more")
    assert refused.value.denials[0].reason == "held_full"
    bench.run(DeclineMessage(message_id="m0", agent="ben"))
    assert hold(bench, "ben", message_id="more").held == ["ben"]


def test_own_waiting_messages_are_read_by_oneself(bench: Bench) -> None:
    """A proved caller does not see what waits for another."""
    dora = bench.register("dora")

    with raises(AgentIdentityMismatch):
        bench.ask(ListHeld(agent="ben"), proving(dora))
