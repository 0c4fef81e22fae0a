"""Reading messages: inboxes, counts, threads, recipients. All of it comes from committed facts on a read connection."""

from collections.abc import Callable, Iterable

import apsw

from intermute.core import limits
from intermute.core.agents import act_as
from intermute.core.api.messages import (
    Counts,
    GetMessage,
    Inbox,
    InboxCounts,
    MessagePage,
    MessageRecipients,
    MessageView,
    RecipientList,
    RecipientView,
    StaleAck,
    StaleAckPage,
    StaleAcks,
    Thread,
    ThreadList,
    ThreadPage,
    Threads,
    ThreadSummary,
)
from intermute.core.errors import UnknownMessage
from intermute.core.ids import AgentId, Micros
from intermute.core.messages import Kind, Message, Receipt, visible_bcc
from intermute.core.pages import page_size
from intermute.core.times import SECOND_US, rfc3339, rfc3339_seconds
from intermute.project.transaction import Desk, FromStore
from intermute.store import inboxes
from intermute.store import messages as rows

_NEWEST = 2**63 - 1
_STALE_AFTER_S = 1800  # seconds; the original's default (contract.md 1.3).


def place(cursor: int | None) -> int:
    """Return the place in the log that a cursor of the original means: anything below the first is the beginning."""
    return min(max(cursor or 0, 0), _NEWEST)


def _owner(address: str, desk: Desk) -> AgentId:
    """Return whose mail is asked for. Raises: AgentIdentityMismatch, where a proved caller asks for another's."""
    owner = desk.state.agents.canonical(address)
    act_as(desk.identity(), owner)
    return owner


def inbox(query: Inbox, desk: Desk) -> FromStore[MessagePage]:
    """Return an agent's messages after a cursor, the oldest first; marks nothing."""
    agent = _owner(query.agent, desk)
    cursor = place(query.since_cursor)
    limit = page_size(query.limit, limits.PAGE_DEFAULT)

    def work(connection: apsw.Connection) -> MessagePage:
        found = inboxes.inbox(connection, agent, cursor=cursor, limit=limit, is_unread_only=bool(query.unread))
        views = [message_view(message, agent, desk, receipt) for message, receipt in found]
        return MessagePage(messages=views, cursor=found[-1][0].cursor if found else cursor)

    return FromStore(work)


def inbox_counts(query: InboxCounts, desk: Desk) -> FromStore[Counts]:
    """Return how full an inbox is."""
    agent = _owner(query.agent, desk)

    def work(connection: apsw.Connection) -> Counts:
        total, unread, unacknowledged = inboxes.counts(connection, agent)
        return Counts(total=total, unread=unread, unacknowledged=unacknowledged)

    return FromStore(work)


def stale_acks(query: StaleAcks, desk: Desk) -> FromStore[StaleAckPage]:
    """Return what an agent should have acknowledged some time ago."""
    agent = _owner(query.agent, desk)
    wished = query.ttl_seconds
    ttl_s = _STALE_AFTER_S if wished is None or wished < 0 else min(wished, 2**40)
    until_us = Micros(desk.now.wall_us - ttl_s * SECOND_US)
    limit = page_size(query.limit, limits.STALE_ACKS_DEFAULT)

    def work(connection: apsw.Connection) -> StaleAckPage:
        found = inboxes.stale(connection, agent, until_us=until_us, limit=limit)
        return StaleAckPage(
            project=desk.project,
            agent=query.agent,
            ttl_seconds=ttl_s,
            count=len(found),
            messages=[_stale_ack(message, receipt, desk) for message, receipt in found],
        )

    return FromStore(work)


def threads(query: Threads, desk: Desk) -> FromStore[ThreadList]:
    """Return an agent's threads, the most recent first."""
    agent = _owner(query.agent, desk)
    cursor = place(query.cursor)
    limit = page_size(query.limit, limits.THREADS_DEFAULT)

    def work(connection: apsw.Connection) -> ThreadList:
        found = inboxes.threads(connection, agent, before=cursor or _NEWEST, limit=limit)
        return ThreadList(
            threads=[
                ThreadSummary(
                    thread_id=row.thread_id,
                    last_cursor=row.last_cursor,
                    message_count=row.message_count,
                    last_from=row.last_from,
                    last_body=row.last_body,
                    last_at=rfc3339_seconds(row.last_at_us),
                )
                for row in found
            ],
            cursor=found[-1].last_cursor if found else cursor,
        )

    return FromStore(work)


