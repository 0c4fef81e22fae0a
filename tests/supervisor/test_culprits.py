"""Crashes for which a request is to blame: told, and counted apart from those of the child itself."""

from collections.abc import Callable

import pytest
import trio
from supervised import health, stay
from trio.testing import MockClock

from supervisor import Child, ChildSpec, ChildState, Mailbox, RequestCrashed, open_supervisor
from supervisor.restart_plan import RestartPlan

Box = Mailbox[str, str]


def serving(box: Box) -> ChildSpec:
    """Return a child that dies of each request but `fine`; it may crash twice by itself, and five times by requests."""

    async def main(child: Child) -> None:
        child.started()
        while True:
            for envelope in await box.take(1):
                envelope.begin()
                assert envelope.request == "fine", envelope.request
                envelope.answer("done")

    return ChildSpec(name="a", main=main, mailbox=box, max_restarts=2, max_blamed_restarts=5)


@pytest.mark.parametrize(
    ("on_culprit", "crashes", "state"),
    [
        (lambda _request: True, 5, ChildState.BACKING_OFF),
        (lambda _request: True, 6, ChildState.PARKED),
        (lambda _request: False, 2, ChildState.BACKING_OFF),
        (lambda _request: False, 3, ChildState.PARKED),
        (None, 3, ChildState.PARKED),
    ],
)
async def test_crash_by_a_request_has_a_budget_of_its_own(
    autojump_clock: MockClock, on_culprit: Callable[[str], bool] | None, crashes: int, state: ChildState
) -> None:
    """Where the application takes care of the request, the child's own restarts are not spent; else they are."""
    box: Box = Mailbox(9, "box", on_culprit=on_culprit)
    async with open_supervisor() as supervisor:
        await supervisor.start(serving(box))

        for _ in range(crashes):
            with pytest.raises(RequestCrashed):
                await box.ask("bad", timeout_s=9)

        assert health(supervisor).state is state


async def test_culprit_is_told_though_its_asker_has_gone(autojump_clock: MockClock) -> None:
    """The application hears of each culprit once, and of nothing else."""
    told: list[str] = []

    def tell(request: str) -> bool:
        told.append(request)
        return True

    box: Box = Mailbox(9, "box", on_culprit=tell)
    async with open_supervisor() as supervisor, trio.open_nursery() as nursery:
        await supervisor.start(serving(box))
        box.tell("told")
        await trio.sleep(1)
        with pytest.raises(RequestCrashed):
            await box.ask("asked", timeout_s=9)
        assert await box.ask("fine", timeout_s=9) == "done"
        nursery.cancel_scope.cancel()

    assert told == ["told", "asked"]


def test_rest_after_a_blamed_crash_does_not_grow() -> None:
    """Waiting would not mend the request, and the others wait meanwhile."""
    plan = RestartPlan(ChildSpec(name="a", main=stay, draw=lambda: 0.0))

    rests = [plan.next_rest(0.0, is_blamed=is_blamed) for is_blamed in (True, True, True, False, False)]

    assert [rest.wait_s for rest in rests if rest] == [0.05, 0.05, 0.05, 0.05, 0.1]
