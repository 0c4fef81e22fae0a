"""Opening and closing projects: found or started once, bounded in number, closed when nobody needs them (design.md 5, T30)."""

from pathlib import Path

import trio
import trio.testing
from open_projects import DEMO, Service, serving
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import GetAgent, ListAgents, RegisterAgent
from intermute.core.api.messages import Inbox, SendMessage
from intermute.core.api.reservations import ReleaseAll, Reserve
from intermute.core.errors import BadPattern, ShuttingDown, TooManyProjects
from intermute.core.ids import ProjectName

LETTER = SendMessage(sender="anna", to=["ben"], id="m1")


def open_names(service: Service) -> set[str]:
    """Return the names of the open projects."""
    return {project.name for project in service.registry.open_projects()}


def names_in(directory: Path) -> list[str]:
    """Return the names of the files in a directory."""
    return sorted(each.name for each in directory.iterdir())


async def test_registry_reads_make_no_project(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Reading a project that nobody wrote to answers as an empty one, and makes no file for a typo."""
    async with serving(tmp_path) as service:
        assert (await service.run(ListAgents())).agents == []
        assert (await service.run(Inbox(agent="anna"))).messages == []

        assert service.registry.directory.files() == []
        assert open_names(service) == set()


async def test_registry_refused_commands_make_no_project(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Neither does a command that is refused, or that changes nothing."""
    async with serving(tmp_path) as service:
        with raises(BadPattern):
            await service.run(Reserve(agent_id="anna", path_pattern="/etc"))
        await service.run(ReleaseAll(agent_id="anna"))

        assert service.registry.directory.files() == []


async def test_registry_starts_a_project_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Many first calls at once open one actor and one file."""
    async with serving(tmp_path) as service:
        outcomes = await service.together(*[RegisterAgent(name="anna") for _ in range(20)])

        assert len({each.name for each in outcomes}) == 20
        assert len(service.logged("project.opened")) == 1


async def test_registry_projects_share_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The same ids and paths in two projects never meet (design.md 3.1)."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        await service.run(Reserve(agent_id="anna", path_pattern="a"))

        await service.run(Reserve(agent_id="ben", path_pattern="a"), project="other")

        assert (await service.run(Inbox(agent="ben"), project="other")).messages == []
        assert not (await service.run(LETTER, project="other")).replayed
        assert len(service.registry.directory.files()) == 2


async def test_registry_caller_that_leaves_spoils_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A client that disconnects while its project is being opened does not lock the next one out (hazards.md 31)."""
    async with serving(tmp_path) as service:
        service.gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.run, LETTER)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        service.gate.open()

        assert (await service.run(LETTER)).message_id == "m1"


async def test_registry_caller_waits_for_one_that_left(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The next caller waits for the opening that the first one began, and is served by it."""
    async with serving(tmp_path) as service, trio.open_nursery() as nursery:
        service.gate.shut()
        with trio.move_on_after(1):
            await service.run(LETTER)
        replies: list[object] = []

        async def next_caller() -> None:
            replies.append(await service.run(LETTER))

        nursery.start_soon(next_caller)
        await trio.testing.wait_all_tasks_blocked()
        service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert len(replies) == 1
        assert len(service.logged("project.opened")) == 1


async def test_registry_closes_an_idle_project(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Ten minutes after its last use a project is closed; the next call opens it again, with everything in it."""
    async with serving(tmp_path) as service:
        await service.sweeping()
        await service.run(LETTER)
        await trio.sleep(limits.PROJECT_IDLE_S - 60)
        assert open_names(service) == {DEMO}

        await trio.sleep(120)

        assert open_names(service) == set()
        assert [message.id for message in (await service.run(Inbox(agent="ben"))).messages] == ["m1"]


async def test_registry_keeps_a_project_with_a_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While a lease runs its project stays open, so that its end is heard in time."""
    async with serving(tmp_path) as service:
        await service.sweeping()
        await service.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=3600))
        await trio.sleep(3500)
        assert open_names(service) == {DEMO}

        await trio.sleep(200)

        assert open_names(service) == set()


async def test_registry_keeps_a_project_with_a_reader(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While somebody follows the log its project stays open."""
    async with serving(tmp_path) as service:
        await service.sweeping()
        await service.run(LETTER)

        with service.project.hub.subscription():
            await trio.sleep(3600)
            assert open_names(service) == {DEMO}

        await trio.sleep(60)
        assert open_names(service) == set()


async def test_registry_makes_room_for_the_newest(tmp_path: Path, autojump_clock: MockClock) -> None:
    """At 256 open projects the one that was used longest ago makes room; one with leases goes last."""
    async with serving(tmp_path) as service:
        await service.run(Reserve(agent_id="anna", path_pattern="a"), project="leased")
        for number in range(limits.PROJECTS_LIVE_MAX - 1):
            await trio.sleep(0.001)
            await service.run(LETTER, project=f"p{number}")
        await service.run(ListAgents(), project="p0")

        await service.run(LETTER, project="one more")

        names = open_names(service)
        assert len(names) == limits.PROJECTS_LIVE_MAX
        assert {"one more", "leased", "p0"} <= names
        assert "p1" not in names

        # Ten more at the same moment do not slip past the bound together.
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(lambda name: service.run(LETTER, project=name), f"burst{number}")
            await trio.testing.wait_all_tasks_blocked()
            assert len(service.registry.open_projects()) <= limits.PROJECTS_LIVE_MAX
        assert len(service.registry.open_projects()) == limits.PROJECTS_LIVE_MAX

        # And where every one of them is in use, the next is refused instead of pushing a reader out.
        for project in service.registry.open_projects():
            project.hub.subscribers += 1
        with raises(TooManyProjects):
            await service.run(LETTER, project="too many")


async def test_registry_that_stops_opens_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """On the way out nobody's project is opened, and whoever waits for events is sent home (G20)."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        head = service.project.hub.head

        service.registry.stop()

        with raises(ShuttingDown):
            await service.run(LETTER, project="other")
        with raises(ShuttingDown):
            await service.project.hub.wait_beyond(head)


async def test_registry_closed_project_leaves_one_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Closing moves the log into the file: what is left is a single file, and its seal."""
    async with serving(tmp_path) as service:
        await service.run(LETTER)
        path = service.project.path

        await service.stop_project()

        assert names_in(tmp_path) == [path.name, path.with_suffix(".seal").name]


async def test_registry_finds_a_project_by_its_ids(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An id that was minted in an open project leads to it, without a thread; other texts lead nowhere."""
    async with serving(tmp_path) as service:
        anna = await service.run(RegisterAgent(name="anna"), project="acme")

        assert await service.registry.name_of_tag(anna.agent_id) == ProjectName("acme")
        assert await service.registry.name_of_tag("not minted here") is None


async def test_registry_first_failure_to_open_is_soon_over(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While a project is tried again its callers are told to come back in a second; once it rests, that it is parked."""
    async with serving(tmp_path) as service:
        path = service.registry.directory.path_of(DEMO)
        path.mkdir()

        first = await service.outcome(GetAgent(agent="anna"))
        await trio.sleep(0.9)
        later = await service.outcome(GetAgent(agent="anna"))
        path.rmdir()
        await trio.sleep(60)

        assert (first.code, first.retry_after_s) == ("storage_unavailable", 1.0)
        assert later.code == "project_parked"
        assert (await service.run(RegisterAgent(name="anna"))).name == "anna"