def thread(query: Thread, desk: Desk) -> FromStore[ThreadPage]:
    """Return a thread's messages in log order."""
    reader = desk.identity().address
    thread_id = query.thread_id.strip("/")
    cursor = place(query.cursor)
    limit = page_size(query.limit, limits.LIST_DEFAULT)

    def work(connection: apsw.Connection) -> ThreadPage:
        found = inboxes.thread(connection, thread_id, cursor=cursor, limit=limit)
        return ThreadPage(
            thread_id=thread_id,
            messages=[message_view(message, reader, desk) for message in found],
            cursor=found[-1].cursor if found else cursor,
        )

    return FromStore(work)


def get_message(query: GetMessage, desk: Desk) -> FromStore[MessageView]:
    """Return one message as the caller may see it."""
    reader = desk.identity().address

    def work(connection: apsw.Connection) -> MessageView:
        message = _one(connection, query.message_id)
        mine = [each for each in rows.receipts(connection, message.id) if each.agent == reader]
        return message_view(message, reader, desk, mine[0] if mine else None)

    return FromStore(work)


def message_recipients(query: MessageRecipients, desk: Desk) -> FromStore[RecipientList]:
    """Return who received a message and what became of it; blind copies only to those who may know."""
    reader = desk.identity().address
    find, canonical = desk.state.agents.find, desk.state.agents.canonical

    def view(receipt: Receipt) -> RecipientView:
        registered = find(receipt.agent)
        return RecipientView(
            agent=receipt.address,
            agent_id=registered.id if registered else None,
            kind=receipt.kind,
            read_at=_time(receipt.read_at_us),
            ack_at=_time(receipt.ack_at_us),
        )

    def work(connection: apsw.Connection) -> RecipientList:
        message = _one(connection, query.message_id)
        found = rows.receipts(connection, message.id)
        return RecipientList(
            message_id=message.id,
            recipients=[view(each) for each in _visible(found, canonical(message.sender_id), reader)],
        )

    return FromStore(work)


def _visible(receipts: Iterable[Receipt], sender: AgentId, reader: AgentId | None) -> list[Receipt]:
    return [
        each
        for each in receipts
        if each.kind is not Kind.BCC or (reader is not None and reader in (sender, each.agent))
    ]


def _one(connection: apsw.Connection, message_id: str) -> Message:
    message = rows.one(connection, message_id)
    if message is None:
        raise UnknownMessage(message_id)
    return message


def message_view(message: Message, reader: AgentId | None, desk: Desk, receipt: Receipt | None = None) -> MessageView:
    """Return a message as this reader may see it."""
    return MessageView(
        id=message.id,
        thread_id=message.thread_id,
        project=desk.project,
        sender=message.sender,
        to=list(message.to),
        cc=list(message.cc) or None,
        bcc=visible_bcc(message, reader, _canonical(desk)) or None,
        subject=message.subject or None,
        topic=message.topic or None,
        body=message.body,
        importance=message.importance or None,
        ack_required=message.ack_required,
        created_at=rfc3339(message.created_at_us),
        cursor=message.cursor,
        sender_id=None if message.sender_id == message.sender else message.sender_id,
        sender_verified=message.sender_verified,
        metadata=dict(message.metadata) or None,
        attachments=list(message.attachments) or None,
        broadcast=message.is_broadcast,
        updated_at=_time(message.updated_at_us),
        kind=receipt.kind if receipt else None,
        read_at=_time(receipt.read_at_us) if receipt else None,
        ack_at=_time(receipt.ack_at_us) if receipt else None,
    )


def _stale_ack(message: Message, receipt: Receipt, desk: Desk) -> StaleAck:
    return StaleAck(
        id=message.id,
        thread_id=message.thread_id,
        project=desk.project,
        sender=message.sender,
        to=list(message.to),
        subject=message.subject or None,
        body=message.body,
        created_at=rfc3339(message.created_at_us),
        kind=receipt.kind,
        read_at=_time(receipt.read_at_us),
        age_seconds=(desk.now.wall_us - message.created_at_us) // SECOND_US,
    )


def _time(at_us: Micros | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)


def _canonical(desk: Desk) -> Callable[[str], AgentId]:
    return desk.state.agents.canonical
