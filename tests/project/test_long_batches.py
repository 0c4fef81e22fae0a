"""A batch that takes long, by its decisions or by its rows, holds up neither the loop nor the commit (design.md 3.8)."""

import gc
from contextlib import suppress
from pathlib import Path

import trio
import trio.testing
from open_projects import Service, serving, stored_row
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import AckMessage, SendMessage, Sent
from intermute.core.api.reservations import ListReservations, ReservationView, Reserve
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_path
from intermute.core.errors import MessageIdTaken, TooSlow
from intermute.core.ids import AgentId, Micros
from intermute.core.lock_table import Mode
from intermute.core.reservation import Reservation


def deciding_takes(service: Service, clock: MockClock, seconds: float) -> None:
    """Let every decision take so long from now on."""
    service.clock.at_reading = lambda: clock.jump(seconds)


def reserves(count: int) -> list[Reserve]:
    """Return reservations that do not get in each other's way."""
    return [Reserve(agent_id="anna", path_pattern=f"a{number}") for number in range(count)]


async def test_long_deciding_leaves_the_loop_to_others(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However long a batch takes to decide, the loop is free again after a few hundredths of a second."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        outcomes = await service.gather(nursery, *reserves(40))
        held_s: list[float] = []

        async def feel() -> None:
            while len(outcomes) < 40:
                before_s = trio.current_time()
                await trio.lowlevel.checkpoint()
                held_s.append(trio.current_time() - before_s)

        deciding_takes(service, autojump_clock, 0.01)
        nursery.start_soon(feel)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()
        service.clock.at_reading = None

        assert sum(held_s) >= 0.39
        assert max(held_s) < 0.1


async def test_long_deciding_runs_nothing_that_nobody_waits_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What waits in a batch beyond its asker's deadline is not run (G14)."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        outcomes = await service.gather(nursery, *reserves(6))

        deciding_takes(service, autojump_clock, 1.5)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()
        service.clock.at_reading = None

        assert isinstance(outcomes[5], TooSlow)
        held = [each.path_pattern for each in (await service.run(ListReservations())).reservations]
        assert held == ["a3", "a2", "a1", "a0"]


async def test_half_decided_batch_is_hidden_from_readers(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A reader that comes between two decisions sees what is stored, and its heartbeat is not lost."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        agent = await service.run(RegisterAgent(name="anna"))
        outcomes = await service.gather(nursery, *reserves(10))
        decided: list[int] = []
        seen: list[bool] = []

        async def read() -> None:
            while len(outcomes) < 1:
                await trio.lowlevel.checkpoint()
            while len(service.project.known_state().leases) < 5:
                await trio.lowlevel.checkpoint()
            decided.append(len(service.project.known_state().leases))
            seen.append((await service.run(CheckReservations(pattern="a3"))).conflict)
            await service.run(Heartbeat(agent="anna"))

        deciding_takes(service, autojump_clock, 0.02)
        nursery.start_soon(read)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()
        service.clock.at_reading = None

        assert 5 <= decided[0] < 10
        assert seen == [False]
        assert len(outcomes) == 10
        assert agent.agent_id in service.project.known_state().unflushed_heartbeats


async def test_refusal_keeps_no_command_alive(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A refused command goes with its answer; its body must not stay in memory until cycles are collected."""
    async with serving(tmp_path) as service:
        await service.run(SendMessage(sender="anna", to=["ben"], id="m1", body="first"))
        gc.collect()
        gc.disable()
        try:
            with suppress(MessageIdTaken):
                await service.run(SendMessage(sender="zoe", to=["ben"], id="m1", body="second"))
            await trio.testing.wait_all_tasks_blocked()
            alive = [each for each in gc.get_objects() if type(each) is SendMessage and each.body == "second"]
        finally:
            gc.enable()

        assert alive == []


async def test_batch_ends_at_its_statements(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Many recipients make several commits: no commit lasts long, and the first are answered before the last are stored."""
    names = [f"agent {number}" for number in range(limits.RECIPIENTS_MAX)]
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        outcomes = await service.gather(
            nursery, *reserves(1), *[SendMessage(sender="anna", to=names) for _ in range(25)]
        )
        before = service.project.known_state().batch
        service.gate.let_one_through()
        await trio.testing.wait_all_tasks_blocked()
        assert len(outcomes) == 1

        service.gate.let_one_through()  # What the decisions need is read by the writer too.
        await trio.testing.wait_all_tasks_blocked()
        service.gate.let_one_through()
        await trio.testing.wait_all_tasks_blocked()
        at_first = len(outcomes)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert 1 < at_first < 26
        assert [type(each) for each in outcomes.values()] == [ReservationView, *[Sent] * 25]
        assert stored_row(tmp_path).batch == before + 3


async def test_batches_of_one_take_know_of_each_other(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What the first part of a batch has stored is known to the second, though both were read up on before the first."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        letter = SendMessage(sender="anna", to=["ben"], id="m1", body="once")
        outcomes = await service.gather(nursery, *reserves(1), letter, letter, AckMessage(message_id="m1", agent="ben"))
        before = service.project.known_state().batch

        deciding_takes(service, autojump_clock, 0.6)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()
        service.clock.at_reading = None

        assert stored_row(tmp_path).batch == before + 3  # The repetition stores nothing.
        assert (outcomes[1].replayed, outcomes[2].replayed) == (False, True)
        assert outcomes[3].ack_at


async def test_mass_expiry_is_stored_in_parts(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However many leases end at once, no commit lasts long, and a path is free at its deadline all the same."""
    count = limits.BATCH_STATEMENTS_MAX + 1  # Two commits full of ends, and one that is left.
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        for number in range(count):
            service.project.known_state().leases.load(lease_until(number, trio.current_time() + 60))
        before = service.project.known_state().batch
        await trio.sleep(60)

        assert (await service.run(Reserve(agent_id="ben", path_pattern=f"a{count - 1}"))).is_active

        assert len(service.project.known_state().leases) == 1
        assert stored_row(tmp_path).batch == before + 3
        assert stored_row(tmp_path).head == 2 + count


def lease_until(number: int, deadline_s: float) -> Reservation:
    """Return a lease that the disk does not know, which its end does not mind."""
    targets = (ClaimTarget(0, parse_path(f"a{number}"), Mode.X),)
    claim = Claim(f"r{number}", number + 1, AgentId("zoe"), targets, expires_at_us=Micros(0))
    return Reservation(claim, "", Micros(0), deadline_s, number + 1)


async def test_large_batch_is_stored_in_parts(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Long texts end a batch as many rows do, so that one commit's part of the log stays short (G15)."""
    body = "x" * 200_000
    letters = [SendMessage(sender="anna", to=["ben"], body=body) for _ in range(60)]
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        await service.run(RegisterAgent(name="anna"))
        before = stored_row(tmp_path).batch
        outcomes = await service.gather(nursery, *letters)
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert [type(each) for each in outcomes.values()] == [Sent] * 60
        assert stored_row(tmp_path).batch - before >= 60 * len(body) / (limits.BATCH_CHARS_MAX + len(body))
