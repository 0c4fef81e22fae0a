"""`push` end to end: it measures every part, hears every event, and fails where an event or a socket is lost."""

from pathlib import Path

import pytest
from event_double import Harm, double
from server_process import ServerProcess
from tiny_runs import tiny_run

from loadtest.engine.connection import LoadFailed
from loadtest.promises.events_once import EventsOnce
from loadtest.promises.history import Violation
from loadtest.scenarios.crowd import Crowd
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


async def _judged(harm: Harm, directory: Path, *, has_faults: bool = False) -> int:
    """Let three sockets hear of the double's events, and return how many demands were met. Raises: LoadFailed, Violation."""
    failure: Exception | None = None
    once = EventsOnce()
    async with double(harm, directory, has_faults=has_faults) as site:
        with Crowd(site, "x", once) as crowd:
            await crowd.grow(3, after=0)
            try:
                async with crowd.listening():
                    await crowd.judge()
            except (LoadFailed, Violation) as failed:
                failure = failed
    if failure is not None:
        raise failure
    return once.checked


async def test_crowd_that_heard_everything_is_right(tmp_path: Path) -> None:
    """The control of those below: three sockets, five events."""
    assert await _judged("nothing", tmp_path) == 15


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        ("swallows", "event 4 was due, and event 7 came instead: a gap"),
        ("repeats", "event 7 was due, and event 4 came a second time"),
        ("reorders", "event 4 was due, and event 7 came before it"),
    ],
)
async def test_crowd_that_heard_wrongly_breaks_the_promise(harm: Harm, text: str, tmp_path: Path) -> None:
    """A service that does so to one socket of three is found, and the socket is named."""
    with pytest.raises(Violation, match=f"socket-[012]: {text}"):
        await _judged(harm, tmp_path)


@pytest.mark.parametrize("harm", ["cuts", "closes"])
async def test_crowd_whose_socket_is_ended_fails_the_load(harm: Harm, tmp_path: Path) -> None:
    """The service may end no socket of a reader that keeps up, and what it said is told."""
    with pytest.raises(
        LoadFailed, match=r"ended socket-[012] after 4 with (1006 'the connection ended'|1008 'too slow')"
    ):
        await _judged(harm, tmp_path)


async def test_crowd_opens_a_cut_socket_again_where_it_was(tmp_path: Path) -> None:
    """With faults a socket may be cut while others live; it goes on after what it heard last, and misses nothing."""
    assert await _judged("cuts", tmp_path, has_faults=True) == 15


async def test_crowd_takes_no_excuse_for_a_close_with_a_reason(tmp_path: Path) -> None:
    """A service that is killed says nothing more: a close frame fails the load also with faults."""
    with pytest.raises(LoadFailed, match="1008"):
        await _judged("closes", tmp_path, has_faults=True)
