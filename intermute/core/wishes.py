"""Wishes: requests for a reservation, read and checked, and not yet decided.

Decided here and nowhere else: what makes a repeated request the same one. Source: claims.md 7, scenario S03.
"""

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from intermute.core.claim_records import Claim
from intermute.core.ids import AgentId, Micros
from intermute.core.once import Once
from intermute.core.reservation import Reservation
from intermute.core.times import SECOND_US, Now

_NOT_THE_REQUEST: Final = frozenset({"id", "project", "agent_id", "agent", "idempotency_key", "ticket", "wait_seconds"})
"""Fields that may differ between two sendings of one request: how long the client waits is not what it asks for."""


class OnConflict(StrEnum):
    """What to do with a request that something stands in the way of."""

    REJECT = "reject"
    GRANT = "grant"
    """Store it all the same and tell everyone concerned, as the Muse version-control system does."""
    WAIT = "wait"


class Idempotency(NamedTuple):
    """An agent's own key for a request, and a hash of what was asked under it."""

    asker: AgentId
    key: str
    request_hash: bytes


class Wish(msgspec.Struct, frozen=True):
    """What is asked for. The claim has the id that the reservation will have; its sequence number tells nothing yet."""

    claim: Claim
    reason: str
    ttl_s: int
    idempotency: Idempotency | None = None
    once: Once | None = None
    """Where it came with a key in the header: its reply is kept by whatever grants it."""

    def granted(self, fence: int, now: Now) -> Reservation:
        """Return the reservation that comes of it, running from now."""
        expires_at_us = Micros(now.wall_us + self.ttl_s * SECOND_US)
        claim = replace(self.claim, sequence=fence, expires_at_us=expires_at_us)
        return Reservation(claim, self.reason, now.wall_us, now.mono_s + self.ttl_s, fence)


def request_hash(request: msgspec.Struct) -> bytes:
    """Return 32 bytes that are equal for requests that ask for the same."""
    fields = {name: value for name, value in msgspec.structs.asdict(request).items() if name not in _NOT_THE_REQUEST}
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).digest()
