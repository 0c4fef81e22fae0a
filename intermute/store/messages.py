"""Messages and their recipients in SQLite: what a send writes, and how messages are read back one by one."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from intermute.core.api.messages import Attachment
from intermute.core.ids import AgentId, MessageId, Micros
from intermute.core.messages import Kind, Message, Receipt, Recipient
from intermute.store.statements import SqlValue, Statement, to_json

MESSAGE_COLUMNS: Final = """
m.id, m.thread_id, m.sender, m.sender_id, m.sender_verified, m.to_json, m.cc_json, m.bcc_json, m.subject, m.topic, m.body,
m.importance, m.ack_required, m.metadata, m.attachments, m.content_hash, m.created_at_us, m.updated_at_us, m.cursor,
m.first_cursor, m.is_broadcast
"""
MESSAGE_WIDTH: Final = 21
VISIBLE: Final = """(
    :reader IS NULL
    OR m.sender_id IN (:reader, :name)
    OR EXISTS (SELECT 1 FROM recipients r WHERE r.message_id = m.id AND r.agent = :reader)
    OR (m.thread_id <> '' AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = m.thread_id AND t.agent = :reader))
    OR m.is_broadcast
)"""
"""Whether a reader may find a message `m`: its own, in a thread it takes part in, or for everybody. NULL may find all.

`name` is the reader's name, under which it may have sent before it registered. The last column comes last: a long body is
stored before it.
"""
TOGETHER_FROM: Final = 8
"""Recipients from which on all entries are written by one statement; for one of them the list would cost more. A guess."""

_SAVE: Final = """
INSERT INTO messages (id, thread_id, sender, sender_id, sender_verified, to_json, cc_json, bcc_json, subject, topic, body,
    importance, ack_required, metadata, attachments, content_hash, created_at_us, updated_at_us, cursor, first_cursor,
    is_broadcast)
VALUES (:id, :thread_id, :sender, :sender_id, :sender_verified, :to_json, :cc_json, :bcc_json, :subject, :topic, :body,
    :importance, :ack_required, :metadata, :attachments, :content_hash, :created_at_us, :updated_at_us, :cursor, :first_cursor,
    :is_broadcast)
ON CONFLICT (id) DO UPDATE SET
    thread_id = excluded.thread_id, sender = excluded.sender, sender_verified = excluded.sender_verified,
    to_json = excluded.to_json, cc_json = excluded.cc_json, bcc_json = excluded.bcc_json, subject = excluded.subject,
    topic = excluded.topic, body = excluded.body, importance = excluded.importance, ack_required = excluded.ack_required,
    metadata = excluded.metadata, attachments = excluded.attachments, content_hash = excluded.content_hash,
    updated_at_us = excluded.updated_at_us, cursor = excluded.cursor, is_broadcast = excluded.is_broadcast
"""
_RECIPIENT: Final = """
INSERT INTO recipients (message_id, agent, address, kind, cursor, ack_required)
VALUES (:message_id, :agent, :address, :kind, :cursor, :ack_required)
ON CONFLICT (message_id, agent) DO UPDATE SET
    address = excluded.address, kind = excluded.kind, ack_required = excluded.ack_required
"""
_RECIPIENTS: Final = """
INSERT INTO recipients (message_id, agent, address, kind, cursor, ack_required)
SELECT :message_id, value ->> 0, value ->> 1, value ->> 2, :cursor, :ack_required FROM json_each(:entries) WHERE true LIMIT :rows
ON CONFLICT (message_id, agent) DO UPDATE SET
    address = excluded.address, kind = excluded.kind, ack_required = excluded.ack_required
