"""Waiting for mail in a whole project, with a clock that leaps: who is answered what, and when (issue 6 point 4)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from open_projects import Service, serving
from pytest import raises
from trio.testing import MockClock, wait_all_tasks_blocked

from intermute.core import limits
from intermute.core.agents import Caller, hash_of_token
from intermute.core.api.agents import DeregisterAgent, RegisterAgent
from intermute.core.api.broadcasts import Broadcast
from intermute.core.api.messages import Inbox, InboxCounts, MessagePage, SendMessage
from intermute.core.errors import AgentIdentityMismatch, ProjectQuarantined, TooManySubscribers
from intermute.project.hub import Hub
from intermute.store.faults import FaultKind, StoreFault


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service with the agents anna and ben."""
    async with serving(tmp_path) as running:
        for name in ("anna", "ben"):
            await running.run(RegisterAgent(name=name))
        yield running


def waiting(agent: str = "ben", seconds: float = 50, since: int = 0, **more: Any) -> Inbox:  # Any: fields of Inbox.
    """Wait for mail."""
    return Inbox(agent=agent, wait_seconds=seconds, since_cursor=since, **more)


def letter(to: str = "ben", body: str = "hello") -> SendMessage:
    """Write to somebody."""
    return SendMessage(sender="anna", to=[to], body=body)


class Call:
    """One call in a task of its own: its outcome, and when it came."""

    def __init__(
        self, nursery: trio.Nursery, service: Service, query: Inbox, caller: Caller | None = None, project: str = "demo"
    ) -> None:
        self.outcome: Any = None  # Any: a page or an error.
        self.at_s = 0.0
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run, service, query, caller or Caller(is_local=True), project)

    async def _run(self, service: Service, query: Inbox, caller: Caller, project: str) -> None:
        with self.scope:
            self.outcome = await service.outcome(query, caller, project=project)
            self.at_s = trio.current_time()

    @property
    def bodies(self) -> list[str]:
        """What it was given."""
        assert isinstance(self.outcome, MessagePage), self.outcome
        return [message.body for message in self.outcome.messages]


def is_idle(service: Service) -> bool:
    """Tell whether nobody waits in the project."""
    return len(service.project.hub.postboxes) == 0 and service.project.is_quiet()


async def test_mail_that_is_there_is_given_at_once(service: Service, autojump_clock: MockClock) -> None:
    """Nobody waits who has something to read after its cursor."""
    await service.run(letter())
    start_s = trio.current_time()

    page = await service.run(waiting())

    assert ([each.body for each in page.messages], trio.current_time()) == (["hello"], start_s)


async def test_wait_ends_with_the_commit_that_brings_mail(service: Service, autojump_clock: MockClock) -> None:
    """It is answered when the message is stored, not before, and with it."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting())
        await trio.sleep(20)
        service.gate.shut()
        nursery.start_soon(service.run, letter())
        await trio.sleep(1)
        assert call.outcome is None
        service.gate.open()

    assert (call.bodies, call.at_s) == (["hello"], 21)
    assert is_idle(service)


async def test_wait_that_brings_nothing_is_an_empty_page(service: Service, autojump_clock: MockClock) -> None:
    """After the time, and no earlier: the cursor is where it was."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting(seconds=30, since=7))

    assert (call.outcome, call.at_s) == (MessagePage(messages=[], cursor=7), 30)
    assert is_idle(service)


async def test_wait_is_not_ended_by_the_mail_of_others(service: Service, autojump_clock: MockClock) -> None:
    """Nor by what the agent itself sends, nor is the disk asked for it."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting("anna", seconds=30))
        await wait_all_tasks_blocked()
        service.gate.reads_fail = True  # Whoever looked now would fail.
        for number in range(5):
            await service.run(letter(body=str(number)))
        await wait_all_tasks_blocked()
        service.gate.reads_fail = False

    assert (call.bodies, call.at_s) == ([], 30)


async def test_wait_is_ended_by_a_broadcast_for_all(service: Service, autojump_clock: MockClock) -> None:
    """One commit wakes everybody it is for."""
    async with trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="carl"))
        calls = [Call(nursery, service, waiting(name)) for name in ("ben", "carl", "ben")]
        await wait_all_tasks_blocked()
        await service.run(Broadcast(sender="anna", topic="t", body="all"))

    assert [(call.bodies, call.at_s) for call in calls] == [(["all"], 0)] * 3


async def test_wait_is_ended_by_a_message_that_is_rewritten(service: Service, autojump_clock: MockClock) -> None:
    """It has moved to a new cursor, so it is after the one of who waits."""
    first = await service.run(SendMessage(sender="anna", to=["ben"], id="m", body="1"))
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting(since=first.cursor))
        await wait_all_tasks_blocked()
        await service.run(SendMessage(sender="anna", to=["ben"], id="m", body="2"))

    assert call.bodies == ["2"]


async def test_wait_for_unread_mail_passes_what_was_read(service: Service, autojump_clock: MockClock) -> None:
    """Another call's filter is its own."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting(unread=True))
        await wait_all_tasks_blocked()
        await service.run(letter())

    assert call.bodies == ["hello"]


