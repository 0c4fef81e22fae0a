"""Refusals of a request that came with an Idempotency-Key."""

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class IdempotencyKeyMismatch(DomainError):
    """Something else was asked before with the same Idempotency-Key."""

    code = "idempotency_key_mismatch"

    @property
    def message(self) -> str:
        return "Another request of yours had this Idempotency-Key, so nothing was done: take a new random key for each new request, and the old one only to repeat the same."


class ReplyNotKept(DomainError):
    """The request was applied before, and its reply was too long to keep."""

    code = "reply_not_kept"

    @property
    def message(self) -> str:
        return "This request was applied when it came with this Idempotency-Key before, and its reply was too long to keep: do not repeat it, read what it made instead."

    @property
    def details(self) -> dict[str, object]:
        return {"limit_bytes": limits.KEPT_REPLY_BYTES_MAX}


class TooManyIdempotencyKeys(DomainError):
    """The project keeps as many replies as it may."""

    code = "too_many_idempotency_keys"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s

    @property
    def message(self) -> str:
        return f"This project had {limits.KEPT_REPLIES_MAX} requests with an Idempotency-Key within 24 hours, which is the limit: nothing was done; send this one without the key, or later."
