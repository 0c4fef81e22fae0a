"""What one client makes a project compute or hold is bounded, and nobody else waits for it (design.md 3.8, 3.9)."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from apsw import Connection
from handler_bench import Bench
from open_projects import DEMO, Service, serving
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import ListAgents, Presence, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.forecasts import ForecastPlan, PlanStep, Reconcile
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, Reserve
from intermute.core.errors import Overloaded
from intermute.core.events import Event, EventType
from intermute.core.ids import Micros
from intermute.project.hub import Hub

LETTER = SendMessage(sender="anna", to=["ben"], id="m1")


async def test_others_run_between_two_long_queries(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many queries come at once that take a quantum each, the loop serves everybody else between each two of them."""
    monkeypatch.setattr(limits, "QUERY_QUANTUM_S", 0.0)  # Whatever a query takes is more than that.
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        seen: list[str] = []

        async def ask() -> None:
            await service.run(CheckReservations(path="a"))
            seen.append("query")

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
            while seen.count("query") < 20:
                seen.append("other")
                await trio.lowlevel.checkpoint()

        # In a round of the loop either may come first, so two queries may touch; a third one may not.
        assert "query query query" not in " ".join(seen)


async def reads_at_once(service: Service, monkeypatch: pytest.MonkeyPatch, *questions: object) -> int:
    """Ask all of these at once, and return how many of them stood in front of the reader together."""
    reader = service.project.reader
    read = reader.read
    reading = most = 0

    async def counted(work: Callable[[Connection], object], **how: bool) -> object:
        nonlocal reading, most
        reading += 1
        most = max(reading, most)
        try:
            return await read(work, **how)
        finally:
            reading -= 1

    with monkeypatch.context() as patched:
        patched.setattr(reader, "read", counted)
        async with trio.open_nursery() as nursery:
            for question in questions:
                nursery.start_soon(service.run, question)
    return most


async def test_forecasts_come_to_the_reader_one_at_a_time(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are asked for at once, another read, or a command's look at the disk, waits for one of them at most."""
    plan = ForecastPlan(plan=[PlanStep(step="s1", agent_id="anna", path="src")])
    async with serving(tmp_path) as service:
        await service.run(LETTER)

        assert await reads_at_once(service, monkeypatch, *[plan, Reconcile()] * 5) == 1
        assert await reads_at_once(service, monkeypatch, *[Inbox(agent="ben")] * 10) > 1, (
            "Control: other reads are not held back."
        )


async def test_long_read_gives_up_in_the_queue(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who has waited for a turn as long as for any answer is told to come back, and the next one is served."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)

        async def hold() -> None:
            async with service.project.long_read():
                await trio.sleep(limits.ASK_TIMEOUT_S + 1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold)
            await trio.testing.wait_all_tasks_blocked(0.01)
            with pytest.raises(Overloaded):
                await service.run(Reconcile())

        assert (await service.run(Reconcile())) is not None


async def test_project_with_a_late_caller_stays_open(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A call that comes between the choice of a project and its closing is answered, not cut off."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        opened, replies = service.project, []

        async def ask() -> None:
            replies.append(await service.run(SendMessage(sender="anna", to=["ben"], id="m2")))

        service.gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.registry.close, opened)
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            service.gate.open()

        assert [reply.message_id for reply in replies] == ["m2"]
        assert service.project is opened


async def test_project_with_a_late_reader_stays_open(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A reader that subscribes while its project is being closed goes on hearing of what happens there."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        opened = service.project

        async def follow() -> None:
            with (await service.registry.project(DEMO)).hub.subscription():
                await opened.hub.wait_beyond(1)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(service.registry.close, opened)
                nursery.start_soon(follow)
                await trio.testing.wait_all_tasks_blocked()
                await service.run(SendMessage(sender="anna", to=["ben"], id="m2"))

        assert service.project is opened


def big_event(cursor: int) -> Event:
    """Return an event that a tenth of the hub's memory holds."""
    text = "x" * (limits.EVENT_TAIL_CHARS_MAX // 10 - 600)
    return Event(cursor, EventType.AGENT_METADATA, Micros(0), None, {"metadata": {"k": text}})


def test_hub_holds_few_large_events() -> None:
    """Memory holds the newest events up to a bound in size; a reader further behind is sent to the log."""
    hub = Hub()
    for cursor in range(1, 31):
        hub.publish([big_event(cursor)], cursor)

    assert [event.cursor for event in hub.after(20, 100) or []] == list(range(21, 31))
    assert hub.after(19, 100) is None
    assert hub.after(30, 100) == []


def test_hub_lets_go_of_an_event_that_is_too_large() -> None:
    """An event that alone is over the bound is read from the log, and what comes after it from memory."""
    hub = Hub()
    hub.publish([Event(1, "x", Micros(0), frozenset({"a" * limits.EVENT_TAIL_CHARS_MAX}), {})], 1)
    assert hub.after(0, 10) is None

    hub.publish([big_event(2)], 2)

    assert [event.cursor for event in hub.after(1, 10) or []] == [2]


async def test_page_of_long_messages_ends_early(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A page holds a few megabytes at most; reading on from its cursor gives every message once, in order."""
    async with serving(tmp_path) as service:
        sent = [f"m{n}" for n in range(40)]
        for message_id in sent:
            await service.run(SendMessage(sender="anna", to=["ben"], id=message_id, body="x" * limits.BODY_CHARS_MAX))
        pages: list[list[str]] = []
        cursor = 0
        while True:
            page = await service.run(Inbox(agent="ben", since_cursor=cursor, limit=1000))
            if not page.messages:
                break
            pages.append([message.id for message in page.messages])
            cursor = page.cursor

        assert [message_id for page in pages for message_id in page] == sent
        assert {len(page) for page in pages[:-1]} == {limits.PAGE_CHARS_MAX // limits.BODY_CHARS_MAX}


def test_page_of_long_reservations_ends_early() -> None:
    """So do reservations; following `next_cursor` gives each of them once, the newest first."""
    bench = Bench()
    long = "x" * (limits.LINE_CHARS_MAX - 10)
    for n in range(50):
        bench.run(Reserve(agent_id="anna", paths=[f"a{n}/{long}{each}" for each in range(99)]))
    fences: list[int] = []
    cursor = None
    while True:
        page = bench.ask(ListReservations(cursor=cursor))
        assert sum(len(path) for each in page.reservations for path in each.patterns) < limits.PAGE_CHARS_MAX + 200_000
        fences += [each.fence for each in page.reservations]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert fences == list(range(50, 0, -1))


@pytest.mark.parametrize("question", [Presence, ListAgents])
def test_page_of_talkative_agents_ends_early(question: type[Presence] | type[ListAgents]) -> None:
    """So do agents and what they say of themselves."""
    bench = Bench()
    for n in range(300):
        bench.run(RegisterAgent(name=f"a{n}", metadata={"objective": "x" * 8000, "status": "y" * 8000}))
    seen: list[str] = []
    cursor = None
    while True:
        page = bench.ask(question(cursor=cursor))
        assert len(page.agents) * 16_000 < limits.PAGE_CHARS_MAX + 16_500
        seen += [each.name for each in page.agents]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(seen) == sorted(f"a{n}" for n in range(300))


def test_page_of_agents_takes_any_cursor() -> None:
    """A cursor beyond the end, however far, is an empty last page."""
    bench = Bench()
    bench.register("anna")

    assert bench.ask(Presence(cursor=2**70)).agents == []
    assert bench.ask(ListAgents(cursor=2**70)).agents == []
    assert len(bench.ask(Presence(limit=1)).agents) == 1