"""
_MOVE_RECIPIENTS: Final = (
    "UPDATE recipients SET cursor = :cursor, ack_required = :ack_required WHERE message_id = :message_id"
)
_MARK_READ: Final = "UPDATE recipients SET read_at_us = :now_us WHERE message_id = :message_id AND agent = :agent"
_MARK_ACK: Final = "UPDATE recipients SET ack_at_us = :now_us WHERE message_id = :message_id AND agent = :agent"
_ONE: Final = f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.id = :id"  # noqa: S608 - constants
_ADDRESSES: Final = msgspec.json.Decoder(tuple[str, ...])
_ATTACHMENTS: Final = msgspec.json.Decoder(tuple[Attachment, ...])
_NONE: Final = "[]"
_NO_FIELDS: Final = "{}"
_RECEIPTS: Final = """
SELECT agent, address, kind, read_at_us, ack_at_us FROM recipients WHERE message_id = :id ORDER BY kind DESC, agent
"""


def save(message: Message) -> Statement:
    """Write a message, new or rewritten by its sender."""
    return Statement(
        _SAVE,
        {
            "id": message.id,
            "thread_id": message.thread_id,
            "sender": message.sender,
            "sender_id": message.sender_id,
            "sender_verified": int(message.sender_verified),
            "to_json": to_json(message.to),
            "cc_json": to_json(message.cc),
            "bcc_json": to_json(message.bcc),
            "subject": message.subject,
            "topic": message.topic,
            "body": message.body,
            "importance": message.importance,
            "ack_required": int(message.ack_required),
            "metadata": to_json(message.metadata),
            "attachments": to_json(message.attachments),
            "content_hash": message.content_hash,
            "created_at_us": message.created_at_us,
            "updated_at_us": message.updated_at_us,
            "cursor": message.cursor,
            "first_cursor": message.first_cursor,
            "is_broadcast": int(message.is_broadcast),
        },
    )


def deliver(message: Message, recipients: Sequence[Recipient]) -> list[Statement]:
    """Write one inbox entry for each recipient; an entry that is there keeps its marks and moves to the new cursor."""
    move = Statement(
        _MOVE_RECIPIENTS,
        {"message_id": message.id, "cursor": message.cursor, "ack_required": int(message.ack_required)},
    )
    entries = _entries(message, recipients)
    return [move, *entries] if message.updated_at_us is not None else entries


def _entries(message: Message, recipients: Sequence[Recipient]) -> list[Statement]:
    entry: dict[str, SqlValue] = {
        "message_id": message.id,
        "cursor": message.cursor,
        "ack_required": int(message.ack_required),
    }
    if len(recipients) >= TOGETHER_FROM:
        listed = to_json([(each.agent, each.address, each.kind) for each in recipients])
        return [Statement(_RECIPIENTS, {**entry, "entries": listed, "rows": len(recipients)})]
    return [
        Statement(_RECIPIENT, {**entry, "agent": each.agent, "address": each.address, "kind": each.kind})
        for each in recipients
    ]


def mark_read(message_id: str, agent: AgentId, now_us: Micros) -> Statement:
    """Write when the recipient read the message."""
    return Statement(_MARK_READ, {"message_id": message_id, "agent": agent, "now_us": now_us})


def mark_ack(message_id: str, agent: AgentId, now_us: Micros) -> Statement:
    """Write when the recipient acknowledged the message."""
    return Statement(_MARK_ACK, {"message_id": message_id, "agent": agent, "now_us": now_us})


def one(connection: apsw.Connection, message_id: str) -> Message | None:
    """Return the message of this id."""
    row = connection.execute(_ONE, {"id": message_id}).fetchone()
    return from_row(row) if row else None


def receipts(connection: apsw.Connection, message_id: str) -> list[Receipt]:
    """Return the standing of every recipient of the message: to, then cc, then bcc."""
    return [
        Receipt(AgentId(row[0]), row[1], Kind(row[2]), row[3], row[4])
        for row in connection.execute(_RECEIPTS, {"id": message_id})
    ]


def from_row(
    row: Sequence[Any], cursor: int | None = None
) -> Message:  # Any: SQLite's dynamic columns; the schema is STRICT.
    """Return the message in a row that begins with MESSAGE_COLUMNS. Args: cursor, its place where that is not its own."""
    return Message(
        id=MessageId(row[0]),
        thread_id=row[1],
        sender=row[2],
        sender_id=AgentId(row[3]),
        sender_verified=bool(row[4]),
        to=_ADDRESSES.decode(row[5]),
        # A page has a hundred of these, and nearly all are empty.
        cc=() if row[6] == _NONE else _ADDRESSES.decode(row[6]),
        bcc=() if row[7] == _NONE else _ADDRESSES.decode(row[7]),
        subject=row[8],
        topic=row[9],
        body=row[10],
        importance=row[11],
        ack_required=bool(row[12]),
        metadata={} if row[13] == _NO_FIELDS else msgspec.json.decode(row[13]),
        attachments=() if row[14] == _NONE else _ATTACHMENTS.decode(row[14]),
        content_hash=row[15],
        created_at_us=Micros(row[16]),
        updated_at_us=None if row[17] is None else Micros(row[17]),
        cursor=row[18] if cursor is None else cursor,
        first_cursor=row[19],
        is_broadcast=bool(row[20]),
    )
