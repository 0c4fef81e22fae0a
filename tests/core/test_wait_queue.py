"""The wait queue is fair: first come first served among claims that clash, and nobody waits for itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pytest import mark

from intermute.core.wait_queue import Deadlock, Waiter, WaitQueue


@dataclass(frozen=True, eq=False)
class Wish:
    """A claim on some of a few things, shared or not."""

    holder: str
    things: str
    is_shared: bool = False


def _clashes(a: Wish, b: Wish) -> bool:
    return bool(set(a.things) & set(b.things)) and not (a.is_shared and b.is_shared)


class Hall:
    """A queue with a plain list of who holds what."""

    def __init__(self) -> None:
        self.granted: list[Wish] = []
        self.queue: WaitQueue[Wish] = WaitQueue(_clashes, lambda wish: wish.holder)

    def obstacles(self, wish: Wish) -> list[Wish]:
        return [held for held in self.granted if held.holder != wish.holder and _clashes(held, wish)]

    def ask(self, holder: str, things: str, *, is_shared: bool = False) -> Wish | Waiter[Wish] | Deadlock:
        """Grant, or wait."""
        wish = Wish(holder, things, is_shared)
        if not self.obstacles(wish) and not self.queue.ahead_of(wish, self.obstacles):
            self.granted.append(wish)
            return wish
        return self.queue.enqueue(wish, self.obstacles)

    def wait(self, holder: str, things: str, *, is_shared: bool = False) -> Waiter[Wish]:
        """Ask for something that is known to be taken."""
        waiter = self.ask(holder, things, is_shared=is_shared)
        assert isinstance(waiter, Waiter)
        return waiter

    def release(self, holder: str, things: str | None = None) -> list[str]:
        """Drop what the holder has, all or this, and return who came to its turn."""
        mine = [each for each in self.granted if each.holder == holder and things in (None, each.things)]
        self.drop(mine)
        return self.admit()

    def drop(self, wishes: Iterable[Wish]) -> None:
        dropped = list(wishes)
        self.granted = [each for each in self.granted if each not in dropped]

    def admit(self) -> list[str]:
        admitted = self.queue.admit(self.obstacles)
        self.granted += [waiter.claim for waiter in admitted]
        return [waiter.holder for waiter in admitted]


def _hall(*granted: tuple[str, str]) -> Hall:
    hall = Hall()
    for holder, things in granted:
        assert isinstance(hall.ask(holder, things), Wish)
    return hall


def test_waiters_are_served_in_their_order() -> None:
    """Of two who want the same, the first one gets it first."""
    hall = _hall(("anna", "x"))
    first, second = hall.wait("ben", "x"), hall.wait("cleo", "x")

    assert (first.sequence, second.sequence) == (1, 2)
    assert hall.release("anna") == ["ben"]
    assert hall.release("ben") == ["cleo"]
    assert len(hall.queue) == 0


def test_newcomer_does_not_overtake_an_overlapping_waiter() -> None:
    """A claim that is free waits behind one that wants it too, together with something taken."""
    hall = _hall(("anna", "x"))
    hall.wait("ben", "xy")

    newcomer = hall.ask("cleo", "y")

    assert isinstance(newcomer, Waiter)
    assert hall.release("anna") == ["ben"]
    assert hall.release("ben") == ["cleo"]


def test_newcomer_apart_from_all_waiters_goes_ahead() -> None:
    """Who is in nobody's way does not wait."""
    hall = _hall(("anna", "x"))
    hall.wait("ben", "x")

    assert isinstance(hall.ask("cleo", "z"), Wish)


def test_waiters_apart_from_each_other_pass() -> None:
    """A waiter whose thing comes free goes, though an earlier one still waits for another."""
    hall = _hall(("anna", "x"), ("ben", "y"))
    hall.wait("cleo", "x")
    hall.wait("dan", "y")

    assert hall.release("ben") == ["dan"]


def test_shared_waiters_are_admitted_together() -> None:
    """Readers that wait in a row start together; the one behind a writer does not."""
    hall = _hall(("anna", "x"))
    hall.wait("ben", "x", is_shared=True)
    hall.wait("cleo", "x", is_shared=True)
    hall.wait("dan", "x")
    hall.wait("eve", "x", is_shared=True)

    assert hall.release("anna") == ["ben", "cleo"]
    assert hall.release("ben") == []
    assert hall.release("cleo") == ["dan"]
    assert hall.release("dan") == ["eve"]


