"""The lease book: who holds what until when, ahead of the disk by one batch (design.md 3, guarantees.md G6 and G8)."""

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.claim_index import FindingBounds
from intermute.core.claim_records import NOBODY, Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.claims import DEFAULT_POLICY
from intermute.core.ids import AgentId, Micros
from intermute.core.lease_book import LeaseBook
from intermute.core.lock_table import Mode
from intermute.core.lock_trie import WorkBudget
from intermute.core.reservation import Reservation

ANNA, BEN, CARL = AgentId("anna"), AgentId("ben"), AgentId("carl")


def lease(number: int, holder: AgentId, *patterns: str, mode: Mode = Mode.X, deadline_s: float = 100.0) -> Reservation:
    """Return a reservation whose fence is its number."""
    targets = tuple(ClaimTarget(n, parse_glob(pattern), mode) for n, pattern in enumerate(patterns))
    claim = Claim(f"r{number}", number, holder, targets, expires_at_us=Micros(int(deadline_s)))
    return Reservation(claim, "", Micros(0), deadline_s, number)


def wish(asker: AgentId | None, *patterns: str, mode: Mode = Mode.X) -> Claim:
    """Return the claim of somebody who asks."""
    targets = tuple(ClaimTarget(n, parse_glob(pattern), mode) for n, pattern in enumerate(patterns))
    return Claim("", 0, asker or NOBODY, targets)


def clashes(book: LeaseBook, pattern: str, asker: AgentId | None = None, *, limit: int = 100) -> list[str]:
    """Return the ids in the way of an exclusive wish, as memory has them."""
    bounds = FindingBounds(conflicts=limit)
    return [finding.claim.id for finding in book.findings(wish(asker, pattern), DEFAULT_POLICY, bounds)]


def stored_clashes(book: LeaseBook, pattern: str, asker: AgentId | None = None, *, limit: int = 100) -> list[str]:
    """Return the ids in the way of an exclusive wish, as the disk has them."""
    bounds = FindingBounds(conflicts=limit)
    found = book.committed_findings(wish(asker, pattern), DEFAULT_POLICY, bounds)
    return [finding.claim.id for finding in found][:limit]


@pytest.fixture
def book() -> LeaseBook:
    """Anna holds src, ben shares docs; both are stored."""
    made = LeaseBook()
    made.load(lease(1, ANNA, "src"))
    made.load(lease(2, BEN, "docs", mode=Mode.S, deadline_s=50.0))
    return made


def test_book_knows_holders(book: LeaseBook) -> None:
    """By id, by holder in the order of fences, and in number."""
    book.grant(lease(3, ANNA, "lib"))

    assert [each.fence for each in book.held_by(ANNA)] == [1, 3]
    assert book.count_of(ANNA) == 2
    assert set(book.holders()) == {ANNA, BEN}
    assert len(book) == 3
    assert book.get("nothing") is None


def test_book_conflict_tells_both_sides(book: LeaseBook) -> None:
    """The held pattern, the requested one, and a path in both."""
    [finding] = book.findings(wish(BEN, "free", "src/*.py"), DEFAULT_POLICY)

    sides = (finding.claim.id, finding.held.target.text, finding.requested.target.text)
    assert sides == ("r1", "src", "src/*.py")
    assert finding.example is not None
    assert finding.example.startswith("src/")


def test_book_never_conflicts_with_oneself(book: LeaseBook) -> None:
    """The asker's own leases are no obstacle; nobody in particular meets all of them."""
    assert clashes(book, "src", ANNA) == []
    assert clashes(book, "src", BEN) == clashes(book, "src", None) == ["r1"]


def test_book_conflicts_come_in_the_order_of_grants(book: LeaseBook) -> None:
    """By fence, whatever the index finds first."""
    book.load(lease(9, CARL, "src/z"))
    book.load(lease(5, CARL, "src/a"))

    assert clashes(book, "**") == ["r1", "r2", "r5", "r9"]


def test_book_frees_what_ended(book: LeaseBook) -> None:
    """An ended lease is nowhere any more."""
    book.end(lease(1, ANNA, "src"))
    book.stored()

    assert clashes(book, "src") == []
    assert book.held_by(ANNA) == []
    assert ANNA not in book.holders()


