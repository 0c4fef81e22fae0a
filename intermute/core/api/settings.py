"""A project's switches on the wire. Source: design.md 6."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Address, Input, Line, ProjectText, View
from intermute.core.claims import BranchPolicy, SymbolFloor
from intermute.core.retention import RetentionRule

CaseFolding = Annotated[
    bool, Meta(description="Whether `SRC/A.py` and `src/a.py` are one path, as on many file systems.")
]
BranchChoice = Annotated[
    BranchPolicy,
    Meta(description="`any`: branches make no difference; `same`: what another branch holds is a warning."),
]
FloorChoice = Annotated[
    SymbolFloor,
    Meta(description="What two writers of different symbols in one file and worktree get: `warn`, `block` or `off`."),
]

StrictReferences = Annotated[
    bool, Meta(description="Whether an entity that refers to something which is not there is refused (422).")
]
StrictStatus = Annotated[
    bool, Meta(description="Whether the status of an entity has to follow its flow (409, with what may come next).")
]
Retention = Annotated[
    tuple[RetentionRule, ...],
    Meta(
        max_length=limits.RETENTION_RULES_MAX,
        description="How long events are kept: the first rule whose `kind` matches decides; `[]` keeps everything.",
    ),
]
ArchiveTrimmed = Annotated[
    bool, Meta(description="Whether events are written to an archive file on the server before they are trimmed.")
]


class GetSettings(Input, kw_only=True, frozen=True):
    """Read a project's switches."""

    project: ProjectText


class ChangeSettings(Input, kw_only=True, frozen=True):
    """Set some of a project's switches; the others stay. Everyone hears of it, and the audit keeps who and why."""

    project: ProjectText
    agent_id: Address | None = None
    agent: Address | None = None
    reason: Line | None = None
    case_folding: CaseFolding | None = None
    branch_policy: BranchChoice | None = None
    symbol_floor: FloorChoice | None = None
    strict_references: StrictReferences | None = None
    strict_status: StrictStatus | None = None
    retention: Retention | None = None
    archive_trimmed: ArchiveTrimmed | None = None


class SettingsView(View, kw_only=True, frozen=True, omit_defaults=False):
    """All switches of a project as they are."""

    project: str
    case_folding: bool
    branch_policy: str
    symbol_floor: str
    strict_references: bool
    strict_status: bool
    retention: tuple[RetentionRule, ...]
    archive_trimmed: bool
