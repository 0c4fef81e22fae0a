"""One request cannot hold up the others: what its patterns may cost is bounded, whatever the table holds."""

import pytest

from intermute.core import limits
from intermute.core.api.claims import AskedTargets
from intermute.core.claim_index import FindingBounds
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.claims import DEFAULT_POLICY
from intermute.core.errors import InvalidRequest, PatternTooBroad
from intermute.core.findings import Finding
from intermute.core.ids import AgentId, Micros
from intermute.core.lease_book import LeaseBook
from intermute.core.lock_table import LockTable, Mode
from intermute.core.lock_trie import WorkBudget
from intermute.core.patterns import parse
from intermute.core.reservation import Reservation
from intermute.core.targets import read_targets

_BROAD = "*/*/*/*zz"
"""Tries every name of the table and matches none."""


def book_of(count: int) -> LeaseBook:
    """Return a book in which somebody holds so many files, each in a directory of its own."""
    book = LeaseBook()
    for n in range(count):
        targets = (ClaimTarget(0, parse_glob(f"a{n}/b/c/d.py"), Mode.X),)
        claim = Claim(f"r{n}", n + 1, AgentId("holder"), targets, expires_at_us=Micros(0))
        book.load(Reservation(claim, "", Micros(0), 60.0, n + 1))
    return book


def in_the_way(book: LeaseBook, *patterns: str, limit: int = 10) -> list[Finding]:
    """Return what an exclusive wish for these meets."""
    targets = tuple(ClaimTarget(n, parse_glob(pattern), Mode.X) for n, pattern in enumerate(patterns))
    return book.findings(Claim("", 0, AgentId("asker"), targets), DEFAULT_POLICY, FindingBounds(conflicts=limit))


def table_of(count: int) -> LockTable:
    """Return a table with so many files, each in a directory of its own: four names on the way to each."""
    table = LockTable()
    for n in range(count):
        table.add(f"r{n}", parse(f"a{n}/b/c/d.py"), "holder", Mode.X)
    return table


@pytest.mark.parametrize(("steps", "is_enough"), [(39, False), (40, True), (41, True)])
def test_lookup_stops_when_its_budget_is_spent(steps: int, *, is_enough: bool) -> None:
    """Ten files are forty names to try: one step less is refused, the exact number is not."""
    table, budget = table_of(10), WorkBudget(steps)

    if is_enough:
        assert table.conflicts(parse(_BROAD), Mode.X, "asker", budget=budget) == []
    else:
        with pytest.raises(PatternTooBroad):
            table.conflicts(parse(_BROAD), Mode.X, "asker", budget=budget)


def test_patterns_of_one_request_share_a_budget() -> None:
    """A hundred broad patterns cost no more than the budget of one request, and are refused as one."""
    book = book_of(limits.LOOKUP_STEPS_MAX // 4 // 50)
    patterns = [f"*/*/*/*z{n}" for n in range(100)]

    assert in_the_way(book, *patterns[:10]) == []
    with pytest.raises(PatternTooBroad):
        in_the_way(book, *patterns)


def test_usual_requests_never_meet_the_budget() -> None:
    """With 20,000 files held, a path, a directory and a suffix glob under a directory are decided."""
    book = book_of(20_000)

    found = [in_the_way(book, text, limit=3) for text in ("a7/b/c/d.py", "a7", "a7/**/*.py")]

    assert [len(clashes) for clashes in found] == [1, 1, 1]


@pytest.mark.parametrize(("requests", "is_taken"), [(4, True), (5, False)])
def test_brace_alternatives_of_one_request_are_bounded(requests: int, *, is_taken: bool) -> None:
    """Four patterns of 64 alternatives are the most that one request may ask for."""
    asked = AskedTargets(patterns=[f"{n}/{{{','.join(f'x{m}' for m in range(64))}}}" for n in range(requests)])

    if is_taken:
        assert len(read_targets(asked)) == requests
    else:
        with pytest.raises(InvalidRequest):
            read_targets(asked)
