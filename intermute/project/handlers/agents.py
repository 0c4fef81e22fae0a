"""Registering and leaving. Source: design.md 6, contract.md 1.2 and 8."""

import base64
import math
import uuid
from collections.abc import Mapping
from dataclasses import replace

from intermute.core import limits
from intermute.core.agents import Agent, FocusState, hash_of_token, session_key
from intermute.core.api.agents import (
    AgentView,
    DeregisterAgent,
    Deregistered,
    MergeMetadata,
    RegisterAgent,
    Registered,
)
from intermute.core.errors import (
    ActiveSessionConflict,
    InvalidRequest,
    MetadataRequired,
    TooManyAgents,
)
from intermute.core.events import EventType
from intermute.core.ids import OPERATOR, AgentId, tag_of
from intermute.project.handlers.acting import one_acted_for
from intermute.project.handlers.agent_views import agent_view
from intermute.project.handlers.assigning import release_claims
from intermute.project.handlers.contacts import forget_contacts
from intermute.project.handlers.endings import end_reservations
from intermute.project.handlers.intent_changes import abandon
from intermute.project.handlers.turns import give_up_all, leave_all, settle_queue
from intermute.project.handlers.windows import forget_terminals
from intermute.project.transaction import Transaction
from intermute.store import agents as rows
from intermute.store import contacts as contact_rows
from intermute.store import intents as intent_rows
from intermute.store import reservations as reservation_rows

TOKEN_BITS = 192
"""As the original's: 24 random bytes, 32 characters of base64url (contract.md 1.2)."""


def register_agent(command: RegisterAgent, tx: Transaction) -> Registered:
    """Register a new agent, or renew the one that the session or the token belongs to."""
    check_metadata(command.metadata or {})
    session_id = (command.session_id or "").strip()
    name = (command.name or "").strip()
    token_hash = hash_of_token(command.token) if command.token else tx.caller.token_hash
    if session_id:
        known = tx.state.agents.of_session(session_key(session_id))
    else:
        known = tx.state.agents.of_token(token_hash) if token_hash else None
    if name and (known is None or name != known.name):
        check_name(name)
    if known is not None:
        return _renew(known, command, name, token_hash, tx)
    return _register(command, session_id, name, tx)


def check_name(name: str) -> None:
    """Refuse a name that another could be taken for. Raises: InvalidRequest."""
    if tag_of(name) is not None:
        # Under the id of an agent that left it would be handed that agent's mail and reservations.
        raise InvalidRequest(
            [("name", "has the form of an id: choose a name of your own, or leave it out and get one")]
        )
    if not name.isprintable():
        raise InvalidRequest([("name", "has characters that nobody can see: leave them out")])
    if name.casefold() == OPERATOR:
        raise InvalidRequest([("name", f"{OPERATOR!r} stands for the operator of this service: choose another name")])


def _register(command: RegisterAgent, session_id: str, name: str, tx: Transaction) -> Registered:
    directory = tx.state.agents
    if len(directory) >= limits.AGENTS_PER_PROJECT_MAX:
        raise TooManyAgents
    free = directory.free_name(name, tx.now.mono_s) if name else directory.new_name(tx.random_bits, tx.now.mono_s)
    token = _new_token(tx)
    agent = Agent(
        id=AgentId(tx.mint()),
        session_id=session_id or str(uuid.UUID(int=tx.random_bits(128), version=4)),
        name=free,
        token_hash=hash_of_token(token),
        capabilities=None if command.capabilities is None else tuple(command.capabilities),
        metadata=None if command.metadata is None else dict(command.metadata),
        status=command.status or "",
        created_at_us=tx.now.wall_us,
        last_seen_us=tx.now.wall_us,
        heard_s=tx.now.mono_s,
    )
    admit(agent, tx)
    return _registered(agent, token, tx, wished=name)


def admit(agent: Agent, tx: Transaction) -> None:
    """Store a new agent and tell everyone; a silent one that has its name gets another."""
    _take_name(agent.name, None, tx)
    tx.state.put_agent(agent)
    tx.write(rows.save(agent))
    _adopt(agent, tx)
    tx.emit(EventType.AGENT_REGISTERED, _event_fields(agent))


def _renew(known: Agent, command: RegisterAgent, name: str, token_hash: bytes | None, tx: Transaction) -> Registered:
    is_proved = token_hash is not None and token_hash == known.token_hash
    if not is_proved and name not in ("", known.name) and known.is_live(tx.now.mono_s):
        wait_s = limits.AGENT_SILENCE_S - (tx.now.mono_s - known.heard_s)
        raise ActiveSessionConflict(known.name, wait_s)
    directory = tx.state.agents
    free = directory.free_name(name or known.name, tx.now.mono_s, except_for=known.id)
    token = _new_token(tx)
    _take_name(free, known.id, tx)
    agent = replace(
        known,
        session_id=(command.session_id or known.session_id).strip(),
        name=free,
        token_hash=hash_of_token(token),
        capabilities=known.capabilities if command.capabilities is None else tuple(command.capabilities),
        metadata=known.metadata if command.metadata is None else dict(command.metadata),
        status=known.status if command.status is None else command.status,
        last_seen_us=tx.now.wall_us,
        heard_s=tx.now.mono_s,
        focus_state=FocusState.UNKNOWN,
        focus_heard_s=-math.inf,
    )
    tx.state.put_agent(agent)
    tx.write(rows.save(agent))
    _adopt(agent, tx)
    tx.emit(EventType.AGENT_RENEWED, _event_fields(agent))
    return _registered(agent, token, tx, wished=name, renewed=True)


