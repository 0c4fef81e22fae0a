"""`push` end to end: it measures every part, hears every event, and fails where an event or a socket is lost."""

from pathlib import Path

import pytest
import trio
from server_process import ServerProcess
from tiny_runs import tiny_run

from loadtest.engine.connection import LoadFailed
from loadtest.engine.site import Site
from loadtest.engine.sockets import ABNORMAL
from loadtest.promises.events_once import EventsOnce, Heard
from loadtest.promises.history import Violation
from loadtest.scenarios.crowd import Crowd, Ear
from loadtest.scenarios.push import Push


def test_push_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """A hundred sockets hear of every message, and every figure is measured."""
    site, samples = tiny_run(Push(), server, tmp_path)

    assert site.watch.checked()[EventsOnce.promise] > 500
    measured = set(site.measures)
    assert {"memory per idle socket", "100 sockets: deliveries at saturation"} <= measured
    assert {f"{size}: commit to last receipt, p99" for size in ("10 sockets", "100 sockets")} <= measured
    operations = {(each.name, each.loop) for each in samples.operations()}
    assert ("commit to receipt, 100 sockets", "open") in operations
    assert ("message heard by 100 sockets", "closed") in operations


async def _told(server: ServerProcess, directory: Path, *, forgets: int = 0) -> None:
    """Let three sockets hear of five agents, and forget some of what the first one heard before it is judged."""
    site = Site(port=server.port, seed=7, is_quick=True, directory=directory, connections=1)
    project = directory.name.replace("_", "-")
    await site.register(project, ["zero"])
    with Crowd(site, project, EventsOnce()) as crowd:
        await crowd.grow(3)
        async with crowd.listening():
            await site.register(project, ["one", "two", "three", "four", "five"])
            await crowd.heard_by_all(await crowd.end_of_log())
            del crowd.ears[0].heard.cursors[2 : 2 + forgets]
            del crowd.ears[0].heard.times_s[2 : 2 + forgets]
            made_s = await crowd.judge()
        assert len(made_s) == len(crowd.last_heard_s) == 5


def test_crowd_that_heard_everything_is_right(server: ServerProcess, tmp_path: Path) -> None:
    """The control of the next test."""
    trio.run(_told, server, tmp_path)


def test_crowd_that_missed_an_event_breaks_the_promise(server: ServerProcess, tmp_path: Path) -> None:
    """One event that one of the sockets has not heard fails the run, and tells which one."""

    async def run() -> None:
        await _told(server, tmp_path, forgets=1)

    with pytest.raises(Violation, match=r"socket-0: event \d+ was due, and event \d+ came instead: a gap"):
        trio.run(run)


def test_crowd_whose_socket_is_ended_fails_the_load(tmp_path: Path) -> None:
    """The service may end no socket of a reader that keeps up; only with faults it may die."""
    for has_faults, code in ((False, ABNORMAL), (True, 1008)):
        site = Site(port=1, seed=7, is_quick=True, directory=tmp_path, has_faults=has_faults)
        with Crowd(site, "x", EventsOnce()) as crowd:
            ear = Ear(crowd, Heard("socket-0", 5))
            with pytest.raises(LoadFailed, match=rf"ended socket-0 after 5 with {code} 'why'"):
                ear.ended(code, "why")
