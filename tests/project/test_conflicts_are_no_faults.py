"""Refusals are answers: however many there are, they stop nobody (guarantees.md T26)."""

from pathlib import Path

import trio
from open_projects import serving
from trio.testing import MockClock

from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import Reserve
from intermute.core.breaker import BreakerState
from intermute.core.errors import ReservationConflict

CONFLICTS = 1000


async def test_thousand_conflicts_stop_nobody(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The original opened its breaker for everyone after five; here only the disk's faults count."""
    async with serving(tmp_path) as service:
        await service.run(Reserve(agent_id="anna", path_pattern="src/**"))
        refused = [await service.outcome(Reserve(agent_id="ben", path_pattern="src/a")) for _ in range(CONFLICTS)]

        assert {type(each) for each in refused} == {ReservationConflict}
        assert service.project.breaker.state(trio.current_time()) is BreakerState.CLOSED
        assert (await service.run(SendMessage(sender="ben", to=["anna"]))).cursor