def test_book_deadline_is_the_nearest(book: LeaseBook) -> None:
    """Renewals and ends move it."""
    assert book.next_deadline_s() == 50.0
    renewed = book.renew(book.held_by(BEN)[0], 500.0, Micros(500))
    assert book.next_deadline_s() == 100.0
    book.end(book.held_by(ANNA)[0])
    assert book.next_deadline_s() == 500.0
    book.end(renewed)

    assert book.next_deadline_s() is None


@pytest.mark.parametrize(("mono_s", "due"), [(49.999, []), (50.0, ["r2"]), (99.999, ["r2"]), (100.0, ["r2", "r1"])])
def test_book_lease_is_due_exactly_at_its_deadline(book: LeaseBook, mono_s: float, due: list[str]) -> None:
    """At the deadline, not before, in the order of deadlines; asking changes nothing (S01)."""
    assert [each.id for each in book.due(mono_s)] == due
    assert [each.id for each in book.due(mono_s)] == due
    assert len(book) == 2


def test_book_lease_with_one_deadline_twice_is_due_once(book: LeaseBook) -> None:
    """A renewal to the deadline it has, and a change of the holder, do not double a lease."""
    book.renew(book.held_by(ANNA)[0], 100.0, Micros(100))
    book.rename_holder(ANNA, CARL)

    assert [each.id for each in book.due(100.0)] == ["r2", "r1"]


def test_book_renames_a_holder(book: LeaseBook) -> None:
    """Everything goes to the new holder, conflicts included."""
    assert book.rename_holder(ANNA, CARL) == 1

    assert book.held_by(ANNA) == []
    assert clashes(book, "src", CARL) == []
    assert clashes(book, "src", ANNA) == ["r1"]
    assert book.rename_holder(ANNA, CARL) == 0


def test_book_hands_over_under_a_new_fence(book: LeaseBook) -> None:
    """One lease changes its holder and its fence; its deadline stays, and the index follows."""
    [stored] = book.held_by(ANNA)

    handed_over = book.hand_over(stored, CARL, 7)

    assert (handed_over.id, handed_over.holder, handed_over.fence, handed_over.deadline_s) == ("r1", CARL, 7, 100.0)
    assert (book.held_by(ANNA), book.held_by(CARL)) == ([], [handed_over])
    assert (clashes(book, "src", ANNA), clashes(book, "src", CARL)) == (["r1"], [])
    assert [each.id for each in book.due(100.0)] == ["r2", "r1"]


def test_book_conflicts_besides_one_leave_it_out(book: LeaseBook) -> None:
    """What is to be handed over is not in its own way; what else its holder has is."""
    book.load(lease(3, ANNA, "src/a"))

    found = book.findings(wish(CARL, "src"), DEFAULT_POLICY, besides={"r1"})

    assert [finding.claim.id for finding in found] == ["r3"]


def test_book_tells_the_first_of_many_that_are_due() -> None:
    """With a limit the earliest come first, and the others the next time; what is asked for stays in the book."""
    book = LeaseBook()
    for number in range(5):
        book.load(lease(number, ANNA, f"a{number}", deadline_s=50.0 - number))

    first = book.due(100.0, 2)
    assert [each.fence for each in first] == [4, 3]
    assert book.due(100.0, 2) == first
    for each in first:
        book.end(each)

    assert [each.fence for each in book.due(100.0)] == [2, 1, 0]


def test_book_memory_of_deadlines_is_bounded() -> None:
    """A lease that is renewed for days leaves no trail of old deadlines; neither do leases that come and go."""
    book = LeaseBook()
    book.grant(lease(1, ANNA, "a", deadline_s=10.0**6))
    tracemalloc.start()
    for number in range(10_000):
        book.renew(book.held_by(ANNA)[0], 10.0**6 + number, Micros(number))
        short = lease(number + 2, BEN, "b", deadline_s=10.0**7)
        book.grant(short)
        book.end(short)
        book.stored()

    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown_bytes < 500_000  # 20,000 deadlines would be 2 MB.
    assert book.next_deadline_s() == 10.0**6 + 9_999


