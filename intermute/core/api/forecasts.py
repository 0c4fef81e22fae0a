"""Preflight on the wire: what a plan would run into, and what stands between branches. Source: claims.md 7, issue 3 point 8."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from intermute.core.api.claims import AskedTargets, Branch, FoundTarget, Worktree
from intermute.core.api.fields import ONE_LINE_WITH_TEXT, Address, Input, Limit, ProjectText, View
from intermute.core.claims import BranchPolicy
from intermute.core.limits import ADDRESS_CHARS_MAX
from intermute.core.plan_steps import PLAN_STEPS_MAX

StepName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ADDRESS_CHARS_MAX,
        pattern=ONE_LINE_WITH_TEXT,
        description="Your own name for the step, once in the plan.",
    ),
]
StepNames = Annotated[
    list[StepName], Meta(max_length=PLAN_STEPS_MAX, description="The steps that have to be done first.")
]


class Include(StrEnum):
    """What a forecast looks at."""

    RESERVATIONS = "reservations"
    INTENTS = "intents"
    PLAN = "plan"
    """What the steps are to each other."""
    BLAST_RADIUS = "blast_radius"


class PlanStep(AskedTargets, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One thing that an agent means to do: the fields of a reservation, and which steps have to be done first."""

    step: StepName
    agent_id: Address | None = None
    agent: Address | None = None
    after: StepNames | None = None
    branch: Branch | None = None
    worktree: Worktree | None = None


PlanSteps = Annotated[list[PlanStep], Meta(max_length=PLAN_STEPS_MAX)]
Includes = Annotated[
    list[Include], Meta(max_length=len(Include), description="What to look at; without it, all of it.")
]


class ForecastPlan(Input, kw_only=True, frozen=True):
    """Ask what a plan would run into, without reserving anything. `branch_policy` counts for this forecast only."""

    project: ProjectText | None = None
    branch_policy: BranchPolicy | None = None
    include: Includes | None = None
    plan: PlanSteps


class StepFinding(View, kw_only=True, frozen=True):
    """What a step meets. `against` is `reservation:`, `intent:` or `waiting:` with an id; `path` are calls."""

    against: str
    kind: str
    verdict: str
    confidence: float
    relation: str
    certainty: str
    example: str | None = None
    requested: FoundTarget
    held: FoundTarget
    held_by: str
    agent_id: str
    expires_at: str | None = None
    path: list[str] | None = None


class StepOutlook(View, kw_only=True, frozen=True):
    """One step. `earliest` is when the last one in its way ends at the latest; `more` tells of further findings."""

    step: str
    would_grant: bool
    earliest: str | None = None
    findings: list[StepFinding]
    more: bool = False


class PlanPair(View, kw_only=True, frozen=True):
    """Two steps of different agents that do not go together. `ordered`: `after` keeps them apart, so it is no risk."""

    a: str
    b: str
    kind: str
    verdict: str
    confidence: float
    example: str | None = None
    path: list[str] | None = None
    ordered: bool


class RadiusState(StrEnum):
    """Whether the blast radius was looked at."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    """No call graph of this project was uploaded."""
    NOT_ASKED = "not_asked"


class RadiusView(View, kw_only=True, frozen=True):
    """What the forecast knows of callers. `cut`: there were too many claims or calls to follow all of them."""

    state: RadiusState
    index_commit: str | None = None
    cut: bool = False


class Forecasted(View, kw_only=True, frozen=True):
    """What a plan would run into, as of one place in the log: send it as `if_seq` with the reservations.

    Steps come as they were given, pairs the heaviest first; steps of one wave can run side by side.
    """

    as_of_seq: int
    verdict: str
    high_risk: int
    medium_risk: int
    low_risk: int
    steps: list[StepOutlook]
    pairs: list[PlanPair] | None = None
    more_pairs: bool = False
    waves: list[list[str]] | None = None
    blast_radius: RadiusView
    notes: list[str] | None = None


class Reconcile(Input, kw_only=True, frozen=True):
    """Ask what stands between the branches that are worked on, and in which order to merge them."""

    project: ProjectText | None = None
    limit: Limit | None = None


class BranchView(View, kw_only=True, frozen=True):
    """One branch; null is that of all claims that name none. `agents` are the first of those who work there."""

    branch: str | None
    claims: int
    agents: list[str]
    weight: float
    oldest_seq: int


class BranchSide(View, kw_only=True, frozen=True):
    """One side of a pair."""

    branch: str | None
    reservation_id: str | None = None
    intent_id: str | None = None
    agent_id: str
    held_by: str
    target: str


class BranchClash(View, kw_only=True, frozen=True):
    """Two claims on different branches that will meet in a merge; `a` came first."""

    a: BranchSide
    b: BranchSide
    kind: str
    verdict: str
    confidence: float
    example: str | None = None


class Reconciled(View, kw_only=True, frozen=True):
    """The branches in the order in which to merge them, and what stands between them, the heaviest first.

    `cut`: there was more than can be compared at once, so that pairs and weights may be missing.
    """

    as_of_seq: int
    branches: list[BranchView]
    more_branches: bool = False
    pairs: list[BranchClash]
    more_pairs: bool = False
    cut: bool = False
