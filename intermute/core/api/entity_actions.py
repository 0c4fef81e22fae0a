"""What can be done with entities beyond making, changing and deleting them. Source: issue 4, contract.md 1.9."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from intermute.core import limits
from intermute.core.api.claims import AskedTargets, Branch, Worktree
from intermute.core.api.entities import TYPES, Version, Words
from intermute.core.api.fields import Address, Identifier, Input, Line, ProjectText, View
from intermute.core.api.reservations import ReservationView, Ttl
from intermute.core.entities.definition import Kind

FeatureId = Annotated[Identifier, Meta(min_length=1, description="A feature, by whatever id it has elsewhere.")]


class AssignTask(Input, kw_only=True, frozen=True):
    """Give a task to an agent, or to nobody, and set it to running."""

    id: Identifier
    project: ProjectText | None = None
    agent: Identifier | None = None
    version: Version | None = None


class ClaimTask(AskedTargets, kw_only=True, frozen=True):
    """Take a pending task for yourself, if nobody else has it, and with targets reserve them in the same step."""

    id: Identifier
    project: ProjectText | None = None
    agent: Address | None = None
    agent_id: Address | None = None
    reason: Line | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None
    ttl_minutes: Ttl | None = None
    ttl_seconds: Ttl | None = None


class NextTask(Input, kw_only=True, frozen=True):
    """Take the oldest task that can be done now and needs nothing but `capabilities`, by default those you registered with."""

    project: ProjectText | None = None
    agent: Address | None = None
    agent_id: Address | None = None
    capabilities: Words | None = None


ClaimedTask: Final[Any] = msgspec.defstruct(  # Any: a type that is made at run time.
    "ClaimedTask",
    [("repeated", bool, False), ("reservation", ReservationView | None, None)],
    bases=(TYPES[Kind.TASK].view,),
    namespace={"__doc__": "The task that is yours now, or was already (`repeated`), and what was reserved with it."},
    module=__name__,
    kw_only=True,
    frozen=True,
)


class ReleaseTask(Input, kw_only=True, frozen=True):
    """Give a task back that is yours, so that another agent can claim it; what was reserved with it stays reserved."""

    id: Identifier
    project: ProjectText | None = None
    agent: Address | None = None
    agent_id: Address | None = None
    reason: Line | None = None


ReleasedTask: Final[Any] = msgspec.defstruct(  # Any: as above.
    "ReleasedTask",
    [("released", bool)],
    bases=(TYPES[Kind.TASK].view,),
    namespace={"__doc__": "The task as it is now; `released` is false where it was nobody's, or over, already."},
    module=__name__,
    kw_only=True,
    frozen=True,
)


class LinkInsight(Input, kw_only=True, frozen=True):
    """Say which specification an insight is about."""

    id: Identifier
    spec_id: Identifier
    project: ProjectText | None = None


class LinkCUJ(Input, kw_only=True, frozen=True):
    """Link a journey to a feature; linking again notes the time anew."""

    id: Identifier
    feature_id: FeatureId
    project: ProjectText | None = None


class UnlinkCUJ(LinkCUJ, kw_only=True, frozen=True):
    """Take the link between a journey and a feature out."""


class CUJLinks(Input, kw_only=True, frozen=True):
    """List the features that a journey is linked to."""

    id: Identifier
    project: ProjectText | None = None


class CUJLinkView(View, kw_only=True, frozen=True):
    """One link of a journey to a feature."""

    cuj_id: str
    feature_id: str
    project: str
    linked_at: str


class CUJLinkList(View, kw_only=True, frozen=True):
    """All links of a journey."""

    links: list[CUJLinkView]
    next_cursor: str | None = None


class Unlinked(View, kw_only=True, frozen=True):
    """What is no longer linked; `unlinked` is false where it was not before."""

    cuj_id: str
    feature_id: str
    project: str
    unlinked: bool


class SpecTree(Input, kw_only=True, frozen=True):
    """Read a specification with its epics, their stories and tasks, and its journeys, and how many are in which status."""

    id: Identifier
    project: ProjectText | None = None


def _branch(name: str, kind: Kind, below: str, of: Any, doc: str) -> Any:  # Any: types that are made at run time.
    return msgspec.defstruct(
        name,
        [(below, list[of])],
        bases=(TYPES[kind].view,),
        namespace={"__doc__": doc},
        module=__name__,
        kw_only=True,
        frozen=True,
    )


StoryBranch: Final[Any] = _branch("StoryBranch", Kind.STORY, "tasks", TYPES[Kind.TASK].view, "A story with its tasks.")
EpicBranch: Final[Any] = _branch("EpicBranch", Kind.EPIC, "stories", StoryBranch, "An epic with its stories.")

_CUJ_VIEW: Final[Any] = TYPES[Kind.CUJ].view  # Any: as above.

SpecTreeView: Final[Any] = msgspec.defstruct(  # Any: as above.
    "SpecTreeView",
    [
        ("spec", TYPES[Kind.SPEC].view),
        ("epics", list[EpicBranch]),
        ("cujs", list[_CUJ_VIEW]),
        ("counts", dict[str, dict[str, int]]),
        ("is_cut", bool, False),
    ],
    bases=(View,),
    namespace={
        "__doc__": "A specification and all below it, the most recently changed first. `counts` has all of them by kind and "
        f"status; `is_cut` says that the tree itself was too large to show, beyond {limits.TREE_ROWS_MAX} entities or 4 MiB."
    },
    module=__name__,
    kw_only=True,
    frozen=True,
)
