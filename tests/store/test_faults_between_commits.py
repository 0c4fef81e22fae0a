"""A fault in one of several commits that were taken together: what follows is decided on what the disk has (G3)."""

from functools import partial
from pathlib import Path

import trio
import trio.testing
from faulty_vfs import faulty_disk
from open_projects import serving
from trio.testing import MockClock

from intermute.core.api.agents import RegisterAgent
from intermute.core.api.messages import AckMessage, SendMessage, Sent
from intermute.core.api.reservations import ReservationView, Reserve
from intermute.core.errors import StorageUnavailable, UnknownMessage


async def test_fault_takes_its_decisions_out_of_the_rest(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After a fault the rest is decided on what the disk has: not on a reservation or a message that is not stored."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service, trio.open_nursery() as nursery:
            await service.run(RegisterAgent(name="anna"))
            letter = SendMessage(sender="anna", to=["ben"], id="m1")
            outcomes = await service.gather(
                nursery,
                Reserve(agent_id="anna", path_pattern="first"),
                letter,
                AckMessage(message_id="m1", agent="ben"),
                letter,
            )

            service.clock.at_reading = partial(autojump_clock.jump, 0.6)
            service.gate.let_one_through()
            await trio.testing.wait_all_tasks_blocked()
            disk.fail(1, only="write")
            service.gate.open()
            await trio.testing.wait_all_tasks_blocked()
            service.clock.at_reading = None

    assert [type(outcomes[at]) for at in range(4)] == [ReservationView, StorageUnavailable, UnknownMessage, Sent]
    assert not outcomes[3].replayed
