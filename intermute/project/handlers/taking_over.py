"""Taking over what the original service has stored: each row goes the way of the request that could have made it.

What differs from a request: ids and times are the original's, nobody counts as having been heard, and nothing is taken
from those who are here: an agent whose name is taken gets another. Source: docs/decisions/0021-import.md.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from intermute.core import limits
from intermute.core.agents import Agent, Identity, hash_of_token, session_key
from intermute.core.api.messages import AckMessage, ReadMessage
from intermute.core.claim_index import Work
from intermute.core.claim_records import Claim
from intermute.core.entities.definition import Entity
from intermute.core.entities.values import given_values, made
from intermute.core.errors import DomainError, InvalidRequest, TooManyAgents
from intermute.core.events import Event, EventType
from intermute.core.ids import Micros
from intermute.core.original.agents import OriginalAgent
from intermute.core.original.contacts import OriginalContact
from intermute.core.original.entities import OriginalEntity, OriginalLink
from intermute.core.original.messages import OriginalMessage
from intermute.core.original.reservations import OriginalReservation
from intermute.core.original.rows import LeftOut
from intermute.core.targets import read_targets
from intermute.core.times import SECOND_US, Now
from intermute.core.wishes import Wish
from intermute.project.handlers.agents import TOKEN_BITS, admit, check_metadata, check_name
from intermute.project.handlers.contacts import put_contact, put_policies
from intermute.project.handlers.entities import checked
from intermute.project.handlers.entity_changes import add
from intermute.project.handlers.granting import grant
from intermute.project.handlers.journeys import link_cuj
from intermute.project.handlers.meetings import meet
from intermute.project.handlers.messages import ack_message, post, read_message
from intermute.project.handlers.reserving import refuse_over_limit
from intermute.project.transaction import Transaction
from intermute.store import events as event_rows


@dataclass(slots=True, kw_only=True)
class TakingOver(Transaction):
    """A transaction whose `now` is when the original stored something; the log is written at the time of the import."""

    logged_at_us: Micros

    def emit(
        self, kind: EventType, data: Mapping[str, Any], audience: frozenset[str] | None = None
    ) -> int:  # Any: see base.
        """Append an event to the log, marked as telling of something old."""
        self.state.head += 1
        event = Event(self.state.head, kind, self.logged_at_us, audience, {**data, "imported": True})
        self.events.append(event)
        self.statements.append(event_rows.append(event))
        return event.cursor

    def heard(self, agent: Agent | None) -> None:
        """Count nothing as a sign of life: nobody spoke."""

    def at(self, time_us: Micros | None) -> None:
        """Go on at the time at which something happened, or at that of the import where nobody knows."""
        self.now = Now(self.now.mono_s, self.logged_at_us if time_us is None else time_us)


def take_agent(found: OriginalAgent, tx: TakingOver) -> None:
    """Register an agent under its old id, session and token. Raises: TooManyAgents."""
    directory = tx.state.agents
    if len(directory) >= limits.AGENTS_PER_PROJECT_MAX:
        raise TooManyAgents
    name = _free_name(found, tx)
    session_id = found.session_id
    if session_id is not None and directory.of_session(session_key(session_id)) is not None:
        found.notes.append("with a new session_id: another agent has the old one")
        session_id = None
    token_hash = hash_of_token(found.token) if found.token else None
    if token_hash is None or directory.of_token(token_hash) is not None:
        token_hash = hash_of_token(str(tx.random_bits(TOKEN_BITS)))  # One that nobody knows.
    metadata = found.asked.metadata
    try:
        check_metadata(metadata or {})
    except InvalidRequest as refused:
        found.notes.append(f"without its metadata: {refused.problems[0][1]}")
        metadata = None
    agent = Agent(
        id=found.id,
        session_id=session_id or str(uuid.UUID(int=tx.random_bits(128), version=4)),
        name=name,
        token_hash=token_hash,
        capabilities=None if found.asked.capabilities is None else tuple(found.asked.capabilities),
        metadata=None if metadata is None else dict(metadata),
        status=found.asked.status or "",
        created_at_us=found.created_at_us,
        last_seen_us=found.last_seen_us,
        heard_s=tx.now.mono_s - (tx.logged_at_us - found.last_seen_us) / SECOND_US,
    )
    admit(agent, tx)
    if (found.policy, found.live_policy) != (agent.contact_policy, agent.live_contact_policy):
        put_policies(replace(agent, contact_policy=found.policy, live_contact_policy=found.live_policy), tx)


def _free_name(found: OriginalAgent, tx: TakingOver) -> str:
    directory, wished = tx.state.agents, (found.asked.name or "").strip()
    try:
        check_name(wished)
    except InvalidRequest as refused:
        found.notes.append(f"under a new name: the old one {refused.problems[0][1]}")
        wished = ""
    if not wished:
        name = directory.new_name(tx.random_bits, tx.now.mono_s)
        return name if directory.find(name) is None else directory.unborne_name(name)
    if directory.find(wished) is None:
        return wished
    name = directory.unborne_name(wished)
    found.notes.append(f"as {name!r}: another agent is called {wished!r}")
    return name


def take_contact(found: OriginalContact, tx: TakingOver) -> None:
    """Take somebody into the list of an agent. Raises: DomainError."""
    tx.at(found.since_us)
    put_contact(found.asked, tx)


def take_entity(entity: Entity, found: OriginalEntity, tx: TakingOver) -> None:
    """Make an entity with its old id, version and times. Raises: DomainError."""
    given = given_values(entity, found.asked)
    entity_id = found.asked.id.strip("/")
    record = made(entity, given, entity_id, tx.next_cursor(), found.version, tx.logged_at_us)
    found.notes += checked(entity, entity_id, None, record.values, tx)
    add(replace(record, version=found.version), tx)


def take_link(found: OriginalLink, tx: TakingOver) -> None:
    """Link a journey to a feature. Raises: DomainError."""
    tx.at(found.linked_at_us)
    link_cuj(found.asked, tx)


def take_message(found: OriginalMessage, tx: TakingOver) -> None:
    """Put a message into the inboxes of its recipients, with what they have done with it. Raises: DomainError."""
    tx.at(found.created_at_us)
    post(found.asked, Identity(tx.state.agents.canonical(found.asked.sender), is_verified=False), tx)
    assert found.asked.id is not None
    for marks in found.marks:
        try:
            for time_us, command, mark in (
                (marks.read_at_us, ReadMessage(message_id=found.asked.id, agent=marks.agent), read_message),
                (marks.ack_at_us, AckMessage(message_id=found.asked.id, agent=marks.agent), ack_message),
            ):
                if time_us is not None:
                    tx.at(time_us)
                    mark(command, tx)  # type: ignore[arg-type] # each row pairs a command with its own handler.
        except DomainError:
            found.notes.append("without a mark of an agent that is no recipient any more")


def take_reservation(found: OriginalReservation, tx: TakingOver) -> None:
    """Grant a reservation under its old id until its old end. Raises: DomainError, LeftOut."""
    tx.at(found.created_at_us)
    claim = Claim(
        id=found.id,
        sequence=tx.next_cursor(),
        holder=tx.state.agents.canonical(found.asked.agent_id or ""),
        targets=read_targets(found.asked, fold_case=tx.state.fold_case),
    )
    wish = Wish(claim, found.asked.reason or "", found.ttl_s)
    refuse_over_limit(wish, tx)
    met = meet(claim, tx.state, work=Work())
    if met.conflicts:
        holders = sorted({tx.state.agents.name_of(each.claim.holder) for each in met.shown})
        raise LeftOut(f"it overlaps with what {', '.join(repr(each) for each in holders[:5])} holds here")
    grant(wish, tx)
