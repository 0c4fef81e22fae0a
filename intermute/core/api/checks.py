"""Looking before editing, on the wire: a check of many paths at once, and whether a fence still holds.

Source: claims.md 7 (IMT-N9), design.md 8; issue 3, points 4 and 9.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.claims import (
    AddressList,
    AddressText,
    Alternative,
    AskedTargets,
    Branch,
    ConflictView,
    ModeText,
    OperationText,
    PathList,
    PathText,
    PatternList,
    PatternText,
    Worktree,
)
from intermute.core.api.fields import Address, Identifier, Input, ProjectText, View

FlagText = Annotated[str, Meta(description="`false` means shared; anything else means exclusive.")]
Fence = Annotated[
    int, Meta(ge=0, le=limits.BODY_INTEGER_MAX, description="The `fence` that the reservation was granted with.")
]


class CheckReservations(Input, kw_only=True, frozen=True):
    """Ask what is in the way of targets, without reserving them. Name yourself to leave your own reservations out.

    The fields in the plural may come several times.
    """

    project: ProjectText | None = None
    pattern: PatternText | None = None
    path: PathText | None = None
    address: AddressText | None = None
    patterns: PatternList | None = None
    paths: PathList | None = None
    addresses: AddressList | None = None
    exclusive: FlagText | None = None
    mode: ModeText | None = None
    op: OperationText | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None
    agent: Address | None = None
    agent_id: Address | None = None


class CheckTargets(AskedTargets, kw_only=True, frozen=True):
    """Ask what is in the way of many targets at once, in the fields of a reservation, without reserving them."""

    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None


class TargetView(View, kw_only=True, frozen=True):
    """The verdict on one asked target. `held_by` may be cut where `more_conflicts` says so; `free` never errs."""

    n: int
    text: str
    free: bool
    held_by: list[str]
    mode: str
    literal: bool = False


class Checked(View, kw_only=True, frozen=True):
    """Whether everything asked is free for the asker, what is in the way if not, and each target's own verdict.

    `seq` is the place in the log that the answer is of; `alternatives` are weaker modes that would be granted now.
    """

    conflict: bool
    conflicts: list[ConflictView]
    message: str
    more_conflicts: bool = False
    targets: list[TargetView]
    warnings: list[ConflictView] | None = None
    alternatives: list[Alternative] | None = None
    notes: list[str] | None = None
    seq: int


class ValidateReservation(Input, kw_only=True, frozen=True):
    """Ask whether a reservation still holds under its fence, before you write or commit; always 200."""

    reservation_id: Identifier
    fence: Fence
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None


class Standing(StrEnum):
    """What a reservation is worth to whoever comes with this id, fence and name."""

    ACTIVE = "active"
    UNKNOWN = "unknown"
    ENDED = "ended"
    NOT_YOURS = "not_yours"
    STALE_FENCE = "stale_fence"


class Validated(View, kw_only=True, frozen=True):
    """The answer to a writer or a commit hook. `fence` is the reservation's own; `ended` tells how it came to its end."""

    valid: bool
    reason: Standing
    message: str
    reservation_id: str
    fence: int | None = None
    held_by: str | None = None
    expires_in_ms: int | None = None
    ended: str | None = None
