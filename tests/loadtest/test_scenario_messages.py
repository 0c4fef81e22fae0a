"""`messages` and its checker: a message that is lost, doubled, misplaced, or told to the wrong reader is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site
from loadtest.promises.history import History, Violation
from loadtest.promises.inboxes import Inboxes, Row
from loadtest.scenarios.messages import SIZES, Messages, Writer

Listed = dict[str, list[Row]]


@pytest.fixture
def sent() -> Inboxes:
    """A checker that knows two acknowledged messages, one of them with copies, and one without an answer."""
    made = Inboxes(History())
    made.sending(1, "anna", "m1", to=["ben"], cc=["cleo"], bcc=["dora"], thread="t")
    made.acknowledged(2, "m1", 10)
    made.sending(3, "anna", "m2", to=["ben"], thread="t")
    made.acknowledged(4, "m2", 12)
    made.sending(5, "anna", "m3", to=["ben", "cleo"], thread="t")
    return made


def _listed() -> Listed:
    """Return the inboxes as they should be, the message without an answer not stored."""
    return {
        "ben": [Row("m1", 10, "to"), Row("m2", 12, "to")],
        "cleo": [Row("m1", 10, "cc")],
        "dora": [Row("m1", 10, "bcc", ("dora",))],
        "emil": [],
    }


def test_inboxes_with_everything_once_are_right(sent: Inboxes) -> None:
    """What has no answer may be nowhere, or everywhere."""
    listed = _listed()
    sent.demand(listed)

    listed["ben"].append(Row("m3", 13, "to"))
    listed["cleo"].append(Row("m3", 13, "to"))
    sent.demand(listed)

    assert sent.checked > 0


def _lost(listed: Listed) -> None:
    del listed["ben"][1]


def _twice(listed: Listed) -> None:
    listed["ben"].append(Row("m2", 12, "to"))


def _twice_under_another_cursor(listed: Listed) -> None:
    listed["ben"].insert(0, Row("m2", 9, "to"))


def _strange(listed: Listed) -> None:
    listed["emil"].append(Row("m1", 10, "bcc"))


def _unheard_of(listed: Listed) -> None:
    listed["ben"].append(Row("m9", 14, "to"))


def _moved(listed: Listed) -> None:
    listed["cleo"][0] = Row("m1", 11, "cc")


def _of_another_kind(listed: Listed) -> None:
    listed["dora"][0] = Row("m1", 10, "cc")


def _blind_copy_shown(listed: Listed) -> None:
    listed["cleo"][0] = Row("m1", 10, "cc", ("dora",))


def _out_of_order(listed: Listed) -> None:
    listed["ben"].reverse()


def _in_half_of_the_inboxes(listed: Listed) -> None:
    listed["cleo"].append(Row("m3", 13, "to"))


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (_lost, "1 acknowledged messages are not in the inbox of ben; the first are m2"),
        (_twice, "1 messages are in the inbox of ben more than once; the first are m2"),
        (_twice_under_another_cursor, "1 messages are in the inbox of ben more than once; the first are m2"),
        (_strange, "1 messages are in the inbox of emil that were not sent to it; the first are m1"),
        (_unheard_of, "1 messages are in the inbox of ben that were not sent to it; the first are m9"),
        (_moved, "1 messages in the inbox of cleo have another cursor than was told; the first are m1"),
        (_of_another_kind, "1 messages in the inbox of dora say wrongly whether they are copies; the first are m1"),
        (_blind_copy_shown, "cleo is shown the blind copies of 1 messages; the first are m1"),
        (_out_of_order, "1 messages in the inbox of ben are out of order; the first are m1"),
        (_in_half_of_the_inboxes, "m3, which has no answer, is in 1 of 2 inboxes; the first are m3"),
    ],
)
def test_wrong_inbox_is_told_with_its_history(sent: Inboxes, harm: Callable[[Listed], None], text: str) -> None:
    """Each way in which an inbox can be wrong breaks the promise, and says what was sent to whom."""
    listed = _listed()
    harm(listed)

    with pytest.raises(Violation) as broken:
        sent.demand(listed)

    assert broken.value.explanation == text
    if "m9" not in text:
        assert any("sends to" in line for line in broken.value.history)
        assert any("was sent by anna to ben" in line for line in broken.value.history)


def test_message_that_is_stored_twice_is_found_at_once(sent: Inboxes) -> None:
    """The same id has one cursor, however often it is sent."""
    sent.acknowledged(6, "m2", 12)

    with pytest.raises(Violation, match="m2 was stored as 12, and then as 15"):
        sent.acknowledged(7, "m2", 15)


@pytest.mark.parametrize("listed", [["m1"], ["m2", "m1"], ["m1", "m2", "m2"], ["m1", "m2", "m9"]])
def test_wrong_thread_is_told(sent: Inboxes, listed: list[str]) -> None:
    """A thread has each of its messages once, in the order of their cursors; one without an answer may be there."""
    sent.demand_thread("t", ["m1", "m2"])
    sent.demand_thread("t", ["m1", "m2", "m3"])

    with pytest.raises(Violation, match="the thread t has"):
        sent.demand_thread("t", listed)


def test_messages_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end and measures each number of recipients in both loops."""
    scenario = Messages()

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    seen = {(each.name, each.loop) for each in samples.operations()}
    assert seen == {(f"send to {size}", loop) for size in SIZES for loop in ("open", "closed")}
    assert {status for each in samples.operations() for status in each.statuses} == {"200"}
    stored = sum(each.count * int(each.name.removeprefix("send to ")) for each in samples.operations())
    assert site.watch.checked()[Inboxes.promise] >= stored, "each answer is of a message of its own"


def test_writer_sends_again_what_has_no_answer(tmp_path: Path) -> None:
    """The same bytes, under the same id, until there is an answer; then the next message."""
    site = Site(port=1, seed=7, is_quick=True, directory=tmp_path)
    writer = Writer(site, 0, 10, [f"reader-{number}" for number in range(20)], Inboxes(History()))
    stored = Answer(200, b'{"message_id": "x", "cursor": 5}', b"")
    unknown = Answer(503, b'{"error": "outcome_unknown"}', b"")

    first = writer.ask()
    writer.lose(0, 1)
    second = writer.ask()
    writer.take(unknown, 1, 2)
    third = writer.ask()
    writer.take(stored, 2, 3)
    fourth = writer.ask()

    assert first == second == third
    assert fourth != first
    assert b'"bcc":["reader-' in first[1]
