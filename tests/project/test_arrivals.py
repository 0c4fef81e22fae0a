"""Readers of projects that do not exist yet: they cost a place in memory, bounded, and nothing else (design.md 3.8)."""

from contextlib import ExitStack
from pathlib import Path

import trio
import trio.testing
from open_projects import DEMO, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.errors import ShuttingDown, TooManySubscribers
from intermute.core.ids import ProjectName
from intermute.project.arrivals import Arrivals


def test_arrivals_are_bounded() -> None:
    """The last place is given, the next reader is refused, and a place that is left is free again."""
    arrivals = Arrivals()
    with ExitStack() as waiting:
        for number in range(limits.ABSENT_READERS_MAX - 1):
            waiting.enter_context(arrivals.expecting(ProjectName(f"typo {number % 7}")))
        with arrivals.expecting(DEMO):
            with raises(TooManySubscribers) as refused:
                waiting.enter_context(arrivals.expecting(DEMO))
            assert "project's name" in refused.value.message
        waiting.enter_context(arrivals.expecting(DEMO))

    assert len(arrivals) == 0


async def test_arrival_wakes_those_of_the_project(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who waits for a project hears of it as soon as it is there; who waits for another goes on waiting."""
    async with serving(tmp_path) as service:
        arrivals = service.registry.arrivals
        with arrivals.expecting(DEMO) as mine, arrivals.expecting(ProjectName("other")) as others:
            await service.run(RegisterAgent(name="anna"))

            assert (mine.is_set(), others.is_set(), len(arrivals)) == (True, False, 1)


async def test_many_readers_of_no_project_leave_room(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However many wait for projects that do not exist, those that do are served, and no file is made for the others."""
    async with serving(tmp_path) as service:
        with ExitStack() as waiting:
            for number in range(limits.PROJECTS_LIVE_MAX + 1):
                waiting.enter_context(service.registry.arrivals.expecting(ProjectName(f"typo {number}")))
            await service.run(RegisterAgent(name="anna"))

            assert await trio.to_thread.run_sync(service.registry.directory.names) == [DEMO]


async def test_arrivals_end_with_the_service(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A server that stops sends everyone home who waits, and takes nobody in."""
    async with serving(tmp_path) as service:
        arrivals = service.registry.arrivals
        with arrivals.expecting(DEMO) as arrived:
            service.registry.stop()

            assert arrived.is_set()
        with raises(ShuttingDown), arrivals.expecting(DEMO):
            raise AssertionError("nobody waits where nothing comes")
