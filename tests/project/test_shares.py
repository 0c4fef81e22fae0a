"""Fair shares of a project's mailbox: one that floods is told so, and starves nobody (guarantees.md G14)."""

from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from handler_bench import LOCAL, claiming, proving
from open_projects import Service, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, ReleaseReservation, Reserve
from intermute.core.errors import DomainError, Overloaded, ServerOverloaded
from intermute.project.mail import Request

HALF = limits.MAILBOX_MAX // 2


class Flood:
    """Many commands at once, behind a shut gate, and what became of them."""

    def __init__(self, service: Service, nursery: trio.Nursery) -> None:
        self._service, self._nursery = service, nursery
        self.outcomes: list[Any] = []  # Any: views and errors.

    @property
    def refused(self) -> int:
        """Count those that were refused so far."""
        return sum(isinstance(each, DomainError) for each in self.outcomes)

    async def add(self, count: int, command: object, caller: Caller = LOCAL, *, project: str = "demo") -> int:
        """Ask so many times more, and return how many of them were refused at once."""
        before = self.refused

        async def ask() -> None:
            self.outcomes.append(await self._service.outcome(command, caller, project=project))

        for _ in range(count):
            self._nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        return self.refused - before


def say(sender: str) -> SendMessage:
    """Return a message from somebody."""
    return SendMessage(sender=sender, to=["zoe"])


async def flush(service: Service) -> None:
    """Let the actor look up and store one batch; it takes the next one."""
    for _ in range(2):
        service.gate.let_one_through()
        await trio.testing.wait_all_tasks_blocked()


async def registered(service: Service, names: Iterable[str]) -> list[Caller]:
    """Register agents, and return them as callers that prove it."""
    return [proving(await service.run(RegisterAgent(name=name))) for name in names]


async def test_flood_of_one_agent_leaves_the_others_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who floods is refused beyond its share, with a time to wait; the others get in, and are served in the next batch."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await registered(service, ["anna", "ben"])
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))

        assert await flood.add(2 * HALF, say("anna")) == HALF
        refusal = next(each for each in flood.outcomes if isinstance(each, Overloaded))
        assert (refusal.is_share, refusal.retry_after_s) == (True, 1.0)
        done: list[str] = []

        async def reserve() -> None:
            await service.run(Reserve(agent_id="ben", path_pattern="b"))
            done.append("ben")

        nursery.start_soon(reserve)
        await trio.testing.wait_all_tasks_blocked()
        await flush(service)
        await flush(service)

        assert done == ["ben"]
        assert service.project.mailbox.depth > 0


async def test_floods_of_several_are_shared_out(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Each further one that floods finds room, and so does whoever has nothing waiting."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        names = ["a", "b", "c", "d"]
        await registered(service, names)
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))

        held = [HALF - await flood.add(HALF, say(name)) for name in names]

        assert held == [HALF, HALF // 2, HALF // 4, HALF // 8]
        assert await flood.add(1, say("zoe")) == 0
        service.gate.open()


async def test_made_up_names_are_one_share(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A caller that calls itself something else each time has one share, not a thousand."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await registered(service, ["anna"])
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("anna"))

        refused = [await flood.add(1, say(f"name {number}")) for number in range(limits.MAILBOX_MAX)]

        assert sum(refused) == HALF
        assert await flood.add(1, say("anna")) == 0
        service.gate.open()


@pytest.mark.parametrize("flooder", [LOCAL, claiming("anna")], ids=["in the body", "in the header"])
async def test_share_of_a_proved_agent_is_its_own(tmp_path: Path, autojump_clock: MockClock, flooder: Caller) -> None:
    """Nobody uses up the share of an agent that sends its token by speaking in its name."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        [anna] = await registered(service, ["anna"])
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))
        assert await flood.add(HALF + 1, say("anna"), flooder) == 1

        assert await flood.add(1, say("anna"), anna) == 0
        service.gate.open()


async def test_full_mailbox_takes_reads_heartbeats_and_releases(tmp_path: Path, autojump_clock: MockClock) -> None:
    """With every place taken reads and heartbeats are answered, and a release gets in and is done (G14)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await registered(service, ["anna"])
        held = await service.run(Reserve(agent_id="anna", path_pattern="a"))
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))
        for _ in range(limits.MAILBOX_MAX):
            service.project.mailbox.tell(Request(say("zoe"), LOCAL))

        with raises(Overloaded) as refused:
            await service.run(Reserve(agent_id="anna", path_pattern="b"))
        assert not refused.value.is_share
        assert await flood.add(1, ReleaseReservation(reservation_id=held.id, agent_id="anna")) == 0
        with trio.fail_after(0.1):
            assert (await service.run(Inbox(agent="anna"))).messages == []
            assert (await service.run(Heartbeat(agent="anna"))).agent_id
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert (await service.run(ListReservations())).reservations == []


async def test_releases_have_a_bound_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Control: the reserve is no way round the bound; one agent gets half of it."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await registered(service, ["anna"])
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))
        for _ in range(limits.MAILBOX_MAX):
            service.project.mailbox.tell(Request(say("zoe"), LOCAL))

        release = ReleaseReservation(reservation_id="nothing", agent_id="anna")
        assert await flood.add(limits.RELEASES_RESERVED, release) == limits.RELEASES_RESERVED // 2
        service.gate.open()


async def test_retry_after_is_honest(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A refused caller is told as long as others have been waiting, and gets in if it comes back then (G14)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await registered(service, ["anna"])
        service.gate.shut()
        flood = Flood(service, nursery)
        await flood.add(1, say("zoe"))
        await flood.add(HALF, say("anna"))
        await trio.sleep(2.5)

        with raises(Overloaded) as refused:
            await service.run(say("anna"))
        assert refused.value.retry_after_s == 2.5
        await flush(service)  # The disk takes as long again for the next one.
        await trio.sleep(ceil(refused.value.retry_after_s))
        service.gate.open()

        assert (await service.run(say("anna"))).cursor


async def test_server_over_capacity_says_so(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Too many commands in all projects together are 503; a project with few of them still gets some in."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        busy = [f"project {number}" for number in range(limits.COMMANDS_MAX // HALF)]
        for name in (*busy, "quiet"):
            await service.run(RegisterAgent(name="anna"), project=name)
        service.gate.shut()
        flood = Flood(service, nursery)
        for name in busy:
            assert await flood.add(HALF, say("anna"), project=name) == 0

        with raises(ServerOverloaded):
            await service.run(say("ben"), project=busy[0])
        few = limits.COMMANDS_PER_PROJECT_MIN
        assert await flood.add(few + 1, say("anna"), project="quiet") == 1
        assert isinstance(flood.outcomes[-1], ServerOverloaded)
        assert await flood.add(1, ReleaseReservation(reservation_id="nothing", agent_id="anna"), project="quiet") == 0
        assert (await service.run(Heartbeat(agent="anna"), project="quiet")).agent_id
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert (await service.run(say("ben"), project=busy[0])).cursor
