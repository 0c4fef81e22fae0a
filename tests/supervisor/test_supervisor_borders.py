"""What leaves a supervisor and what stays inside: escalation, interrupts, dead runs, mailboxes."""

import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import trio
from supervised import STEADY, Flaky, Log, flaky_spec, health, stay
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import (
    Child,
    ChildEscalated,
    ChildSpec,
    ChildState,
    Mailbox,
    MailboxClosed,
    OnExhausted,
    RequestCrashed,
    Restart,
    Supervisor,
    SupervisorClosed,
    UnknownChild,
    open_supervisor,
)
from supervisor.supervisor import STOPPED_KEPT_MAX


@pytest.fixture
def log() -> Log:
    """A fresh log."""
    return Log()


@pytest.fixture
async def supervisor(log: Log, autojump_clock: MockClock) -> AsyncIterator[Supervisor]:
    """An open supervisor on the mock clock."""
    async with open_supervisor(log) as opened:
        yield opened


async def test_escalation_ends_the_supervisor_with_one_error(autojump_clock: MockClock) -> None:
    """The owner gets `ChildEscalated` alone, with the last crash as its cause; the other children are cancelled."""
    main = Flaky(crashes=99)
    spec = ChildSpec(name="a", main=main, max_restarts=1, on_exhausted=OnExhausted.ESCALATE)

    with pytest.raises(ChildEscalated) as escalated:
        async with open_supervisor() as supervisor:
            await supervisor.start(ChildSpec(name="b", main=stay))
            supervisor.spawn(spec)
            await trio.sleep_forever()

    assert str(escalated.value.__cause__) == "crash 2"
    assert {child.state for child in supervisor.health()} == {ChildState.STOPPED}


async def test_run_escalates_to_its_caller(autojump_clock: MockClock) -> None:
    """`run` raises the escalation alone, too."""
    supervisor = Supervisor()
    spec = ChildSpec(name="a", main=Flaky(crashes=9), max_restarts=0, on_exhausted=OnExhausted.ESCALATE)

    escalated: list[ChildEscalated] = []

    async def own(task_status: trio.TaskStatus[Supervisor]) -> None:
        try:
            await supervisor.run(task_status=task_status)
        except ChildEscalated as error:
            escalated.append(error)

    async with trio.open_nursery() as nursery:
        await nursery.start(own)
        supervisor.spawn(spec)

    assert [error.name for error in escalated] == ["a"]


async def test_run_is_started_in_a_nursery(autojump_clock: MockClock) -> None:
    """`nursery.start(supervisor.run)` returns the open supervisor."""
    async with trio.open_nursery() as nursery:
        supervisor: Supervisor = await nursery.start(Supervisor().run)
        await supervisor.start(ChildSpec(name="a", main=stay))
        nursery.cancel_scope.cancel()

    assert health(supervisor).state is ChildState.STOPPED


async def test_keyboard_interrupt_goes_through(autojump_clock: MockClock) -> None:
    """What is not a crash is not kept from the program (hazards.md 21)."""

    async def interrupted(child: Child) -> None:
        raise KeyboardInterrupt

    with pytest.raises(BaseExceptionGroup) as group:
        async with open_supervisor() as supervisor:
            supervisor.spawn(ChildSpec(name="a", main=interrupted))
            await trio.sleep_forever()

    assert group.group_contains(KeyboardInterrupt)
    assert health(supervisor).state is ChildState.STOPPED


async def test_crash_while_cancelled_from_outside_stays_inside(log: Log, autojump_clock: MockClock) -> None:
    """A failing clean-up at shutdown neither escapes nor restarts the child (hazards.md 22)."""

    async def messy(child: Child) -> None:
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("clean-up failed")

    async with trio.open_nursery() as nursery:
        supervisor: Supervisor = await nursery.start(Supervisor(log).run)
        await supervisor.start(flaky_spec(messy))
        nursery.cancel_scope.cancel()

    assert log.states == [ChildState.RUNNING, ChildState.STOPPED]
    assert [str(error) for error in log.errors] == ["clean-up failed"]


