"""The index of claims against comparing every pair: findings, obstacles and what touches, for all modes."""

from typing import Final

from claims_model import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

from intermute.core.claim_index import ClaimIndex, FindingBounds
from intermute.core.claim_records import Claim, ClaimTarget, with_destinations
from intermute.core.claim_targets import target_relation
from intermute.core.claims import DEFAULT_POLICY, decide
from intermute.core.findings import Verdict, in_precedence
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.relations import Relation
from intermute.core.targets import parse_target
from intermute.core.work_operations import Operation

MORE: Final = ("src/*", "*", "src/[ab].py", "**/*.py", "lib", "{src,lib}/a.py", "src/a.py/x", "import/*/y")
PARSED: Final = [parse_target("pattern", text) for text in (*TARGETS, *MORE)]
ALL: Final = FindingBounds(conflicts=10_000, warnings=10_000)

targets = st.builds(
    ClaimTarget,
    st.just(0),
    st.sampled_from(PARSED),
    st.sampled_from(Mode),
    st.none(),
    st.none() | st.sampled_from([each for each in PARSED if each.pattern.is_plain]),
)


def claim(number: int, holder: str, asked: list[ClaimTarget]) -> Claim:
    """Return a claim with its destinations; only what moves something has one."""
    numbered = [
        ClaimTarget(
            at,
            each.target,
            each.mode if each.destination is None else Mode.X,
            None if each.destination is None else Operation.RENAME,
            each.destination,
        )
        for at, each in enumerate(asked)
    ]
    return Claim(f"c{number}", number, AgentId(holder), with_destinations(numbered))


claims = st.lists(st.tuples(st.sampled_from("abc"), st.lists(targets, min_size=1, max_size=3)), max_size=8)


@settings(max_examples=300, deadline=None)
@given(claims, st.sampled_from("ad"), st.lists(targets, min_size=1, max_size=3), st.sets(st.integers(0, 7)))
def test_index_finds_what_comparing_every_pair_finds(
    held: list[tuple[str, list[ClaimTarget]]], asker: str, asked: list[ClaimTarget], removed: set[int]
) -> None:
    """No short cut loses a finding, and none adds one, also after some were taken out."""
    index = ClaimIndex()
    every = [claim(number, holder, each) for number, (holder, each) in enumerate(held)]
    for each in every:
        index.put(each)
    for number in removed:
        index.remove(f"c{number}")
    left = [each for each in every if each.sequence not in removed]
    mine = claim(99, asker, asked)

    expected = in_precedence(finding for each in left for finding in decide(mine, each))
    found = index.findings(mine, DEFAULT_POLICY, ALL)

    assert {_key(each) for each in found} == {_key(each) for each in expected}
    assert len(found) == len(expected)
    in_the_way = {each.claim.id for each in expected if each.verdict is Verdict.CONFLICT}
    assert {each.id for each in index.obstacles(mine, DEFAULT_POLICY)} == in_the_way
    meeting = {
        each.id
        for each in left
        if each.holder != mine.holder
        and any(
            target_relation(one.target, other.target) is not Relation.DISJOINT
            for one in mine.targets
            for other in each.targets
        )
    }
    assert {each.id for each in index.touching(mine)} == meeting


def _key(finding: object) -> tuple[object, ...]:
    names = ("kind", "verdict", "relation", "confidence", "certainty", "requested", "held")
    return (*(getattr(finding, name) for name in names), finding.claim.id)  # type: ignore[attr-defined] # a finding.
