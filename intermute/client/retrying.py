"""Which calls are repeated, and after which pause. Decided here and nowhere else; pure.

A call is repeated only where that cannot apply it twice: reads; changes that carry an Idempotency-Key; and changes without
one as long as it is certain that nothing was done. It is repeated only where time alone may help.
"""

from http import HTTPStatus
from typing import Final

from intermute.client.errors import ServiceError, Told
from intermute.client.settings import Retries
from intermute.core import errors
from intermute.core.errors import DomainError

PASSING: Final = frozenset(
    each.code
    for each in (
        errors.Overloaded, errors.ServerOverloaded, errors.StorageUnavailable, errors.StorageStalled, errors.StorageFull,
        errors.OutcomeUnknown, errors.TooSlow, errors.ShuttingDown, errors.ProjectParked, errors.TooManyProjects,
        errors.TooManySubscribers,
    )
)  # fmt: skip
"""What passes by itself; everything else would be answered the same again."""
UNKNOWN: Final = frozenset({errors.OutcomeUnknown.code, errors.TooSlow.code})
"""After these nobody but the server knows whether the call was applied."""
OF_PROXIES: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""What a proxy answers, with a page of its own, while its service is being restarted."""
_PASSING_STATUS: Final = OF_PROXIES | {HTTPStatus.TOO_MANY_REQUESTS}
"""For a code that this version does not know."""
_UNKNOWN_STATUS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


def is_passing(refused: DomainError) -> bool:
    """Tell whether the refusal passes by itself."""
    if isinstance(refused, ServiceError):
        return refused.status in _PASSING_STATUS
    return refused.code in PASSING


def is_outcome_unknown(refused: Told) -> bool:
    """Tell whether the call may have been applied all the same."""
    return refused.code in UNKNOWN or (isinstance(refused, ServiceError) and refused.status in _UNKNOWN_STATUS)


def pause_s(retries: Retries, attempt: int, chance: float, retry_after_s: float | None) -> float:
    """Return how long to wait after an attempt, the first being 1; `chance` is between 0 and 1 and spreads the callers."""
    assert attempt >= 1
    backed_off_s: float = min(retries.longest_s, retries.first_s * 2.0 ** min(attempt, 30))
    return (retry_after_s or 0.0) + backed_off_s * chance
