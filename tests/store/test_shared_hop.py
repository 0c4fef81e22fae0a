"""A shared hop: many short works go to the thread together, each with a result of its own, and nobody is left behind."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from intermute.store.hop import TOGETHER_MAX, SharedHop, thread_hop


class Ferry:
    """A hop that counts, and that can be kept at the shore."""

    def __init__(self) -> None:
        self.hops = 0
        self.leaves = trio.Event()
        self.leaves.set()

    async def __call__(self, work: Callable[[], Any], /) -> Any:  # Any: whatever the work returns.
        self.hops += 1
        await self.leaves.wait()
        await trio.lowlevel.checkpoint()
        return work()


async def ask_all(hop: SharedHop, count: int, done: list[int]) -> None:
    """Ask for so many works at once, each of which returns its number."""

    async def ask(number: int) -> None:
        assert await hop(lambda: number) == number
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(ask, number)


async def test_those_who_wait_go_together() -> None:
    """As many in one hop as it takes, in order of arrival; each gets its own result."""
    ferry = Ferry()
    hop = SharedHop(ferry)
    done: list[int] = []

    await ask_all(hop, 1 + 3 * TOGETHER_MAX, done)

    assert sorted(done) == list(range(1 + 3 * TOGETHER_MAX))
    assert ferry.hops == 4


async def test_one_alone_goes_at_once() -> None:
    ferry = Ferry()
    hop = SharedHop(ferry)

    assert [await hop(lambda: n) for n in range(3)] == [0, 1, 2]  # noqa: B023 # asked for at once.
    assert ferry.hops == 3


async def test_what_may_be_long_goes_alone() -> None:
    """Those before it have their results without it, and those behind it do not go with it either."""
    ferry, seen = Ferry(), []
    hop = SharedHop(ferry)
    ferry.leaves = trio.Event()

    async def ask(name: str, *, alone: bool) -> None:
        await hop(lambda: seen.append((ferry.hops, name)), alone=alone)

    async with trio.open_nursery() as nursery:
        for name in ("short", "short", "long", "long", "short", "short"):
            nursery.start_soon(partial(ask, name, alone=name == "long"))
            await trio.testing.wait_all_tasks_blocked()
        ferry.leaves.set()

    assert seen == [(1, "short"), (1, "short"), (2, "long"), (3, "long"), (4, "short"), (4, "short")]


async def test_error_is_its_own_askers() -> None:
    """What one work raises is no business of those who went with it."""
    hop = SharedHop(Ferry())
    heard: list[object] = []

    async def ask(work: Callable[[], object]) -> None:
        try:
            heard.append(await hop(work))
        except ZeroDivisionError:
            heard.append("refused")

    async with trio.open_nursery() as nursery:
        for work in (lambda: 1, lambda: 1 // 0, lambda: 2):
            nursery.start_soon(ask, work)

    assert sorted(map(str, heard)) == ["1", "2", "refused"]


@pytest.mark.parametrize("leaving", [["second"], ["first"], ["first", "second"], ["second", "first"]])
async def test_work_of_whoever_left_is_not_done(leaving: list[str]) -> None:
    """Neither that of one who waits nor that of the one who makes the hop; the others are taken along all the same."""
    ferry, ran = Ferry(), []
    hop = SharedHop(ferry)
    ferry.leaves = trio.Event()

    async def ask(name: str, scope: trio.CancelScope) -> None:
        with scope:
            await hop(lambda: ran.append(name))

    scopes = {name: trio.CancelScope() for name in ("first", "second", "third")}
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for name, scope in scopes.items():
                nursery.start_soon(ask, name, scope)
                await trio.testing.wait_all_tasks_blocked()
            for name in leaving:
                scopes[name].cancel()
            await trio.testing.wait_all_tasks_blocked()
            ferry.leaves.set()

    assert ran == [name for name in scopes if name not in leaving]


async def test_works_are_done_one_at_a_time_in_a_thread() -> None:
    """With real threads: no two at once, none on the loop."""
    hop = SharedHop(thread_hop())
    inside = 0

    def work() -> bool:
        nonlocal inside
        inside += 1
        assert inside == 1
        threading.Event().wait(0.0001)
        inside -= 1
        return threading.current_thread() is not threading.main_thread()

    async def ask() -> None:
        assert await hop(work)

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(ask)


async def test_hop_that_fails_is_the_failure_of_who_made_it() -> None:
    """The others make hops of their own, and hear of theirs."""

    async def broken(work: Callable[[], Any], /) -> Any:  # Any: as above.
        await trio.lowlevel.checkpoint()
        raise OSError("no thread")

    hop = SharedHop(broken)
    heard: list[str] = []

    async def ask() -> None:
        with pytest.raises(OSError, match="no thread"):
            await hop(lambda: None)
        heard.append("failed")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
    assert len(heard) == 5


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6) | st.none()), max_size=30), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_everybody_who_stays_is_answered(drawn: list[tuple[int, int | None]], slow: int) -> None:
    """Whoever comes whenever, and whoever leaves whenever."""

    async def ferry(work: Callable[[], Any], /) -> Any:  # Any: as above.
        for _ in range(slow):
            await trio.lowlevel.checkpoint()
        return work()

    async def main() -> list[int]:
        hop, answered = SharedHop(ferry), []

        async def ask(number: int, comes: int, leaves: int | None) -> None:
            await rounds(comes)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    if leaves is not None:
                        nursery.start_soon(leave, scope, leaves)
                    answered.append(await hop(lambda: number))
                    nursery.cancel_scope.cancel()

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for number, (comes, leaves) in enumerate(drawn):
                    nursery.start_soon(ask, number, comes, leaves)
        return answered

    answered = trio.run(main)
    assert {number for number, (_, leaves) in enumerate(drawn) if leaves is None} <= set(answered)


async def rounds(count: int) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def leave(scope: trio.CancelScope, after: int) -> None:
    """Cancel after so many rounds."""
    await rounds(after)
    scope.cancel()
