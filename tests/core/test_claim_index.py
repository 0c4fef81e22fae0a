"""The index of claims answers what comparing every pair answers, and looks no further than a clash can be."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark

from intermute.core.claim_index import ClaimIndex, FindingBounds, Work
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.claims import DEFAULT_POLICY, decide
from intermute.core.findings import Finding, FindingKind, in_precedence
from intermute.core.ids import AgentId
from intermute.core.lock_table import LockTable, Mode, Reach
from intermute.core.lock_trie import WorkBudget
from intermute.core.patterns import parse
from intermute.core.relations import Relation, relation

# Few names, so that patterns meet often; classes stand for a few names, one of them for `.` alone and so for none.
NAMES = ("a", "b", "ab", "*", "a*", "*b", "?", "[ab]", "[.a]", "a*b", "**", "{a,b}", "{a,*b}", ".*")
TEXTS = st.builds(
    lambda names, end: "/".join(names) + end,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.sampled_from(("", "", "/", "/**", "::f", "::f.g", "::h")),
)
ALL = FindingBounds(conflicts=1000, warnings=1000)
INSIDE, AROUND = (Relation.EQUAL, Relation.CONTAINS), (Relation.EQUAL, Relation.WITHIN)


def claim(number: int, text: str, mode: Mode, holder: str = "ben") -> Claim:
    """Return a claim of one target."""
    return Claim(f"r{number}", number, AgentId(holder), (ClaimTarget(0, parse_glob(text), mode),))


def told(findings: Iterable[Finding]) -> list[tuple[str, FindingKind, Relation]]:
    """Return what findings say, in their order."""
    return [(each.claim.id, each.kind, each.relation) for each in findings if each.relation is not Relation.UNKNOWN]


@settings(max_examples=500, deadline=None)
@given(
    held=st.lists(st.tuples(TEXTS, st.sampled_from(Mode)), max_size=12),
    asked=TEXTS,
    mode=st.sampled_from(Mode),
)
def test_index_answers_what_every_pair_answers(held: list[tuple[str, Mode]], asked: str, mode: Mode) -> None:
    """All modes, with symbols and without: the same findings, examples aside, of which any is as good.

    Left out are pairs whose relation takes too long to tell: the index may know that they cannot clash.
    """
    index = ClaimIndex()
    claims = [claim(number, text, mode) for number, (text, mode) in enumerate(held)]
    for each in claims:
        index.put(each)
    wish = claim(99, asked, mode, "anna")

    found = index.findings(wish, DEFAULT_POLICY, ALL)

    expected = in_precedence(finding for each in claims for finding in decide(wish, each))
    assert told(found) == told(expected)


@settings(max_examples=500, deadline=None)
@given(held=st.lists(TEXTS, max_size=12), asked=TEXTS)
def test_reach_leaves_out_nothing_that_it_is_about(held: list[str], asked: str) -> None:
    """Whatever lies inside the asked pattern, or around it, is found; what is found besides shares a path with it."""
    table = LockTable()
    patterns = [parse_glob(text).pattern for text in held]
    for number, pattern in enumerate(patterns):
        table.add(f"r{number}", pattern, "ben", Mode.X, number)
    wanted = parse_glob(asked).pattern
    lies = [relation(wanted, pattern, states_max=100_000) for pattern in patterns]

    found = {reach: {conflict.entry.number for conflict in table.meeting(wanted, {Mode.X: reach})} for reach in Reach}

    assert found[Reach.MEETING] == {number for number, each in enumerate(lies) if each is not Relation.DISJOINT}
    assert {number for number, each in enumerate(lies) if each in INSIDE} <= found[Reach.INSIDE] <= found[Reach.MEETING]
    assert {number for number, each in enumerate(lies) if each in AROUND} <= found[Reach.AROUND] <= found[Reach.MEETING]


@mark.parametrize(
    ("asked", "mode", "held", "held_mode"),
    [
        ("src/a/b.py", Mode.X, "**/*{n}_test.py", Mode.IX),
        ("src/a/*.py", Mode.X, "**/*{n}_test.py", Mode.IX),
        ("**/*_test.py", Mode.IX, "src/{n}/a.py", Mode.X),
        ("src/*/tests", Mode.IS, "src/a{n}/tests/b.py", Mode.X),
    ],
)
def test_lookup_of_an_intention_takes_few_steps(asked: str, mode: Mode, held: str, held_mode: Mode) -> None:
    """A thousand claims that share paths with the asked one and cannot clash cost next to nothing: steps are counted."""
    index = ClaimIndex()
    for n in range(1_000):
        index.put(claim(n, held.replace("{n}", str(n)), held_mode))
    work = Work()
    work.steps = WorkBudget(10)

    assert index.findings(claim(9999, asked, mode, "anna"), DEFAULT_POLICY, ALL, work=work) == []


def test_lookup_of_a_writer_tries_every_name() -> None:
    """Control: the same patterns in modes that clash are not passed over."""
    table = LockTable()
    for n in range(20):
        table.add(f"r{n}", parse(f"src/{n}/a.py"), "ben", Mode.X)

    assert len(table.conflicts(parse("**/*_test.py"), Mode.X, "anna")) == 20
