"""The event log over HTTP: pages, filters, and waiting for the next event (issue 2, point 7)."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from calls import Json, events, good, mark, refusal, register, reserve, send
from server_process import PATIENCE_S, ServerProcess, until


@pytest.fixture
def helper() -> Iterator[ThreadPoolExecutor]:
    """A thread in which a call waits while the test goes on."""
    with ThreadPoolExecutor(max_workers=4) as threads:
        yield threads


def wait_for(server: ServerProcess, project: str, **query: object) -> Json:
    """Ask for the next event over a connection of its own."""
    with server.client() as fresh:
        asked = {"project": project, "wait_seconds": 20, **query}
        found: Json = good(fresh.get("/api/events", params={name: str(value) for name, value in asked.items()}))
    return found


def until_waiting(client: httpx.Client, project: str, readers: int = 1) -> None:
    """Return once that many readers wait for the project's log to grow."""

    def look() -> bool:
        shown = good(client.get("/health", params={"project": project}))["projects"]
        return bool(shown) and shown[0].get("subscribers") == readers

    until(look, f"{readers} waiting reader(s)")


def test_log_is_read_in_pages_without_gap_or_repeat(client: httpx.Client, project: str) -> None:
    """Following `cursor` page by page gives each event once, in order."""
    sent = [send(client, project, "a1", ["b1"])["cursor"] for _ in range(25)]
    seen: list[int] = []
    cursor = 0
    while page := good(client.get("/api/events", params={"project": project, "since_cursor": cursor, "limit": 10}))[
        "events"
    ]:
        assert len(page) <= 10
        seen += [event["cursor"] for event in page]
        cursor = seen[-1]

    assert seen == sent


def test_empty_page_echoes_the_cursor(client: httpx.Client, project: str) -> None:
    """Beyond the end there is nothing, and the place to go on from stays."""
    send(client, project, "a1", ["b1"])

    for cursor in (1, 5, 2**63 - 1):
        found = good(client.get("/api/events", params={"project": project, "since_cursor": cursor}))
        assert found == {"events": [], "cursor": cursor}


def test_log_is_filtered_by_type_and_by_agent(client: httpx.Client, project: str) -> None:
    """`type` takes several, `agent` leaves out what is addressed to others."""
    send(client, project, "a1", ["b1"])
    mine = send(client, project, "a1", ["c1"])
    held = reserve(client, project, "a1", "src/**")

    by_type = events(client, project, type="reservation.created, agent.registered")
    by_agent = events(client, project, agent="c1")

    assert [event["cursor"] for event in by_type] == [held["fence"]]
    assert [event["cursor"] for event in by_agent] == [mine["cursor"], held["fence"]]


def test_filter_that_hides_much_still_finds_the_rest(client: httpx.Client, project: str) -> None:
    """A page that the filter empties is not taken for the end of the log."""
    for _ in range(30):
        send(client, project, "a1", ["b1"])
    register(client, project, "late")

    found = good(client.get("/api/events", params={"project": project, "type": "agent.registered", "limit": 5}))

    assert [event["name"] for event in found["events"]] == ["late"]


def test_waiting_reader_wakes_up_on_the_next_event(
    server: ServerProcess, client: httpx.Client, project: str, helper: ThreadPoolExecutor
) -> None:
    """A reader that waits is answered with the next event, long before its time is up."""
    since = send(client, project, "a1", ["b1"])["cursor"]
    waiting = helper.submit(wait_for, server, project, since_cursor=since)
    until_waiting(client, project)
    started_s = time.monotonic()

    sent = send(client, project, "a1", ["b1"])
    page = waiting.result(PATIENCE_S)

    assert time.monotonic() - started_s < 5
    assert [event["cursor"] for event in page["events"]] == [sent["cursor"]]
    assert page["cursor"] == sent["cursor"]


def test_waiting_reader_of_one_type_sleeps_through_others(
    server: ServerProcess, client: httpx.Client, project: str, helper: ThreadPoolExecutor
) -> None:
    """Only an event that passes the filter ends the wait."""
    since = send(client, project, "a1", ["b1"])["cursor"]
    waiting = helper.submit(wait_for, server, project, since_cursor=since, type="reservation.created")
    until_waiting(client, project)

    send(client, project, "a1", ["b1"])
    assert not waiting.done()
    held = reserve(client, project, "a1", "src/**")

    assert [event["cursor"] for event in waiting.result(PATIENCE_S)["events"]] == [held["fence"]]