def test_stored_conflicts_leave_out_what_is_on_its_way(book: LeaseBook) -> None:
    """A grant that is being flushed is no conflict for a check until it is stored."""
    book.grant(lease(3, CARL, "lib"))
    assert (clashes(book, "lib"), stored_clashes(book, "lib")) == (["r3"], [])

    book.stored()

    assert stored_clashes(book, "lib") == ["r3"]


def test_stored_conflicts_keep_what_is_being_released(book: LeaseBook) -> None:
    """A release that is being flushed frees nothing for a check until it is stored; modes and askers count as ever."""
    book.end(book.held_by(BEN)[0])
    assert (clashes(book, "docs/a"), stored_clashes(book, "docs/a")) == ([], ["r2"])
    assert stored_clashes(book, "docs/a", BEN) == []
    assert book.committed_findings(wish(None, "docs", mode=Mode.S), DEFAULT_POLICY) == []

    book.stored()

    assert stored_clashes(book, "docs/a") == []


def test_stored_conflicts_know_nothing_of_what_came_and_went(book: LeaseBook) -> None:
    """Granted and ended in one batch, renewed in between: it was never there."""
    book.grant(lease(3, CARL, "lib"))
    book.renew(book.held_by(CARL)[0], 900.0, Micros(900))
    book.end(book.held_by(CARL)[0])

    assert clashes(book, "lib") == stored_clashes(book, "lib") == []


def test_stored_conflicts_show_the_giver_until_it_is_stored(book: LeaseBook) -> None:
    """A transfer that is being flushed, twice over, is as if it were not there: neither missing nor doubled."""
    [stored] = book.held_by(ANNA)
    book.hand_over(book.hand_over(stored, BEN, 7), CARL, 8)

    found = book.committed_findings(wish(None, "src"), DEFAULT_POLICY)
    assert [finding.claim for finding in found] == [stored.claim]
    assert (stored_clashes(book, "src", ANNA), stored_clashes(book, "src", CARL)) == ([], ["r1"])
    assert book.committed("r1") == stored
    book.stored()

    assert (stored_clashes(book, "src", ANNA), stored_clashes(book, "src", CARL)) == (["r1"], [])


def test_stored_conflicts_of_a_lease_given_and_ended_are_the_givers(book: LeaseBook) -> None:
    """What comes after a transfer in the same batch changes nothing for a check; an unstored grant stays unseen."""
    [stored] = book.held_by(ANNA)
    renewed = book.renew(book.hand_over(stored, CARL, 7), 300.0, Micros(300))
    assert (stored_clashes(book, "src", ANNA), stored_clashes(book, "src", CARL)) == ([], ["r1"])
    book.end(renewed)
    book.grant(lease(8, ANNA, "lib"))
    book.hand_over(lease(8, ANNA, "lib"), BEN, 9)

    assert (stored_clashes(book, "src", ANNA), stored_clashes(book, "src", CARL)) == ([], ["r1"])
    assert stored_clashes(book, "lib") == []


def test_stored_conflicts_are_not_crowded_out(book: LeaseBook) -> None:
    """Grants that are being flushed, however many patterns they have, do not hide what is stored."""
    book.grant(lease(4, ANNA, *(f"lib/{number}" for number in range(99))))
    book.load(lease(3, CARL, "lib/z/deep/below"))

    assert stored_clashes(book, "lib/**", limit=1) == ["r3"]


def test_committed_is_what_is_stored(book: LeaseBook) -> None:
    """A renewal, an end, a new holder and a grant count once they are stored, and not before."""
    [anna], [ben] = book.held_by(ANNA), book.held_by(BEN)
    renewed = book.renew(anna, 200.0, Micros(200))
    book.end(ben)
    book.grant(lease(3, CARL, "lib"))
    assert [book.committed(each) for each in ("r1", "r2", "r3", "r4")] == [anna, ben, None, None]

    handed_over = book.hand_over(renewed, BEN, 5)
    assert book.committed("r1") == anna

    book.stored()

    assert [book.committed(each) for each in ("r1", "r2")] == [handed_over, None]
    assert book.committed("r3") == book.get("r3")


