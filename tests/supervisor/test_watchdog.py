"""The watchdog: lever first, then restart, never a child inside a thread. Time is trio's mock clock."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import (
    Backoff,
    Child,
    ChildSpec,
    ChildState,
    Finding,
    Mailbox,
    RequestCrashed,
    Supervisor,
    Verdict,
    open_supervisor,
    watch,
)


class Stuck:
    """A child that is busy until the lever frees it, or for ever. With `is_thread` a shield stands for the thread."""

    def __init__(self, *, says_thread: bool = False, is_thread: bool = False, heeds_lever: bool = False) -> None:
        self.says_thread, self.is_thread, self.heeds_lever = says_thread, is_thread, heeds_lever
        self.freed = trio.Event()
        self.pulled: list[float] = []
        self.findings: list[Finding] = []
        self.runs = self.living = self.most = 0

    async def __call__(self, child: Child) -> None:
        """Be busy at once in the first run, idle in later ones."""
        self.runs += 1
        self.living += 1
        self.most = max(self.most, self.living)
        child.started()
        try:
            if self.runs == 1:
                with child.busy("query", in_thread=self.says_thread), trio.CancelScope(shield=self.is_thread):
                    await self.freed.wait()
            await trio.sleep_forever()
        finally:
            self.living -= 1

    def pull(self, name: str) -> None:
        """The lever."""
        assert name == "a"
        self.pulled.append(trio.current_time())
        if self.heeds_lever:
            self.freed.set()

    @property
    def verdicts(self) -> list[Verdict]:
        """What the watchdog did, in order."""
        return [finding.verdict for finding in self.findings]


@pytest.fixture
async def supervisor(autojump_clock: MockClock) -> AsyncIterator[Supervisor]:
    """An open supervisor on the mock clock."""
    async with open_supervisor() as opened:
        yield opened


async def guard(supervisor: Supervisor, stuck: Stuck) -> None:
    """Start the stuck child, and a watchdog with a limit of 3 s and a round each second."""
    main = partial(
        watch,
        supervisor=supervisor,
        busy_limit_s=3,
        lever=stuck.pull,
        on_finding=stuck.findings.append,
        interval_s=1,
    )
    await supervisor.start(ChildSpec(name="a", main=stuck, backoff=Backoff(first_s=0.1, jitter=0)))
    await supervisor.start(ChildSpec(name="watchdog", main=main))


async def test_watch_pulls_the_lever_once(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Work that the lever frees costs the child nothing."""
    stuck = Stuck(heeds_lever=True)

    await guard(supervisor, stuck)
    await trio.sleep(60)

    assert stuck.pulled == [4]
    assert stuck.verdicts == [Verdict.LEVER_PULLED]
    assert stuck.runs == 1


async def test_watch_restarts_what_the_lever_did_not_free(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """One round after the lever the child is restarted, and the restart shows why."""
    stuck = Stuck()

    await guard(supervisor, stuck)
    await trio.sleep(60)

    assert stuck.verdicts == [Verdict.LEVER_PULLED, Verdict.RESTARTED]
    assert stuck.runs == 2
    assert supervisor.health()[0].last_error == "ChildStuck: child 'a' was busy with 'query' for 5.0 s"


async def test_watch_never_replaces_a_child_inside_a_thread(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """It is shown as stalled, once, until the thread returns; then it goes on as before (G17)."""
    stuck = Stuck(says_thread=True, is_thread=True)

    await guard(supervisor, stuck)
    await trio.sleep(600)

    assert stuck.verdicts == [Verdict.LEVER_PULLED, Verdict.STALLED]
    assert (stuck.runs, stuck.most) == (1, 1)
    assert supervisor.health()[0].state is ChildState.RUNNING
    assert supervisor.health()[0].is_stalled
    stuck.freed.set()
    await wait_all_tasks_blocked()
    assert not supervisor.health()[0].is_stalled
    assert supervisor.health()[0].busy_for_s is None


async def test_watch_restarts_a_thread_that_does_not_say_so(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Negative control: without the mark the child is told to end; even so no second run begins beside the first."""
    stuck = Stuck(says_thread=False, is_thread=True)

    await guard(supervisor, stuck)
    await trio.sleep(600)

    assert stuck.verdicts == [Verdict.LEVER_PULLED, Verdict.RESTARTED]
    assert supervisor.health()[0].state is ChildState.STOPPING
    assert (stuck.runs, stuck.most) == (1, 1)
    stuck.freed.set()
    await trio.sleep(1)
    assert (stuck.runs, stuck.most) == (2, 1)


async def test_watch_leaves_short_work_alone(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Many pieces of work below the limit are no finding, however long they last together."""
    stuck = Stuck()

    async def diligent(child: Child) -> None:
        child.started()
        while True:
            with child.busy("short"):
                await trio.sleep(2.9)

    stuck.freed.set()
    await guard(supervisor, stuck)
    await supervisor.start(ChildSpec(name="b", main=diligent))
    await trio.sleep(600)

    assert stuck.findings == []


async def test_watch_survives_a_failing_lever(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """A lever that raises is reported, and the next round goes on to the restart."""
    stuck = Stuck()

    def broken(name: str) -> None:
        raise OSError("closed")

    stuck.pull = broken  # type: ignore[method-assign] # a lever is any callable

    await guard(supervisor, stuck)
    await trio.sleep(60)

    assert stuck.verdicts == [Verdict.LEVER_FAILED, Verdict.RESTARTED]
    assert stuck.findings[0].error_text == "OSError: closed"


async def test_watch_restart_answers_the_culprit(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """The request that the child was stuck on is answered and not run again."""
    box: Mailbox[str, str] = Mailbox(3, "a")
    begun: list[str] = []

    async def serve(child: Child) -> None:
        child.started()
        while True:
            [envelope] = await box.take(1)
            begun.append(envelope.request)
            envelope.begin()
            with child.busy(envelope.request):
                await trio.sleep_forever()

    main = partial(
        watch, supervisor=supervisor, busy_limit_s=3, lever=lambda _: None, on_finding=lambda _: None, interval_s=1
    )
    await supervisor.start(ChildSpec(name="a", main=serve, mailbox=box))
    await supervisor.start(ChildSpec(name="watchdog", main=main))

    with pytest.raises(RequestCrashed, match="ChildStuck"):
        await box.ask("endless", timeout_s=100)

    assert begun == ["endless"]


async def test_busy_marks_nest(supervisor: Supervisor, autojump_clock: MockClock) -> None:
    """Health shows the outer work's name and age, and that a thread is inside."""
    inner_done = trio.Event()

    async def nested(child: Child) -> None:
        child.started()
        with child.busy("batch"):
            await trio.sleep(1)
            with child.busy("commit", in_thread=True):
                await inner_done.wait()
            await trio.sleep_forever()

    await supervisor.start(ChildSpec(name="a", main=nested))
    await trio.sleep(2)

    [inside] = supervisor.health()
    inner_done.set()
    await wait_all_tasks_blocked()
    [after] = supervisor.health()

    assert (inside.busy_with, inside.busy_for_s, inside.is_in_thread) == ("batch", 2, True)
    assert (after.busy_with, after.is_in_thread) == ("batch", False)