async def test_wait_under_a_name_goes_on_with_who_registers_under_it(
    service: Service, autojump_clock: MockClock
) -> None:
    """What the name was sent, and what its new bearer is sent, ends the wait."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting("carl"))
        await trio.sleep(1)
        carl = await service.run(RegisterAgent(name="carl"))
        await trio.sleep(1)
        await service.run(letter(carl.agent_id))

    assert (call.bodies, call.at_s) == (["hello"], 2)


async def test_wait_under_a_name_goes_on_when_its_bearer_leaves(service: Service, autojump_clock: MockClock) -> None:
    """The name is nobody's again, and mail to it is mail to who waits under it."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting("ben"))
        await wait_all_tasks_blocked()
        await service.run(DeregisterAgent(agent="ben"))
        await service.run(letter("ben"))

    assert call.bodies == ["hello"]


async def test_client_that_hangs_up_leaves_nothing_behind(service: Service, autojump_clock: MockClock) -> None:
    """Neither a place among the readers nor a postbox."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting())
        await wait_all_tasks_blocked()
        assert not is_idle(service)
        call.scope.cancel()

    assert is_idle(service)
    await service.run(letter())


async def test_wait_outlasts_a_restart_of_the_actor(service: Service, autojump_clock: MockClock) -> None:
    """The call looks again, and goes on waiting for what comes afterwards."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting())
        await trio.sleep(1)
        await service.supervisor.restart("project:demo")
        await trio.sleep(1)
        assert call.outcome is None
        await service.run(letter())

    assert (call.bodies, call.at_s) == (["hello"], 2)


@pytest.mark.parametrize("what", ["restart", "close"])
def test_hub_that_starts_anew_or_closes_has_everybody_look(what: str) -> None:
    """Mail may have come with a batch whose events were never published, and nobody comes after the last one."""
    hub = Hub()
    with hub.postboxes.expecting("ben") as news:
        hub.publish([], 5)
        assert not news.is_set()

        if what == "restart":
            hub.restart(5)
        else:
            hub.close()

        assert news.is_set()
    assert len(hub.postboxes) == 0


async def test_stop_of_the_server_ends_the_wait_with_a_page(service: Service, autojump_clock: MockClock) -> None:
    """A normal answer, with nothing in it."""
    async with trio.open_nursery() as nursery:
        calls = [Call(nursery, service, waiting(since=3)), Call(nursery, service, waiting(), project="new")]
        await trio.sleep(1)
        service.registry.stop()

    assert [(call.outcome.messages, call.at_s) for call in calls] == [([], 1), ([], 1)]


async def test_damage_ends_the_wait_with_a_refusal(service: Service, autojump_clock: MockClock) -> None:
    """A file that is set aside has no mail to wait for."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting())
        await wait_all_tasks_blocked()
        service.project.note_fault(StoreFault(FaultKind.CORRUPT, "malformed"))

    assert isinstance(call.outcome, ProjectQuarantined)


async def test_wait_in_a_project_that_is_not_there_makes_none(
    service: Service, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """It leaves no file behind, and ends after its time as any other."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting(seconds=9), project="new")

    assert (call.outcome, call.at_s) == (MessagePage(messages=[], cursor=0), 9)
    assert [str(name) for name in await service.registry.names()] == ["demo"]


async def test_wait_in_a_project_that_comes_goes_on_in_it(service: Service, autojump_clock: MockClock) -> None:
    """The first message that makes the project ends the wait; and its time runs from the beginning."""
    async with trio.open_nursery() as nursery:
        call = Call(nursery, service, waiting(), project="new")
        late = Call(nursery, service, waiting("carl", seconds=9), project="new")
        await trio.sleep(4)
        await service.run(letter(), project="new")

    assert (call.bodies, call.at_s) == (["hello"], 4)
    assert (late.bodies, late.at_s) == ([], 9)


async def test_wait_for_the_mail_of_another_is_refused_at_once(service: Service, autojump_clock: MockClock) -> None:
    """Whoever proves who it is reads its own inbox."""
    carl = await service.run(RegisterAgent(name="carl"))
    caller = Caller(is_local=False, claims="carl", token_hash=hash_of_token(carl.token))

    with raises(AgentIdentityMismatch):
        await service.run(waiting("ben"), caller)

    assert is_idle(service)


async def test_waiting_calls_of_one_agent_have_a_bound(service: Service, autojump_clock: MockClock) -> None:
    """At the bound one more is refused, another agent's is not, and those that wait are not disturbed."""
    async with trio.open_nursery() as nursery:
        calls = [Call(nursery, service, waiting()) for _ in range(limits.SUBSCRIBERS_PER_READER_MAX)]
        await wait_all_tasks_blocked()
        refused = await service.outcome(waiting())
        other = Call(nursery, service, waiting("anna", seconds=1))
        await trio.sleep(2)
        await service.run(letter())

    assert isinstance(refused, TooManySubscribers)
    assert other.bodies == []
    assert [call.bodies for call in calls] == [["hello"]] * len(calls)


async def test_waiting_marks_nothing(service: Service, autojump_clock: MockClock) -> None:
    """What a wait has brought is delivered, and as unread as before."""
    async with trio.open_nursery() as nursery:
        Call(nursery, service, waiting())
        await wait_all_tasks_blocked()
        await service.run(letter())

    counts = await service.run(InboxCounts(agent="ben"))
    assert (counts.total, counts.unread) == (1, 1)
