"""Broadcasts and topics, as the handlers decide them: contract.md 1.5 and 1.6, issue 6 point 1."""

import pytest
from handler_bench import LOCAL, Bench, bench_of, claiming, keyed, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.broadcasts import Broadcast, Broadcasted, Topic
from intermute.core.api.contacts import SetPolicy
from intermute.core.api.messages import Inbox, MessagePage, SendMessage
from intermute.core.errors import AgentIdentityMismatch, BroadcastLimit, MessageIdTaken, PolicyDenied


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben and carl."""
    return bench_of("anna", "ben", "carl")


def say(bench: Bench, sender: str = "anna", body: str = "hello", **more: object) -> Broadcasted:
    """Broadcast."""
    reply = bench.run(Broadcast(sender=sender, topic="News", body=body, **more))  # type: ignore[arg-type] # as given.
    assert isinstance(reply, Broadcasted)
    return reply


def on_topic(bench: Bench, topic: str, since: int = 0, limit: int | None = None) -> MessagePage:
    """Read a topic."""
    page = bench.ask(Topic(project="demo", topic=topic, since_cursor=since, limit=limit))
    assert isinstance(page, MessagePage)
    return page


def bodies(page: MessagePage) -> list[str]:
    """Return what the messages of a page say."""
    return [message.body for message in page.messages]


def test_broadcast_reaches_everybody_but_its_sender(bench: Bench) -> None:
    """All others receive one message, with the topic as topics are kept, and nobody in it twice."""
    sent = say(bench)

    ids = {name: bench.state.agents.canonical(name) for name in ("anna", "ben", "carl")}
    [message] = bench.inbox("ben").messages
    assert sent == Broadcasted(message_id=message.id, cursor=message.cursor, delivered=2)
    assert (message.to, message.topic, message.broadcast) == ([ids["ben"], ids["carl"]], "news", True)
    assert [bodies(bench.inbox(name)) for name in ("ben", "carl", "anna")] == [["hello"], ["hello"], []]
    [event] = bench.events(sent.cursor - 1)
    assert event.type == "message.created"
    assert sorted(event.audience or ()) == sorted([ids["ben"], ids["carl"]])


@pytest.mark.parametrize(("include_stale", "heard"), [(None, 1), (False, 1), (True, 2)])
def test_broadcast_is_for_the_live(bench: Bench, include_stale: bool | None, heard: int) -> None:
    """Who has been silent for five minutes is left out, unless all are asked for."""
    bench.wait(limits.AGENT_SILENCE_S)
    bench.heartbeat("carl")

    assert say(bench, include_stale=include_stale).delivered == heard


def test_broadcast_to_nobody_stores_nothing() -> None:
    """As in the original: an empty id, cursor 0, and no event."""
    bench = Bench()
    bench.register("anna")
    head = bench.state.head

    assert say(bench) == Broadcasted(message_id="", cursor=0, delivered=0)
    assert bench.state.head == head


def test_broadcast_from_a_name_that_nobody_has_reaches_all(bench: Bench) -> None:
    """A sender need not be registered."""
    assert say(bench, "zed").delivered == 3


def test_broadcast_again_changes_nothing(bench: Bench) -> None:
    """The same id and content answers the first cursor, whoever has come or gone since, and takes none of the limit."""
    first = say(bench, id="b1")
    bench.register("dora")
    head = bench.state.head

    again = [say(bench, id="b1") for _ in range(limits.BROADCASTS_MAX + 1)]

    assert {(each.message_id, each.cursor, each.delivered, each.replayed) for each in again} == {
        ("b1", first.cursor, 2, True)
    }
    assert bench.state.head == head


def test_broadcast_with_an_id_and_other_content_updates(bench: Bench) -> None:
    """The sender's own entry is rewritten, as that of a message; another's is 409, and takes none of the limit."""
    say(bench, id="b1")

    changed = say(bench, id="b1", body="other")

    assert (changed.updated, bodies(bench.inbox("ben"))) == (True, ["other"])
    for _ in range(limits.BROADCASTS_MAX + 1):
        with raises(MessageIdTaken):
            say(bench, "ben", id="b1")
    assert say(bench, "ben").delivered == 2


def test_broadcast_with_a_key_is_given_once(bench: Bench) -> None:
    """A repeat is answered as the first sending was."""
    command = Broadcast(sender="anna", topic="news", body="x")

    replies = [bench.run(*keyed(command)) for _ in range(3)]

    assert len({reply.body for reply in replies}) == 1
    assert bodies(bench.inbox("ben")) == ["x"]


def test_broadcast_limit_slides_and_says_when(bench: Bench) -> None:
    """Ten within a minute; the eleventh is told exactly for how long to wait, and is served then."""
    for _ in range(limits.BROADCASTS_MAX):
        say(bench)
        bench.wait(2)
    head = bench.state.head

    with raises(BroadcastLimit) as refused:
        say(bench)
    assert (refused.value.retry_after_s, bench.state.head) == (limits.BROADCASTS_SPAN_S - 20, head)
    bench.wait(limits.BROADCASTS_SPAN_S - 20 - 0.5)
    with raises(BroadcastLimit):
        say(bench)
    bench.wait(0.5)
    assert say(bench).delivered == 2


def test_broadcast_limit_cannot_be_used_up_by_another(bench: Bench) -> None:
    """Who only says that it is anna takes nothing from the one that proves it; made-up names are one together."""
    dora = bench.register("dora")
    for number in range(limits.BROADCASTS_MAX):
        say(bench, "dora")
        say(bench, f"made-up-{number}")

    with raises(BroadcastLimit):
        say(bench, "dora")
    with raises(BroadcastLimit):
        say(bench, "one-more")
    assert bench.run(Broadcast(sender="dora", topic="t", body="x"), proving(dora)).delivered == 3
    assert say(bench, "ben").delivered == 3


def test_broadcast_limit_outlasts_a_fault(bench: Bench) -> None:
    """A memory that is built anew in the same process knows how often somebody broadcast."""
    for _ in range(limits.BROADCASTS_MAX):
        say(bench)

    bench.crash()

    with raises(BroadcastLimit):
        say(bench)


def test_broadcast_in_anothers_name_is_refused(bench: Bench) -> None:
    """Whoever proves who it is speaks for itself."""
    dora = bench.register("dora")

    with raises(AgentIdentityMismatch):
        bench.run(Broadcast(sender="anna", topic="t", body="x"), proving(dora))


def test_broadcast_to_a_thousand_is_three_statements() -> None:
    """One message, one statement for all entries, one event: that is what makes it fast."""
    bench = Bench()
    for number in range(1001):
        bench.register(f"a{number}")

    [reply], [_, transaction] = bench.decide((Broadcast(sender="a0", topic="t", body="x"), LOCAL))
    bench.store([transaction])

    assert (reply.delivered, len(transaction.statements)) == (1000, 3)
    assert [bodies(bench.inbox(f"a{number}")) for number in (1, 500, 1000)] == [["x"]] * 3


def test_topic_has_its_messages_in_the_order_of_the_log(bench: Bench) -> None:
    """Broadcasts and messages on a topic, by the project's own cursor, page by page; others are not there."""
    sent = [say(bench, body="1"), bench.run(SendMessage(sender="ben", to=["anna"], topic=" NEWS", body="2"))]
    bench.run(SendMessage(sender="ben", to=["anna"], topic="other", body="x"))
    sent.append(say(bench, body="3"))

    page = on_topic(bench, " nEWS ")
    first = on_topic(bench, "news", limit=2)

    assert [(each.body, each.cursor) for each in page.messages] == [
        (body, each.cursor) for body, each in zip("123", sent, strict=True)
    ]
    assert page.cursor == sent[-1].cursor
    assert (bodies(first), bodies(on_topic(bench, "news", first.cursor))) == (["1", "2"], ["3"])
    assert on_topic(bench, "news", page.cursor) == MessagePage(messages=[], cursor=page.cursor)


