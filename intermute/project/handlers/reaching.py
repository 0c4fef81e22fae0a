"""Who may reach whom: what `core/contacts.py` decides, asked of the project's memory and facts.

Every way of sending asks here, so that a policy means the same for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from intermute.core import limits
from intermute.core.api.contacts import Denial
from intermute.core.contacts import (
    ASYNC_DEFAULT,
    LIVE_DEFAULT,
    Bond,
    ContactPolicy,
    OnDenied,
    Outcome,
    Parties,
    Reason,
    Verdict,
    decide,
    is_answer,
)
from intermute.core.ids import AgentId
from intermute.core.lock_trie import WorkBudget
from intermute.core.messages import Kind, Message, Recipient
from intermute.project.transaction import Transaction

_WHY: Mapping[Reason, str] = {
    Reason.BLOCKED: "takes messages from nobody",
    Reason.NOT_A_CONTACT: "takes messages from its contacts alone: ask it with POST /api/agents/{you}/contacts/{it}/request",
    Reason.NO_SHARED_WORK: "takes messages from its contacts, and from those who have reserved the same paths: ask to be a "
    "contact with POST /api/agents/{you}/contacts/{it}/request",
    Reason.POLICY_UNREADABLE: "has a policy that cannot be read, so nothing is delivered until it sets another one",
    Reason.HELD_FULL: "has as many messages waiting for its approval as can be kept: send it again later",
    Reason.NOT_DELIVERED_THEN: "did not take this message when it was sent first: send it under another id",
}


@dataclass(slots=True)
class Reach:
    """Whom one sender reaches with one message. A broadcast asks the same object for each of its recipients."""

    sender: AgentId
    tx: Transaction
    thread_id: str = ""
    is_live: bool = False
    _partners: frozenset[AgentId] | None = None
    _thread: list[Parties] | None = field(default=None)

    def verdict(self, recipient: AgentId, on_denied: OnDenied = OnDenied.DROP) -> Verdict:
        """Tell whether the message reaches this recipient, and why."""
        state = self.tx.state
        agent = state.agents.of_id(recipient)
        policy: ContactPolicy | None = LIVE_DEFAULT if self.is_live else ASYNC_DEFAULT
        if agent is not None:
            policy = agent.live_contact_policy if self.is_live else agent.contact_policy
        bond = Bond(
            is_itself=recipient == self.sender,
            is_contact=state.contacts.accepts(recipient, self.sender),
            is_answer=lambda: is_answer(self.sender, recipient, self._parties()),
            shares_work=lambda: recipient in self._sharing(),
        )
        holds = on_denied is OnDenied.HOLD
        return decide(policy, bond, has_room=state.contacts.can_hold(recipient) if holds else None)

    def _parties(self) -> list[Parties]:
        """Return between whom the thread's last messages went. A thread that was not fetched lets nobody in."""
        if self._thread is None:
            canonical = self.tx.state.agents.canonical  # Some of it may have been sent to a name, or under one.
            stored = self.tx.facts.threads.get(self.thread_id, {}) if self.thread_id else {}
            self._thread = [
                Parties(canonical(each.sender), frozenset(map(canonical, each.recipients))) for each in stored.values()
            ]
        return self._thread

    def _sharing(self) -> frozenset[AgentId]:
        """Return who has reserved what the sender has reserved, as far as a bounded look finds them."""
        if self._partners is None:
            budget = WorkBudget(limits.SHARED_WORK_STEPS_MAX)
            self._partners = frozenset(self.tx.state.leases.partners_of(self.sender, budget))
        return self._partners


@dataclass(slots=True)
class Sorting:
    """What becomes of a message for each of its recipients, in the order in which they were named."""

    delivered: list[Recipient] = field(default_factory=list)
    held: list[tuple[Recipient, Reason]] = field(default_factory=list)
    denied: list[tuple[Recipient, Reason]] = field(default_factory=list)

    def add(self, recipient: Recipient, verdict: Verdict) -> None:
        """Take in what was decided for one recipient."""
        match verdict.outcome:
            case Outcome.DELIVER:
                self.delivered.append(recipient)
            case Outcome.HOLD:
                self.held.append((recipient, verdict.reason))
            case Outcome.DENY:
                self.denied.append((recipient, verdict.reason))

    def denials(self) -> list[Denial]:
        """Return whom it does not reach now, and why, as the answer says it."""
        return [denial(recipient.address, reason) for recipient, reason in self.denied + self.held]


def denial(address: str, reason: Reason) -> Denial:
    """Return how an answer says that somebody is not reached."""
    return Denial(agent=address, reason=reason, message=f"{address!r} {_WHY[reason]}.")


def sort(
    recipients: list[Recipient], to_reach: Reach, copy_reach: Reach, on_denied: OnDenied = OnDenied.DROP
) -> Sorting:
    """Decide for each recipient: whom the message is to, and who gets a copy, may be reached by different ways."""
    sorting = Sorting()
    for recipient in recipients:
        reach = to_reach if recipient.kind is Kind.TO else copy_reach
        sorting.add(recipient, reach.verdict(recipient.agent, on_denied))
    return sorting


def sort_as_stored(recipients: list[Recipient], message: Message, tx: Transaction) -> Sorting:
    """Return what became of a message that is stored already."""
    canonical = tx.state.agents.canonical
    listed = set(map(canonical, (*message.to, *message.cc, *message.bcc)))
    sorting = Sorting()
    for recipient in recipients:
        held = tx.state.contacts.held(recipient.agent, message.id)
        if recipient.agent in listed:
            sorting.delivered.append(recipient)
        elif held is not None:
            sorting.held.append((recipient, Reason(held.reason)))
        else:
            sorting.denied.append((recipient, Reason.NOT_DELIVERED_THEN))
    return sorting
