"""Checking the fences that a command comes with, where it is decided. Source: guarantees.md G7."""

from collections.abc import Iterable

from intermute.core.api.checks import Standing
from intermute.core.errors import StaleToken
from intermute.core.fences import HeldFence
from intermute.project.handlers.checks import standing_of
from intermute.project.transaction import Transaction


def check_fences(fences: Iterable[HeldFence], tx: Transaction) -> None:
    """Refuse what comes under a fence that does not hold, or not for the one that the caller says it is. Raises: StaleToken."""
    claims = tx.caller.claims
    asker = tx.state.agents.canonical(claims) if claims else None
    for reservation_id, fence in fences:
        found = tx.state.leases.get(reservation_id)
        ended = "expired" if found is not None and found.deadline_s <= tx.now.mono_s else None
        standing = standing_of(fence, asker, found, ended)
        if standing is not Standing.ACTIVE:
            raise stale_token(reservation_id, standing, None if found is None else found.fence)


def stale_token(reservation_id: str, standing: Standing, fence: int | None = None) -> StaleToken:
    """Return the refusal."""
    return StaleToken(reservation_id, standing.value, fence)
