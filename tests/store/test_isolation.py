"""What happens in one project stays in it: of twenty projects one is in every kind of trouble, and nineteen notice nothing.

With real threads and a real clock, since a disk that hangs holds a thread; nothing here waits for time to pass.
Source: guarantees.md G16; how much slower the others get is measured by `python -m loadtest.figures`, not asserted here.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from faulty_vfs import Disk, faulty_disk
from open_projects import Service, serving

from intermute.core import limits
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ReleaseReservation, ReservationView, Reserve
from intermute.core.errors import DomainError, InternalError, Poisoned, ProjectParked
from intermute.core.ids import ProjectName
from intermute.store.hop import Hop, thread_hop

BAD = "in trouble"
WELL = [f"well {number}" for number in range(19)]
ROUNDS = 5
LETTER = SendMessage(sender="anna", to=["ben"])
POISON = SendMessage(sender="anna", to=["ben"], body="\ud800")
Trouble = Callable[[Service, Disk, trio.Nursery], Awaitable[None]]


async def crash_in_a_loop(service: Service, _disk: Disk, nursery: trio.Nursery) -> None:
    """Let the actor crash whenever it runs, until it is parked."""

    async def crash() -> None:
        # A command is answered by the next run, so each run gets to crash; asking in vain says that it is parked.
        while not isinstance(await service.outcome(LETTER, project=BAD), ProjectParked):
            service.supervisor.request_restart(f"project:{BAD}", RuntimeError("bug"))

    nursery.start_soon(crash)


async def send_poison(service: Service, _disk: Disk, nursery: trio.Nursery) -> None:
    """Send the same and ever new requests that crash the actor."""

    async def poison() -> None:
        for number in range(20):
            await service.outcome(POISON, project=BAD)
            await service.outcome(SendMessage(sender=f"{number % 3}", to=["ben"], body="\ud800"), project=BAD)

    nursery.start_soon(poison)
    await trio.lowlevel.checkpoint()


async def hang_in_a_flush(service: Service, disk: Disk, nursery: trio.Nursery) -> None:
    """Let a flush never return."""
    disk.hang(str(service.registry.directory.path_of(ProjectName(BAD))))
    nursery.start_soon(partial(service.outcome, project=BAD), LETTER)
    await trio.to_thread.run_sync(disk.flush_hangs.wait)


async def flood_the_mailbox(service: Service, disk: Disk, nursery: trio.Nursery) -> None:
    """Ask for more than the mailbox takes, while nothing of it is stored."""
    await hang_in_a_flush(service, disk, nursery)
    for _ in range(limits.MAILBOX_MAX):
        nursery.start_soon(partial(service.outcome, project=BAD), LETTER)


async def work(service: Service, project: str, failed: list[DomainError]) -> None:
    """Do what agents do all day, and note what was refused."""

    async def ask(question: object) -> object:
        outcome = await service.outcome(question, project=project)
        if isinstance(outcome, DomainError):
            failed.append(outcome)
        return outcome

    for number in range(ROUNDS):
        held = await ask(Reserve(agent_id="anna", path_pattern=f"src/{number}"))
        await ask(SendMessage(sender="anna", to=["anna"]))
        await ask(Inbox(agent="anna"))
        await ask(Heartbeat(agent="anna"))
        assert isinstance(held, ReservationView)
        await ask(ReleaseReservation(reservation_id=held.id, agent_id="anna"))


async def outcome_of(root: Path, trouble: Trouble, make_hop: Callable[[], Hop], patience_s: float) -> list[DomainError]:
    """Return what was refused to the nineteen. Raises: trio.TooSlowError, if they do not get through their work."""
    failed: list[DomainError] = []
    with faulty_disk() as disk:
        async with serving(root, make_hop=make_hop) as service, trio.open_nursery() as nursery:
            for name in (*WELL, BAD):
                await service.run(RegisterAgent(name="anna"), project=name)
            try:
                with trio.fail_after(patience_s):
                    await trouble(service, disk, nursery)
                    async with trio.open_nursery() as working:
                        for name in WELL:
                            working.start_soon(work, service, name, failed)
            finally:
                disk.heal()
                disk.let_go()
                nursery.cancel_scope.cancel()
            assert [service.health(name).restarts for name in WELL] == [0] * len(WELL)
    return failed


@pytest.mark.parametrize("trouble", [crash_in_a_loop, send_poison, hang_in_a_flush, flood_the_mailbox])
async def test_trouble_in_one_project_costs_the_others_no_request(tmp_path: Path, trouble: Trouble) -> None:
    """Nineteen projects have every request answered as if the twentieth were not there (G16)."""
    assert await outcome_of(tmp_path, trouble, thread_hop, 60.0) == []


async def test_shared_thread_would_stop_the_others(tmp_path: Path) -> None:
    """Negative control: with one thread for all projects, one flush that hangs stops everybody, and the test above sees it."""
    shared = thread_hop()

    with pytest.raises((trio.TooSlowError, BaseExceptionGroup)):
        await outcome_of(tmp_path, hang_in_a_flush, lambda: shared, 1.0)


async def test_trouble_is_what_it_is_meant_to_be(tmp_path: Path) -> None:
    """Control: the crash loop does park its project, and the poison does crash it and is refused."""
    with faulty_disk() as disk:
        async with serving(tmp_path, make_hop=thread_hop) as service, trio.open_nursery() as nursery:
            await service.run(RegisterAgent(name="anna"), project=BAD)
            outcomes = [type(await service.outcome(POISON, project=BAD)) for _ in range(4)]
            assert outcomes == [InternalError] * 3 + [Poisoned]
            with trio.fail_after(60):
                async with trio.open_nursery() as crashing:
                    await crash_in_a_loop(service, disk, crashing)
            assert isinstance(await service.outcome(POISON, project=BAD), Poisoned)
            assert isinstance(await service.outcome(SendMessage(sender="a", to=["b"]), project=BAD), ProjectParked)
            nursery.cancel_scope.cancel()
