"""Looking before editing, on the wire: a check of many paths at once, and whether a fence still holds.

Source: claims.md 7 (IMT-N9), design.md 8; issue 3, points 4 and 9.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from intermute.core.api.fields import Address, Identifier, Input, ProjectText, View
from intermute.core.api.reservations import ConflictView, ModeText, PathList, PathText, PatternList, PatternText

Fence = Annotated[int, Meta(ge=0, le=2**63 - 1, description="The `fence` that the reservation was granted with.")]


class CheckTargets(Input, kw_only=True, frozen=True):
    """Ask what is in the way of many paths at once, in the fields of a reservation, without reserving them."""

    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    path_pattern: PatternText | None = None
    pattern: PatternText | None = None
    patterns: PatternList | None = None
    glob_patterns: PatternList | None = None
    path: PathText | None = None
    paths: PathList | None = None
    exclusive: bool | None = None
    shared: bool | None = None
    mode: ModeText | None = None


class TargetView(View, kw_only=True, frozen=True):
    """The verdict on one asked path or pattern. `held_by` may be cut where `more_conflicts` says so; `free` never errs."""

    text: str
    free: bool
    held_by: list[str]
    literal: bool = False


class CheckedTargets(View, kw_only=True, frozen=True):
    """Whether everything asked is free for the asker, what is in the way if not, and each target's own verdict."""

    conflict: bool
    conflicts: list[ConflictView]
    message: str
    more_conflicts: bool = False
    targets: list[TargetView]
    warnings: list[str] | None = None


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
