"""Messages and threads on the wire. Source: contract.md 1.3, 1.4, 5.4 to 5.6 and design.md 9."""

from typing import Annotated, Final

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.contacts import Denial
from intermute.core.api.fields import (
    ONE_LINE_WITH_TEXT,
    Address,
    Identifier,
    Input,
    LegacyAddress,
    LegacyNumber,
    Line,
    Metadata,
    ProjectText,
    View,
    WaitSeconds,
)
from intermute.core.contacts import OnDenied

_ON_DENIED: Final = (
    "`drop` (the default) leaves out who does not take messages from you, `hold` keeps the message for their approval."
)
Addresses = Annotated[list[Address], Meta(max_length=limits.RECIPIENTS_MAX)]


class Attachment(Input, kw_only=True, frozen=True):
    """A file by name and path; its contents stay where they are."""

    name: Annotated[str, Meta(min_length=1, max_length=limits.LINE_CHARS_MAX, pattern=ONE_LINE_WITH_TEXT)]
    path: Annotated[str, Meta(min_length=1, max_length=4096, pattern=ONE_LINE_WITH_TEXT)]


class SendMessage(Input, kw_only=True, frozen=True, rename={"sender": "from"}):
    """Put a message into the inboxes of its recipients. The same `id` with the same content is stored once."""

    sender: Address
    to: Annotated[list[Address], Meta(min_length=1, max_length=limits.RECIPIENTS_MAX)]
    project: ProjectText | None = None
    id: Identifier | None = None
    thread_id: Identifier | None = None
    cc: Addresses | None = None
    bcc: Addresses | None = None
    subject: Line | None = None
    topic: Identifier | None = None
    body: Annotated[str, Meta(max_length=limits.BODY_CHARS_MAX)] | None = None
    importance: Line | None = None
    transport: str | None = None
    target_window_uuid: Identifier | None = None
    ack_required: bool | None = None
    metadata: Metadata | None = None
    attachments: Annotated[list[Attachment], Meta(max_length=limits.ATTACHMENTS_MAX)] | None = None
    on_denied: Annotated[OnDenied, Meta(description=_ON_DENIED)] | None = None


class Sent(View, kw_only=True, frozen=True):
    """Stored. `unregistered` names the recipients that nobody has registered under yet: check them for typos.

    `denied` names who does not take messages from you, `held` those whose approval it waits for; `denials` says why.
    """

    message_id: str
    cursor: int
    denied: list[str] | None = None
    delivery: str | dict[str, str] | None = None
    held: list[str] | None = None
    denials: list[Denial] | None = None
    replayed: bool = False
    updated: bool = False
    unregistered: list[str] | None = None


class MessageView(View, kw_only=True, frozen=True, rename={"sender": "from"}):
    """One message as one reader sees it; `bcc` is there only for the sender and for the recipient it names."""

    id: str
    thread_id: str
    project: str
    sender: str
    to: list[str]
    cc: list[str] | None = None
    bcc: list[str] | None = None
    subject: str | None = None
    topic: str | None = None
    body: str
    importance: str | None = None
    ack_required: bool = False
    created_at: str
    cursor: int
    sender_id: str | None = None
    sender_verified: bool = False
    metadata: dict[str, str] | None = None
    attachments: list[Attachment] | None = None
    broadcast: bool = False
    updated_at: str | None = None
    kind: str | None = None
    read_at: str | None = None
    ack_at: str | None = None


class GetMessage(Input, kw_only=True, frozen=True):
    """Read one message."""

    message_id: Identifier
    project: ProjectText | None = None


class Inbox(Input, kw_only=True, frozen=True):
    """Read an agent's messages after a cursor, the oldest first, or wait for one. Reading marks nothing."""

    agent: Address
    project: ProjectText | None = None
    since_cursor: LegacyNumber | None = None
    limit: LegacyNumber | None = None
    unread: bool | None = None
    wait_seconds: WaitSeconds | None = None


class MessagePage(View, kw_only=True, frozen=True):
    """A page of messages; send `cursor` as `since_cursor` to read on."""

    messages: list[MessageView]
    cursor: int


class InboxCounts(Input, kw_only=True, frozen=True):
    """Count an agent's messages."""

    agent: Address
    project: ProjectText | None = None


class Counts(View, kw_only=True, frozen=True):
    """How many messages an inbox has, and how many its agent has not read."""

    total: int
    unread: int
    unacknowledged: int


class StaleAcks(Input, kw_only=True, frozen=True):
    """List what an agent should have acknowledged and has not, the oldest first."""

    agent: Address
    project: ProjectText | None = None
    ttl_seconds: LegacyNumber | None = None
    limit: LegacyNumber | None = None


class StaleAck(View, kw_only=True, frozen=True, rename={"sender": "from"}):
    """One overdue acknowledgement."""

    id: str
    thread_id: str
    project: str
    sender: str
    to: list[str]
    subject: str | None = None
    body: str
    created_at: str
    kind: str
    read_at: str | None
    age_seconds: int


class StaleAckPage(View, kw_only=True, frozen=True):
    """The overdue acknowledgements of one agent."""

    project: str
    agent: str
    ttl_seconds: int
    count: int
    messages: list[StaleAck]


class AckMessage(Input, kw_only=True, frozen=True):
    """Acknowledge a message as its recipient: from `agent`, or from X-Agent-ID."""

    message_id: Identifier
    agent: LegacyAddress | None = None
    project: ProjectText | None = None


class ReadMessage(AckMessage, kw_only=True, frozen=True):
    """Mark a message as read by its recipient: from `agent`, or from X-Agent-ID."""


class Marked(View, kw_only=True, frozen=True):
    """When the recipient read or acknowledged the message first."""

    message_id: str
    agent: str
    read_at: str | None = None
    ack_at: str | None = None


class MessageRecipients(Input, kw_only=True, frozen=True):
    """Who received a message, and who has read or acknowledged it."""

    message_id: Identifier
    project: ProjectText | None = None


class RecipientView(View, kw_only=True, frozen=True):
    """One recipient's standing."""

    agent: str
    agent_id: str | None = None
    kind: str
    read_at: str | None
    ack_at: str | None


class RecipientList(View, kw_only=True, frozen=True):
    """All recipients that the caller may see; blind copies only to their own recipient and the sender."""

    message_id: str
    recipients: list[RecipientView]


class Threads(Input, kw_only=True, frozen=True):
    """List an agent's threads, the most recent first."""

    agent: Address
    project: ProjectText | None = None
    cursor: LegacyNumber | None = None
    limit: LegacyNumber | None = None


class ThreadSummary(View, kw_only=True, frozen=True):
    """The last word in a thread."""

    thread_id: str
    last_cursor: int
    message_count: int
    last_from: str
    last_body: str
    last_at: str


class ThreadList(View, kw_only=True, frozen=True):
    """A page of threads; send `cursor` to read the older ones."""

    threads: list[ThreadSummary]
    cursor: int


class Thread(Input, kw_only=True, frozen=True):
    """Read a thread in the order it was written."""

    thread_id: Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS_CHARS_MAX)]
    project: ProjectText | None = None
    cursor: LegacyNumber | None = None
    limit: LegacyNumber | None = None


class ThreadPage(View, kw_only=True, frozen=True):
    """A page of one thread; send `cursor` to read on."""

    thread_id: str
    messages: list[MessageView]
    cursor: int
