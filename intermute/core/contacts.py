"""Contact policies: whether what one agent sends may reach another.

Decided here and nowhere else, for messages, live messages and broadcasts alike. `block_all` takes nothing and keeps
nothing, `open` takes everything; `contacts_only` takes what comes from a contact, or answers in a thread; `auto` also
takes what comes from somebody who has reserved what the recipient has reserved. A policy that cannot be read denies.

A thread lets nobody in by itself: the sender answers only where the recipient wrote to it, or was written to together
with it, by somebody else than the sender. Else one message to any open agent would open every thread (contract.md, defect 24).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, assert_never

from intermute.core.ids import AgentId


class ContactPolicy(StrEnum):
    """From whom an agent takes messages; the original's words (contract.md 1.2)."""

    OPEN = "open"
    AUTO = "auto"
    CONTACTS_ONLY = "contacts_only"
    BLOCK_ALL = "block_all"


ASYNC_DEFAULT = ContactPolicy.OPEN
"""What counts for messages to an agent that never said otherwise, and to a name that nobody has."""
LIVE_DEFAULT = ContactPolicy.CONTACTS_ONLY
"""The same for what is put into a terminal."""


class OnDenied(StrEnum):
    """What the sender wants for recipients that do not take its message."""

    DROP = "drop"
    HOLD = "hold"


class Outcome(StrEnum):
    """What becomes of a message for one recipient."""

    DELIVER = "deliver"
    HOLD = "hold"
    DENY = "deny"


class Reason(StrEnum):
    """Why a message reaches a recipient, or does not."""

    ITSELF = "itself"
    OPEN = "open"
    CONTACT = "contact"
    THREAD = "thread"
    SHARED_WORK = "shared_work"
    BLOCKED = "blocked"
    NOT_A_CONTACT = "not_a_contact"
    NO_SHARED_WORK = "no_shared_work"
    POLICY_UNREADABLE = "policy_unreadable"
    HELD_FULL = "held_full"
    NOT_DELIVERED_THEN = "not_delivered_then"


@dataclass(frozen=True, slots=True)
class Bond:
    """What ties a sender to a recipient. The last two are asked only where the policy needs to know."""

    is_itself: bool
    is_contact: bool
    is_answer: Callable[[], bool]
    shares_work: Callable[[], bool]


class Verdict(NamedTuple):
    """What becomes of a message for one recipient, and why."""

    outcome: Outcome
    reason: Reason

    @property
    def is_denial(self) -> bool:
        """Tell whether the recipient gets nothing."""
        return self.outcome is Outcome.DENY


def decide(policy: ContactPolicy | None, bond: Bond, *, has_room: bool | None = None) -> Verdict:
    """Decide whether a message reaches a recipient whose policy this is; None is a policy that cannot be read.

    `has_room` says whether the recipient can keep one more message for its approval, and is None where the sender does
    not ask for that.
    """
    allowed = _allowing(policy, bond)
    if allowed is not None:
        return Verdict(Outcome.DELIVER, allowed)
    denied = _denying(policy)
    if has_room is None or denied in (Reason.BLOCKED, Reason.POLICY_UNREADABLE):
        return Verdict(Outcome.DENY, denied)
    return Verdict(Outcome.HOLD, denied) if has_room else Verdict(Outcome.DENY, Reason.HELD_FULL)


def _allowing(policy: ContactPolicy | None, bond: Bond) -> Reason | None:
    if bond.is_itself:
        return Reason.ITSELF
    if policy is ContactPolicy.OPEN:
        return Reason.OPEN
    if policy is None or policy is ContactPolicy.BLOCK_ALL:
        return None
    if bond.is_contact:
        return Reason.CONTACT
    if bond.is_answer():
        return Reason.THREAD
    return Reason.SHARED_WORK if policy is ContactPolicy.AUTO and bond.shares_work() else None


def _denying(policy: ContactPolicy | None) -> Reason:
    match policy:
        case None:
            return Reason.POLICY_UNREADABLE
        case ContactPolicy.BLOCK_ALL:
            return Reason.BLOCKED
        case ContactPolicy.AUTO:
            return Reason.NO_SHARED_WORK
        case ContactPolicy.CONTACTS_ONLY:
            return Reason.NOT_A_CONTACT
        case ContactPolicy.OPEN:
            raise AssertionError("an open agent takes everything")
        case _:
            assert_never(policy)


class Parties(NamedTuple):
    """Between whom a message of a thread went."""

    sender: AgentId
    recipients: frozenset[AgentId]


def is_answer(sender: AgentId, recipient: AgentId, thread: Iterable[Parties]) -> bool:
    """Tell whether the recipient takes part in a thread in which the sender was written to, by somebody else, before it."""
    return any(
        each.sender != sender
        and sender in each.recipients
        and (recipient == each.sender or recipient in each.recipients)
        for each in thread
    )


def read_policy(text: str) -> ContactPolicy | None:
    """Return the policy that is stored as this text, or None where it is none that this version knows."""
    try:
        return ContactPolicy(text)
    except ValueError:
        return None
