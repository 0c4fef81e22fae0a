"""Letters: messages by which a command tells one agent of what it did, stored as any other message is."""

from collections.abc import Mapping

from intermute.core.agents import Identity
from intermute.core.api.messages import SendMessage
from intermute.core.ids import AgentId, MessageId
from intermute.core.reservation import Reservation
from intermute.project.handlers.messages import post
from intermute.project.transaction import Transaction

_PATTERN_CHARS_SHOWN = 200  # characters of a pattern in a subject, which a person reads in a list.


def tell(
    sender: Identity, to: AgentId, subject: str, body: str, metadata: Mapping[str, str], tx: Transaction
) -> MessageId:
    """Put a message into one agent's inbox, and return its id."""
    assert sender.address is not None
    letter = SendMessage(
        sender=tx.state.agents.name_of(sender.address),
        to=[_address_of(to, tx)],
        subject=subject,
        body=body,
        metadata={name: str(value) for name, value in metadata.items()},
    )
    return MessageId(post(letter, sender, tx).message_id)


def _address_of(agent: AgentId, tx: Transaction) -> str:
    """Return the agent's name, or its id where the name could mean another one."""
    name = tx.state.agents.name_of(agent)
    return name if tx.state.agents.canonical(name) == agent else agent


def label(reservation: Reservation) -> str:
    """Return the reservation's patterns as a subject names them."""
    first, *others = (each.target.text for each in reservation.asked)
    text = first[:_PATTERN_CHARS_SHOWN] + ("…" if len(first) > _PATTERN_CHARS_SHOWN else "")
    return f"{text!r} and {len(others)} more" if others else repr(text)
