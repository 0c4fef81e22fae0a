"""Agents in SQLite."""

from collections.abc import Callable, Iterable
from typing import Final

import apsw
import msgspec

from intermute.core.agents import Agent, FocusState
from intermute.core.contacts import read_policy
from intermute.core.ids import AgentId, Micros
from intermute.store.statements import Statement, to_json

_SAVE: Final = """
INSERT INTO agents (id, session_id, name, token_hash, capabilities, metadata, status, focus_state, created_at_us, last_seen_us)
VALUES (:id, :session_id, :name, :token_hash, :capabilities, :metadata, :status, :focus_state, :created_at_us, :last_seen_us)
ON CONFLICT (id) DO UPDATE SET
    session_id = excluded.session_id, name = excluded.name, token_hash = excluded.token_hash,
    capabilities = excluded.capabilities, metadata = excluded.metadata, status = excluded.status,
    focus_state = excluded.focus_state, last_seen_us = excluded.last_seen_us
"""
_SEEN: Final = "UPDATE agents SET last_seen_us = :last_seen_us, focus_state = :focus_state WHERE id = :id"
_DEREGISTER: Final = "UPDATE agents SET deregistered_at_us = :now_us WHERE id = :id"
_SAVE_POLICY: Final = "UPDATE agents SET contact_policy = :policy WHERE id = :id"
_SAVE_LIVE_POLICY: Final = "UPDATE agents SET live_contact_policy = :policy WHERE id = :id"
_LOAD: Final = """
SELECT id, session_id, name, token_hash, capabilities, metadata, status, focus_state, created_at_us, last_seen_us,
    contact_policy, live_contact_policy
FROM agents WHERE deregistered_at_us IS NULL ORDER BY created_at_us, id
"""
_KNOWN: Final = "SELECT 1 FROM agents WHERE id = :id"
_ADOPT_RECIPIENTS: Final = "UPDATE OR IGNORE recipients SET agent = :id WHERE agent = :name"
_ADOPT_THREADS: Final = "UPDATE OR IGNORE threads SET agent = :id WHERE agent = :name"


def save(agent: Agent) -> Statement:
    """Write an agent, new or changed."""
    return Statement(
        _SAVE,
        {
            "id": agent.id,
            "session_id": agent.session_id,
            "name": agent.name,
            "token_hash": agent.token_hash,
            "capabilities": None if agent.capabilities is None else to_json(agent.capabilities),
            "metadata": None if agent.metadata is None else to_json(agent.metadata),
            "status": agent.status,
            "focus_state": agent.focus_state,
            "created_at_us": agent.created_at_us,
            "last_seen_us": agent.last_seen_us,
        },
    )


def save_policies(agent: Agent) -> list[Statement]:
    """Write from whom an agent takes messages; what cannot be read stays as it is."""
    return [
        Statement(sql, {"id": agent.id, "policy": policy})
        for sql, policy in (
            (_SAVE_POLICY, agent.contact_policy),
            (_SAVE_LIVE_POLICY, agent.live_contact_policy),
        )
        if policy is not None
    ]


def adopt_mail(agent: Agent) -> list[Statement]:
    """Give an agent what was sent to its name before it registered under it (design.md 6)."""
    values = {"id": agent.id, "name": agent.name}
    return [Statement(_ADOPT_RECIPIENTS, values), Statement(_ADOPT_THREADS, values)]


def seen(agents: Iterable[Agent]) -> list[Statement]:
    """Write when agents were last heard; heartbeats reach the disk only through this."""
    return [
        Statement(_SEEN, {"id": each.id, "last_seen_us": each.last_seen_us, "focus_state": each.focus_state})
        for each in agents
    ]


def deregister(agent: Agent, now_us: Micros) -> Statement:
    """Note that an agent left; its messages and history stay."""
    return Statement(_DEREGISTER, {"id": agent.id, "now_us": now_us})


def is_known(connection: apsw.Connection, agent_id: AgentId) -> bool:
    """Tell whether an agent of this id is or was registered."""
    return connection.execute(_KNOWN, {"id": agent_id}).fetchone() is not None


def load(connection: apsw.Connection, heard_s: Callable[[AgentId, Micros], float]) -> list[Agent]:
    """Return the registered agents; `heard_s` tells the monotonic time at which each counts as last heard."""
    return [
        Agent(
            id=AgentId(row[0]),
            session_id=row[1],
            name=row[2],
            token_hash=row[3],
            capabilities=None if row[4] is None else tuple(msgspec.json.decode(row[4])),
            metadata=None if row[5] is None else msgspec.json.decode(row[5]),
            status=row[6],
            focus_state=FocusState(row[7]),
            created_at_us=Micros(row[8]),
            last_seen_us=Micros(row[9]),
            heard_s=heard_s(AgentId(row[0]), Micros(row[9])),
            contact_policy=read_policy(row[10]),
            live_contact_policy=read_policy(row[11]),
        )
        for row in connection.execute(_LOAD)
    ]