async def test_dead_run_is_not_kept_alive(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """While the child rests, nothing holds the frames of the run that crashed, nor what they held."""

    class Connection:
        pass

    held: list[weakref.ref[Connection]] = []

    async def crash(child: Child) -> None:
        connection = Connection()
        held.append(weakref.ref(connection))
        child.started()
        raise ValueError("crash")

    gc.disable()
    try:
        supervisor = Supervisor()  # Without the log, which keeps errors.
        async with supervisor.serving():
            await supervisor.start(flaky_spec(crash))
            await wait_all_tasks_blocked()

            assert held[0]() is None
    finally:
        gc.enable()


async def test_health_keeps_a_bounded_number_of_ended_children(
    supervisor: Supervisor, autojump_clock: MockClock
) -> None:
    """Children that ended are shown, the oldest are forgotten."""

    async def end(child: Child) -> None:
        child.started()

    for number in range(STOPPED_KEPT_MAX + 3):
        await supervisor.start(ChildSpec(name=str(number), main=end, restart=Restart.TEMPORARY))
        await wait_all_tasks_blocked()

    assert [child.name for child in supervisor.health()] == [str(n) for n in range(3, STOPPED_KEPT_MAX + 3)]


async def test_wishes_for_unknown_children_are_refused(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Nobody is told that something happened to a child that is not there."""
    for wish in (supervisor.stop, supervisor.restart):
        with pytest.raises(UnknownChild):
            await wish("nobody")
    with pytest.raises(UnknownChild):
        supervisor.revive("nobody")


async def test_spawn_after_stop_all_is_refused(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """At shutdown no child is born that nobody would stop."""
    await supervisor.stop_all()

    with pytest.raises(SupervisorClosed):
        supervisor.spawn(ChildSpec(name="a", main=stay))


class Worker:
    """A child with a mailbox that doubles numbers and crashes on zero."""

    def __init__(self, box: Mailbox[int, int]) -> None:
        self.box = box
        self.seen: list[int] = []

    async def __call__(self, child: Child) -> None:
        """Serve."""
        child.started()
        while True:
            for envelope in await self.box.take(10):
                envelope.begin()
                self.seen.append(envelope.request)
                if envelope.request == 0:
                    raise ZeroDivisionError("zero")
                envelope.answer(2 * envelope.request)


async def test_mailbox_survives_a_crash(
    supervisor: Supervisor, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The culprit is answered and not run again; the requests behind it are served by the next run."""
    box: Mailbox[int, int] = Mailbox(10, "a")
    worker = Worker(box)
    await supervisor.start(ChildSpec(name="a", main=worker, mailbox=box, backoff=STEADY))
    box.tell(1)
    crashed: list[str] = []

    async def ask_zero() -> None:
        try:
            await box.ask(0, timeout_s=8)
        except RequestCrashed as error:
            crashed.append(error.error_text)

    nursery.start_soon(ask_zero)
    await wait_all_tasks_blocked()

    assert await box.ask(3, timeout_s=8) == 6
    assert crashed == ["ZeroDivisionError: zero"]
    assert worker.seen.count(0) == 1
    assert health(supervisor).mailbox_depth == 0


async def test_mailbox_of_a_parked_child_is_closed_until_it_is_revived(
    supervisor: Supervisor, autojump_clock: MockClock
) -> None:
    """While it is parked everybody hears so at once; afterwards it serves again."""
    box: Mailbox[int, int] = Mailbox(10, "a")
    await supervisor.start(
        ChildSpec(name="a", main=Worker(box), mailbox=box, max_restarts=0, revive_after_s=1, backoff=STEADY)
    )
    with pytest.raises(RequestCrashed):
        await box.ask(0, timeout_s=8)

    with pytest.raises(MailboxClosed, match="parked after: ZeroDivisionError: zero"):
        await box.ask(1, timeout_s=8)

    await trio.sleep(2)
    assert await box.ask(1, timeout_s=8) == 2


async def test_mailbox_of_a_stopped_child_is_closed_until_the_next_start(
    supervisor: Supervisor, autojump_clock: MockClock
) -> None:
    """A stopped child's mailbox refuses; a new child may take it over."""
    box: Mailbox[int, int] = Mailbox(10, "a")
    spec = ChildSpec(name="a", main=Worker(box), mailbox=box)
    await supervisor.start(spec)

    await supervisor.stop("a")

    with pytest.raises(MailboxClosed, match="stopped"):
        await box.ask(1, timeout_s=8)
    await supervisor.start(spec)
    assert await box.ask(1, timeout_s=8) == 2