def test_reader_waits_behind_a_waiting_writer() -> None:
    """Readers who keep coming do not starve a writer."""
    hall = Hall()
    hall.ask("anna", "x", is_shared=True)
    hall.wait("ben", "x")

    assert isinstance(hall.ask("cleo", "x", is_shared=True), Waiter)


def test_waiter_that_leaves_makes_way() -> None:
    """Who was behind it only comes to its turn."""
    hall = _hall(("anna", "x"))
    ben = hall.wait("ben", "xy")
    hall.wait("cleo", "y")

    assert hall.queue.leave(ben.sequence) is ben
    assert hall.queue.leave(ben.sequence) is None
    assert hall.queue.get(ben.sequence) is None
    assert hall.admit() == ["cleo"]


def test_deadlock_names_its_cycle_and_changes_nothing() -> None:
    """S15: the newest is refused, and told who waits for whom."""
    hall = _hall(("anna", "x"), ("ben", "y"))
    hall.wait("anna", "y")

    refused = hall.ask("ben", "x")

    assert refused == Deadlock(("ben", "anna"))
    assert [waiter.holder for waiter in hall.queue] == ["anna"]
    assert hall.release("ben") == ["anna"]


def test_deadlock_over_three_names_them_in_order() -> None:
    """Each waits for the next one, the last for the first."""
    hall = _hall(("anna", "x"), ("ben", "y"), ("cleo", "z"))
    hall.wait("anna", "y")
    hall.wait("ben", "z")

    assert hall.ask("cleo", "x") == Deadlock(("cleo", "anna", "ben"))


def test_deadlock_through_the_queue_is_found() -> None:
    """Waiting behind a waiter counts as waiting for it."""
    hall = _hall(("anna", "x"), ("cleo", "y"))
    hall.wait("ben", "xz")
    hall.wait("cleo", "z")

    assert hall.ask("anna", "y") == Deadlock(("anna", "cleo", "ben"))
    assert hall.queue.find_cycle(hall.obstacles) is None


def test_holder_is_not_stopped_by_those_who_wait_for_it() -> None:
    """An upgrade and a second claim go ahead of a waiter that has to wait for their holder anyway."""
    hall = Hall()
    hall.ask("anna", "x", is_shared=True)
    hall.wait("ben", "xy")

    assert isinstance(hall.ask("anna", "x"), Wish)
    assert isinstance(hall.ask("anna", "y"), Wish)
    assert isinstance(hall.ask("cleo", "y"), Waiter)


def test_two_upgrades_of_the_same_thing_are_a_deadlock() -> None:
    """Two readers that both want to write wait for each other; the second one is refused."""
    hall = Hall()
    hall.ask("anna", "x", is_shared=True)
    hall.ask("ben", "x", is_shared=True)
    hall.wait("anna", "x")

    assert hall.ask("ben", "x") == Deadlock(("ben", "anna"))


def test_upgrade_stays_ahead_of_an_older_waiter_when_its_first_claim_ends() -> None:
    """The order of two clashing waiters is settled on arrival."""
    hall = Hall()
    hall.ask("anna", "x", is_shared=True)
    hall.ask("ben", "x", is_shared=True)
    cleo = hall.wait("cleo", "x")
    anna = hall.wait("anna", "x")

    assert cleo.behind == {anna.sequence: anna}
    assert hall.release("anna", "x") == []
    assert hall.release("ben") == ["anna"]
    assert hall.release("anna") == ["cleo"]


def test_forced_grants_can_close_a_cycle_that_find_cycle_names() -> None:
    """Past the queue there is no promise, only an answer."""
    hall = _hall(("anna", "x"), ("ben", "y"))
    hall.wait("anna", "y")
    hall.wait("cleo", "x")
    hall.granted.append(Wish("cleo", "y"))

    assert hall.queue.find_cycle(hall.obstacles) == Deadlock(("cleo", "anna"))


def test_waits_for_is_sorted() -> None:
    """The graph is the same on every machine."""
    hall = _hall(("cleo", "x"), ("ben", "y"))
    hall.wait("anna", "xy")
    hall.wait("dan", "y")

    assert hall.queue.waits_for(hall.obstacles) == {"anna": ("ben", "cleo"), "dan": ("anna", "ben")}


@mark.parametrize("count", [0, 1])
def test_admit_of_nobody_is_harmless(count: int) -> None:
    """Asking again changes nothing."""
    hall = _hall(("anna", "x"))
    for _ in range(count):
        hall.wait("ben", "x")

    assert hall.admit() == hall.admit() == []
    assert len(hall.queue) == count


