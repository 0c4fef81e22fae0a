"""What is found where two claims touch: the record, its kinds, and the order in which they are reported.

Decided here and nowhere else: precedence among findings, and what counts as a high risk.
Source: claims.md 5; the kinds of the Muse version-control system keep their names.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from intermute.core.claim_records import Claim, ClaimTarget, Standing
from intermute.core.relations import Relation

RISK_HIGH_FROM: Final = 0.9  # confidence; vectors I01 to I14: 0.9 is high, 0.8 is not.
RISK_MEDIUM_FROM: Final = 0.5  # confidence; the same: 0.6 is medium, 0.3 is low; 0.5 is a guess.


class FindingKind(StrEnum):
    """Why two claims do not go together, in reporting precedence; from `delete_use` on these are warnings by nature."""

    OPERATION_CONFLICT = "operation_conflict"
    CREATE_COLLISION = "create_collision"
    REDUNDANT_WORK = "redundant_work"
    ADDRESS_OVERLAP = "address_overlap"
    CONTAINMENT = "containment"
    PATH_OVERLAP = "path_overlap"
    DELETE_USE = "delete_use"
    BLAST_RADIUS_OVERLAP = "blast_radius_overlap"
    SAME_FILE_SHARED_WORKTREE = "same_file_shared_worktree"
    READ_WRITE = "read_write"
    SAME_FILE = "same_file"


class Verdict(StrEnum):
    """What a finding does to a request."""

    CONFLICT = "conflict"
    WARN = "warn"


class Certainty(StrEnum):
    """Whether the two meet in something that is known to be there."""

    DEFINITE = "definite"
    """The narrower of the two names one path."""
    POTENTIAL = "potential"


class Risk(StrEnum):
    """How much a finding threatens a plan."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Finding(msgspec.Struct, frozen=True):
    """One requested target against one held target."""

    kind: FindingKind
    verdict: Verdict
    relation: Relation
    """How the requested target lies to the held one."""
    confidence: float
    certainty: Certainty
    example: str | None
    """A path in both; None where they share none, as with a blast radius."""
    requested: ClaimTarget
    held: ClaimTarget
    claim: Claim
    """The claim that the held target is of."""
    path: tuple[str, ...] = ()
    """The calls from the changed symbol to the other claim's one, for a blast radius."""

    @property
    def risk(self) -> Risk:
        """How much this threatens a plan, by its confidence."""
        if self.confidence >= RISK_HIGH_FROM:
            return Risk.HIGH
        return Risk.MEDIUM if self.confidence >= RISK_MEDIUM_FROM else Risk.LOW


def in_precedence(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in the order they are reported; the first one is the primary one.

    Conflicts come first, then by kind, by the other claim's standing and age, and by the places of the two targets.
    """
    return sorted(findings, key=_precedence)


_VERDICTS: Final = {verdict: place for place, verdict in enumerate(Verdict)}
_KINDS: Final = {kind: place for place, kind in enumerate(FindingKind)}
_STANDINGS: Final = {standing: place for place, standing in enumerate(Standing)}


def _precedence(finding: Finding) -> tuple[int, int, int, int, str, int, int]:
    return (
        _VERDICTS[finding.verdict],
        _KINDS[finding.kind],
        _STANDINGS[finding.claim.standing],
        finding.claim.sequence,
        finding.claim.id,
        finding.requested.number,
        finding.held.number,
    )
