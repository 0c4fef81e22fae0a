"""Broadcasts: one message to everybody, in one commit. Source: contract.md 1.6, issue 6 point 1.

Who is counted against the limit: an agent that proves itself by itself, so that nobody who only says that it is that agent
can use up its broadcasts; and all names that nobody registered together, since they could be made up without end.
"""

from collections.abc import Hashable

from intermute.core.agents import Agent, Identity, act_as
from intermute.core.api.broadcasts import Broadcast, Broadcasted
from intermute.core.api.messages import SendMessage
from intermute.core.errors import BroadcastLimit, MessageIdTaken, PolicyDenied
from intermute.core.ids import AgentId
from intermute.core.messages import Kind, Recipient, broadcast_hash
from intermute.project.handlers.messages import post
from intermute.project.handlers.reaching import Reach, sort
from intermute.project.transaction import Transaction

NOBODY = Broadcasted(message_id="", cursor=0, delivered=0)
"""As the original answers where there is no one else (contract.md 1.6)."""


def broadcast(command: Broadcast, tx: Transaction) -> Broadcasted:
    """Store one message and an inbox entry for each agent that is to have it; once for each id and content."""
    identity = tx.identity()
    sender = act_as(identity, tx.state.agents.canonical(command.sender))
    assert sender is not None
    digest = broadcast_hash(command)
    if command.id and (known := tx.facts.messages.get(command.id)) is not None:
        if tx.state.agents.canonical(known.sender_id) != sender:
            raise MessageIdTaken(known.id)
        if known.content_hash == digest:
            return Broadcasted(message_id=known.id, cursor=known.first_cursor, delivered=len(known.to), replayed=True)
    share = _share(sender, tx, is_verified=identity.is_verified)
    if (wait_s := tx.state.broadcasts.wait_s(share, tx.now.mono_s)) > 0:
        raise BroadcastLimit(wait_s)
    tx.state.broadcasts.take(share, tx.now.mono_s)
    reach = Reach(sender, tx)  # Of the inboxes: a broadcast goes into no terminal.
    hearers = [Recipient(agent.id, agent.id, Kind.TO) for agent in audience(command, sender, tx)]
    sorting = sort(hearers, reach, reach)
    if sorting.denied and not sorting.delivered:
        raise PolicyDenied(sorting.denials())
    tx.heard(tx.state.agents.find(sender))
    if not sorting.delivered:
        return NOBODY
    letter = SendMessage(
        sender=command.sender,
        to=[each.address for each in sorting.delivered],
        id=command.id,
        subject=command.subject,
        topic=command.topic,
        body=command.body,
        importance=command.importance,
        ack_required=command.ack_required,
    )
    sent = post(letter, Identity(sender, identity.is_verified), tx, broadcast=digest)
    return Broadcasted(
        message_id=sent.message_id,
        cursor=sent.cursor,
        delivered=len(sorting.delivered),
        denied=[each.address for each, _ in sorting.denied] or None,
        updated=sent.updated,
    )


def audience(command: Broadcast, sender: AgentId, tx: Transaction) -> list[Agent]:
    """Return the agents that a broadcast is for: the live ones, or all if it says so, and never its sender."""
    return [
        agent
        for agent in tx.state.agents
        if agent.id != sender and (command.include_stale or agent.is_live(tx.now.mono_s))
    ]


def _share(sender: AgentId, tx: Transaction, *, is_verified: bool) -> Hashable:
    agent = tx.state.agents.find(sender)
    return (None if agent is None else agent.id, is_verified)
