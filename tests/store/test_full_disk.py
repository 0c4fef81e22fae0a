"""A project on a full disk: what is refused, what goes on, and how it finds back (guarantees.md G10, G19)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import trio
from faulty_vfs import Disk, Failure, faulty_disk
from open_projects import DEMO, LOCAL, Service, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import GetAgent, Heartbeat, RegisterAgent
from intermute.core.api.checks import CheckReservations
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import GetReservation, Reserve
from intermute.core.errors import StorageFull
from intermute.core.once import Once, Reply
from intermute.project.room import Room
from intermute.store.ballast import Ballast
from intermute.store.hop import inline_hop
from intermute.web.health import HealthReport
from supervisor import ChildState

LETTER = SendMessage(sender="anna", to=["ben"], id="m1")
BALLAST_BYTES = 256 * 1024


class ScarceBallast(Ballast):
    """A ballast on a disk whose free room is what the test says."""

    def __init__(self, path: Path, wanted_bytes: int) -> None:
        super().__init__(path, wanted_bytes)
        self.free: int | None = None
        self.given_up = 0

    def free_bytes(self) -> int | None:
        """Return what the test says."""
        return self.free

    def give_up(self) -> int:
        """Count it."""
        self.given_up += 1
        return super().give_up()


class FullDisk:
    """A disk that can be filled: then writes fail, and little is free."""

    def __init__(self, disk: Disk, ballast: ScarceBallast, service: Service) -> None:
        self.disk, self.ballast, self.service = disk, ballast, service

    def fill(self) -> None:
        """From now on no write finds room."""
        self.ballast.free = 0
        self.disk.fail(1, Failure.FULL, is_sticky=True)

    def make_space(self) -> None:
        """From now on there is room."""
        self.ballast.free = 10 * limits.ROOM_BYTES_MIN
        self.disk.heal()


@contextmanager
def scarce(root: Path) -> Iterator[tuple[Disk, ScarceBallast]]:
    """A disk and a ballast in the test's hand."""
    with faulty_disk() as disk:
        yield disk, ScarceBallast(root / "ballast", BALLAST_BYTES)


@asynccontextmanager
async def on_a_full_disk(root: Path) -> AsyncIterator[FullDisk]:
    """A service with the agent anna, who holds `held` for a day, on a disk that has just become full."""
    with scarce(root) as (disk, ballast):
        async with serving(root, room=Room(ballast, inline_hop(), lambda *_each, **_more: None)) as service:
            await service.run(RegisterAgent(name="anna"))
            await service.run(Reserve(agent_id="anna", path_pattern="held", ttl_seconds=limits.TTL_MAX_S))
            full = FullDisk(disk, ballast, service)
            full.fill()
            assert isinstance(await service.outcome(LETTER), StorageFull)
            yield full
            disk.heal()


async def test_full_disk_is_left_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While it is full no write is tried: the room that is lent is for checkpoints, not for the next message."""
    async with on_a_full_disk(tmp_path) as full:
        await trio.sleep(1.5)
        operations = full.disk.operations

        for _ in range(10):
            assert isinstance(await full.service.outcome(LETTER), StorageFull)
        assert isinstance(await full.service.outcome(LETTER, project="another"), StorageFull)
        await trio.sleep(0.1)

        assert full.disk.operations == operations


async def test_full_disk_refuses_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A refusal waits for nothing, not even for an actor that has gone down meanwhile."""
    async with on_a_full_disk(tmp_path) as full:
        full.service.supervisor.request_restart(f"project:{DEMO}", ValueError("brought down by the test"))
        await trio.lowlevel.checkpoint()
        began_s = trio.current_time()

        with raises(StorageFull):
            await full.service.run(LETTER)

        assert trio.current_time() == began_s


