"""A damaged project is set aside and refused, as it was found; it never comes back by itself, and no other notices (G18)."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio
from open_projects import DEMO, Service, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core.api.agents import ListAgents, RegisterAgent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ListReservations, Reserve
from intermute.core.errors import DomainError, ProjectQuarantined
from intermute.core.ids import ProjectName
from intermute.store.connection import log_of
from intermute.store.directory import DataDirectory
from intermute.store.quarantine import Quarantine
from intermute.store.seal import SEALED_BYTES_MAX, seal_of

OTHER = "other"
MESSAGES = 40


async def fill(service: Service) -> None:
    """Put something into every kind of table that the answers below come from."""
    await service.run(RegisterAgent(name="anna"))
    for number in range(MESSAGES):
        await service.run(SendMessage(sender="anna", to=["ben"], id=f"m{number}", body=f"body {number} " + "x" * 400))
        await service.run(Reserve(agent_id="anna", path_pattern=f"src/{number}.py", reason=f"reason {number}"))


async def answers(service: Service) -> dict[str, Any]:  # Any: views, compared as they are.
    """Return what the project says, from the disk and from a memory that was built from it, without the time."""
    project = await service.registry.project(DEMO)
    listed = (await service.run(ListReservations())).reservations
    return {
        "events": await project.events_after(0, 1000),
        "inbox": await service.run(Inbox(agent="ben", limit=1000)),
        "agents": [(each.agent_id, each.name) for each in (await service.run(ListAgents())).agents],
        "reservations": [(each.id, each.path_pattern, each.fence, each.reason) for each in listed],
    }


def path_in(root: Path) -> Path:
    """Return the project's file."""
    return DataDirectory(root).path_of(DEMO)


async def damaged(root: Path) -> None:
    """Leave a project in good order, with another beside it, and then change a bit of its file."""
    async with serving(root) as service:
        await fill(service)
        await service.run(RegisterAgent(name="carl"), project=OTHER)
    flip(path_in(root), random.Random(7))


def flip(path: Path, chance: random.Random) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def rot(path: Path, chance: random.Random) -> None:
    """Change a few bits, anywhere but in the header."""
    content = bytearray(path.read_bytes())
    for _ in range(20):
        content[chance.randrange(100, len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, chance: random.Random) -> None:
    """Cut the file short."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(1, len(content))])


def zero_page(path: Path, chance: random.Random) -> None:
    """Lose one page."""
    content = bytearray(path.read_bytes())
    at = chance.randrange(0, len(content), 4096)
    content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    path.write_bytes(content)


async def test_damaged_project_is_set_aside_and_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Its files and a report are in quarantine; each call is refused with what to do, also after a restart."""
    await damaged(tmp_path)
    found = path_in(tmp_path).read_bytes()
    async with serving(tmp_path) as service:
        refused = await service.outcome(ListAgents())
        await trio.sleep(1)
        again = await service.outcome(RegisterAgent(name="anna"))

        assert isinstance(refused, ProjectQuarantined)
        assert isinstance(again, ProjectQuarantined)
        assert "intermute restore" in again.message
        assert [fields["project"] for fields in service.logged("project.quarantined")] == [DEMO]
    async with serving(tmp_path) as restarted:
        assert isinstance(await restarted.outcome(RegisterAgent(name="anna")), ProjectQuarantined)
        assert sorted(await restarted.registry.names()) == [DEMO, OTHER]
        assert (await restarted.run(ListAgents(), project=OTHER)).agents[0].name == "carl"

    place = Quarantine(tmp_path).place_of(DEMO)
    report = json.loads((place / "report.json").read_bytes())
    assert not path_in(tmp_path).exists()
    assert (place / path_in(tmp_path).name).read_bytes() == found
    assert (report["project"], report["reason"]) == (DEMO, "the file was changed since it was closed")
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "report.json").stat().st_mode & 0o777 == 0o600


