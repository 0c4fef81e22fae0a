"""Letters: messages by which a command tells one agent of what it did, stored as any other message is."""

from collections.abc import Mapping

from intermute.core.agents import Identity
from intermute.core.api.messages import SendMessage
from intermute.core.ids import OPERATOR, AgentId, MessageId
from intermute.core.reservation import Reservation
from intermute.project.handlers.messages import post
from intermute.project.handlers.reaching import Reach
from intermute.project.transaction import Transaction

_PATTERN_CHARS_SHOWN = 200  # characters of a pattern in a subject, which a person reads in a list.


def tell(
    sender: Identity,
    to: AgentId,
    subject: str,
    body: str,
    metadata: Mapping[str, str],
    tx: Transaction,
    *,
    words: str | None = None,
) -> MessageId:
    """Put a message into one agent's inbox, and return its id.

    What happened is told whatever the recipient's policy. `words` are the sender's own and take the place of `body`, but
    where the recipient takes no messages from the sender.
    """
    assert sender.address is not None
    if words and takes_words(sender.address, to, tx):
        body = words
    letter = SendMessage(
        sender=tx.state.agents.name_of(sender.address),
        to=[_address_of(to, tx)],
        subject=subject,
        body=body,
        metadata={name: str(value) for name, value in metadata.items()},
    )
    return MessageId(post(letter, sender, tx).message_id)


def takes_words(sender: AgentId, to: AgentId, tx: Transaction) -> bool:
    """Tell whether an agent takes what another has to say itself; the operator's word reaches everybody."""
    return sender == OPERATOR or not Reach(sender, tx).verdict(to).is_denial


def _address_of(agent: AgentId, tx: Transaction) -> str:
    """Return the agent's name, or its id where the name could mean another one."""
    name = tx.state.agents.name_of(agent)
    return name if tx.state.agents.canonical(name) == agent else agent


def label(reservation: Reservation) -> str:
    """Return the reservation's patterns as a subject names them."""
    first, *others = (each.target.text for each in reservation.asked)
    text = first[:_PATTERN_CHARS_SHOWN] + ("…" if len(first) > _PATTERN_CHARS_SHOWN else "")
    return f"{text!r} and {len(others)} more" if others else repr(text)
