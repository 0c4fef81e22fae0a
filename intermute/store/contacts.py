"""Contacts and messages that wait for approval, in SQLite."""

from collections.abc import Iterator
from typing import Final

import apsw

from intermute.core import limits
from intermute.core.contact_book import Contact, ContactState, Held
from intermute.core.contacts import Parties
from intermute.core.ids import AgentId, MessageId, Micros
from intermute.core.messages import Kind, Message
from intermute.store.messages import MESSAGE_COLUMNS, MESSAGE_WIDTH, from_row
from intermute.store.statements import Statement

_SAVE: Final = """
INSERT INTO contacts (agent, other, state, reason, since_us) VALUES (:agent, :other, :state, :reason, :since_us)
ON CONFLICT (agent, other) DO UPDATE SET state = excluded.state, reason = excluded.reason, since_us = excluded.since_us
"""
_REMOVE: Final = "DELETE FROM contacts WHERE agent = :agent AND other = :other"
_ALL: Final = "SELECT agent, other, state, reason, since_us FROM contacts ORDER BY since_us, agent, other"
_OF: Final = """
SELECT agent, other, state, reason, since_us FROM contacts WHERE agent = :agent
"""
_HOLD: Final = """
INSERT OR REPLACE INTO held_messages (agent, message_id, address, kind, sender, reason, held_at_us)
VALUES (:agent, :message_id, :address, :kind, :sender, :reason, :held_at_us)
"""
_LET_GO: Final = "DELETE FROM held_messages WHERE agent = :agent AND message_id = :message_id"
_HELD: Final = """
SELECT agent, message_id, address, kind, sender, reason, held_at_us FROM held_messages ORDER BY held_at_us, message_id
"""
_HELD_FOR: Final = f"""
SELECT {MESSAGE_COLUMNS}, h.agent, h.message_id, h.address, h.kind, h.sender, h.reason, h.held_at_us
FROM held_messages h JOIN messages m ON m.id = h.message_id WHERE h.agent = :agent
"""  # noqa: S608 - constants
_PARTIES: Final = """
SELECT m.id, m.sender_id, r.agent FROM messages m JOIN recipients r ON r.message_id = m.id
WHERE m.thread_id = :thread_id AND m.thread_id <> '' ORDER BY m.cursor DESC LIMIT :rows
"""


def save(contact: Contact) -> Statement:
    """Write an entry of a list, new or changed."""
    return Statement(
        _SAVE,
        {
            "agent": contact.agent,
            "other": contact.other,
            "state": contact.state,
            "reason": contact.reason,
            "since_us": contact.since_us,
        },
    )


def remove(contact: Contact) -> Statement:
    """Delete an entry of a list."""
    return Statement(_REMOVE, {"agent": contact.agent, "other": contact.other})


def load(connection: apsw.Connection) -> Iterator[Contact]:
    """Yield every entry of every list, the oldest first."""
    return (_contact(*row) for row in connection.execute(_ALL))


def of(connection: apsw.Connection, agent: AgentId) -> list[Contact]:
    """Return an agent's list, the oldest entry first."""
    found = [_contact(*row) for row in connection.execute(_OF, {"agent": agent})]
    return sorted(found, key=lambda each: (each.since_us, each.other))


def hold(held: Held) -> Statement:
    """Write that a message waits for its recipient's approval."""
    return Statement(
        _HOLD,
        {
            "agent": held.agent,
            "message_id": held.message_id,
            "address": held.address,
            "kind": held.kind,
            "sender": held.sender,
            "reason": held.reason,
            "held_at_us": held.held_at_us,
        },
    )


def let_go(held: Held) -> Statement:
    """Write that a message waits no longer."""
    return Statement(_LET_GO, {"agent": held.agent, "message_id": held.message_id})


def load_held(connection: apsw.Connection) -> Iterator[Held]:
    """Yield everything that waits, the oldest first."""
    return (_held(*row) for row in connection.execute(_HELD))


def held_for(connection: apsw.Connection, agent: AgentId) -> list[tuple[Message, Held]]:
    """Return what waits for an agent, the oldest first, with the messages."""
    found = [(from_row(row), _held(*row[MESSAGE_WIDTH:])) for row in connection.execute(_HELD_FOR, {"agent": agent})]
    return sorted(found, key=lambda each: (each[1].held_at_us, each[1].message_id))


def parties(connection: apsw.Connection, thread_id: str) -> dict[str, Parties]:
    """Return between whom the last messages of a thread went, by message."""
    values = {"thread_id": thread_id, "rows": limits.THREAD_PARTIES_ASKED}
    found: dict[str, tuple[AgentId, set[AgentId]]] = {}
    for message_id, sender, recipient in connection.execute(_PARTIES, values):
        found.setdefault(message_id, (AgentId(sender), set()))[1].add(AgentId(recipient))
    return {each: Parties(sender, frozenset(recipients)) for each, (sender, recipients) in found.items()}


def _contact(agent: str, other: str, state: str, reason: str, since_us: int) -> Contact:
    return Contact(AgentId(agent), AgentId(other), _state(state), reason, Micros(since_us))


def _state(text: str) -> ContactState:
    try:
        return ContactState(text)
    except ValueError:
        return ContactState.DECLINED  # What another version wrote lets nobody in.


def _held(agent: str, message_id: str, address: str, kind: str, sender: str, reason: str, held_at_us: int) -> Held:
    return Held(AgentId(agent), MessageId(message_id), address, Kind(kind), AgentId(sender), reason, Micros(held_at_us))
