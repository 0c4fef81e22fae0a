"""Sending, reading and acknowledging. Source: contract.md 1.3 and 5.4 to 5.6, design.md 9."""

from collections.abc import Mapping

import apsw
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.agents import Identity, act_as
from intermute.core.api.broadcasts import Broadcast
from intermute.core.api.contacts import ApproveMessage
from intermute.core.api.messages import AckMessage, Marked, ReadMessage, SendMessage, Sent
from intermute.core.contacts import OnDenied
from intermute.core.errors import (
    InvalidRequest,
    MessageIdTaken,
    NotARecipient,
    PolicyDenied,
    UnknownMessage,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId, MessageId
from intermute.core.live import Transport
from intermute.core.messages import (
    Kind,
    Message,
    Receipt,
    Recipient,
    content_hash,
    normal_topic,
    participants,
    recipients_of,
)
from intermute.core.times import rfc3339
from intermute.project.handlers import for_approval
from intermute.project.handlers.for_approval import message_event_fields
from intermute.project.handlers.pokes import NotePokes, Routes, known_routes, poke_all, routes_of, transport_of
from intermute.project.handlers.reaching import Reach, Sorting, denial, sort, sort_as_stored
from intermute.project.transaction import Facts, Transaction
from intermute.store import contacts, inboxes, live
from intermute.store import messages as rows


def facts_for_send(connection: apsw.Connection, command: SendMessage | Broadcast, facts: Facts) -> None:
    """Fetch the message that an explicit id may already mean, and who takes part in the thread."""
    if command.id:
        _fetch(connection, command.id, facts)
        if (
            isinstance(command, SendMessage)
            and command.transport == Transport.LIVE
            and command.id not in facts.poke_results
        ):
            facts.poke_results[command.id] = live.results(connection, command.id)
    if isinstance(command, Broadcast):
        return  # It has no thread.
    thread_id = _thread_id(command)
    is_asked = facts.is_guarded or command.transport not in (None, "", Transport.ASYNC)
    if thread_id and is_asked and thread_id not in facts.threads:
        facts.threads[thread_id] = contacts.parties(connection, thread_id)


def facts_for_message(
    connection: apsw.Connection, command: AckMessage | ApproveMessage | NotePokes, facts: Facts
) -> None:
    """Fetch the message and its recipients."""
    _fetch(connection, command.message_id, facts)


def _fetch(connection: apsw.Connection, message_id: str, facts: Facts) -> None:
    if message_id not in facts.messages:
        facts.messages[message_id] = rows.one(connection, message_id)
        facts.receipts[message_id] = {each.agent: each for each in rows.receipts(connection, message_id)}


def send_message(command: SendMessage, tx: Transaction) -> Sent:
    """Store a message and an inbox entry for each recipient that takes it, once for each id and content."""
    transport_of(command)
    identity = tx.identity()
    sender_id = act_as(identity, tx.state.agents.canonical(command.sender))
    assert sender_id is not None
    sent = post(command, Identity(sender_id, identity.is_verified), tx, is_policed=True)
    if not sent.replayed:
        tx.heard(tx.state.agents.find(sender_id))
    return sent


def post(
    command: SendMessage, sender: Identity, tx: Transaction, *, is_policed: bool = False, broadcast: bytes | None = None
) -> Sent:
    """Do what `send_message` does, in the name of `sender`.

    Another command that tells somebody something posts it too, after its last check and whatever the recipient's policy: a
    message without an id to one recipient is then never refused, and neither is a broadcast whose id is free or its sender's own.

    Args: broadcast, where it is one: the digest of its content. It may go to as many agents as there are.
    """
    directory = tx.state.agents
    sender_id = sender.address
    assert sender_id is not None
    recipients = recipients_of(command, directory.canonical)
    if len(recipients) > limits.RECIPIENTS_MAX and broadcast is None:
        raise InvalidRequest([("to", f"at most {limits.RECIPIENTS_MAX} recipients in to, cc and bcc together")])
    digest = broadcast or content_hash(command)
    known = tx.facts.messages.get(command.id) if command.id else None
    if known is not None:
        if directory.canonical(known.sender_id) != sender_id:  # It may have sent before it registered.
            raise MessageIdTaken(known.id)
        if known.content_hash == digest:
            stored = sort_as_stored(recipients, known, tx)
            return _sent(command, known, stored, tx, known_routes(command, stored, known.id, tx), replayed=True)
    sorting = Sorting(delivered=recipients)
    routes: Routes = {}
    if is_policed:
        sorting = _sorted(command, recipients, known, sender_id, tx)
        routes = routes_of(command, sorting, sender_id, tx)
    cursor = tx.next_cursor()
    listed = {each.agent for each in sorting.delivered}
    message = Message(
        id=MessageId(command.id or tx.mint()),
        thread_id=_thread_id(command),
        sender=command.sender,
        sender_id=sender_id,
        sender_verified=sender.is_verified,
        # Who does not get it is not among those whom the others see.
        to=tuple(each for each in command.to if directory.canonical(each) in listed),
        cc=tuple(each for each in command.cc or () if directory.canonical(each) in listed),
        bcc=tuple(each for each in command.bcc or () if directory.canonical(each) in listed),
        subject=command.subject or "",
        topic=normal_topic(command.topic),
        body=command.body or "",
        importance=command.importance or "",
        ack_required=bool(command.ack_required),
        metadata=dict(command.metadata or {}),
        attachments=tuple(command.attachments or ()),
        content_hash=digest,
        created_at_us=known.created_at_us if known else tx.now.wall_us,
        updated_at_us=tx.now.wall_us if known else None,
        cursor=cursor,
        first_cursor=known.first_cursor if known else cursor,
        is_broadcast=broadcast is not None,
    )
    # What goes into terminals alone is in nobody's inbox.
    _store(message, [] if transport_of(command) is Transport.LIVE else sorting.delivered, known, tx)
    for_approval.hold_all(message, sorting, tx)
    how = poke_all(message, routes, sender_id, tx)
    return _sent(command, message, sorting, tx, how, updated=known is not None)


def _sorted(
    command: SendMessage, recipients: list[Recipient], known: Message | None, sender: AgentId, tx: Transaction
) -> Sorting:
    """Decide who gets it. Raises: PolicyDenied, where nobody does, or where somebody has it who would not get it now."""
    thread_id = _thread_id(command)
    reach = Reach(sender, tx, thread_id)
    is_live = transport_of(command) is not Transport.ASYNC
    to_reach = Reach(sender, tx, thread_id, is_live=True) if is_live else reach
    sorting = sort(recipients, to_reach, reach, command.on_denied or OnDenied.DROP)
    if known is not None:
        having = [
            (Recipient(each.address, agent, each.kind), reach.verdict(agent))
            for agent, each in tx.facts.receipts.get(known.id, {}).items()
        ]
        if refusing := [denial(each.address, verdict.reason) for each, verdict in having if verdict.is_denial]:
            raise PolicyDenied(refusing, is_update=True)
    elif not sorting.delivered and not sorting.held:
        raise PolicyDenied(sorting.denials())
    return sorting


def _thread_id(command: SendMessage) -> str:
    return (command.thread_id or "").strip("/")


def _store(message: Message, recipients: list[Recipient], known: Message | None, tx: Transaction) -> None:
    is_new = known is None
    tx.write(rows.save(message), *rows.deliver(message, recipients))
    receipts = tx.facts.receipts.setdefault(message.id, {})
    if message.thread_id:
        # An update counts for those alone who did not have the message in this thread before.
        counted = {message.sender_id, *receipts} if known and known.thread_id == message.thread_id else set()
        for agent in participants(message.sender_id, recipients):
            tx.write(inboxes.join_thread(message, agent, is_new=agent not in counted))
    for recipient in recipients:
        old = receipts.get(recipient.agent)
        receipts[recipient.agent] = Receipt(
            recipient.agent,
            recipient.address,
            recipient.kind,
            old.read_at_us if old else None,
            old.ack_at_us if old else None,
        )
    tx.facts.messages[message.id] = message
    tx.facts.note_parties(message, receipts)
    # Whoever received an earlier version keeps it in the inbox, so it hears of the new one as well.
    audience = frozenset(receipts)
    kind = EventType.MESSAGE_CREATED if is_new else EventType.MESSAGE_UPDATED
    cursor = tx.emit(kind, message_event_fields(message), audience)
    assert cursor == message.cursor


def _sent(
    command: SendMessage,
    message: Message,
    sorting: Sorting,
    tx: Transaction,
    live_ways: Mapping[AgentId, str],
    *,
    replayed: bool = False,
    updated: bool = False,
) -> Sent:
    canonical = tx.state.agents.canonical
    how = {each.agent: "async" for each in sorting.delivered}
    how |= {each.agent: "held" for each, _ in sorting.held}
    how |= live_ways
    addressed = {each: how[canonical(each)] for each in command.to if canonical(each) in how}
    unregistered = [each.address for each in sorting.delivered if tx.state.agents.find(each.agent) is None]
    return Sent(
        message_id=message.id,
        cursor=message.first_cursor if replayed else message.cursor,
        denied=[each.address for each, _ in sorting.denied] or None,
        delivery=next(iter(addressed.values())) if len(addressed) == 1 else addressed or None,
        held=[each.address for each, _ in sorting.held] or None,
        denials=sorting.denials() or None,
        replayed=replayed,
        updated=updated,
        unregistered=unregistered or None,
    )


def ack_message(command: AckMessage, tx: Transaction) -> Marked:
    """Note that a recipient acknowledged; the first time counts, and a repetition changes nothing."""
    return _mark(command, tx, EventType.MESSAGE_ACK)


def read_message(command: ReadMessage, tx: Transaction) -> Marked:
    """Note that a recipient read; the first time counts, and a repetition changes nothing."""
    return _mark(command, tx, EventType.MESSAGE_READ)


def _mark(command: AckMessage, tx: Transaction, kind: EventType) -> Marked:
    message = tx.facts.messages.get(command.message_id)
    if message is None:
        raise UnknownMessage(command.message_id)
    receipts = tx.facts.receipts[message.id]
    agent = _recipient(command, receipts, tx)
    receipt = receipts.get(agent)
    if receipt is None:
        raise NotARecipient(message.id, command.agent or agent)
    tx.heard(tx.state.agents.find(agent))
    is_ack = kind is EventType.MESSAGE_ACK
    if (receipt.ack_at_us if is_ack else receipt.read_at_us) is None:
        if is_ack:
            receipt = replace(receipt, ack_at_us=tx.now.wall_us)
            tx.write(rows.mark_ack(message.id, agent, tx.now.wall_us))
        else:
            receipt = replace(receipt, read_at_us=tx.now.wall_us)
            tx.write(rows.mark_read(message.id, agent, tx.now.wall_us))
        receipts[agent] = receipt
        # Who was copied blindly is known to the sender and to itself, and so is what it does with the copy.
        knows = frozenset({agent, message.sender_id}) if receipt.kind is Kind.BCC else None
        tx.emit(kind, {"message_id": message.id, "agent_id": agent}, knows)
    return Marked(
        message_id=message.id,
        agent=receipt.address,
        read_at=None if receipt.read_at_us is None else rfc3339(receipt.read_at_us),
        ack_at=None if receipt.ack_at_us is None else rfc3339(receipt.ack_at_us),
    )


def _recipient(command: AckMessage, receipts: dict[AgentId, Receipt], tx: Transaction) -> AgentId:
    given = tx.state.agents.canonical(command.agent) if command.agent else None
    agent = act_as(tx.identity(), given)
    if agent is not None:
        return agent
    if len(receipts) == 1:  # The original's SDK never says who it is; with one recipient there is no doubt.
        return next(iter(receipts))
    raise InvalidRequest([("agent", "say which recipient you are, here or in X-Agent-ID: the message has several")])
