"""Refusals about messages."""

from collections.abc import Mapping
from math import ceil

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class UnknownMessage(DomainError):
    """No message has this id in the project."""

    code = "unknown_message"

    def __init__(self, message_id: str) -> None:
        super().__init__()
        self.message_id = message_id

    @property
    def message(self) -> str:
        return f"No message {self.message_id!r} in this project; check the project and read the ids from GET /api/inbox/{{agent}}."


class MessageIdTaken(DomainError):
    """Another sender already used this message id."""

    code = "message_id_taken"

    def __init__(self, message_id: str) -> None:
        super().__init__()
        self.message_id = message_id

    @property
    def message(self) -> str:
        return f"Another agent already sent a message with the id {self.message_id!r}: leave `id` out, or choose a new one."


class NotARecipient(DomainError):
    """The agent never received this message."""

    code = "not_a_recipient"

    def __init__(self, message_id: str, agent: str) -> None:
        super().__init__()
        self.message_id, self.agent = message_id, agent

    @property
    def message(self) -> str:
        return f"{self.agent!r} is not a recipient of {self.message_id!r}; only a recipient can read or acknowledge it."


class InvalidTransport(DomainError):
    """Not a transport."""

    code = "invalid_transport"
    legacy_error = "invalid transport"

    @property
    def message(self) -> str:
        return "Use transport async (the inbox), live (a terminal) or both, or leave it out for the inbox."


class BroadcastLimit(DomainError):
    """The sender has broadcast as often as one may within a minute."""

    code = "broadcast_limit"

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.retry_after_s = wait_s

    @property
    def message(self) -> str:
        return f"You have broadcast {limits.BROADCASTS_MAX} times within {limits.BROADCASTS_SPAN_S} s, which is the limit, and nothing was sent: try again after the time in Retry-After, put what you have to say into one broadcast, or send it with POST /api/messages to those whom it concerns."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": limits.BROADCASTS_MAX, "retry_after_seconds": ceil(self.retry_after_s or 0.0)}
