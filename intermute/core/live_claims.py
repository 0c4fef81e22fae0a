"""Gathering what is live: from wherever claims are kept, within bounds, and only what is stored.

The one place that decides which live claims a forecast looks at. Invariant: nothing that is still being flushed, so that
a power cut cannot take back what an answer was built on.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from intermute.core import limits
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.lock_trie import WorkBudget
from intermute.core.pattern_syntax import Glob, Pattern


class ClaimSource(Protocol):
    """A place where live claims are kept: the lease book, or what was declared."""

    def committed_sharing_path(self, targets: Collection[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        """Yield the stored claims that share a path with any of the targets, each once. Raises: PatternTooBroad."""

    def committed_claims(self) -> Iterator[Claim]:
        """Yield the stored claims, by and large in the order of their sequence numbers."""


class Picked(NamedTuple):
    """Some claims, by their sequence numbers. `is_cut` tells that there are more."""

    claims: list[Claim]
    is_cut: bool


def claims_met(
    sources: Sequence[ClaimSource],
    targets: Iterable[ClaimTarget],
    steps_max: int = limits.FORECAST_LOOKUP_STEPS_MAX,
) -> list[Claim]:
    """Return the claims of all sources that share a path with any of the targets, each once.

    Raises: PatternTooBroad, once the steps are spent; a step of a target with wildcards counts for several.
    """
    found: dict[str, Claim] = {}
    for target in targets:
        weight = _weight(target.target.pattern)
        budget = WorkBudget(steps_max // weight)
        given = budget.left
        for source in sources:
            for claim in source.committed_sharing_path((target,), budget):
                found[claim.id] = claim
        steps_max -= weight * (given - budget.left)
    return list(found.values())


def first_claims(sources: Iterable[ClaimSource], claims_max: int) -> Picked:
    """Return the first claims of all sources, by their sequence numbers."""
    merged = heapq.merge(*(source.committed_claims() for source in sources), key=_sequence)
    picked = sorted(islice(merged, claims_max), key=_sequence)
    return Picked(picked, is_cut=next(merged, None) is not None)


def _weight(pattern: Pattern) -> int:
    """Return how many plain steps one of this pattern costs: 0.4 to 1.6 us for each name with wildcards (measured)."""
    return 1 + sum(isinstance(name, Glob) for alternative in pattern.alternatives for name in alternative)


def _sequence(claim: Claim) -> int:
    return claim.sequence
