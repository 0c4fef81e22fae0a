"""Messages that wait for their recipient's approval: kept, let in under a cursor of their own, or refused.

Source: issue 6 point 2.
"""

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.agents import act_as
from intermute.core.api.contacts import (
    Approved,
    ApproveMessage,
    Declined,
    DeclineMessage,
    HeldList,
    HeldView,
    ListHeld,
)
from intermute.core.contact_book import Held
from intermute.core.errors import InvalidRequest, NotHeld
from intermute.core.events import EventType
from intermute.core.ids import AgentId, MessageId
from intermute.core.messages import Kind, Message, Receipt, Recipient
from intermute.core.times import rfc3339
from intermute.project.handlers.reaching import Sorting
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import contacts, inboxes
from intermute.store import messages as rows


def message_event_fields(message: Message) -> dict[str, object]:
    """Return what the event of a message says of it."""
    return {
        "message_id": message.id,
        "from": message.sender,
        "from_id": message.sender_id,
        "thread_id": message.thread_id,
        "subject": message.subject,
        "topic": message.topic,
        "importance": message.importance,
        "ack_required": message.ack_required,
    }


def hold_all(message: Message, sorting: Sorting, tx: Transaction) -> None:
    """Keep a message for those who have to approve it, and for nobody who has it now."""
    book = tx.state.contacts
    for recipient in sorting.delivered:
        if (waiting := book.held(recipient.agent, message.id)) is not None:
            _let_go(waiting, tx)
    for recipient, reason in sorting.held:
        if book.held(recipient.agent, message.id) is not None:
            continue
        held = Held(
            recipient.agent, message.id, recipient.address, recipient.kind, message.sender_id, reason, tx.now.wall_us
        )
        book.hold(held)
        tx.write(contacts.hold(held))
        # Nothing of what the sender wrote: the recipient has not let it in.
        fields = {"message_id": message.id, "from_id": message.sender_id, "agent_id": held.agent, "reason": reason}
        tx.emit(EventType.MESSAGE_HELD, fields, frozenset({held.agent}))


def list_held(query: ListHeld, desk: Desk) -> FromStore[HeldList]:
    """Return what waits for an agent's approval, the oldest first; of each only how it begins."""
    agent = desk.state.agents.canonical(query.agent)
    act_as(desk.identity(), agent)

    def work(connection: apsw.Connection) -> HeldList:
        return HeldList(
            agent=query.agent, held=[_view(message, held) for message, held in contacts.held_for(connection, agent)]
        )

    return FromStore(work)


def approve_message(command: ApproveMessage, tx: Transaction) -> Approved:
    """Deliver a held message to the one recipient that approves it."""
    held = _one_held(command, tx)
    message = tx.facts.messages.get(command.message_id)
    if message is None:
        raise NotHeld(command.message_id, held.address)
    _let_go(held, tx)
    recipient = Recipient(held.address, held.agent, held.kind)
    told = message
    match held.kind:
        case Kind.TO:
            told = replace(message, to=(*message.to, held.address))
        case Kind.CC:
            told = replace(message, cc=(*message.cc, held.address))
        case Kind.BCC:
            told = replace(message, bcc=(*message.bcc, held.address))
    # For everybody else the message stays where it is in the log.
    entry = replace(told, cursor=tx.next_cursor(), updated_at_us=None)
    tx.write(rows.save(told), *rows.deliver(entry, [recipient]))
    if message.thread_id:
        tx.write(inboxes.join_thread(entry, held.agent, is_new=True))
    receipts = tx.facts.receipts.setdefault(message.id, {})
    receipts[held.agent] = Receipt(held.agent, held.address, held.kind)
    tx.facts.messages[message.id] = told
    tx.facts.note_parties(told, receipts)
    cursor = tx.emit(EventType.MESSAGE_CREATED, message_event_fields(told), frozenset({held.agent}))
    assert cursor == entry.cursor
    tx.emit(
        EventType.MESSAGE_APPROVED,
        {"message_id": message.id, "agent_id": held.agent},
        frozenset({held.agent, message.sender_id}),
    )
    tx.heard(tx.state.agents.find(held.agent))
    return Approved(message_id=message.id, agent=held.address, cursor=cursor)


def decline_message(command: DeclineMessage, tx: Transaction) -> Declined:
    """Refuse a held message, and let its sender know."""
    held = _one_held(command, tx)
    drop_held(held, command.reason or "", tx)
    tx.heard(tx.state.agents.find(held.agent))
    return Declined(message_id=held.message_id, agent=held.address, status="declined")


def drop_held(held: Held, reason: str, tx: Transaction) -> None:
    """Take out what waits, and let its sender know why."""
    _let_go(held, tx)
    fields = {"message_id": held.message_id, "agent_id": held.agent, "reason": reason}
    tx.emit(EventType.MESSAGE_DECLINED, fields, frozenset({held.agent, tx.state.agents.canonical(held.sender)}))


def _one_held(command: ApproveMessage | DeclineMessage, tx: Transaction) -> Held:
    """Return what the caller approves or refuses. Raises: InvalidRequest, AgentIdentityMismatch, NotHeld."""
    agent = _recipient(command.agent, tx)
    held = tx.state.contacts.held(agent, command.message_id)
    if held is None:
        raise NotHeld(command.message_id, command.agent or agent)
    return held


def _recipient(given: str | None, tx: Transaction) -> AgentId:
    agent = act_as(tx.identity(), tx.state.agents.canonical(given) if given else None)
    if agent is None:
        raise InvalidRequest([("agent", "say which recipient you are, here or in X-Agent-ID")])
    return agent


def _let_go(held: Held, tx: Transaction) -> None:
    tx.state.contacts.let_go(held)
    tx.write(contacts.let_go(held))


def _view(message: Message, held: Held) -> HeldView:
    return HeldView(
        message_id=MessageId(message.id),
        sender=message.sender,
        sender_id=message.sender_id,
        sender_verified=message.sender_verified,
        kind=held.kind,
        thread_id=message.thread_id,
        subject=message.subject or None,
        preview=message.body[: limits.HELD_PREVIEW_CHARS],
        reason=held.reason,
        held_at=rfc3339(held.held_at_us),
    )
