"""Finding messages by their words: ranked, quoted, within what the caller may see (issue 6 point 5)."""

import pytest
from handler_bench import LOCAL, Bench, bench_of, claiming, proving
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.broadcasts import Broadcast
from intermute.core.api.messages import InboxCounts, SendMessage
from intermute.core.api.search import SearchMessages, SearchPage
from intermute.core.errors import InvalidRequest


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben and carl."""
    return bench_of("anna", "ben", "carl")


def search(
    bench: Bench, wanted: str, caller: Caller = LOCAL, cursor: str | None = None, limit: int | None = None
) -> SearchPage:
    """Look for something."""
    page = bench.ask(SearchMessages(q=wanted, cursor=cursor, limit=limit), caller)
    assert isinstance(page, SearchPage)
    return page


def found(bench: Bench, wanted: str, caller: Caller = LOCAL) -> list[str]:
    """Return the ids of what is found."""
    return [message.id for message in search(bench, wanted, caller).messages]


def put(bench: Bench, message_id: str, body: str, subject: str = "", *to: str, sender: str = "anna") -> None:
    """Send a message."""
    bench.run(SendMessage(sender=sender, to=list(to) or ["ben"], id=message_id, subject=subject, body=body))


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("deploy", ["m2", "m1"]),
        ("DEPLOY staging", ["m1"]),
        ('"to staging"', ["m1"]),
        ('"staging to"', []),
        ("cafe", ["m3"]),
        ("lock_table.py", ["m3"]),
        ("deploy OR cafe", []),
        ("subject:deploy", []),
        ("dep*", []),
        ("nowhere", []),
    ],
)
def test_search_finds_words_and_phrases(bench: Bench, wanted: str, ids: list[str]) -> None:
    """All words, in any case and without accents; a better match comes first; no operator of the index is one here."""
    put(bench, "m1", "we deploy to staging, and then we talk about something else for a while")
    put(bench, "m2", "it failed", "Deploy")
    put(bench, "m3", "Café: look at core/lock_table.py")

    assert found(bench, wanted) == ids


def test_search_shows_where(bench: Bench) -> None:
    """The words around the match, the match in brackets, and whatever tells the message from others; not its whole body."""
    put(bench, "m1", "word " * 500 + "the needle is here " + "word " * 500, "long")

    [message] = search(bench, "needle").messages

    assert "the [needle] is here" in message.snippet
    assert len(message.snippet) < 300
    assert (message.subject, message.sender) == ("long", "anna")


def test_search_goes_on_where_it_stopped(bench: Bench) -> None:
    """Pages by the cursor, each message once, and none that was written since the first page."""
    for number in range(7):
        put(bench, f"m{number}", "needle")

    first = search(bench, "needle", limit=3)
    put(bench, "later", "needle")
    second = search(bench, "needle", cursor=first.next_cursor, limit=3)
    third = search(bench, "needle", cursor=second.next_cursor, limit=3)

    pages = [[message.id for message in page.messages] for page in (first, second, third)]
    assert pages == [["m6", "m5", "m4"], ["m3", "m2", "m1"], ["m0"]]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "1", "1-2-3"])
def test_search_refuses_a_cursor_that_is_none(bench: Bench, cursor: str) -> None:
    """And says so."""
    with raises(InvalidRequest):
        search(bench, "needle", cursor=cursor)


def test_search_ranks_a_bounded_number(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more matches than are ranked the newest are, and the answer says that there are more."""
    monkeypatch.setattr(limits, "SEARCH_MATCHES_MAX", 3)
    for number in range(4):
        put(bench, f"m{number}", "needle" if number else "needle needle needle")

    page = search(bench, "needle")

    assert ([message.id for message in page.messages], page.is_cut) == (["m3", "m2", "m1"], True)


def test_search_knows_the_newest_text_alone(bench: Bench) -> None:
    """A rewritten message is found by what it says now, and one that is deleted by nothing."""
    put(bench, "m1", "needle")
    put(bench, "m1", "thread", "haystack")
    put(bench, "m2", "thread")

    bench.connection.execute("DELETE FROM messages WHERE id = 'm2'")

    assert (found(bench, "needle"), found(bench, "thread"), found(bench, "haystack")) == ([], ["m1"], ["m1"])


def test_search_finds_what_was_said_in_the_same_commit(bench: Bench) -> None:
    """The index is part of the message's own transaction."""
    bench.batch(*[(SendMessage(sender="anna", to=["ben"], id=f"m{n}", body="needle"), LOCAL) for n in range(3)])

    assert sorted(found(bench, "needle")) == ["m0", "m1", "m2"]


def test_search_of_a_proved_agent_is_within_what_it_may_see(bench: Bench) -> None:
    """What it sent, received, even blindly, its threads, and broadcasts; nobody else's mail."""
    dora, ella = bench.register("dora"), bench.register("ella")
    put(bench, "other", "needle")
    put(bench, "received", "needle", "", "dora")
    put(bench, "sent", "needle", "", "ben", sender="dora")
    bench.run(SendMessage(sender="anna", to=["ben"], bcc=["dora"], id="blind", body="needle"))
    bench.run(SendMessage(sender="anna", to=["ben"], thread_id="t", id="early", body="needle"))
    bench.run(SendMessage(sender="anna", to=["dora"], thread_id="t", id="late", body="needle"))
    bench.run(Broadcast(sender="anna", topic="news", body="needle", id="all"))

    assert sorted(found(bench, "needle", proving(dora))) == ["all", "blind", "early", "late", "received", "sent"]
    assert found(bench, "needle", proving(ella)) == ["all"]


def test_search_of_a_proved_agent_finds_what_it_sent_under_its_name(bench: Bench) -> None:
    """Before it registered: the name is its own now."""
    put(bench, "m1", "needle", "", "ben", sender="dora")
    dora = bench.run(RegisterAgent(name="dora"))

    assert found(bench, "needle", proving(dora)) == ["m1"]


@pytest.mark.parametrize("caller", [LOCAL, claiming("ben"), Caller(is_local=False)])
def test_search_of_another_caller_finds_all(bench: Bench, caller: Caller) -> None:
    """Who can read every inbox can search all of them; it learns nothing of blind copies by that."""
    bench.run(SendMessage(sender="anna", to=["ben"], bcc=["carl"], id="m1", body="needle"))

    [message] = search(bench, "needle", caller).messages

    assert "carl" not in str(message)
    assert found(bench, "carl", caller) == []


def test_search_passes_what_may_not_be_seen(bench: Bench) -> None:
    """Pages are full of what may be seen, and their cursor goes past the rest."""
    dora = bench.register("dora")
    for number in range(10):
        put(bench, f"m{number}", "needle", "", "dora" if number % 3 == 0 else "ben")

    first = search(bench, "needle", proving(dora), limit=3)
    second = search(bench, "needle", proving(dora), first.next_cursor, limit=3)

    assert [[message.id for message in page.messages] for page in (first, second)] == [["m9", "m6", "m3"], ["m0"]]


def test_search_marks_nothing(bench: Bench) -> None:
    """What was found is as unread as before."""
    put(bench, "m1", "needle")

    found(bench, "needle", claiming("ben"))

    assert bench.ask(InboxCounts(agent="ben")).unread == 1
