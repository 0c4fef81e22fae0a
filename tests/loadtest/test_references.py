"""The fixed references, to which all figures are ratios."""

import json
from pathlib import Path

import pytest
from scripted_server import OK, scripted, site_at

from loadtest.engine.connection import LoadFailed, connect, request
from loadtest.engine.pace import closed_loop
from loadtest.engine.references import Commits, EchoAsker, echo_server, echoed


async def test_echo_answers_the_json_that_it_was_sent() -> None:
    """Whatever is sent comes back inside of an answer that is as long as a reservation's."""
    fields = {"project": "x", "path": "a.py"}
    with echo_server() as port:
        connection = await connect(port)
        answers = [await connection.call(request(port, "POST", "/any", fields)) for _ in range(2)]
        connection.close()

    assert [answer.json()["echo"] for answer in answers] == [fields, fields]
    assert {len(answer.body) for answer in answers} == {640}


async def test_echo_is_asked_as_the_service_is(tmp_path: Path) -> None:
    """The worker of the reference goes through the same loop, and demands what it sent."""
    with echo_server() as port:
        paced = await closed_loop(site_at(port, tmp_path), None, [EchoAsker(port) for _ in range(4)], 0.05)

    assert paced.count("echo", 200) == paced.requests > 0


async def test_echo_that_answers_something_else_fails(tmp_path: Path) -> None:
    """A reference that is none must not be divided by."""

    async def wrong(_number: int) -> bytes:
        return OK

    async with scripted(wrong) as port:
        with pytest.raises(LoadFailed, match="the echo answered 200"):
            await closed_loop(site_at(port, tmp_path), None, [EchoAsker(port)], 5.0)


def test_echoed_is_json_of_a_fixed_length() -> None:
    """Short or long, what is sent does not change the length of the answer, up to that length."""
    assert [len(echoed(b'"%s"' % (b"x" * length))) for length in (0, 100, 600)] == [640, 640, 640]
    assert json.loads(echoed(b'{"a":1}'))["echo"] == {"a": 1}


def test_commits_are_counted_and_timed(tmp_path: Path) -> None:
    """One commit at least, and the median is of the same order as the rate says."""
    with Commits(tmp_path) as commits:
        per_s, median_ms = commits.load(0.05)

    assert per_s > 0
    assert 0 < median_ms < 1000
