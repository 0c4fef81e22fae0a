"""The audit on the wire: what was done by force, by whom and why. Source: claims.md 5, design.md 8."""

from typing import Any

from intermute.core.api.fields import Cursor, Input, Limit, ProjectText, View


class ListAudit(Input, kw_only=True, frozen=True):
    """Read the project's audit records after a cursor, the oldest first."""

    project: ProjectText | None = None
    since_cursor: Cursor | None = None
    limit: Limit | None = None


class AuditRecord(View, kw_only=True, frozen=True):
    """One record; `verified` says that a token proved the actor, `subject` is what was acted on, as it was before."""

    cursor: int
    at: str
    actor: str
    actor_name: str
    verified: bool
    action: str
    reason: str
    subject: dict[str, Any]  # Any: each action has fields of its own; docs/operations.md lists them.


class AuditPage(View, kw_only=True, frozen=True):
    """A page of audit records; send `cursor` as `since_cursor` to read on."""

    records: list[AuditRecord]
    cursor: int