def test_waiting_is_over_after_the_time_asked_for(client: httpx.Client, project: str) -> None:
    """Without an event the wait ends politely: 200, no events, the same cursor."""
    since = send(client, project, "a1", ["b1"])["cursor"]
    started_s = time.monotonic()

    found = good(client.get("/api/events", params={"project": project, "since_cursor": since, "wait_seconds": 0.4}))

    assert found == {"events": [], "cursor": since}
    assert 0.4 <= time.monotonic() - started_s < 5


def test_waiting_is_skipped_where_something_is_there(client: httpx.Client, project: str) -> None:
    """What is already in the log is answered at once."""
    sent = send(client, project, "a1", ["b1"])
    started_s = time.monotonic()

    found = good(client.get("/api/events", params={"project": project, "wait_seconds": 55}))

    assert [event["cursor"] for event in found["events"]] == [sent["cursor"]]
    assert time.monotonic() - started_s < 5


def test_all_waiting_readers_get_the_event(
    server: ServerProcess, client: httpx.Client, project: str, helper: ThreadPoolExecutor
) -> None:
    """An event is everybody's; none takes it from another."""
    since = send(client, project, "a1", ["b1"])["cursor"]
    waiting = [helper.submit(wait_for, server, project, since_cursor=since) for _ in range(4)]
    until_waiting(client, project, readers=4)

    sent = send(client, project, "a1", ["b1"])

    assert [one.result(PATIENCE_S)["cursor"] for one in waiting] == [sent["cursor"]] * 4
    until_waiting(client, project, readers=0)


def test_wait_in_an_unused_project_hears_its_first_event(
    server: ServerProcess, client: httpx.Client, project: str, helper: ThreadPoolExecutor
) -> None:
    """A reader may be there before anybody else."""
    waiting = helper.submit(wait_for, server, project)
    until(lambda: good(client.get("/health"))["process"]["waiting_readers"] == 1, "a reader without a project")

    register(client, project, "first")

    assert [event["name"] for event in waiting.result(PATIENCE_S)["events"]] == ["first"]


def test_wait_for_a_mistyped_project_leaves_no_trace(client: httpx.Client, project: str) -> None:
    """Nobody has to clean up after a typo: there is no project before somebody writes to it."""
    found = good(client.get("/api/events", params={"project": project, "wait_seconds": 0.05, "since_cursor": 7}))

    assert found == {"events": [], "cursor": 7}
    assert project not in [each["project"] for each in good(client.get("/api/projects"))["projects"]]


@pytest.mark.parametrize(("wait", "status"), [("55", 200), ("55.001", 400), ("0", 200), ("-0.001", 400)])
def test_wait_is_bounded(client: httpx.Client, project: str, wait: str, status: int) -> None:
    """At most 55 seconds; the bound is exact."""
    send(client, project, "a1", ["b1"])

    answer = client.get("/api/events", params={"project": project, "wait_seconds": wait})

    assert answer.status_code == status
    if status == 400:
        assert "wait_seconds" in refusal(answer, 400, "invalid_request")["message"]


def test_audience_is_nobodys_business(client: httpx.Client, project: str) -> None:
    """The log never lists who was copied blindly, however it is read."""
    send(client, project, "a1", ["b1"], bcc=["hidden"])

    assert "hidden" not in str(events(client, project))
    assert "hidden" not in str(events(client, project, agent="b1"))
    assert len(events(client, project, agent="hidden")) == 1


def test_mark_of_a_blind_copy_tells_nobody_else(client: httpx.Client, project: str) -> None:
    """Its recipient and the sender hear who read it; the other recipients hear nothing, the whole project no name."""
    for name in ("al", "bo", "hidden"):
        register(client, project, name)
    sent = send(client, project, "al", ["bo"], bcc=["hidden"])
    for how in ("read", "ack"):
        mark(client, project, sent["message_id"], how, "hidden")

    def marks(reader: str) -> list[bool]:
        return ["agent_id" in event for event in events(client, project, type="message.read,message.ack", agent=reader)]

    assert marks("bo") == []
    assert marks("al") == marks("hidden") == [True, True]
    assert marks("") == [False, False]
