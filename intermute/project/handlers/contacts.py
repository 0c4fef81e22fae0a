"""Contact policies and contacts: read and set, asked for, granted and refused. Source: contract.md 1.2, issue 6 point 2."""

from dataclasses import replace

import apsw

from intermute.core.agents import Agent, Identity, act_as
from intermute.core.api.contacts import (
    ApproveContact,
    ContactList,
    ContactRemoved,
    ContactView,
    DeclineContact,
    GetContact,
    GetPolicy,
    ListContacts,
    PolicyView,
    PutContact,
    RemoveContact,
    RequestContact,
    SetPolicy,
)
from intermute.core.contact_book import Contact, ContactState
from intermute.core.contacts import ASYNC_DEFAULT, LIVE_DEFAULT, ContactPolicy, Reason, read_policy
from intermute.core.errors import (
    ContactDeclined,
    ContactLimit,
    InvalidLivePolicy,
    InvalidPolicy,
    InvalidRequest,
    PolicyDenied,
    PolicyRequired,
    UnknownAgent,
    UnknownContact,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId
from intermute.core.times import rfc3339
from intermute.project.handlers.acting import itself
from intermute.project.handlers.for_approval import drop_held
from intermute.project.handlers.letters import tell
from intermute.project.handlers.reaching import denial
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import agents as agent_rows
from intermute.store import contacts as rows

_UNREADABLE = "unreadable"


def get_policy(query: GetPolicy, desk: Desk) -> PolicyView:
    """Return from whom an agent takes messages; for a name that nobody has, what counts for it."""
    agent = desk.state.stored_agent(query.agent)
    if agent is None:
        return _policy_view(query.agent, ASYNC_DEFAULT, LIVE_DEFAULT)
    return _policy_view(agent.id, agent.contact_policy, agent.live_contact_policy)


def set_policy(command: SetPolicy, tx: Transaction) -> PolicyView:
    """Set one policy or both; what is so already is no change."""
    if not command.policy and not command.live_contact_policy:
        raise PolicyRequired
    policy = read_policy(command.policy) if command.policy else None
    live_policy = read_policy(command.live_contact_policy) if command.live_contact_policy else None
    if command.policy and policy is None:
        raise InvalidPolicy
    if command.live_contact_policy and live_policy is None:
        raise InvalidLivePolicy
    agent = itself(command.agent, tx)
    tx.heard(agent)
    changed = replace(
        agent,
        contact_policy=policy or agent.contact_policy,
        live_contact_policy=live_policy or agent.live_contact_policy,
    )
    if changed != agent:
        put_policies(changed, tx)
    return _policy_view(changed.id, changed.contact_policy, changed.live_contact_policy)


def put_policies(agent: Agent, tx: Transaction) -> None:
    """Store both policies of an agent that is here, and tell it."""
    tx.state.put_agent(agent)
    tx.write(*agent_rows.save_policies(agent))
    view = _policy_view(agent.id, agent.contact_policy, agent.live_contact_policy)
    fields = {"agent_id": agent.id, "policy": view.policy, "live_contact_policy": view.live_contact_policy}
    tx.emit(EventType.AGENT_POLICY, fields, frozenset({agent.id}))


def _policy_view(agent: str, policy: ContactPolicy | None, live_policy: ContactPolicy | None) -> PolicyView:
    return PolicyView(agent_id=agent, policy=policy or _UNREADABLE, live_contact_policy=live_policy or _UNREADABLE)


def list_contacts(query: ListContacts, desk: Desk) -> FromStore[ContactList]:
    """Return an agent's list as it is stored."""
    if query.state and query.state not in set(ContactState):
        raise InvalidRequest([("state", f"is one of {', '.join(ContactState)}; leave it out for all")])
    owner = _owner(query.agent, desk)

    def work(connection: apsw.Connection) -> ContactList:
        found = rows.of(connection, owner)
        return ContactList(
            agent_id=owner,
            contacts=[_view(each, desk.state) for each in found if not query.state or each.state == query.state],
        )

    return FromStore(work)


def get_contact(query: GetContact, desk: Desk) -> FromStore[ContactView]:
    """Return one entry of an agent's list as it is stored."""
    owner, other = _owner(query.agent, desk), desk.state.agents.canonical(query.other)

    def work(connection: apsw.Connection) -> ContactView:
        for each in rows.of(connection, owner):
            if each.other == other:
                return _view(each, desk.state)
        raise UnknownContact(query.agent, query.other)

    return FromStore(work)


def _owner(address: str, desk: Desk) -> AgentId:
    """Return whose list is asked for. Raises: UnknownAgent; AgentIdentityMismatch, where a proved caller asks for another's."""
    agent = desk.state.stored_agent(address)
    if agent is None:
        raise UnknownAgent(address)
    act_as(desk.identity(), agent.id)
    return agent.id


def put_contact(command: PutContact, tx: Transaction) -> ContactView:
    """Take another agent into one's list; what it asked for is granted by that."""
    owner = itself(command.agent, tx)
    other = tx.state.agents.canonical(command.other)
    if other == owner.id:
        raise InvalidRequest([("other", "is yourself: you always reach yourself")])
    known = tx.state.contacts.get(owner.id, other)
    if known is not None and known.state is ContactState.ACCEPTED:
        tx.heard(owner)
        return _view(known, tx.state)
    if (known is None or known.state is ContactState.REQUESTED) and not tx.state.contacts.has_room(
        owner.id, asks=False
    ):
        raise ContactLimit(owner.name)
    tx.heard(owner)
    return _view(_settle(Contact(owner.id, other, ContactState.ACCEPTED, "", tx.now.wall_us), tx), tx.state)


def remove_contact(command: RemoveContact, tx: Transaction) -> ContactRemoved:
    """Take an entry out of one's list."""
    owner = itself(command.agent, tx)
    contact = tx.state.contacts.get(owner.id, tx.state.agents.canonical(command.other))
    if contact is None:
        raise UnknownContact(command.agent, command.other)
    tx.heard(owner)
    tx.state.contacts.remove(contact)
    tx.write(rows.remove(contact))
    # Whom it is about need not know: to be left out of a list is not said aloud.
    _emit(EventType.CONTACT_REMOVED, contact, tx, frozenset({owner.id}))
    return ContactRemoved(agent_id=owner.id, contact_id=contact.other, status="removed")


def request_contact(command: RequestContact, tx: Transaction) -> ContactView:
    """Ask to be another agent's contact: once, until it has answered."""
    asker = itself(command.agent, tx)
    asked = tx.state.agents.find(command.other)
    if asked is None:
        raise UnknownAgent(command.other)
    if asked.id == asker.id:
        raise InvalidRequest([("other", "is yourself: you always reach yourself")])
    known = tx.state.contacts.get(asked.id, asker.id)
    if known is not None and known.state is ContactState.DECLINED:
        raise ContactDeclined(command.other)
    if known is not None:
        tx.heard(asker)
        return _view(known, tx.state)
    if asked.contact_policy in (None, ContactPolicy.BLOCK_ALL):
        reason = Reason.BLOCKED if asked.contact_policy else Reason.POLICY_UNREADABLE
        raise PolicyDenied([denial(command.other, reason)])
    if not tx.state.contacts.has_room(asked.id, asks=True):
        raise ContactLimit(asked.name)
    tx.heard(asker)
    contact = _settle(Contact(asked.id, asker.id, ContactState.REQUESTED, command.reason or "", tx.now.wall_us), tx)
    _tell(
        asker.id,
        asked.id,
        f"{asker.name} asks to be your contact",
        f"{command.reason or 'It gave no reason.'}\n\nPOST /api/agents/{asked.id}/contacts/{asker.id}/approve grants it, "
        "…/decline refuses it.",
        contact,
        tx,
    )
    return _view(contact, tx.state)


def approve_contact(command: ApproveContact, tx: Transaction) -> ContactView:
    """Grant a request. Who asked takes mail from the other as well, or it would not hear the answer."""
    owner, request = _request(command, tx)
    back = tx.state.contacts.get(request.other, owner.id)
    if not tx.state.contacts.has_room(owner.id, asks=False):
        raise ContactLimit(owner.name)
    tx.heard(owner)
    contact = _settle(replace(request, state=ContactState.ACCEPTED, since_us=tx.now.wall_us), tx)
    wants_back = back is None or back.state is ContactState.REQUESTED
    if wants_back and tx.state.contacts.has_room(request.other, asks=False):
        _settle(Contact(request.other, owner.id, ContactState.ACCEPTED, "", tx.now.wall_us), tx)
    _tell(
        owner.id, request.other, f"{owner.name} is your contact", f"{owner.name} takes your messages now.", contact, tx
    )
    return _view(contact, tx.state)


def decline_contact(command: DeclineContact, tx: Transaction) -> ContactView:
    """Refuse a request; it stays in the list, so that it is not made again."""
    owner, request = _request(command, tx)
    if not tx.state.contacts.has_room(owner.id, asks=False):
        raise ContactLimit(owner.name)
    tx.heard(owner)
    declined = replace(request, state=ContactState.DECLINED, reason=command.reason or "", since_us=tx.now.wall_us)
    contact = _settle(declined, tx)
    text = command.reason or f"{owner.name} gave no reason."
    _tell(owner.id, request.other, f"{owner.name} declined to be your contact", text, contact, tx)
    return _view(contact, tx.state)


def forget_contacts(agent: AgentId, tx: Transaction) -> None:
    """Let go of an agent's list, of what others' lists say of it, and of what waits for it: its id will not come back."""
    for contact in tx.state.contacts.naming(agent):
        tx.state.contacts.remove(contact)
        tx.write(rows.remove(contact))
    for held in tx.state.contacts.held_for(agent):
        drop_held(held, "deregistered", tx)


def _request(command: ApproveContact | DeclineContact, tx: Transaction) -> tuple[Agent, Contact]:
    """Return who answers a request, and the request. Raises: UnknownAgent, AgentIdentityMismatch, UnknownContact."""
    owner = itself(command.agent, tx)
    request = tx.state.contacts.get(owner.id, tx.state.agents.canonical(command.other))
    if request is None or request.state is not ContactState.REQUESTED:
        raise UnknownContact(command.agent, command.other)
    return owner, request


def _settle(contact: Contact, tx: Transaction) -> Contact:
    tx.state.contacts.put(contact)
    tx.write(rows.save(contact))
    _emit(EventType(f"contact.{contact.state}"), contact, tx, frozenset({contact.agent, contact.other}))
    return contact


def _emit(kind: EventType, contact: Contact, tx: Transaction, audience: frozenset[str]) -> None:
    fields = {"agent_id": contact.agent, "contact_id": contact.other, "reason": contact.reason}
    tx.emit(kind, fields, audience)


def _tell(sender: AgentId, to: AgentId, subject: str, text: str, contact: Contact, tx: Transaction) -> None:
    metadata = {"event": f"contact.{contact.state}", "agent_id": contact.agent, "contact_id": contact.other}
    tell(Identity(sender, tx.identity().is_verified), to, subject, text, metadata, tx)


def _view(contact: Contact, state: ProjectState) -> ContactView:
    return ContactView(
        agent_id=contact.agent,
        contact_id=contact.other,
        name=state.agents.name_of(contact.other),
        state=contact.state,
        since=rfc3339(contact.since_us),
        reason=contact.reason or None,
    )
