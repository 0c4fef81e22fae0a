"""What claims look like on the wire: the targets of a request in all their spellings, and what is found between claims.

Source: claims.md 2, 5 and 7; design.md 8.
"""

from typing import Annotated

from msgspec import Meta, Struct

from intermute.core import limits
from intermute.core.api.fields import Input, Line, View

PatternText = Annotated[
    str,
    Meta(description="A path, or a path with wildcards: * ? [a-z] {a,b} and ** for any depth; `::name` adds a symbol."),
]
PathText = Annotated[str, Meta(description="A path in which no character is a wildcard.")]
AddressText = Annotated[str, Meta(description="A literal path and a symbol in it: `src/a.py::Invoice.total`.")]
PatternList = Annotated[list[PatternText], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]
PathList = Annotated[list[PathText], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]
AddressList = Annotated[list[AddressText], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]
ModeText = Annotated[
    str,
    Meta(
        description="exclusive (X, write), shared (S, read), observe (IS), collaborate (IX) or curate (SIX); without it "
        "exclusive, or what the operation needs."
    ),
]
OperationText = Annotated[
    str,
    Meta(
        description="What is done there: read, modify, extract, rename, move, split, merge, inline, delete or create."
    ),
]
Branch = Annotated[Line, Meta(description="The branch that is worked on; without it, any.")]
Worktree = Annotated[Line, Meta(description="The checkout that is worked in; without it, perhaps the same one.")]


class TargetWish(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One target with a mode and an operation of its own: exactly one of `path`, `pattern` and `address`."""

    path: PathText | None = None
    pattern: PatternText | None = None
    address: AddressText | None = None
    mode: ModeText | None = None
    op: OperationText | None = None
    operation: OperationText | None = None
    to: AddressText | None = None


TargetList = Annotated[list[TargetWish], Meta(max_length=limits.TARGETS_PER_REQUEST_MAX)]


class AskedTargets(Input, kw_only=True, frozen=True):
    """What a request is about, in every spelling. Without `exclusive`, `shared`, `mode` or an operation it is exclusive."""

    path_pattern: PatternText | None = None
    pattern: PatternText | None = None
    patterns: PatternList | None = None
    glob_patterns: PatternList | None = None
    path: PathText | None = None
    paths: PathList | None = None
    address: AddressText | None = None
    addresses: AddressList | None = None
    targets: TargetList | None = None
    exclusive: bool | None = None
    shared: bool | None = None
    mode: ModeText | None = None
    op: OperationText | None = None
    operation: OperationText | None = None


class ClaimedTarget(View, kw_only=True, frozen=True):
    """One target as it is held or asked for; `n` is its place in the request, `path` is as it was given."""

    n: int
    target: str
    path: str
    symbol: str | None = None
    literal: bool = False
    mode: str
    op: str | None = None
    to: str | None = None


class FoundTarget(View, kw_only=True, frozen=True):
    """One side of a finding."""

    n: int
    target: str
    mode: str
    op: str | None = None


class Reach(View, kw_only=True, frozen=True):
    """How to reach a holder: whether it is live, and the call that asks it to let go."""

    name: str
    live: bool
    last_seen: str | None = None
    ask: str


class ConflictView(View, kw_only=True, frozen=True):
    """One thing in the way, or one to be warned of; the first six fields are the original's.

    `relation` tells how the asked target lies to the held one; `example` is a path in both, empty where they share none.
    `retry_after_s` is when the claim ends at the latest, if its holder does not renew it. Where it is an intent that was met,
    `reservation_id` is its id too, since the original knows no other field.
    """

    reservation_id: str
    agent_id: str
    held_by: str
    pattern: str
    reason: str | None = None
    expires_at: str
    kind: str
    verdict: str
    relation: str
    confidence: float
    certainty: str
    requested: FoundTarget
    held: FoundTarget
    example: str
    standing: str
    retry_after_s: int
    exclusive: bool
    mode: str
    created_at: str
    reach: Reach
    branch: str | None = None
    worktree: str | None = None
    intent_id: str | None = None


class Alternative(View, kw_only=True, frozen=True):
    """A weaker mode that would be granted now for one target of a refused request."""

    n: int
    target: str
    mode: str
    name: str
    would_grant: bool = True
