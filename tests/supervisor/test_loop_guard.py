"""The loop guard: a stalled loop ends the process, a frozen process does not."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervisor import Child, LoopGuard
from supervisor.loop_guard import LOOKS


@pytest.fixture
def dump() -> Iterator[TextIO]:
    """A file with a descriptor, which faulthandler needs."""
    with tempfile.TemporaryFile("w+") as file:
        yield file


def text_of(dump: TextIO) -> str:
    """Return what was dumped."""
    dump.seek(0)
    return dump.read()


def child() -> Child:
    """A handle without a supervisor."""
    return Child("loop_guard", lambda: None)


def looks(count: int, at_each: Callable[[int], None] = lambda _: None) -> Callable[[float], bool]:
    """A waiter that does not wait: it lets `count` looks pass and then says that the guard has ended."""
    passed = 0

    def wait(interval_s: float) -> bool:
        nonlocal passed
        passed += 1
        at_each(passed)
        return passed > count

    return wait


@pytest.mark.parametrize(("count", "is_aborted"), [(LOOKS - 1, False), (LOOKS, True), (LOOKS + 1, True)])
def test_guard_aborts_after_exactly_the_limit(dump: TextIO, count: int, is_aborted: bool) -> None:
    """One look short of the limit nothing happens; at the limit stacks are dumped and the process is ended, once."""
    aborts: list[str] = []
    guard = LoopGuard(dump_to=dump, abort=lambda: aborts.append("abort"), wait=looks(count))

    guard.watch()

    assert aborts == (["abort"] if is_aborted else [])
    assert ("in watch" in text_of(dump)) == is_aborted


async def test_guard_leaves_a_ticking_loop_alone(dump: TextIO) -> None:
    """Misses count in a row only: a loop that is slow and ticks in time is left alone, however many looks."""
    aborts: list[str] = []
    look, looked = threading.Semaphore(0), threading.Semaphore(0)

    def wait(interval_s: float) -> bool:
        looked.release()
        look.acquire(timeout=5)
        return len(aborts) > 0 or is_over

    is_over = False
    guard = LoopGuard(dump_to=dump, stall_s=0.01, abort=lambda: aborts.append("abort"), wait=wait)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guard.run, child())
        await wait_all_tasks_blocked()
        for _ in range(10):
            for _ in range(LOOKS // 2 - 1):  # One tick may come a round late, so less than half of the limit.
                look.release()
                looked.acquire()
            await trio.sleep(0.002)
        is_over = True
        look.release()
        nursery.cancel_scope.cancel()

    assert aborts == []


async def test_guard_sees_a_loop_that_stands(dump: TextIO) -> None:
    """With the real thread and waiter, a loop that blocks is found, and the dump shows where it stands."""
    aborted = threading.Event()
    guard = LoopGuard(dump_to=dump, stall_s=0.05, abort=aborted.set)

    def stand_still() -> bool:
        return aborted.wait(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guard.run, child())
        await wait_all_tasks_blocked()
        is_found = stand_still()
        nursery.cancel_scope.cancel()

    assert is_found
    assert "in stand_still" in text_of(dump)


async def test_guard_thread_ends_with_its_run(dump: TextIO) -> None:
    """A cancelled run leaves no thread behind."""
    before = set(threading.enumerate())  # Services that other tests share have a guard of their own.
    guard = LoopGuard(dump_to=dump, abort=lambda: None)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guard.run, child())
        await wait_all_tasks_blocked()
        assert "loop-guard" in [thread.name for thread in set(threading.enumerate()) - before]
        nursery.cancel_scope.cancel()

    assert "loop-guard" not in [thread.name for thread in set(threading.enumerate()) - before]


def test_guard_forgives_a_frozen_process(dump: TextIO) -> None:
    """A process that was stopped as a whole misses one look, not ten: looks are counted, not seconds."""
    aborts: list[str] = []
    frozen_looks = 1  # However long SIGSTOP lasted, the thread's one pending wait ends once.
    guard = LoopGuard(dump_to=dump, abort=lambda: aborts.append("abort"), wait=looks(frozen_looks))

    guard.watch()

    assert aborts == []
