"""Messages: who receives one, when two are the same, who knows of a blind copy (design.md 9)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.api.messages import Attachment, SendMessage
from intermute.core.ids import AgentId, MessageId, Micros
from intermute.core.messages import (
    Kind,
    Message,
    content_hash,
    normal_topic,
    participants,
    recipients_of,
    visible_bcc,
)

addresses = st.lists(st.sampled_from(["anna", "ben", "carl", "id-anna"]), max_size=4)


def canonical(address: str) -> AgentId:
    """Anna has an id; nobody else is registered."""
    return AgentId("id-anna" if address == "anna" else address)


@given(addresses.filter(bool), addresses, addresses)
def test_recipients_are_everyone_once(to: list[str], cc: list[str], bcc: list[str]) -> None:
    """Each canonical address once, under the first kind that names it, as it was first written."""
    found = recipients_of(SendMessage(sender="x", to=to, cc=cc, bcc=bcc), canonical)

    named = [(kind, address) for kind, group in ((Kind.TO, to), (Kind.CC, cc), (Kind.BCC, bcc)) for address in group]
    assert {each.agent for each in found} == {canonical(address) for _, address in named}
    assert len({each.agent for each in found}) == len(found)
    for each in found:
        first = next((kind, address) for kind, address in named if canonical(address) == each.agent)
        assert (each.kind, each.address) == first


CONTENT: dict[str, Any] = {  # Any: each field has a type of its own.
    "to": ["ben"],
    "cc": ["carl"],
    "bcc": ["dora"],
    "thread_id": "t",
    "subject": "s",
    "topic": "x",
    "body": "b",
    "importance": "high",
    "ack_required": True,
    "metadata": {"a": "1", "b": "2"},
    "attachments": [Attachment(name="n", path="p")],
}
OTHER: dict[str, Any] = {  # Any: as above.
    "to": ["ben", "emil"],
    "cc": [],
    "bcc": ["d", "ora"],
    "thread_id": "u",
    "subject": "",
    "topic": "y",
    "body": "b ",
    "importance": "",
    "ack_required": False,
    "metadata": {"a": "2", "b": "1"},
    "attachments": [],
}


@pytest.mark.parametrize("changed", CONTENT)
def test_content_hash_sees_every_field(changed: str) -> None:
    """Whatever a recipient would see differ makes another content."""
    one, other = SendMessage(sender="a", **CONTENT), SendMessage(sender="a", **{**CONTENT, changed: OTHER[changed]})

    assert content_hash(one) != content_hash(other)


def test_content_hash_ignores_what_is_no_content() -> None:
    """The id, the sender's spelling, the order of metadata and the spelling of a topic are not content."""
    one = SendMessage(sender="anna", id="m1", **CONTENT)
    again = {**CONTENT, "metadata": {"b": "2", "a": "1"}, "topic": " X "}

    assert content_hash(one) == content_hash(SendMessage(sender="id-anna", id=None, **again))


def test_content_hash_takes_absent_for_empty() -> None:
    """A field that is absent and one that is empty are the same content."""
    bare = SendMessage(sender="a", to=["b"])
    empty = SendMessage(sender="a", to=["b"], cc=[], bcc=[], body="", subject="", metadata={}, attachments=[])

    assert content_hash(bare) == content_hash(empty)


@pytest.mark.parametrize(("text", "topic"), [(None, ""), ("  ", ""), (" Build ", "build"), ("ÄÖ", "äö")])
def test_topic_is_trimmed_and_lower(text: str | None, topic: str) -> None:
    """One spelling for each topic."""
    assert normal_topic(text) == topic


def letter(sender_id: str, bcc: tuple[str, ...]) -> Message:
    """Return a message with blind copies."""
    return Message(
        id=MessageId("m"), thread_id="", sender="x", sender_id=AgentId(sender_id), sender_verified=False, to=("ben",),
        cc=(), bcc=bcc, subject="", topic="", body="", importance="", ack_required=False, metadata={}, attachments=(),
        content_hash=b"", created_at_us=Micros(0), updated_at_us=None, cursor=1, first_cursor=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "seen"),
    [(None, []), ("ben", []), ("carl", ["carl"]), ("id-anna", ["anna"]), ("sender", ["carl", "anna"])],
)
def test_bcc_is_seen_by_whom_it_concerns(reader: str | None, seen: list[str]) -> None:
    """All of it by the sender, one's own by each recipient, nothing by others."""
    asked = None if reader is None else AgentId(reader)

    assert visible_bcc(letter("sender", ("carl", "anna")), asked, canonical) == seen


def test_bcc_is_seen_by_a_sender_that_registered_later() -> None:
    """A message that was sent under a name belongs to the agent that has it now."""
    assert visible_bcc(letter("anna", ("carl",)), AgentId("id-anna"), canonical) == ["carl"]


def test_participants_are_listed_once() -> None:
    """A sender that writes to itself takes part once."""
    recipients = recipients_of(SendMessage(sender="anna", to=["anna", "ben"]), canonical)

    assert participants(AgentId("id-anna"), recipients) == ["id-anna", "ben"]
