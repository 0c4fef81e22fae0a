"""Sending, repeating, updating, and who sees a blind copy: design.md 9, contract.md 1.3 and 5.4 to 5.6, guarantees.md G4."""

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of, claiming, proving
from mailboxes import ids, only
from pytest import raises

from intermute.core import limits
from intermute.core.api.messages import (
    Attachment,
    GetMessage,
    InboxCounts,
    MessageRecipients,
    MessageView,
    ReadMessage,
    SendMessage,
)
from intermute.core.errors import (
    AgentIdentityMismatch,
    InvalidRequest,
    InvalidTransport,
    MessageIdTaken,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def test_send_delivers_to_every_recipient(bench: Bench) -> None:
    """To, cc and bcc receive the message, each once, whether by name or by id."""
    anna = bench.state.agents.canonical("anna")

    sent = bench.run(SendMessage(sender="ben", to=["anna", anna], cc=["carl"], bcc=["dora"], id="m1"))

    assert [ids(bench, each) for each in ("anna", "carl", "dora", "ben")] == [["m1"], ["m1"], ["m1"], []]
    assert sent.unregistered == ["carl", "dora"]
    assert bench.ask(InboxCounts(agent="anna")).total == 1


@pytest.mark.parametrize(
    ("to", "delivery"),
    [(["anna"], "async"), (["anna", "ben"], {"anna": "async", "ben": "async"}), (["a", "a"], "async")],
)
def test_send_says_how_it_was_delivered(bench: Bench, to: list[str], delivery: object) -> None:
    """One recipient gives a word, several a word each, as in the original."""
    assert bench.run(SendMessage(sender="ben", to=to)).delivery == delivery


def test_send_again_changes_nothing(bench: Bench) -> None:
    """The same id and content answers the first cursor: no second entry, no event, no statement (G4)."""
    first = bench.send("anna", "ben", message_id="m1")
    head = bench.state.head

    again = bench.send("anna", "ben", message_id="m1")

    assert (again.cursor, again.message_id, again.replayed) == (first.cursor, "m1", True)
    assert ids(bench, "ben") == ["m1"]
    assert bench.state.head == head


def test_send_again_after_a_restart_changes_nothing(bench: Bench) -> None:
    """The first answer is on the disk, not in memory."""
    first = bench.send("anna", "ben", message_id="m1")
    bench.restart()

    assert bench.send("anna", "ben", message_id="m1").cursor == first.cursor


def test_send_twice_in_one_batch_is_stored_once(bench: Bench) -> None:
    """A retry that meets its original in the same commit is a repetition too."""
    command = SendMessage(sender="anna", to=["ben"], id="m1", body="hi")

    first, again = bench.batch((command, LOCAL), (command, LOCAL))

    assert (again.cursor, again.replayed) == (first.cursor, True)
    assert bench.ask(InboxCounts(agent="ben")).total == 1


def test_send_again_after_an_update_answers_the_first_cursor(bench: Bench) -> None:
    """A repetition of the newest content is a repetition, and its cursor that of the creation."""
    first = bench.send("anna", "ben", message_id="m1", body="one")
    bench.send("anna", "ben", message_id="m1", body="two")

    assert bench.send("anna", "ben", message_id="m1", body="two").cursor == first.cursor


@pytest.mark.parametrize(
    "changed",
    [
        {"body": "other"},
        {"subject": "s"},
        {"topic": "t"},
        {"thread_id": "x"},
        {"importance": "high"},
        {"ack_required": True},
        {"metadata": {"a": "b"}},
        {"attachments": [Attachment(name="a", path="b")]},
        {"cc": ["carl"]},
        {"bcc": ["carl"]},
        {"to": ["ben", "carl"]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_send_other_content_updates_the_one_entry(bench: Bench, changed: dict[str, object]) -> None:
    """Other content by the same sender updates the entry: one row, a new cursor, `message.updated`."""
    fields: dict[str, object] = {"sender": "anna", "to": ["ben"], "id": "m1", "body": "one"}
    first = bench.run(SendMessage(**fields))  # type: ignore[arg-type] # fields by name.

    again = bench.run(SendMessage(**{**fields, **changed}))  # type: ignore[arg-type] # fields by name.

    assert again.updated
    assert again.cursor > first.cursor
    assert ids(bench, "ben", since=first.cursor) == ["m1"]
    assert bench.ask(InboxCounts(agent="ben")).total == 1
    assert bench.events()[-1].type == "message.updated"


def test_send_update_keeps_creation_and_marks(bench: Bench) -> None:
    """An update keeps when the message came and that it was read."""
    bench.send("anna", "ben", message_id="m1", body="one")
    created = only(bench, "ben").created_at
    bench.run(ReadMessage(message_id="m1", agent="ben"))
    bench.wait(60)

    bench.send("anna", "ben", message_id="m1", body="two")

    message = only(bench, "ben")
    assert (message.body, message.created_at) == ("two", created)
    assert message.read_at is not None
    assert message.updated_at is not None


def test_send_update_tells_former_recipients(bench: Bench) -> None:
    """Whoever received an earlier version keeps it and hears of the new one."""
    bench.send("anna", "ben", "carl", message_id="m1")

    bench.send("anna", "carl", message_id="m1", body="other")

    assert only(bench, "ben").body == "other"
    assert bench.events()[-1].audience == frozenset({bench.state.agents.canonical("ben"), "carl"})


def test_send_id_of_another_sender_is_refused(bench: Bench) -> None:
    """Nobody overwrites another's message."""
    bench.send("anna", "ben", message_id="m1")

    with raises(MessageIdTaken):
        bench.send("ben", "anna", message_id="m1")

    assert only(bench, "ben").sender == "anna"


def test_send_by_id_and_by_name_is_one_sender(bench: Bench) -> None:
    """An agent may call itself by its id or its name."""
    first = bench.send("anna", "ben", message_id="m1")

    assert bench.send(bench.state.agents.canonical("anna"), "ben", message_id="m1").cursor == first.cursor


def test_send_id_is_taken_per_project(bench: Bench) -> None:
    """Message ids of two projects have nothing to do with each other."""
    other = Bench(seed=2)
    bench.send("anna", "ben", message_id="m1")

    assert not other.send("carl", "ben", message_id="m1").replayed


@pytest.mark.parametrize(("count", "is_refused"), [(999, False), (1000, False), (1001, True)])
def test_send_recipients_are_bounded(bench: Bench, count: int, is_refused: bool) -> None:
    """To, cc and bcc together are at most 1,000 recipients."""
    half = count // 2
    command = SendMessage(sender="anna", to=[f"t{n}" for n in range(half)], cc=[f"c{n}" for n in range(count - half)])

    [outcome] = bench.batch((command, LOCAL))

    assert isinstance(outcome, InvalidRequest) == is_refused
    assert limits.RECIPIENTS_MAX == 1000


@pytest.mark.parametrize("transport", ["pigeon", "ASYNC", " live"])
def test_send_refuses_other_transports(bench: Bench, transport: str) -> None:
    """There are three, spelled in one way."""
    with raises(InvalidTransport):
        bench.run(SendMessage(sender="anna", to=["ben"], transport=transport, thread_id="t", id="m1"))

    assert bench.inbox("ben").messages == []


@pytest.mark.parametrize("transport", ["", "async", None])
def test_send_goes_to_the_inbox_unless_told_otherwise(bench: Bench, transport: str | None) -> None:
    """The inbox is the transport of all who name none."""
    assert bench.run(SendMessage(sender="anna", to=["ben"], transport=transport)).delivery == "async"


def test_send_in_anothers_name_with_a_token_is_refused(bench: Bench) -> None:
    """A proved caller speaks for itself alone."""
    carl = bench.register("carl")

    with raises(AgentIdentityMismatch):
        bench.run(SendMessage(sender="anna", to=["ben"]), proving(carl))


def test_send_marks_a_proved_sender(bench: Bench) -> None:
    """Readers see whether the sender was proved by a token."""
    carl = bench.register("carl")
    bench.run(SendMessage(sender="carl", to=["anna"], id="m1"), proving(carl))
    bench.send("carl", "ben", message_id="m2")

    assert only(bench, "anna").sender_verified
    assert not only(bench, "ben").sender_verified


def test_bcc_is_shown_to_its_own_recipient_and_the_sender(bench: Bench) -> None:
    """A blind copy is known to the sender and to whom it names, and to nobody else."""
    bench.run(SendMessage(sender="anna", to=["ben"], cc=["carl"], bcc=["dora", "emil"], id="m1"))

    def seen(agent: str) -> list[str] | None:
        view = bench.ask(GetMessage(message_id="m1"), claiming(agent))
        assert isinstance(view, MessageView)
        return view.bcc

    assert seen("anna") == ["dora", "emil"]
    assert [seen(each) for each in ("dora", "emil")] == [["dora"], ["emil"]]
    assert [seen(each) for each in ("ben", "carl", "frida")] == [None] * 3
    assert bench.ask(GetMessage(message_id="m1"), REMOTE).bcc is None
    assert [only(bench, each).bcc for each in ("ben", "dora")] == [None, ["dora"]]


def test_bcc_is_hidden_in_recipients_and_events(bench: Bench) -> None:
    """Neither the list of recipients nor the event gives a blind copy away."""
    bench.run(SendMessage(sender="anna", to=["ben"], bcc=["dora"], id="m1"))

    def listed(agent: str) -> list[str]:
        return [each.agent for each in bench.ask(MessageRecipients(message_id="m1"), claiming(agent)).recipients]

    assert listed("ben") == ["ben"]
    assert listed("dora") == ["ben", "dora"]
    assert listed("anna") == ["ben", "dora"]
    assert "dora" not in str(bench.events()[-1].data)


def test_kind_is_the_first_that_names_the_recipient(bench: Bench) -> None:
    """To comes before cc before bcc."""
    bench.run(SendMessage(sender="anna", to=["ben"], cc=["ben", "carl"], bcc=["carl", "ben"], id="m1"))

    found = bench.ask(MessageRecipients(message_id="m1"), claiming("anna")).recipients

    assert [(each.agent, each.kind) for each in found] == [("ben", "to"), ("carl", "cc")]
