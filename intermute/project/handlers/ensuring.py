"""Reserving along with something else: what an intent or a claimed task needs is held, unless it is already.

Source: claims.md 6 and 7, issue 4 point 5.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from intermute.core import limits
from intermute.core.claim_index import Work
from intermute.core.claim_modes import supremum
from intermute.core.claim_records import Claim, ClaimTarget, Standing, asked_for
from intermute.core.claim_targets import target_relation
from intermute.core.errors import ReservationLimit
from intermute.core.lock_table import Mode
from intermute.core.relations import Relation
from intermute.core.reservation import Reservation
from intermute.core.wishes import Wish
from intermute.project.handlers.meetings import Meeting, conflict_with, meet
from intermute.project.transaction import Transaction

_WIDE_ENOUGH: Final = frozenset({Relation.EQUAL, Relation.CONTAINS})


class Ensured(NamedTuple):
    """A reservation that may be granted, and what it meets: warnings only."""

    wish: Wish
    met: Meeting


def covering(claim: Claim, tx: Transaction) -> Reservation | None:
    """Return the holder's own reservation that already holds all of the claim, if there is one."""
    for lease in tx.state.leases.held_by(claim.holder):
        if all(any(_covers(held, target) for held in lease.claim.targets) for target in claim.targets):
            return lease
    return None


def _covers(held: ClaimTarget, target: ClaimTarget) -> bool:
    """Tell whether what is held is all of the target, in a mode that says as much of it."""
    if target_relation(held.target, target.target) not in _WIDE_ENOUGH:
        return False
    return held.mode is Mode.X or (held.mode in (Mode.S, Mode.SIX) and supremum(held.mode, target.mode) is held.mode)


def ensured(claim: Claim, reason: str, ttl_s: int, work: Work, tx: Transaction) -> Ensured:
    """Return the reservation to make for a claim, to be granted once nothing else can be refused any more.

    Raises: ReservationConflict, ReservationLimit, PatternTooBroad.
    """
    # What waits will be held, and then nobody asks.
    held = tx.state.leases.count_of(claim.holder) + tx.state.waiting.count_of(claim.holder)
    if held >= limits.RESERVATIONS_PER_AGENT_MAX:
        raise ReservationLimit(tx.state.agents.name_of(claim.holder), held, len(asked_for(claim.targets)))
    enforced = replace(claim, id=tx.mint(), standing=Standing.ENFORCED)
    met = meet(enforced, tx.state, work=work)
    if met.conflicts:
        raise conflict_with(enforced, met, tx.state, tx.now, work)
    return Ensured(Wish(enforced, reason, ttl_s), met)