def test_versions_tell_both_sides_of_the_batch(book: LeaseBook) -> None:
    """What a lease is now and what it was before the running batch; after the commit only what it is."""
    [stored] = book.held_by(ANNA)
    first = book.renew(stored, 200.0, Micros(200))
    second = book.renew(first, 300.0, Micros(300))
    assert book.versions(stored.id) == [second, stored]

    book.end(second)
    assert book.versions(stored.id) == [stored]

    book.stored()
    assert book.versions(stored.id) == []


steps = st.lists(
    st.tuples(
        st.sampled_from(["grant", "end", "renew", "rename", "hand over", "stored"]),
        st.integers(min_value=0, max_value=5),
        st.sampled_from(["a", "a/b", "a/*", "**", "c/?"]),
        st.sampled_from([ANNA, BEN, CARL]),
    ),
    max_size=30,
)


@given(steps)
def test_book_agrees_with_a_list(done: Sequence[tuple[str, int, str, AgentId]]) -> None:
    """Whatever was granted, renewed, ended and passed on: holders, deadlines and conflicts are those of a plain list."""
    book = LeaseBook()
    active: dict[str, Reservation] = {}
    for number, (what, at, pattern, holder) in enumerate(done):
        chosen = list(active.values())[at] if at < len(active) else None
        if what == "grant":
            active[f"r{number}"] = lease(number, holder, pattern, deadline_s=float(at))
            book.grant(active[f"r{number}"])
        elif what == "stored":
            book.stored()
        elif chosen is not None and what == "end":
            book.end(active.pop(chosen.id))
        elif chosen is not None and what == "renew":
            active[chosen.id] = book.renew(chosen, float(number), Micros(number))
        elif chosen is not None and what == "hand over" and number > chosen.fence:
            active[chosen.id] = book.hand_over(chosen, holder, number)
        elif chosen is not None and what == "rename":
            book.rename_holder(chosen.holder, CARL)
            active = {key: book.get(key) or each for key, each in active.items()}

    assert {each.id: each for each in book} == active
    assert book.next_deadline_s() == min((each.deadline_s for each in active.values()), default=None)
    for holder in (ANNA, BEN, CARL):
        mine = sorted((each for each in active.values() if each.holder == holder), key=lambda each: each.fence)
        assert book.held_by(holder) == mine
        assert sorted(clashes(book, "**", holder)) == sorted(
            each.id for each in active.values() if each.holder != holder
        )


def sharing(book: LeaseBook, *patterns: str) -> list[tuple[str, AgentId, Mode]]:
    """Return what shares a path with the patterns, as the disk has it."""
    found = book.committed_sharing_path(wish(None, *patterns).targets, WorkBudget())
    return sorted((claim.id, claim.holder, claim.targets[0].mode) for claim in found)


def test_book_gathers_what_shares_a_path_whatever_the_mode(book: LeaseBook) -> None:
    """Readers and writers, each once however many targets meet it."""
    assert sharing(book, "src/a.py", "src/b.py", "docs") == [("r1", ANNA, Mode.X), ("r2", BEN, Mode.S)]
    assert sharing(book, "lib") == []


def test_book_gathers_what_is_stored(book: LeaseBook) -> None:
    """A batch that is being flushed has not happened yet: neither its grants nor its ends, renewals and conversions."""
    before = sharing(book, "src", "docs", "lib")
    ended, converted = book.get("r1"), book.get("r2")
    assert ended is not None
    assert converted is not None

    book.grant(lease(3, CARL, "lib"))
    book.end(ended)
    book.renew(converted, 900.0, Micros(900))
    book.convert(converted, wish(BEN, "docs").targets, 4)
    flushing = sharing(book, "src", "docs", "lib")
    ends = {claim.id: claim.expires_at_us for claim in book.committed_claims()}
    book.stored()

    assert flushing == before
    assert ends == {"r1": 100, "r2": 50}
    assert sharing(book, "src", "docs", "lib") == [("r2", BEN, Mode.X), ("r3", CARL, Mode.X)]
