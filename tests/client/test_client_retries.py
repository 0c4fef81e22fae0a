"""What is sent again and what is not: nothing is applied twice, and nobody waits in vain."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from carriers import Script, Step, answer, refused

from intermute.client import Client, NoAnswer, NotIntermute, Retries, ServiceError
from intermute.client.retrying import PASSING, pause_s
from intermute.core import errors
from intermute.core.api.agents import MergeMetadata
from intermute.core.api.reservations import Reserve
from intermute.core.api.system import ListProjects, ProjectList
from intermute.core.once import HEADER
from intermute.core.wishes import OnConflict

LOST = httpx.ReadError("the connection was reset")
REFUSED = httpx.ConnectError("nobody is there")
PROJECTS = answer(200, {"projects": []})
CHANGE = MergeMetadata(agent="anna", metadata={"a": "b"})
AGENT = answer(
    200,
    {
        "agent_id": "a", "session_id": "s", "name": "anna", "project": "acme", "capabilities": None, "metadata": {},
        "status": "", "last_seen": "", "created_at": "", "active": True, "stale": False, "focus_state": "",
    },
)  # fmt: skip


@asynccontextmanager
async def scripted(*steps: Step, **retries: float) -> AsyncIterator[tuple[Client, Script]]:
    """A client whose service answers this, and which pauses as long as it may."""
    script = Script(steps)
    patience = Retries(**retries)  # type: ignore[arg-type] # attempts_max is the one int, and each caller says so.
    async with Client(carrier=script, environment={}, chance=lambda: 1.0, retries=patience) as client:
        yield client, script


@pytest.mark.parametrize("step", [LOST, REFUSED, *(refused(503, code) for code in sorted(PASSING))], ids=str)
async def test_read_is_sent_again(step: Step, autojump_clock: trio.testing.MockClock) -> None:
    """A read that got no answer, or one that passes, is asked again until it is answered."""
    async with scripted(step, step, PROJECTS) as (client, script):
        assert (await client.call(ListProjects(), ProjectList)).projects == []

    assert len(script.asked) == 3


@pytest.mark.parametrize(
    "step", [LOST, REFUSED, None, refused(503, "outcome_unknown"), refused(502, "bad_gateway")], ids=str
)
async def test_change_is_sent_again_under_its_key(step: Step, autojump_clock: trio.testing.MockClock) -> None:
    """A change is sent again byte for byte with the same Idempotency-Key, and another change has another key."""
    async with scripted(step, AGENT) as (client, script):
        await client.ask(CHANGE)
        await client.ask(CHANGE)

    first, second, other = script.asked
    assert first.headers[HEADER] == second.headers[HEADER] != other.headers[HEADER]
    assert (first.method, first.url, first.content) == (second.method, second.url, second.content)


@pytest.mark.parametrize(
    "step", [LOST, None, refused(503, "outcome_unknown"), refused(503, "deadline_exceeded"), refused(502, "x")], ids=str
)
async def test_change_without_a_key_is_not_sent_again(step: Step, autojump_clock: trio.testing.MockClock) -> None:
    """Where a change without a key may have been applied, it is sent once, and the caller hears of it."""
    async with scripted(step, AGENT) as (client, script):
        with pytest.raises((NoAnswer, errors.DomainError)) as failed:
            await client.ask(CHANGE, is_keyed=False)

    assert len(script.asked) == 1
    assert HEADER not in script.asked[0].headers
    assert not isinstance(failed.value, NoAnswer) or failed.value.may_be_done


@pytest.mark.parametrize("step", [REFUSED, refused(429, "overloaded"), refused(503, "storage_unavailable")], ids=str)
async def test_change_without_a_key_that_was_not_begun_is_sent_again(
    step: Step, autojump_clock: trio.testing.MockClock
) -> None:
    """Control: where it is certain that nothing was done, a change without a key is sent again as well."""
    async with scripted(step, AGENT) as (client, script):
        await client.ask(CHANGE, is_keyed=False)

    assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "reservation_conflict"),
        (429, "reservation_limit"),
        (500, "internal_error"),
        (422, "poisoned"),
        (404, "new"),
    ],
)
async def test_refusal_that_stays_is_not_sent_again(
    status: int, code: str, autojump_clock: trio.testing.MockClock
) -> None:
    """What time does not change is told at once, Retry-After or not."""
    async with scripted(refused(status, code, Retry_After="1"), AGENT) as (client, script):
        with pytest.raises(errors.DomainError) as told:
            await client.ask(CHANGE)

    assert (len(script.asked), told.value.code, told.value.retry_after_s) == (1, code, 1.0)


async def test_retry_after_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is sent before the time in Retry-After is up."""
    async with scripted(refused(429, "overloaded", Retry_After="7"), PROJECTS) as (client, script):
        await client.ask(ListProjects())

    assert script.at_s[1] - script.at_s[0] >= 7


