"""A disk that fails while a waiter is granted: the call gets one grant or a true refusal, and holds nothing besides (G3)."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from faulty_vfs import Failure, faulty_disk
from open_projects import Service, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from intermute.core.api.agents import RegisterAgent
from intermute.core.api.reservations import ListReservations, ReleaseReservation, Reserve
from intermute.core.errors import DomainError
from intermute.core.wishes import OnConflict


async def granted_on_a_failing_disk(root: Path, at: int, failure: Failure) -> tuple[Any, list[str], int]:
    """Return the outcome of the waiting call, what its agent holds then, and how often the disk failed."""
    outcomes: list[Any] = []

    async def wait(service: Service) -> None:
        wish = Reserve(agent_id="ben", path_pattern="a", on_conflict=OnConflict.WAIT, wait_seconds=40)
        outcomes.append(await service.outcome(wish))

    with faulty_disk() as disk:
        async with serving(root) as service:
            for name in ("anna", "ben"):
                await service.run(RegisterAgent(name=name))
            held = await service.run(Reserve(agent_id="anna", path_pattern="a"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, service)
                await wait_all_tasks_blocked()
                disk.fail(at, failure)
                released = await service.outcome(ReleaseReservation(reservation_id=held.id))
                disk.heal()
                if isinstance(released, DomainError):
                    await trio.sleep(2)
                    await service.outcome(ReleaseReservation(reservation_id=held.id))
            listed = await service.run(ListReservations(agent="ben", active=True))
    return outcomes[0], [each.id for each in listed.reservations], disk.failures


@pytest.mark.parametrize("failure", [Failure.EIO, Failure.FULL])
@pytest.mark.parametrize("at", range(1, 8))
def test_waiter_granted_on_a_failing_disk_holds_one_reservation(tmp_path: Path, failure: Failure, at: int) -> None:
    """Wherever the commit of its grant fails, what the call is told is what its agent holds."""
    main = partial(granted_on_a_failing_disk, tmp_path, at, failure)
    outcome, holds, _ = trio.run(main, clock=MockClock(autojump_threshold=0))

    assert holds == ([] if isinstance(outcome, DomainError) else [outcome.id])


def test_failing_disk_fails(tmp_path: Path) -> None:
    """Control: the grant of a waiter does reach the disk that fails."""
    main = partial(granted_on_a_failing_disk, tmp_path, 1, Failure.EIO)

    assert trio.run(main, clock=MockClock(autojump_threshold=0))[2] == 1
