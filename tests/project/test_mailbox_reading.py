"""Reading and acknowledging messages; inboxes, stale acknowledgements and threads: contract.md 1.3, 1.4 and 5.4 to 5.6."""

import pytest
from handler_bench import LOCAL, Bench, bench_of, claiming
from mailboxes import ids
from pytest import raises

from intermute.core.api.broadcasts import Topic
from intermute.core.api.messages import (
    AckMessage,
    GetMessage,
    Inbox,
    InboxCounts,
    MessageRecipients,
    ReadMessage,
    SendMessage,
    StaleAcks,
    Thread,
    Threads,
)
from intermute.core.api.search import SearchMessages
from intermute.core.errors import (
    InvalidRequest,
    NotARecipient,
    UnknownMessage,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


@pytest.mark.parametrize("mark", [AckMessage, ReadMessage])
def test_mark_counts_the_first_time(bench: Bench, mark: type[AckMessage]) -> None:
    """A repetition answers the first time and appends no event."""
    bench.send("anna", "ben", message_id="m1")
    first = bench.run(mark(message_id="m1", agent="ben"))
    head = bench.state.head
    bench.wait(60)

    again = bench.run(mark(message_id="m1", agent="ben"))

    assert again == first
    assert bench.state.head == head


def test_ack_and_read_are_two_things(bench: Bench) -> None:
    """Reading does not acknowledge, acknowledging does not read."""
    bench.run(SendMessage(sender="anna", to=["ben"], id="m1", ack_required=True))
    bench.run(ReadMessage(message_id="m1", agent="ben"))

    counts = bench.ask(InboxCounts(agent="ben"))

    assert (counts.unread, counts.unacknowledged) == (0, 1)


def test_mark_by_a_stranger_is_refused(bench: Bench) -> None:
    """Only a recipient can acknowledge."""
    bench.send("anna", "ben", message_id="m1")

    for caller, agent in ((LOCAL, "anna"), (LOCAL, "nobody"), (claiming("anna"), None)):
        with raises(NotARecipient):
            bench.run(AckMessage(message_id="m1", agent=agent), caller)


def test_mark_of_an_unknown_message_is_refused(bench: Bench) -> None:
    """An id that nobody sent is 404, not 200 as in the original."""
    with raises(UnknownMessage):
        bench.run(AckMessage(message_id="nothing", agent="ben"))


def test_mark_without_a_name_is_clear_with_one_recipient(bench: Bench) -> None:
    """The original's SDK names nobody; with one recipient there is no doubt, with two there is."""
    bench.send("anna", "ben", message_id="m1")
    bench.send("anna", "ben", "carl", message_id="m2")

    assert bench.run(AckMessage(message_id="m1")).agent == "ben"
    with raises(InvalidRequest):
        bench.run(AckMessage(message_id="m2"))


def test_mark_by_header_counts(bench: Bench) -> None:
    """X-Agent-ID says who marks."""
    bench.send("anna", "ben", "carl", message_id="m1")

    assert bench.run(ReadMessage(message_id="m1"), claiming("carl")).agent == "carl"


def test_inbox_pages_join_without_gap(bench: Bench) -> None:
    """Pages in cursor order show every message once; the cursor of an empty page is the one given."""
    for number in range(7):
        bench.send("anna", "ben", message_id=f"m{number}")
    seen: list[str] = []
    cursor = 0
    while page := bench.ask(Inbox(agent="ben", since_cursor=cursor, limit=3)).messages:
        seen += [message.id for message in page]
        cursor = page[-1].cursor

    assert seen == [f"m{number}" for number in range(7)]
    assert bench.inbox("ben", cursor).cursor == cursor


@pytest.mark.parametrize(("limit", "count"), [(None, 100), (0, 100), (-1, 100), (101, 101), (10**12, 102)])
def test_inbox_page_is_bounded(bench: Bench, limit: int | None, count: int) -> None:
    """No wish and a senseless one mean 100 rows."""
    for number in range(102):
        bench.send("anna", "ben", message_id=f"m{number}")

    assert len(ids(bench, "ben", limit=limit)) == count


def test_inbox_unread_leaves_out_what_was_read(bench: Bench) -> None:
    """The unread page holds what nobody marked; reading the inbox marks nothing."""
    bench.send("anna", "ben", message_id="m1")
    bench.send("anna", "ben", message_id="m2")
    bench.inbox("ben")
    bench.run(ReadMessage(message_id="m1", agent="ben"))

    assert ids(bench, "ben", unread=True) == ["m2"]
    assert ids(bench, "ben") == ["m1", "m2"]


def test_inbox_is_in_the_order_of_the_log_whatever_was_read(bench: Bench) -> None:
    """Read and unread messages come in one order, page by page, and none twice."""
    sent = [bench.send("ben", "anna").message_id for _ in range(9)]
    for each in (sent[0], sent[3], sent[4], sent[8]):
        bench.run(ReadMessage(message_id=each, agent="anna"))

    pages, since = [], 0
    while found := bench.ask(Inbox(agent="anna", since_cursor=since, limit=2)).messages:
        pages.append([message.id for message in found])
        since = found[-1].cursor

    assert [each for page in pages for each in page] == sent
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]