async def test_patience_ends_before_a_longer_retry_after(autojump_clock: trio.testing.MockClock) -> None:
    """A wait that is longer than the patience is not begun: the refusal is told at once."""
    started_s = trio.current_time()
    async with scripted(refused(503, "project_parked", Retry_After="60"), PROJECTS) as (client, script):
        with pytest.raises(errors.ProjectParked):
            await client.ask(ListProjects())

    assert (len(script.asked), trio.current_time() - started_s) == (1, 0)


async def test_attempts_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """After as many sendings as are allowed the caller is told, with how many there were."""
    async with scripted(REFUSED, attempts_max=3) as (client, script):
        with pytest.raises(NoAnswer, match="after 3 attempts") as failed:
            await client.ask(CHANGE)

    assert (len(script.asked), failed.value.may_be_done) == (3, False)


async def test_lost_change_stays_open_whatever_comes_later(autojump_clock: trio.testing.MockClock) -> None:
    """Once an attempt may have been applied, a later one that was not even sent does not make it undone."""
    async with scripted(LOST, REFUSED, attempts_max=3) as (client, _):
        with pytest.raises(NoAnswer) as failed:
            await client.ask(CHANGE)

    assert failed.value.may_be_done


async def test_lost_change_stays_open_though_a_later_one_was_refused(autojump_clock: trio.testing.MockClock) -> None:
    """A later refusal says that nothing was done, which is so of that attempt alone: the caller hears that it is open."""
    async with scripted(LOST, refused(429, "overloaded"), attempts_max=3) as (client, _):
        with pytest.raises(NoAnswer, match="overloaded") as failed:
            await client.ask(CHANGE)

    assert failed.value.may_be_done
    assert isinstance(failed.value.__cause__, errors.Overloaded)


async def test_proxy_that_waits_for_its_service_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """The page of a proxy whose service is being restarted is no answer, and passes."""
    async with scripted(httpx.Response(502, text="<html>"), PROJECTS) as (client, script):
        await client.ask(ListProjects())

    assert len(script.asked) == 2


async def test_answer_has_a_time_limit(autojump_clock: trio.testing.MockClock) -> None:
    """A service that never answers costs the time-out of each attempt and no more."""
    async with scripted(None, attempts_max=2) as (client, script):
        with pytest.raises(NoAnswer, match="not within 10 s"):
            await client.ask(ListProjects())

    assert script.at_s[1] - script.at_s[0] == pytest.approx(10.2)


async def test_call_that_waits_on_purpose_is_sent_again(autojump_clock: trio.testing.MockClock) -> None:
    """A place in a queue that takes longer than the patience does not use it up: a lost answer is asked for again."""
    question = Reserve(agent_id="anna", path="a.py", on_conflict=OnConflict.WAIT)
    async with scripted(None, refused(409, "deadlock")) as (client, script):
        with pytest.raises(errors.Deadlock):
            await client.ask(question)

    assert script.at_s[1] - script.at_s[0] == pytest.approx(65.2)


async def test_unknown_passing_code_is_sent_again(autojump_clock: trio.testing.MockClock) -> None:
    """A 503 of a newer service is waited out, and told as it was if it stays."""
    async with scripted(refused(503, "new_trouble"), attempts_max=3) as (client, script):
        with pytest.raises(ServiceError) as told:
            await client.ask(CHANGE)

    assert (len(script.asked), told.value.code, told.value.status) == (3, "new_trouble", 503)


@pytest.mark.parametrize(
    "step", [httpx.Response(200, text="<html>"), httpx.Response(404, text="<html>"), answer(308, {})]
)
async def test_stranger_is_not_taken_for_the_service(step: Step, autojump_clock: trio.testing.MockClock) -> None:
    """What is not Intermute's is told as such, with what it said."""
    async with scripted(step) as (client, script):
        with pytest.raises(NotIntermute, match="check INTERMUTE_URL"):
            await client.ask(ListProjects())

    assert len(script.asked) == 1


def test_pauses_grow_and_are_bounded() -> None:
    """Each pause is drawn from a wider range, up to the longest one; Retry-After comes on top."""
    retries = Retries(first_s=0.1, longest_s=1.0)

    assert [pause_s(retries, attempt, 1.0, None) for attempt in (1, 2, 3, 4, 99)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert pause_s(retries, 3, 0.0, None) == 0
    assert pause_s(retries, 1, 0.5, 3.0) == 3.1
