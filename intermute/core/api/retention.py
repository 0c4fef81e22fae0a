"""Trimming the event log on the wire. Source: guarantees.md G11."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Address, Input, Line, ProjectText, View
from intermute.core.retention import RetentionRule


class TrimLog(Input, kw_only=True, frozen=True):
    """Trim the project's event log now, once; nothing that is not an event is touched, and the audit keeps who and why."""

    project: ProjectText
    agent_id: Address | None = None
    agent: Address | None = None
    reason: Line | None = None
    rules: (
        Annotated[
            tuple[RetentionRule, ...],
            Meta(
                max_length=limits.RETENTION_RULES_MAX, description="As `retention` in the settings; when absent, those."
            ),
        ]
        | None
    ) = None
    dry_run: Annotated[bool, Meta(description="Only tell what would be trimmed.")] = False
    archive: Annotated[bool, Meta(description="Write events to an archive file on the server before.")] = True


class LogTrimmed(View, kw_only=True, frozen=True, omit_defaults=False):
    """What was trimmed, or would be; with `has_more`, send the same request again for the rest."""

    project: str
    dry_run: bool
    trimmed: int
    by_type: dict[str, int]
    archives: list[str]
    oldest_cursor: int
    has_more: bool
