"""Many queries of one project share the loop with everybody else: a quantum in each round, and nobody is left waiting."""

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.errors import Overloaded
from intermute.project.quantum import Quantum


class Work:
    """What queries do here: they take time off a clock that nobody else moves, and say that they ran."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.seen: list[str] = []
        self.quantum = Quantum(lambda: self.now_s)

    async def query(self, name: str = "query", takes_s: float = limits.QUERY_QUANTUM_S) -> None:
        async with self.quantum:
            self.now_s += takes_s
            self.seen.append(name)

    def longest_run(self) -> int:
        """Return how many queries ran without anybody in between."""
        return max(len(run.split()) for run in " ".join(self.seen).split("other"))

    async def among_others(self, count: int, takes_s: float) -> None:
        """Ask so many at once, while somebody else comes to the loop in every round."""
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self.query, "query", takes_s)
            while self.seen.count("query") < count:
                self.seen.append("other")
                await trio.lowlevel.checkpoint()


async def test_others_come_between_any_two_queries_that_take_a_quantum_each() -> None:
    work = Work()

    await work.among_others(20, limits.QUERY_QUANTUM_S)

    # In a round of the loop either may come first, so two queries may touch; a third one may not.
    assert work.longest_run() <= 2


async def test_one_round_answers_as_many_as_fit_into_the_quantum() -> None:
    work = Work()

    await work.among_others(100, limits.QUERY_QUANTUM_S / 10)

    assert 5 <= work.longest_run() <= 22
    assert work.seen.count("other") < 60


async def test_whoever_waited_as_long_as_for_any_answer_is_told_to_come_back(autojump_clock: MockClock) -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        # One that never lets go stands for any that keep the line from moving.
        work.quantum._is_turning = True
        began_s = trio.current_time()
        with pytest.raises(Overloaded):
            await work.query()
        assert trio.current_time() - began_s == pytest.approx(limits.ASK_TIMEOUT_S)
        work.quantum._is_turning = False
        nursery.start_soon(work.query, "next")
    assert work.seen == ["next"]


async def test_those_who_came_first_go_first() -> None:
    work = Work()
    work.quantum._mean_s = limits.QUERY_QUANTUM_S  # One fits into a round; those of one round come in any order.
    async with trio.open_nursery() as nursery:
        work.quantum._is_turning = True  # A round so long that all of them come while it lasts.
        for number in range(8):
            nursery.start_soon(work.query, str(number))
            await trio.testing.wait_all_tasks_blocked()
        await work.quantum._turn()
    assert work.seen == [str(number) for number in range(8)]


async def test_one_that_gives_up_in_its_turn_leaves_no_one_behind() -> None:
    """Whoever fills the quantum up for all may be cancelled while it waits for the round."""
    work = Work()
    await work.query("first", 1.0)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as gone:
            async with trio.open_nursery() as going:
                going.start_soon(work.query, "gone")
                await trio.lowlevel.checkpoint()
                for number in range(5):
                    nursery.start_soon(work.query, f"{number}", 1.0)
                gone.cancel()
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
    assert len(work.seen) >= 6


@given(st.lists(st.tuples(st.floats(0, 0.02), st.integers(0, 3), st.booleans()), max_size=40))
@settings(max_examples=60, deadline=None)
def test_nobody_is_left_in_the_line(drawn: list[tuple[float, int, bool]]) -> None:
    """Whatever queries take, whenever they come, and whoever gives up: all others are answered."""
    work = Work()

    async def ask(name: str, takes_s: float, rounds: int, gives_up: bool) -> None:
        for _ in range(rounds):
            await trio.lowlevel.checkpoint()
        with trio.CancelScope() as scope:
            if gives_up:
                scope.cancel()
            await work.query(name, takes_s)

    async def all_of_them() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for number, (takes_s, rounds, gives_up) in enumerate(drawn):
                    nursery.start_soon(ask, str(number), takes_s, rounds, gives_up)

    trio.run(all_of_them)
    staying = {str(number) for number, (_, _, gives_up) in enumerate(drawn) if not gives_up}
    assert staying <= set(work.seen)
