"""Events, projects, health and the interface's own description on the wire. Source: design.md 4 to 6."""

from typing import Annotated, Any

from msgspec import Meta

from intermute.core.api.fields import Address, Cursor, Identifier, Input, Limit, ProjectText, View, WaitSeconds


class ListEvents(Input, kw_only=True, frozen=True):
    """Read the project's event log after a cursor; with `wait_seconds` wait for the next event."""

    project: ProjectText | None = None
    since_cursor: Cursor | None = None
    limit: Limit | None = None
    type: Annotated[str, Meta(description="Comma-separated event types; when absent, all.")] | None = None
    topic: Annotated[Identifier, Meta(description="A topic; when absent, all events, with or without one.")] | None = (
        None
    )
    agent: Address | None = None
    wait_seconds: WaitSeconds | None = None


class EventPage(View, kw_only=True, frozen=True):
    """Events in log order; send `cursor` as `since_cursor` to read on."""

    events: list[dict[str, Any]]  # Any: each event type has fields of its own; docs/api.md lists them.
    cursor: int


class ListProjects(Input, kw_only=True, frozen=True):
    """List the projects that the caller may see."""


class ProjectView(View, kw_only=True, frozen=True):
    """One project."""

    project: str
    open: bool


class ProjectList(View, kw_only=True, frozen=True):
    """The projects that the caller may see."""

    projects: list[ProjectView]


class Health(Input, kw_only=True, frozen=True):
    """Whether the service is alive; the details are for local callers and for the holder of a key."""

    project: ProjectText | None = None


class Ready(Input, kw_only=True, frozen=True):
    """Whether the service is in full order; 503 while anything is degraded."""


class HealthView(View, kw_only=True, frozen=True):
    """`status` is ok, or degraded while the disk is full: then reads and heartbeats are served, and writes are refused."""

    status: str
    why: list[str] | None = None
    projects: list[dict[str, Any]] | None = None  # Any: what each part reports of itself; docs/operations.md lists it.
    process: dict[str, Any] | None = None  # Any: as above.


class OpenApi(Input, kw_only=True, frozen=True):
    """The description of this interface."""
