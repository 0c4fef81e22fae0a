"""Gathering live claims from several places, within bounds."""

from collections.abc import Collection, Iterator

import pytest

from intermute.core.claim_index import ClaimIndex
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.errors import PatternTooBroad
from intermute.core.ids import AgentId
from intermute.core.live_claims import claims_met, first_claims
from intermute.core.lock_table import Mode
from intermute.core.lock_trie import WorkBudget


class Shelf:
    """A source that keeps its claims in an index."""

    def __init__(self, *numbers: int) -> None:
        self.index = ClaimIndex()
        for number in numbers:
            self.index.put(claim(number))

    def committed_sharing_path(self, targets: Collection[ClaimTarget], budget: WorkBudget) -> Iterator[Claim]:
        return self.index.sharing_path(targets, budget)

    def committed_claims(self) -> Iterator[Claim]:
        return iter(self.index)


def claim(number: int) -> Claim:
    """Return a claim of a file in `src`, or of one in `docs` where the number is odd."""
    text = f"{'docs' if number % 2 else 'src'}/{number}.py"
    return Claim(f"r{number}", number, AgentId("anna"), (ClaimTarget(0, parse_glob(text), Mode.X),))


def test_claims_of_all_sources_are_gathered() -> None:
    """Whatever shares a path with any of the targets, from wherever it is kept, once."""
    targets = [ClaimTarget(0, parse_glob(text), Mode.S) for text in ("src", "src/2.py")]

    found = claims_met([Shelf(1, 2, 3), Shelf(4, 5)], targets)

    assert [each.id for each in found] == ["r2", "r4"]


@pytest.mark.parametrize(("text", "weight"), [("src", 1), ("src/*.py", 2), ("src/{*.py,*.js,a}", 3)])
def test_claims_of_all_sources_share_a_budget(text: str, weight: int) -> None:
    """What one target and source have cost others cannot; wildcards make a step dearer."""
    targets = [ClaimTarget(0, parse_glob(text), Mode.S)] * 2
    shelves = [Shelf(2), Shelf(4)]
    budget = WorkBudget(1000)
    for shelf in shelves:
        assert len(list(shelf.committed_sharing_path(targets[:1], budget))) == 1
    cost = 2 * weight * (1000 - budget.left)

    assert len(claims_met(shelves, targets, cost)) == 2
    with pytest.raises(PatternTooBroad):
        claims_met(shelves, targets, cost - 1)


@pytest.mark.parametrize(
    ("claims_max", "expected", "is_cut"), [(3, [1, 2, 3], True), (4, [1, 2, 3, 4], False), (5, [1, 2, 3, 4], False)]
)
def test_first_claims_are_those_of_the_lowest_numbers(claims_max: int, expected: list[int], *, is_cut: bool) -> None:
    """Over all sources, and it is known whether any are left."""
    found = first_claims([Shelf(1, 4), Shelf(2, 3)], claims_max)

    assert ([each.sequence for each in found.claims], found.is_cut) == (expected, is_cut)