async def test_damage_met_while_serving_ends_in_quarantine(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A file that is damaged under an open project: the read that meets it and all that follow are refused; others go on."""
    async with serving(tmp_path) as service:
        await fill(service)
        await service.run(RegisterAgent(name="carl"), project=OTHER)
        await service.stop_project()
        project = await service.registry.project(DEMO)
        waiting: list[object] = []

        async def wait() -> None:
            try:
                await project.hub.wait_beyond(10_000)
            except DomainError as error:
                waiting.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            tampering = apsw.Connection(str(project.path))
            tampering.execute("UPDATE events SET data = '{}' WHERE cursor = 5")
            tampering.close()
            with raises(ProjectQuarantined):
                await project.events_after(0, 10)

        assert isinstance(waiting[0], ProjectQuarantined), "a reader that waits is told why it is sent home"
        await trio.sleep(1)
        assert isinstance(await service.outcome(RegisterAgent(name="ben")), ProjectQuarantined)
        await service.run(RegisterAgent(name="dora"), project=OTHER)
        [fields] = service.logged("project.quarantined")
        assert (fields["head"], "chain is broken at event 5" in str(fields["reason"])) == (81, True)


async def test_id_of_a_quarantined_project_is_refused_and_not_unknown(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A call that has nothing but an id still finds its project, whose answer is that it is in quarantine."""
    async with serving(tmp_path) as service:
        anna = await service.run(RegisterAgent(name="anna"))
    flip(path_in(tmp_path), random.Random(3))
    async with serving(tmp_path) as service:
        await service.outcome(ListAgents())
        await trio.sleep(1)

        assert await service.registry.name_of_tag(anna.agent_id) == DEMO


async def test_damage_that_only_the_diagnosis_finds_ends_in_quarantine(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A project that nobody has opened is given up as well, once, and one that is open too."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.run(RegisterAgent(name="carl"), project=OTHER)
        await service.stop_project()

        for name in (DEMO, ProjectName(OTHER), DEMO):
            await service.registry.give_up(name, "quick_check: missing page")
        await trio.sleep(1)

        assert [fields["project"] for fields in service.logged("project.quarantined")] == [DEMO, OTHER]
        for each in (str(DEMO), OTHER):
            assert isinstance(await service.outcome(ListAgents(), project=each), ProjectQuarantined)


async def test_quarantine_that_is_interrupted_still_refuses(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Killed between the report and the files: the project is refused, though its file is still in its place."""
    await damaged(tmp_path)
    quarantine = Quarantine(tmp_path)
    absent = path_in(tmp_path).with_name("0" * 32 + ".db")
    quarantine.begin(DEMO, absent, reason="test", at_us=1, epoch=1, head=5, head_hash=b"")  # type: ignore[arg-type] # a time.

    async with serving(tmp_path) as service:
        assert isinstance(await service.outcome(ListAgents()), ProjectQuarantined)
    assert path_in(tmp_path).exists()


async def test_quarantine_with_an_unreadable_report_still_refuses(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What counts is the place, not what can be read in it."""
    place = Quarantine(tmp_path).place_of(DEMO)
    place.mkdir(parents=True)
    (place / "report.json").write_bytes(b"\xff")

    async with serving(tmp_path) as service:
        assert isinstance(await service.outcome(RegisterAgent(name="anna")), ProjectQuarantined)
        await service.run(RegisterAgent(name="carl"), project=OTHER)


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (flip, truncate, zero_page)


@pytest.mark.parametrize("seed", range(3))
async def test_damage_to_a_stopped_file_is_found_before_a_wrong_answer(
    tmp_path: Path, autojump_clock: MockClock, seed: int
) -> None:
    """Flipped bits, cut files, lost pages, a log of another time beside it: refused, or every answer is as it was.

    The seed of a failure is in its name. Control: without the seal and the checks some of the same damage is told as truth.
    """
    chance, original = random.Random(seed), tmp_path / "original"
    earlier = tmp_path / "earlier.wal"
    async with serving(original) as service:
        await service.run(RegisterAgent(name="anna"))
        shutil.copy(log_of(service.project.path), earlier)
        await fill(service)
    async with serving(original) as service:
        before = await answers(service)

    refusals = 0
    for number in range(12):
        copy = tmp_path / str(number)
        shutil.copytree(original, copy)
        path = path_in(copy)
        if number % 4 == 3:
            shutil.copy(earlier, log_of(path))
        else:
            DAMAGES[number % 4](path, chance)
        async with serving(copy) as service:
            try:
                assert await answers(service) == before, f"seed {seed}, damage {number}"
            except ProjectQuarantined:
                refusals += 1
            await trio.sleep(1)

    assert refusals == 12, "whatever is changed in a sealed file is found"


@pytest.mark.parametrize("seed", range(3))
async def test_damage_after_a_kill_is_found_before_a_wrong_event(
    tmp_path: Path, autojump_clock: MockClock, seed: int
) -> None:
    """A file that was not closed in good order has no seal: its log of events is right, or cut at its end, or refused.

    The seed of a failure is in its name. Control: without the chain some of the same damage is told as truth.
    """
    chance, killed = random.Random(seed), tmp_path / "killed"
    async with serving(tmp_path / "live") as service:
        await fill(service)
        outside = apsw.Connection(str(service.project.path))
        outside.execute("SELECT * FROM project").fetchall()  # Before it has read something it does not see the log.
        assert outside.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
        outside.close()
        for number in range(MESSAGES, MESSAGES + 5):  # These are in the log alone, the others in the file alone.
            await service.run(SendMessage(sender="anna", to=["ben"], id=f"m{number}"))
        shutil.copytree(tmp_path / "live", killed)
    async with serving(tmp_path / "live") as service:
        before = list((await answers(service))["events"])

    found: list[str] = []
    for number in range(24):
        copy = tmp_path / str(number)
        shutil.copytree(killed, copy)
        path = path_in(copy)
        (*DAMAGES, rot)[number % 4](path if number % 5 else log_of(path), chance)
        async with serving(copy) as service:
            try:
                project = await service.registry.project(DEMO)
                events = list(await project.events_after(0, 1000))
                assert events == before[: len(events)], f"seed {seed}, damage {number}"
                found.append("right")
            except DomainError as refusal:
                found.append(refusal.code)
            await trio.sleep(1)

    assert {"right", "project_quarantined"} <= set(found)
    assert set(found) <= {"right", "project_quarantined", "project_parked", "storage_unavailable"}


async def test_large_file_is_closed_without_a_seal(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A stop hashes no file over the limit; such a file is checked as after a kill, and used."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="anna"))
        await service.stop_project()
        assert seal_of(path_in(tmp_path)).exists()
        with path_in(tmp_path).open("r+b") as file:
            file.truncate(SEALED_BYTES_MAX + 4096)
        seal_of(path_in(tmp_path)).unlink()
        await service.run(ListAgents())
        await service.stop_project()

        assert not seal_of(path_in(tmp_path)).exists()
