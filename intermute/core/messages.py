"""Messages: who receives one, when two are the same, and what each reader may see of it.

Decided here and nowhere else: to comes before cc before bcc and the first mention counts; two sends are the same when
their content is; a blind copy is known to its sender and its own recipient alone. Source: design.md 9, contract.md 5.4.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from intermute.core.api.broadcasts import Broadcast
from intermute.core.api.messages import Attachment, SendMessage
from intermute.core.ids import AgentId, MessageId, Micros

THREAD_PREVIEW_CHARS: Final = 200


class Kind(StrEnum):
    """How a recipient was addressed."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class Recipient(msgspec.Struct, frozen=True):
    """One recipient: the address as it was written, and the canonical one it means."""

    address: str
    agent: AgentId
    kind: Kind


class Message(msgspec.Struct, frozen=True):
    """One stored message. `cursor` is that of its newest event; `first_cursor` that of its creation."""

    id: MessageId
    thread_id: str
    sender: str
    sender_id: AgentId
    sender_verified: bool
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    topic: str
    body: str
    importance: str
    ack_required: bool
    metadata: Mapping[str, str]
    attachments: tuple[Attachment, ...]
    content_hash: bytes
    created_at_us: Micros
    updated_at_us: Micros | None
    cursor: int
    first_cursor: int
    is_broadcast: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """One recipient's standing with one message."""

    agent: AgentId
    address: str
    kind: Kind
    read_at_us: Micros | None = None
    ack_at_us: Micros | None = None


def recipients_of(command: SendMessage, canonical: Callable[[str], AgentId]) -> list[Recipient]:
    """Return everyone who receives the message, each once, under the first kind that names them."""
    found: dict[AgentId, Recipient] = {}
    for kind, addresses in ((Kind.TO, command.to), (Kind.CC, command.cc or ()), (Kind.BCC, command.bcc or ())):
        for address in addresses:
            agent = canonical(address)
            found.setdefault(agent, Recipient(address, agent, kind))
    return list(found.values())


def content_hash(command: SendMessage) -> bytes:
    """Return a digest of all that a recipient would see differ."""
    content = (
        command.thread_id or "",
        command.to,
        command.cc or [],
        command.bcc or [],
        command.subject or "",
        normal_topic(command.topic),
        command.body or "",
        command.importance or "",
        bool(command.ack_required),
        sorted((command.metadata or {}).items()),
        command.attachments or [],
    )
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest()


def broadcast_hash(command: Broadcast) -> bytes:
    """Return a digest of what was said to everybody: who was there to hear it may differ when it is sent again."""
    content = (
        "broadcast",
        command.subject or "",
        normal_topic(command.topic),
        command.body,
        command.importance or "",
        bool(command.ack_required),
        bool(command.include_stale),
    )
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=16).digest()


def normal_topic(topic: str | None) -> str:
    """Return the topic as it is stored and looked up: trimmed and in lower case (contract.md 1.3)."""
    return (topic or "").strip().lower()


def visible_bcc(message: Message, reader: AgentId | None, canonical: Callable[[str], AgentId]) -> list[str]:
    """Return the blind copies this reader may know of: all for the sender, its own for a recipient, none else."""
    if reader is None:
        return []
    if reader == canonical(message.sender_id):
        return list(message.bcc)
    return [address for address in message.bcc if canonical(address) == reader]


def participants(sender: AgentId, recipients: Sequence[Recipient]) -> list[AgentId]:
    """Return everyone in whose thread list the message appears, each once."""
    return list(dict.fromkeys([sender, *(recipient.agent for recipient in recipients)]))