def _take_name(name: str, taker: AgentId | None, tx: Transaction) -> None:
    """Give the silent agent that still has this name another one: both could be live again, and a name means one agent."""
    bearer = tx.state.agents.find(name)
    if bearer is None or bearer.id == taker:
        return
    renamed = replace(bearer, name=tx.state.agents.unborne_name(name))
    tx.state.put_agent(renamed)
    tx.write(rows.save(renamed))
    tx.emit(EventType.AGENT_RENEWED, _event_fields(renamed))


def _adopt(agent: Agent, tx: Transaction) -> None:
    """Give the agent what was sent to, or reserved under, its name while nobody had it (design.md 6)."""
    tx.write(*rows.adopt_mail(agent))
    tx.facts.adopt(AgentId(agent.name), agent.id)
    for old, new in tx.state.contacts.rename(AgentId(agent.name), agent.id):
        tx.write(contact_rows.remove(old), contact_rows.save(new))
    if agent.name != agent.id:
        leave_all(AgentId(agent.name), tx)  # What it waited for is asked again, in the name of the agent.
    tx.write(reservation_rows.adopt_keys(agent.id, agent.name))
    if tx.state.leases.rename_holder(AgentId(agent.name), agent.id):
        tx.write(reservation_rows.adopt(agent.id, agent.name))
        settle_queue(tx)  # What was in its way may be its own now, and others wait for it that waited for a name.
    if tx.state.intents.rename_holder(AgentId(agent.name), agent.id):
        tx.write(intent_rows.adopt(agent.id, agent.name))


def _new_token(tx: Transaction) -> str:
    return base64.urlsafe_b64encode(tx.random_bits(TOKEN_BITS).to_bytes(TOKEN_BITS // 8)).decode()


def _event_fields(agent: Agent) -> dict[str, object]:
    return {
        "agent_id": agent.id,
        "name": agent.name,
        "capabilities": list(agent.capabilities or ()),
        "status": agent.status,
    }


def _registered(agent: Agent, token: str, tx: Transaction, *, wished: str, renewed: bool = False) -> Registered:
    is_renamed = bool(wished) and wished != agent.name
    return Registered(
        agent_id=agent.id,
        session_id=agent.session_id,
        name=agent.name,
        token=token,
        # Where an inbox is read from first: mail may have been waiting for this name since the log began.
        cursor=0,
        project=tx.project,
        renewed=renewed,
        requested_name=wished if is_renamed else None,
        message=f"A live agent is called {wished!r} already, so you are {agent.name!r}." if is_renamed else None,
    )


def merge_metadata(command: MergeMetadata, tx: Transaction) -> AgentView:
    """Set the given keys of the agent's metadata and keep the others."""
    if not command.metadata:
        raise MetadataRequired
    agent = one_acted_for(command.agent, tx)
    merged = {**(agent.metadata or {}), **command.metadata}
    check_metadata(merged)
    agent = replace(agent, metadata=merged)
    tx.state.put_agent(agent)
    tx.heard(agent)
    tx.write(rows.save(agent))
    tx.emit(EventType.AGENT_METADATA, {"agent_id": agent.id, "metadata": dict(command.metadata)})
    return agent_view(agent, tx.project, tx.now)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse what no agent may say of itself: it is kept in memory, for every agent. Raises: InvalidRequest."""
    keys, chars = len(metadata), sum(len(key) + len(value) for key, value in metadata.items())
    if keys > limits.METADATA_KEYS_MAX:
        raise InvalidRequest([("metadata", f"an agent has at most {limits.METADATA_KEYS_MAX} keys, this makes {keys}")])
    if chars > limits.AGENT_METADATA_CHARS_MAX:
        bound = limits.AGENT_METADATA_CHARS_MAX
        raise InvalidRequest([("metadata", f"an agent has at most {bound} characters in all, this makes {chars}")])


def deregister_agent(command: DeregisterAgent, tx: Transaction) -> Deregistered:
    """Let an agent leave: its reservations end, its name is free, its messages stay."""
    agent = one_acted_for(command.agent, tx)
    give_up_all(agent.id, tx)
    ended = end_reservations(tx.state.leases.held_by(agent.id), "deregistered", tx)
    abandon(tx.state.intents.held_by(agent.id), "deregistered", tx)
    release_claims(tx.state.agents.addresses_of(agent.id), "deregistered", tx)
    forget_contacts(agent.id, tx)
    forget_terminals(agent.id, tx)
    tx.state.remove_agent(agent)
    tx.state.unflushed_heartbeats.discard(agent.id)
    tx.write(rows.deregister(agent, tx.now.wall_us))
    tx.emit(EventType.AGENT_DEREGISTERED, {"agent_id": agent.id, "name": agent.name})
    return Deregistered(agent_id=agent.id, released=ended)
