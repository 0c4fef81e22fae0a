"""Reservations that change hands, on the wire. Source: claims.md 5, decisions/0009-handing-over.md."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import ONE_LINE_WITH_TEXT, Address, Identifier, Input, Line, ProjectText, View

Reason = Annotated[
    str,
    Meta(min_length=1, max_length=limits.LINE_CHARS_MAX, pattern=ONE_LINE_WITH_TEXT, description="Why; it is kept."),
]
Silence = Annotated[
    int,
    Meta(
        ge=limits.FORCE_SILENCE_MIN_S,
        le=limits.TTL_MAX_S,
        description="Only if the holder has been silent for longer than this; then no operator is needed.",
    ),
]


class TransferReservation(Input, kw_only=True, frozen=True):
    """Give a reservation of yours to another registered agent, which holds it for the time that is left."""

    reservation_id: Identifier
    to: Address
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    reason: Line | None = None


class RequestRelease(Input, kw_only=True, frozen=True):
    """Ask the holder of a reservation to let go of it; it gets a message, and everyone hears that it is wanted."""

    reservation_id: Identifier
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    reason: Line | None = None


class Requested(View, kw_only=True, frozen=True):
    """Whether the holder was sent a message; it is not while an earlier one of yours is unread."""

    reservation_id: str
    agent_id: str
    held_by: str
    asked: bool
    message_id: str | None = None
    message: str


class ForceRelease(Input, kw_only=True, frozen=True):
    """End another agent's reservation: as an operator, or because its holder has been silent for too long."""

    reservation_id: Identifier
    reason: Reason
    project: ProjectText | None = None
    agent_id: Address | None = None
    agent: Address | None = None
    if_silent_seconds: Silence | None = None


class ForceReleased(View, kw_only=True, frozen=True):
    """What was taken from whom; `cursor` is that of the event and of the audit record."""

    released: list[str]
    agent_id: str
    held_by: str
    patterns: list[str]
    mode: str
    fence: int
    cursor: int
    message_id: str
