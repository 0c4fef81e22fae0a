"""Reservations on the wire. Source: contract.md 1.7 and 6, design.md 8, claims.md 7."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.claims import AskedTargets, Branch, ClaimedTarget, ConflictView, ModeText, Worktree
from intermute.core.api.fields import ONE_LINE_WITH_TEXT, Address, Identifier, Input, Line, ProjectText, View
from intermute.core.wishes import OnConflict

Ttl = Annotated[int, Meta(ge=-limits.TTL_REQUEST_MAX, le=limits.TTL_REQUEST_MAX)]
WaitForTurn = Annotated[
    float,
    Meta(
        ge=0,
        le=limits.WAIT_SECONDS_MAX,
        description="With `on_conflict: wait`: for how many seconds to keep a place in the queue. A call is answered after "
        "55 s at the latest, with a ticket that resumes the place.",
    ),
]
Sequence = Annotated[
    int,
    Meta(
        ge=0,
        le=limits.BODY_INTEGER_MAX,
        description="`as_of_seq` of a forecast: refuse if what others hold there has changed since.",
    ),
]
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.ADDRESS_CHARS_MAX,
        pattern=ONE_LINE_WITH_TEXT,
        description="Your own name for this request: sent again, it is answered with what it has led to.",
    ),
]


class Reserve(AskedTargets, kw_only=True, frozen=True):
    """Ask for one or several targets, all or nothing. Without a mode or an operation it is exclusive."""

    project: ProjectText | None = None
    id: str | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None
    reason: Line | None = None
    ttl_minutes: Ttl | None = None
    ttl_seconds: Ttl | None = None
    on_conflict: OnConflict | None = None
    wait_seconds: WaitForTurn | None = None
    ticket: Identifier | None = None
    partial: bool | None = None
    if_seq: Sequence | None = None
    idempotency_key: IdempotencyKey | None = None


class Denied(View, kw_only=True, frozen=True):
    """A target that was left out of a partial grant, and what is in its way."""

    n: int
    target: str
    conflicts: list[ConflictView]


class ReservationView(View, kw_only=True, frozen=True):
    """One reservation. `fence` only grows within a project: send it along with what you write.

    `seq` is the event with which others last had to take note of it. `warnings` are findings that did not stand in the way,
    `notes` are sentences about the request itself.
    """

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
    seq: int
    standing: str
    held_by: str
    branch: str | None = None
    worktree: str | None = None
    targets: list[ClaimedTarget]
    expires_in_ms: int | None = None
    ended: str | None = None
    ttl_clamped: bool = False
    warnings: list[ConflictView] | None = None
    denied: list[Denied] | None = None
    contested: list[ConflictView] | None = None
    notes: list[str] | None = None


class RepeatedReservation(ReservationView, kw_only=True, frozen=True):
    """What an earlier request under the same idempotency key has led to; nothing was done now."""

    repeated: bool  # Without a default, which would be left out of the answer.


class Waiting(View, kw_only=True, frozen=True):
    """The request waits for its turn under a ticket, which is the id that the reservation will have.

    `ahead` are those in front of it, `conflicts` what is held in its way; a list of all who wait leaves the latter out.
    """

    waiting: bool
    ticket: str
    agent_id: str
    held_by: str
    project: str
    targets: list[ClaimedTarget]
    ahead: list[str]
    keeps_place_for_s: int
    message: str
    conflicts: list[ConflictView] | None = None


class ListWaiting(Input, kw_only=True, frozen=True):
    """List the requests that wait in a project, in the order in which they came."""

    project: ProjectText | None = None


class WaitingList(View, kw_only=True, frozen=True):
    """The queue, and who waits for whom."""

    waiting: list[Waiting]
    waits_for: dict[str, list[str]]


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
    """Hold a reservation of yours for a new time, counted from now, or in another mode; with neither, for 30 minutes.

    A mode is that of all its targets. A stronger one is granted if nothing of others stands in the way.
    """

    reservation_id: Identifier
    project: ProjectText | None = None
    agent_id: Address | None = None
    mode: ModeText | None = None
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
