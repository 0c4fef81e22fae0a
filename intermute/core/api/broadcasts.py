"""Broadcasts and topics on the wire. Source: contract.md 1.5 and 1.6, design.md 9."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import (
    ONE_LINE_WITH_TEXT,
    SOME_TEXT,
    Address,
    Identifier,
    Input,
    LegacyNumber,
    Line,
    ProjectText,
    View,
)

TopicText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.ADDRESS_CHARS_MAX,
        pattern=ONE_LINE_WITH_TEXT,
        description="A topic; it is trimmed and in lower case wherever it is kept or looked up.",
    ),
]


class Broadcast(Input, kw_only=True, frozen=True, rename={"sender": "from"}):
    """Put one message into the inboxes of all live agents but yours; with `include_stale`, of all that are registered."""

    sender: Address
    topic: TopicText
    body: Annotated[str, Meta(min_length=1, max_length=limits.BODY_CHARS_MAX, pattern=SOME_TEXT)]
    project: ProjectText | None = None
    id: Identifier | None = None
    subject: Line | None = None
    importance: Line | None = None
    ack_required: bool | None = None
    include_stale: bool | None = None


class Broadcasted(View, kw_only=True, frozen=True):
    """To how many it went, and which agents' policies kept it out; with nobody to hear it `message_id` is empty, `cursor` 0."""

    message_id: str
    cursor: int
    delivered: int
    denied: list[str] | None = None
    replayed: bool = False
    updated: bool = False


class Topic(Input, kw_only=True, frozen=True):
    """Read what was said on a topic after a cursor of the project, the oldest first."""

    project: ProjectText
    topic: TopicText
    since_cursor: LegacyNumber | None = None
    limit: LegacyNumber | None = None