def test_delivered_read_and_acknowledged_are_three_facts(bench: Bench) -> None:
    """Who is listed was delivered to, from the commit on; neither looking at it in any way nor another mark marks it."""
    bench.run(SendMessage(sender="ben", to=["anna"], cc=["ben"], id="m", thread_id="t", topic="x", body="needle"))
    anna = claiming("anna")
    looks = (
        Inbox(agent="anna"),
        InboxCounts(agent="anna"),
        StaleAcks(agent="anna", ttl_seconds=0),
        Thread(thread_id="t"),
        Threads(agent="anna"),
        GetMessage(message_id="m"),
        Topic(project="demo", topic="x"),
        SearchMessages(q="needle"),
    )

    for look in looks:
        bench.ask(look, anna)
    bench.run(AckMessage(message_id="m", agent="anna"))
    bench.run(ReadMessage(message_id="m", agent="ben"))

    found = bench.ask(MessageRecipients(message_id="m"), anna).recipients
    assert [(each.agent, each.read_at is not None, each.ack_at is not None) for each in found] == [
        ("anna", False, True), ("ben", True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("cursor", [-1, 0, 2**63, 2**80])
def test_inbox_takes_any_cursor(bench: Bench, cursor: int) -> None:
    """A cursor out of range is the nearest one in range, never an error."""
    bench.send("anna", "ben", message_id="m1")

    assert ids(bench, "ben", since=cursor) == (["m1"] if cursor <= 0 else [])


def test_stale_acks_are_those_old_enough(bench: Bench) -> None:
    """A message is stale from exactly the given age on, the oldest first, until it is acknowledged."""
    for name in ("m1", "m2", "m3"):
        bench.run(SendMessage(sender="anna", to=["ben"], id=name, ack_required=name != "m2"))
        bench.wait(100)

    def stale(ttl_s: int) -> list[str]:
        return [each.id for each in bench.ask(StaleAcks(agent="ben", ttl_seconds=ttl_s)).messages]

    assert stale(0) == ["m1", "m3"]
    assert stale(101) == ["m1"]
    assert stale(301) == []
    bench.run(AckMessage(message_id="m1", agent="ben"))
    assert stale(0) == ["m3"]


@pytest.mark.parametrize(("ttl_s", "told"), [(None, 1800), (-5, 1800), (0, 0), (2**70, 2**40)])
def test_stale_acks_age_has_a_default(bench: Bench, ttl_s: int | None, told: int) -> None:
    """No age and a negative one mean half an hour."""
    assert bench.ask(StaleAcks(agent="ben", ttl_seconds=ttl_s)).ttl_seconds == told


def test_threads_show_the_last_word_to_participants(bench: Bench) -> None:
    """Sender and recipients have the thread in their lists, with its last message and their number."""
    bench.run(SendMessage(sender="anna", to=["ben"], thread_id="t", body="one"))
    last = bench.run(SendMessage(sender="ben", to=["anna"], thread_id="t", body="x" * 300))

    for agent in ("anna", "ben"):
        [thread] = bench.ask(Threads(agent=agent)).threads
        assert (thread.thread_id, thread.message_count, thread.last_from) == ("t", 2, "ben")
        assert (thread.last_cursor, len(thread.last_body)) == (last.cursor, 200)
    assert bench.ask(Threads(agent="carl")).threads == []


def test_threads_count_an_update_once(bench: Bench) -> None:
    """An update is the same message: the count stays, for those who had it and for those who join."""
    bench.run(SendMessage(sender="anna", to=["ben"], thread_id="t", id="m1", body="one"))

    bench.run(SendMessage(sender="anna", to=["ben", "carl"], thread_id="t", id="m1", body="two"))

    counts = [bench.ask(Threads(agent=agent)).threads[0].message_count for agent in ("anna", "ben", "carl")]
    assert counts == [1, 1, 1]


def test_threads_page_backwards(bench: Bench) -> None:
    """The newest thread first; the cursor leads to the older ones."""
    for number in range(5):
        bench.run(SendMessage(sender="anna", to=["ben"], thread_id=f"t{number}"))

    first = bench.ask(Threads(agent="ben", limit=3))
    rest = bench.ask(Threads(agent="ben", limit=3, cursor=first.cursor))

    assert [each.thread_id for each in [*first.threads, *rest.threads]] == ["t4", "t3", "t2", "t1", "t0"]


def test_thread_is_read_in_the_order_it_was_written(bench: Bench) -> None:
    """All messages of the thread, by cursor; slashes around its id mean nothing."""
    for number in range(3):
        bench.run(SendMessage(sender="anna", to=["ben"], thread_id="/a/b/", id=f"m{number}"))

    page = bench.ask(Thread(thread_id="a/b", limit=2))

    assert [message.id for message in page.messages] == ["m0", "m1"]
    assert [m.id for m in bench.ask(Thread(thread_id="a/b", cursor=page.cursor)).messages] == ["m2"]
