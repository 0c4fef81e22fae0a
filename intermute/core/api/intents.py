"""Operation intents on the wire. Source: claims.md 6 and 7, issue 3 point 7."""

from typing import Annotated

from msgspec import Meta

from intermute.core.api.claims import AddressText, AskedTargets, Branch, ClaimedTarget, ConflictView, Worktree
from intermute.core.api.fields import Address, Identifier, Input, Limit, Line, ProjectText, View
from intermute.core.api.reservations import ReservationView, Ttl
from intermute.core.intents import IntentState

CommitText = Annotated[Line, Meta(description="The commit in which the work can be found.")]


class DeclareIntent(AskedTargets, kw_only=True, frozen=True):
    """Say what you are going to do, and hear who else is at it; with `ensure_reservation` hold it, too.

    Without targets it is about those of the reservation that it rides on. `to` is for a single target.
    """

    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    reservation_id: Identifier | None = None
    to: AddressText | None = None
    detail: Line | None = None
    ensure_reservation: bool | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None
    ttl_seconds: Ttl | None = None


class IntentView(View, kw_only=True, frozen=True):
    """One intent. `seq` is the event with which it last changed; `findings` are what it met when it was declared."""

    intent_id: str
    seq: int
    project: str
    agent_id: str
    held_by: str
    state: str
    operation: str
    targets: list[ClaimedTarget]
    detail: str | None = None
    reservation_id: str | None = None
    branch: str | None = None
    worktree: str | None = None
    created_at: str
    expires_at: str
    is_active: bool
    commit: str | None = None
    ended: str | None = None
    findings: list[ConflictView] | None = None
    reservation: ReservationView | None = None
    notes: list[str] | None = None


class ListIntents(Input, kw_only=True, frozen=True):
    """List a project's active intents, or all that one agent or one reservation ever had; the newest first."""

    project: ProjectText | None = None
    agent: Address | None = None
    reservation_id: Identifier | None = None
    active: bool | None = None
    limit: Limit | None = None
    cursor: Annotated[int, Meta(ge=0, le=2**63 - 1, description="`next_cursor` of the page before.")] | None = None


class IntentList(View, kw_only=True, frozen=True):
    """A page of intents."""

    intents: list[IntentView]
    next_cursor: int | None = None


class GetIntent(Input, kw_only=True, frozen=True):
    """Read one intent, active or over."""

    intent_id: Identifier
    project: ProjectText | None = None


class ChangeIntent(Input, kw_only=True, frozen=True):
    """Say how far an intent of yours has come: started, done or abandoned."""

    intent_id: Identifier
    state: IntentState
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    commit: CommitText | None = None