HOLDERS = ("anna", "ben", "cleo", "dan", "eve")


class FairHall(RuleBasedStateMachine):
    """Arrivals, releases and departures in any order keep every promise of the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.hall = Hall()
        self.settled: dict[tuple[int, int], bool] = {}
        self.last_sequence = 0

    @rule(
        holder=st.sampled_from(HOLDERS),
        things=st.sets(st.sampled_from("uvwxyz"), min_size=1, max_size=3).map(lambda found: "".join(sorted(found))),
        is_shared=st.booleans(),
    )
    def arrive(self, holder: str, things: str, is_shared: bool) -> None:
        wish = Wish(holder, things, is_shared)
        waiting = [each for each in self.hall.queue if each.holder != holder and _clashes(each.claim, wish)]
        tied = [each for each in waiting if any(it.holder == holder for it in self.hall.obstacles(each.claim))]
        is_free = not self.hall.obstacles(wish) and waiting == tied
        before = list(self.hall.queue)

        answer = self.hall.ask(holder, things, is_shared=is_shared)

        assert isinstance(answer, Wish) == is_free
        if isinstance(answer, Waiter):
            assert answer.sequence > self.last_sequence
            self.last_sequence = answer.sequence
            assert list(answer.behind.values()) == [each for each in waiting if each not in tied]
        elif isinstance(answer, Deadlock):
            assert answer.cycle[0] == holder
            assert list(self.hall.queue) == before
            links = self.hall.queue.waits_for(self.hall.obstacles)
            for one, other in zip(answer.cycle[1:], (*answer.cycle[2:], holder), strict=True):
                assert other in links[one]

    @precondition(lambda self: self.hall.granted)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.hall.drop([data.draw(st.sampled_from(self.hall.granted))])
        self._admit()

    @precondition(lambda self: len(self.hall.queue) > 0)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(list(self.hall.queue)))

        assert self.hall.queue.leave(waiter.sequence) is waiter
        self._admit()

    @precondition(lambda self: len(self.hall.queue) > 0)
    @rule()
    def clear_the_way_of_the_oldest(self) -> None:
        """Nobody starves: once its blockers are gone, the oldest waiter is served."""
        oldest = next(iter(self.hall.queue))
        self.hall.drop(self.hall.obstacles(oldest.claim))
        for other in list(oldest.behind.values()):
            self.hall.queue.leave(other.sequence)

        assert oldest in self._admit()

    def _admit(self) -> list[Waiter[Wish]]:
        before = list(self.hall.queue)
        holders = self.hall.admit()
        admitted = [each for each in before if self.hall.queue.get(each.sequence) is None]
        assert [each.holder for each in admitted] == holders
        for waiter in admitted:
            # Whoever came earlier and clashes is gone, or was bound to wait for this holder from the start.
            for other in self.hall.queue:
                if other.sequence < waiter.sequence and other.holder != waiter.holder:
                    assert not _clashes(other.claim, waiter.claim) or self.settled[other.sequence, waiter.sequence]
        return admitted

    @invariant()
    def no_two_holders_clash(self) -> None:
        for wish in self.hall.granted:
            assert self.hall.obstacles(wish) == []

    @invariant()
    def everybody_waits_for_a_reason(self) -> None:
        for waiter in self.hall.queue:
            assert self.hall.obstacles(waiter.claim) or waiter.behind
            assert all(self.hall.queue.get(each) is other for each, other in waiter.behind.items())

    @invariant()
    def order_is_settled_once(self) -> None:
        waiters = list(self.hall.queue)
        assert [each.sequence for each in waiters] == sorted(each.sequence for each in waiters)
        for one in waiters:
            for other in waiters:
                if one.sequence < other.sequence and one.holder != other.holder and _clashes(one.claim, other.claim):
                    is_turned = other.sequence in one.behind
                    assert is_turned != (one.sequence in other.behind)
                    assert self.settled.setdefault((one.sequence, other.sequence), is_turned) == is_turned

    @invariant()
    def nobody_waits_for_itself(self) -> None:
        assert self.hall.queue.find_cycle(self.hall.obstacles) is None

    def teardown(self) -> None:
        """Everybody is served in the end, if those who do not wait release what they have."""
        while len(self.hall.queue):
            waiting = {waiter.holder for waiter in self.hall.queue}
            done = [wish for wish in self.hall.granted if wish.holder not in waiting]
            assert done
            self.hall.drop(done)
            self.hall.admit()


FairHall.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestFairHall = FairHall.TestCase
