"""The facade for scripts: the same client without `await`."""

import asyncio
import threading

import pytest

from intermute.client import LeaseLost
from intermute.client.sync import Blocking, open_client
from intermute.core.api.handing_over import ForceRelease, ForceReleased
from intermute.core.api.system import ListProjects, ProjectList
from intermute.core.errors import ReservationConflict
from intermute.embedded import Server


def test_script_does_what_an_agent_does(hosted: Server, project: str) -> None:
    """Registering, reserving, talking, following and working on tasks, each a plain call."""
    with open_client(hosted.url, project=project) as anna, open_client(hosted.url, project=project) as ben:
        registered = anna.agents.register("anna")
        assert anna.agent == registered.agent_id
        ben.agents.register("ben")
        with anna.reservations.hold("src/**") as lease:
            lease.check()
            with pytest.raises(ReservationConflict):
                ben.reservations.reserve("src/a.py")
        ben.reservations.reserve("src/a.py")
        sent = anna.messages.send("ben", "hello")
        assert [message.id for message in ben.inbox.messages()] == [sent.message_id]
        task = anna.tasks.create(title="one")
        assert anna.tasks.update(task.id, lambda now: {"title": now.title + "!"}).title == "one!"
        with anna.follow(since=0) as events:
            kinds = [next(events).type for _ in range(3)]
        assert kinds == ["agent.registered", "agent.registered", "reservation.created"]
        assert project in [each.project for each in anna.call(ListProjects(), ProjectList).projects]


def test_script_hears_of_a_lost_lease_at_the_end_of_its_block(hosted: Server, project: str) -> None:
    """A block without await runs on; the lease says that it is lost, and the end of the block raises it."""
    with (
        open_client(hosted.url, project=project, agent_name="anna") as anna,
        open_client(hosted.url, project=project) as operator,
        pytest.raises(LeaseLost),
        anna.reservations.hold("src/**", renew_every_s=0.05) as lease,
    ):
        operator.call(ForceRelease(reservation_id=lease.id, reason="needed"), ForceReleased)
        is_told = _told(lease)

    assert is_told


def _told(lease: Blocking) -> bool:
    pause = threading.Event()
    return any(lease.is_lost or pause.wait(0.02) for _ in range(500))


def test_error_of_a_script_comes_out_alone(hosted: Server, project: str) -> None:
    """An error in the block of a client, or of a lease, is raised as it is, and the lease is given back."""
    with (
        pytest.raises(KeyError),
        open_client(hosted.url, project=project, agent_name="anna") as anna,
        anna.reservations.hold("src/**"),
    ):
        raise KeyError("mine")

    with open_client(hosted.url, project=project, agent_name="ben") as ben:
        assert not ben.reservations.check("src/a.py").conflict


def test_facade_can_be_used_from_asyncio(hosted: Server, project: str) -> None:
    """A program on asyncio calls it in a thread, and is not held up."""

    def talk() -> int:
        with open_client(hosted.url, project=project, agent_name="anna") as client:
            client.messages.send("anna", "to myself")
            return sum(1 for _ in client.inbox.messages())

    async def main() -> int:
        return await asyncio.to_thread(talk)

    assert asyncio.run(main()) == 1


def test_client_of_a_script_leaves_no_thread_behind(hosted: Server, project: str) -> None:
    """When the block is over, so is the thread in which the client ran."""
    before = threading.active_count()

    with open_client(hosted.url, project=project) as client:
        client.agents.register("anna")

    assert threading.active_count() <= before