def test_topic_never_tells_of_a_blind_copy(bench: Bench) -> None:
    """Not even to the sender."""
    bench.run(SendMessage(sender="anna", to=["ben"], bcc=["carl"], topic="t", body="x"))

    for caller in (LOCAL, claiming("anna"), claiming("carl")):
        [message] = bench.ask(Topic(project="demo", topic="t"), caller).messages
        assert message.bcc is None


def test_topic_of_a_proved_agent_has_what_it_may_see(bench: Bench) -> None:
    """Its own, what it received, its threads and what went to everybody; the cursor passes the others."""
    dora = bench.register("dora")
    bench.wait(limits.AGENT_SILENCE_S)
    bench.heartbeat("ben")
    say(bench, body="to all")  # Which dora, who was silent, did not get.
    for to, thread, body in (
        (["dora"], None, "to dora"),
        (["ben"], "t1", "before dora"),
        (["ben", "dora"], "t1", "all"),
    ):
        bench.run(SendMessage(sender="anna", to=to, thread_id=thread, topic="news", body=body))
    bench.run(SendMessage(sender="dora", to=["ben"], topic="news", body="from dora"))
    hidden = bench.run(SendMessage(sender="anna", to=["ben"], topic="news", body="to ben"))

    page = bench.ask(Topic(project="demo", topic="news"), proving(dora))

    assert bodies(page) == ["to all", "to dora", "before dora", "all", "from dora"]
    assert page.cursor == hidden.cursor
    assert len(on_topic(bench, "news").messages) == 6


def test_topic_looks_at_a_bounded_number(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may end before anything was found; its cursor says how far it came, so that reading on gets there."""
    monkeypatch.setattr(limits, "TOPIC_LOOK_MAX", 3)
    dora = bench.register("dora")
    for _ in range(4):
        bench.run(SendMessage(sender="anna", to=["ben"], topic="t", body="hidden"))
    bench.run(SendMessage(sender="anna", to=["dora"], topic="t", body="found"))

    first = bench.ask(Topic(project="demo", topic="t"), proving(dora))
    second = bench.ask(Topic(project="demo", topic="t", since_cursor=first.cursor), proving(dora))

    assert (bodies(first), bodies(second)) == ([], ["found"])


def test_reading_a_topic_marks_nothing(bench: Bench) -> None:
    """What was read on a topic is unread in the inbox."""
    say(bench)
    ben = claiming("ben")

    bench.ask(Topic(project="demo", topic="news"), ben)

    assert len(bench.ask(Inbox(agent="ben", unread=True), ben).messages) == 1


def test_broadcast_leaves_out_whose_policy_denies_it(bench: Bench) -> None:
    """Who takes messages from nobody gets none, and the sender is told; with nobody left it is refused, and counted."""
    ids = {name: bench.state.agents.canonical(name) for name in ("ben", "carl")}
    bench.run(SetPolicy(agent="carl", policy="block_all"))

    sent = say(bench)

    assert (sent.delivered, sent.denied) == (1, [ids["carl"]])
    assert [bodies(bench.inbox(name)) for name in ("ben", "carl")] == [["hello"], []]
    bench.run(SetPolicy(agent="ben", policy="contacts_only"))
    with raises(PolicyDenied):
        say(bench)
    for _ in range(limits.BROADCASTS_MAX - 2):
        with raises(PolicyDenied):
            say(bench)
    with raises(BroadcastLimit):
        say(bench)
    assert bench.inbox("ben").messages == bench.inbox("ben").messages[:1]
