"""What an active reservation is. Source: claims.md 1, design.md 8."""

import msgspec

from intermute.core.claim_records import Claim, ClaimTarget, asked_for, overall_mode
from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lock_table import Mode


class Reservation(msgspec.Struct, frozen=True):
    """An active reservation: an enforced claim with a deadline.

    `deadline_s` is monotonic and binds; the claim's `expires_at_us` is for display and for a restart. The claim's sequence
    number is the fence. `changed` is the cursor at which others last had to take note of it: when it was granted, handed
    over or converted.
    """

    claim: Claim
    reason: str
    created_at_us: Micros
    deadline_s: float
    changed: int

    @property
    def id(self) -> ReservationId:
        """Its id."""
        return ReservationId(self.claim.id)

    @property
    def holder(self) -> AgentId:
        """Who holds it, as a canonical address."""
        return self.claim.holder

    @property
    def fence(self) -> int:
        """The number that only grows within a project; a new holder gets a new one."""
        return self.claim.sequence

    @property
    def expires_at_us(self) -> Micros:
        """When it ends, for display."""
        assert self.claim.expires_at_us is not None
        return self.claim.expires_at_us

    @property
    def asked(self) -> list[ClaimTarget]:
        """The targets that were asked for: without the destinations, which follow from them."""
        return asked_for(self.claim.targets)

    @property
    def mode(self) -> Mode:
        """The weakest mode that says all that its targets say."""
        return overall_mode(self.asked)
