"""One request cannot hold up the others: what its patterns may cost is bounded, whatever the table holds."""

import pytest

from intermute.core import limits
from intermute.core.errors import InvalidRequest, PatternTooBroad
from intermute.core.ids import AgentId, Micros, ReservationId
from intermute.core.lease_book import LeaseBook, Reservation
from intermute.core.lock_table import LockTable, Mode
from intermute.core.lock_trie import WorkBudget
from intermute.core.patterns import parse
from intermute.core.targets import parse_targets

_BROAD = "*/*/*/*zz"
"""Tries every name of the table and matches none."""


def book_of(count: int) -> LeaseBook:
    """Return a book in which somebody holds so many files, each in a directory of its own."""
    book = LeaseBook()
    for n in range(count):
        pattern = parse(f"a{n}/b/c/d.py")
        book.load(
            Reservation(
                ReservationId(f"r{n}"), AgentId("holder"), (pattern,), Mode.X, "", n + 1, Micros(0), Micros(0), 60.0
            )
        )
    return book


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
    patterns = [parse(f"*/*/*/*z{n}") for n in range(100)]

    assert book.conflicts(patterns[:10], Mode.X, AgentId("asker"), limit=10) == []
    with pytest.raises(PatternTooBroad):
        book.conflicts(patterns, Mode.X, AgentId("asker"), limit=10)


def test_usual_requests_never_meet_the_budget() -> None:
    """With 20,000 files held, a path, a directory and a suffix glob under a directory are decided."""
    book = book_of(20_000)

    found = [
        book.conflicts([parse(text)], Mode.X, AgentId("asker"), limit=3) for text in ("a7/b/c/d.py", "a7", "a7/**/*.py")
    ]

    assert [len(clashes) for clashes in found] == [1, 1, 1]


@pytest.mark.parametrize(("requests", "is_taken"), [(4, True), (5, False)])
def test_brace_alternatives_of_one_request_are_bounded(requests: int, *, is_taken: bool) -> None:
    """Four patterns of 64 alternatives are the most that one request may ask for."""
    texts = [("patterns", f"{n}/{{{','.join(f'x{m}' for m in range(64))}}}") for n in range(requests)]

    if is_taken:
        assert len(parse_targets(texts, [])) == requests
    else:
        with pytest.raises(InvalidRequest):
            parse_targets(texts, [])
