"""Contact policies, contacts and messages that wait for approval, on the wire. Source: contract.md 1.2, issue 6 point 2."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Address, Identifier, Input, Line, ProjectText, View


class GetPolicy(Input, kw_only=True, frozen=True):
    """Read from whom an agent takes messages, in its inbox and live."""

    agent: Address
    project: ProjectText | None = None


class SetPolicy(Input, kw_only=True, frozen=True):
    """Say from whom you take messages: open, auto, contacts_only or block_all."""

    agent: Address
    policy: Line | None = None
    live_contact_policy: Line | None = None
    project: ProjectText | None = None


class PutPolicy(SetPolicy, kw_only=True, frozen=True):
    """Say from whom you take messages: the same as by POST."""


class PolicyView(View, kw_only=True, frozen=True):
    """From whom an agent takes messages; `unreadable` is stored by another version, and denies everybody."""

    agent_id: str
    policy: str
    live_contact_policy: str


class ListContacts(Input, kw_only=True, frozen=True):
    """List an agent's contacts, and who asks to be one."""

    agent: Address
    state: Annotated[str, Meta(description="requested, accepted or declined; all without it.")] | None = None
    project: ProjectText | None = None


class _OfTwo(Input, kw_only=True, frozen=True):
    """Whose list, and the other; where a reason may be given, it stands between them and the project on the wire."""

    agent: Address
    other: Address
    project: ProjectText | None = None


class GetContact(_OfTwo, kw_only=True, frozen=True):
    """Read how an agent stands with another."""


class PutContact(_OfTwo, kw_only=True, frozen=True):
    """Take another agent as your contact, whether it asked or not: it may write to you."""


class RemoveContact(_OfTwo, kw_only=True, frozen=True):
    """Take another agent out of your list, be it a contact, a request or one that you declined."""


class RequestContact(Input, kw_only=True, frozen=True):
    """Ask another agent to take you as a contact; it gets a message with your `reason`."""

    agent: Address
    other: Address
    reason: Line | None = None
    project: ProjectText | None = None


class ApproveContact(_OfTwo, kw_only=True, frozen=True):
    """Grant another agent's request: from then on each of you is a contact of the other."""


class DeclineContact(Input, kw_only=True, frozen=True):
    """Refuse another agent's request: it cannot ask again until you take it out of your list."""

    agent: Address
    other: Address
    reason: Line | None = None
    project: ProjectText | None = None


class ContactView(View, kw_only=True, frozen=True):
    """One entry of an agent's list: whether it takes what `contact_id` sends."""

    agent_id: str
    contact_id: str
    name: str
    state: str
    since: str
    reason: str | None = None


class ContactList(View, kw_only=True, frozen=True):
    """An agent's list, the oldest entry first."""

    agent_id: str
    contacts: list[ContactView]


class ContactRemoved(View, kw_only=True, frozen=True):
    """The entry is out of the list."""

    agent_id: str
    contact_id: str
    status: str


class Denial(View, kw_only=True, frozen=True):
    """Who did not get a message, and why."""

    agent: str
    reason: str
    message: str


class ListHeld(Input, kw_only=True, frozen=True):
    """List the messages that wait for an agent's approval, the oldest first."""

    agent: Address
    project: ProjectText | None = None


class HeldView(View, kw_only=True, frozen=True, rename={"sender": "from"}):
    """One message that waits: who wrote it, why it was not delivered, and how it begins."""

    message_id: str
    sender: str
    sender_id: str
    sender_verified: bool
    kind: str
    thread_id: str
    subject: str | None
    preview: Annotated[str, Meta(max_length=limits.HELD_PREVIEW_CHARS)]
    reason: str
    held_at: str


class HeldList(View, kw_only=True, frozen=True):
    """All messages that wait for one agent."""

    agent: str
    held: list[HeldView]


class ApproveMessage(Input, kw_only=True, frozen=True):
    """Let a held message into your inbox; it comes under a cursor of its own."""

    message_id: Identifier
    agent: Address | None = None
    project: ProjectText | None = None


class DeclineMessage(Input, kw_only=True, frozen=True):
    """Refuse a held message; its sender is told, with your `reason`."""

    message_id: Identifier
    agent: Address | None = None
    reason: Line | None = None
    project: ProjectText | None = None


class Approved(View, kw_only=True, frozen=True):
    """The message is in the inbox, under this cursor."""

    message_id: str
    agent: str
    cursor: int


class Declined(View, kw_only=True, frozen=True):
    """The message is not delivered."""

    message_id: str
    agent: str
    status: str