async def test_full_disk_reads_go_on(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Reads and events are served from what is there."""
    async with on_a_full_disk(tmp_path) as full:
        assert (await full.service.run(Inbox(agent="ben"))).messages == []
        assert (await full.service.run(CheckReservations(pattern="held"))).conflict
        assert len(await full.service.project.events_after(0, 10)) == 2


async def test_full_disk_heartbeat_keeps_a_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An hour on a full disk kills nobody: who sends heartbeats is live, keeps its leases, and has them afterwards (G10)."""
    async with on_a_full_disk(tmp_path) as full:
        for _ in range(60):
            await trio.sleep(60)
            await full.service.run(Heartbeat(agent="anna"))
        full.make_space()
        await trio.sleep(5)

        assert (await full.service.run(GetAgent(agent="anna"))).active
        assert (await full.service.run(CheckReservations(pattern="held"))).conflict
        assert full.service.health().restarts == 0


async def test_full_disk_silence_ends_a_lease_afterwards(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Control: without heartbeats the lease ends as soon as its end can be stored."""
    async with on_a_full_disk(tmp_path) as full:
        [held] = (await full.service.run(CheckReservations(pattern="held"))).conflicts
        await trio.sleep(limits.AGENT_SILENCE_S + 1)
        full.make_space()
        await trio.sleep(5)

        assert (await full.service.run(GetReservation(reservation_id=held.reservation_id))).ended == "owner_stale"


async def test_full_disk_is_over_within_five_seconds(tmp_path: Path, autojump_clock: MockClock) -> None:
    """However long it was full, writes are taken within 5 s after there is room; the ballast is whole again by then."""
    async with on_a_full_disk(tmp_path) as full:
        await trio.sleep(3602)  # Between two tries to make room with the ballast.
        assert isinstance(await full.service.outcome(LETTER), StorageFull)
        full.make_space()

        await trio.sleep(5)

        await full.service.run(LETTER)
        assert full.ballast.size_bytes() == BALLAST_BYTES


async def test_full_disk_brings_nothing_down_for_longer(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A project that could not be opened for want of room does not rest any longer than that."""
    async with on_a_full_disk(tmp_path) as full:
        await full.service.stop_project()
        full.disk.fail(1, Failure.EIO, is_sticky=True)  # Not even opening works now, with the ballast or without.
        for _ in range(5):
            await full.service.outcome(Inbox(agent="ben"))
            await trio.sleep(10)
        assert full.service.health().state in (ChildState.PARKED, ChildState.BACKING_OFF)
        full.make_space()

        await trio.sleep(limits.ROOM_LOOK_S + 1)

        await full.service.run(LETTER)


async def test_full_disk_gives_the_ballast_up_only_to_make_room(tmp_path: Path, autojump_clock: MockClock) -> None:
    """It is lent for one checkpoint of all projects, whose logs are empty then, and taken back; not at every look."""
    async with on_a_full_disk(tmp_path) as full:
        full.disk.heal()
        await trio.sleep(60)

        log = full.service.project.path.with_name(f"{full.service.project.path.name}-wal")
        assert log.stat().st_size == 0
        assert full.ballast.given_up <= 2
        assert full.ballast.size_bytes() == 0, "nothing was free, so nothing could be taken back"
        full.ballast.free = limits.ROOM_BYTES_MIN - 1
        await trio.sleep(5)
        assert full.service.registry.room.is_full


async def test_full_disk_room_made_while_the_ballast_is_lent_is_for_writes(tmp_path: Path) -> None:
    """On a disk too small for a ballast, what somebody frees at that moment does not become one, or it stays full for ever."""
    ballast = ScarceBallast(tmp_path / "ballast", BALLAST_BYTES)
    room = Room(ballast, inline_hop(), lambda *_each, **_more: None)

    async with room.lent():
        ballast.free = BALLAST_BYTES

    assert ballast.size_bytes() == 0


async def test_full_disk_answers_a_repeat(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What was applied before the disk was full is not said to be refused: its reply is given again (G4)."""
    once = Once.of("k", LOCAL, LETTER, lambda view: Reply(200, msgspec.json.encode(view)))
    other = SendMessage(sender="anna", to=["ben"], id="m2")
    with scarce(tmp_path) as (disk, ballast):
        async with serving(tmp_path, room=Room(ballast, inline_hop(), lambda *_each, **_more: None)) as service:
            first = await service.run(LETTER, LOCAL, once)
            FullDisk(disk, ballast, service).fill()
            assert isinstance(await service.outcome(other), StorageFull)

            again = await service.run(LETTER, LOCAL, once)

            fresh = Once.of("k2", LOCAL, other, lambda view: Reply(200, msgspec.json.encode(view)))
            assert again.body == first.body
            assert isinstance(await service.outcome(other, LOCAL, fresh), StorageFull)
            disk.heal()


async def test_full_disk_is_told_by_health(tmp_path: Path, autojump_clock: MockClock) -> None:
    """`/health` is degraded and says why to those who may know; it is ok again afterwards."""
    async with on_a_full_disk(tmp_path) as full:
        report = HealthReport(full.service.registry, full.service.supervisor)
        await trio.sleep(10)

        view = report.view(None, has_details=True)

        assert view.status == report.view(None, has_details=False).status == "degraded"
        assert report.view(None, has_details=False).why is None
        assert view.why is not None
        assert "full for 10 s" in view.why[0]
        assert report.ailing() == ["disk"]
        full.make_space()
        await trio.sleep(2)
        assert report.view(None, has_details=True).status == "ok"
        assert report.ailing() == []
