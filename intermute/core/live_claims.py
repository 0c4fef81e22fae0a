"""Gathering what is live: from wherever claims are kept, within bounds, and only what is stored.

The one place that decides which live claims a forecast looks at. Invariant: nothing that is still being flushed, so that
a power cut cannot take back what an answer was built on.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, Protocol

from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.lock_trie import WorkBudget

_SCANNED_FOR_EACH: Final = 4  # claims looked at for each that is picked; most claims are of writers. A guess.


class ClaimSource(Protocol):
    """A place where live claims are kept: the lease book, or what was declared."""

    def committed_sharing_path(self, targets: Collection[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        """Yield the stored claims that share a path with any of the targets, each once. Raises: PatternTooBroad."""

    def committed_claims(self) -> Iterator[Claim]:
        """Yield the stored claims, by and large in the order of their sequence numbers."""


class Picked(NamedTuple):
    """Some claims, by their sequence numbers. `is_cut` tells that there may be more."""

    claims: list[Claim]
    is_cut: bool


def claims_met(sources: Iterable[ClaimSource], targets: Collection[ClaimTarget], budget: WorkBudget) -> list[Claim]:
    """Return the claims of all sources that share a path with any of the targets. Raises: PatternTooBroad."""
    return [claim for source in sources for claim in source.committed_sharing_path(targets, budget)]


def first_claims(
    sources: Iterable[ClaimSource], claims_max: int, wanted: Callable[[Claim], bool] = lambda _: True
) -> Picked:
    """Return the first of the claims that are wanted, by their sequence numbers."""
    merged = heapq.merge(*(source.committed_claims() for source in sources), key=_sequence)
    scanned = islice(merged, _SCANNED_FOR_EACH * claims_max)
    picked = list(islice(filter(wanted, scanned), claims_max))
    is_cut = next(scanned, None) is not None or next(merged, None) is not None
    return Picked(sorted(picked, key=_sequence), is_cut)


def _sequence(claim: Claim) -> int:
    return claim.sequence
