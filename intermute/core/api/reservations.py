"""Reservations on the wire. Source: contract.md 1.7 and 6, design.md 8, claims.md 7."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Address, Identifier, Input, Line, ProjectText, View

PatternText = Annotated[
    str, Meta(description="A path, or a path with wildcards: * ? [a-z] {a,b} and ** for any depth.")
]
PathText = Annotated[str, Meta(description="A path in which no character is a wildcard.")]
PatternList = Annotated[list[PatternText], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]
PathList = Annotated[list[PathText], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]
ModeText = Annotated[str, Meta(description="exclusive (X, write) or shared (S, read).")]
Ttl = Annotated[int, Meta(ge=-limits.TTL_REQUEST_MAX, le=limits.TTL_REQUEST_MAX)]
FlagText = Annotated[str, Meta(description="`false` means shared; anything else means exclusive.")]


class Reserve(Input, kw_only=True, frozen=True):
    """Ask for one or several paths, all or nothing. Without `exclusive`, `shared` or `mode` it is exclusive."""

    project: ProjectText | None = None
    id: str | None = None
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
    reason: Line | None = None
    ttl_minutes: Ttl | None = None
    ttl_seconds: Ttl | None = None


class ReservationView(View, kw_only=True, frozen=True):
    """One reservation. `fence` only grows within a project: send it along with what you write."""

    id: str
    agent_id: str
    project: str
    path_pattern: str
    exclusive: bool
    reason: str | None = None
    created_at: str
    expires_at: str
    released_at: str | None = None
    is_active: bool
    patterns: list[str]
    mode: str
    shared: bool
    fence: int
    held_by: str
    expires_in_ms: int | None = None
    ended: str | None = None
    ttl_clamped: bool = False
    warnings: list[str] | None = None


class ConflictView(View, kw_only=True, frozen=True):
    """One thing in the way; the first six fields are the original's."""

    reservation_id: str
    agent_id: str
    held_by: str
    pattern: str
    reason: str | None = None
    expires_at: str
    exclusive: bool
    mode: str
    requested: str
    example: str
    retry_after_s: int
    created_at: str


class CheckReservations(Input, kw_only=True, frozen=True):
    """Ask what is in the way of a path, without reserving it. Name yourself to leave your own reservations out."""

    project: ProjectText | None = None
    pattern: PatternText | None = None
    path: PathText | None = None
    exclusive: FlagText | None = None
    mode: ModeText | None = None
    agent: Address | None = None
    agent_id: Address | None = None


class Checked(View, kw_only=True, frozen=True):
    """Whether the path is free for the asker, and what is in the way if not."""

    conflict: bool
    conflicts: list[ConflictView]
    message: str
    more_conflicts: bool = False


class ListReservations(Input, kw_only=True, frozen=True):
    """List a project's active reservations, or all that one agent ever had; the newest first."""

    project: ProjectText | None = None
    agent: Address | None = None
    active: bool | None = None
    limit: Annotated[int, Meta(description="Rows at most.")] | None = None
    cursor: Annotated[int, Meta(ge=0, description="`next_cursor` of the page before.")] | None = None


class ReservationList(View, kw_only=True, frozen=True):
    """A page of reservations."""

    reservations: list[ReservationView]
    next_cursor: int | None = None


class GetReservation(Input, kw_only=True, frozen=True):
    """Read one reservation, active or ended."""

    reservation_id: Identifier
    project: ProjectText | None = None


class RenewReservation(Input, kw_only=True, frozen=True):
    """Hold a reservation of yours for a new time, counted from now."""

    reservation_id: Identifier
    project: ProjectText | None = None
    agent_id: Address | None = None
    ttl_minutes: Ttl | None = None
    ttl_seconds: Ttl | None = None


class ReleaseReservation(Input, kw_only=True, frozen=True):
    """Give a reservation of yours back."""

    reservation_id: Identifier
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None


class ReleaseAll(Input, kw_only=True, frozen=True):
    """Give all reservations of one agent back: name yourself in `agent_id`, or in X-Agent-ID."""

    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None


class Released(View, kw_only=True, frozen=True):
    """The reservations that ended with this call."""

    released: list[str]
