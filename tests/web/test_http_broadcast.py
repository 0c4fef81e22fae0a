"""Broadcasts, topics and search on the wire: the original's answers (contract.md 1.5 and 1.6), and what is ours beside them."""

import json
from typing import Any

import httpx
import pytest
from calls import events, good, refusal, register, send
from known_keys import ACME_KEY, with_key
from server_process import ServerProcess
from sockets import next_events, open_socket


def say(client: httpx.Client, project: str, **more: object) -> httpx.Response:
    """Broadcast with the fields that the original takes."""
    body = {"project": project, "from": "a1", "topic": "deploy", "body": "deploying v2", **more}
    return client.post("/api/broadcast", json={name: value for name, value in body.items() if value is not None})


def test_broadcast_answers_as_the_original(client: httpx.Client, project: str) -> None:
    """`message_id`, `cursor` and `delivered`, in this order and nothing else; zero values where nobody is there."""
    alone = say(client, project)
    register(client, project, "b1")
    told = say(client, project)

    assert alone.text == '{"message_id":"","cursor":0,"delivered":0}\n'
    assert list(good(told)) == ["message_id", "cursor", "delivered"]
    assert told.json()["delivered"] == 1


@pytest.mark.parametrize("name", ["from", "topic", "body"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_broadcast_needs_who_what_and_about_what(
    client: httpx.Client, project: str, name: str, value: str | None
) -> None:
    """Blank or missing is 400, as in the original."""
    body = refusal(say(client, project, **{name: value}), 400, "invalid_request")

    assert [each["field"] for each in body["fields"]] == [name]


def test_broadcast_with_a_key_names_its_project(acme: httpx.Client) -> None:
    """Blank is 400 and another one 403 (contract.md 0.7, P1)."""
    refusal(say(acme, ""), 400, "project_required")
    refusal(say(acme, "umbra"), 403, "foreign_project")


def test_broadcast_is_on_the_wire_as_the_original_has_it(client: httpx.Client, project: str) -> None:
    """The recipient's inbox has the message with everybody in `to`, the topic in lower case, and no thread."""
    ids = [register(client, project, name)["agent_id"] for name in ("b1", "c1")]
    sent = good(say(client, project, topic=" Deploy ", subject="v2"))

    [message] = good(client.get(f"/api/inbox/{ids[0]}", params={"project": project}))["messages"]

    original = {
        "id": sent["message_id"], "thread_id": "", "project": project, "from": "a1", "to": ids, "subject": "v2",
        "topic": "deploy", "body": "deploying v2", "cursor": sent["cursor"],
    }  # fmt: skip
    assert original.items() <= message.items()


def test_broadcast_over_the_limit_says_when(client: httpx.Client, project: str) -> None:
    """429 with the seconds in the header and in the body, and what to do instead."""
    agent = register(client, project, "a1")
    register(client, project, "b1")
    proof = {"X-Agent-ID": "a1", "X-Agent-Token": agent["token"]}
    for _ in range(10):
        good(say(client, project))

    late = say(client, project)

    body = refusal(late, 429, "broadcast_limit")
    assert 50 <= int(late.headers["retry-after"]) <= 60
    assert (body["limit"], body["retry_after_seconds"]) == (10, int(late.headers["retry-after"]))
    fields = {"project": project, "from": "a1", "topic": "t", "body": "x"}
    assert good(client.post("/api/broadcast", json=fields, headers=proof))["delivered"] == 1


def test_topic_answers_as_the_original(client: httpx.Client, project: str) -> None:
    """An inbox's shape, in the project's own cursor; the topic may have slashes and any case."""
    register(client, project, "b1")
    sent = good(say(client, project, topic="Deploy/EU"))

    page = client.get(f"/api/topics/{project}/deploy/eu")
    rest = client.get(f"/api/topics/{project}/DEPLOY/eu", params={"since_cursor": sent["cursor"]})

    assert [each["id"] for each in good(page)["messages"]] == [sent["message_id"]]
    assert page.json()["cursor"] == sent["cursor"]
    assert good(rest) == {"messages": [], "cursor": sent["cursor"]}


def test_topic_of_another_project_is_refused(acme: httpx.Client) -> None:
    """A key opens its own project's topics (contract.md 0.7, P7)."""
    refusal(acme.get("/api/topics/umbra/deploy"), 403, "foreign_project")
    good(acme.get("/api/topics/acme/deploy"))


async def test_topic_filters_the_log_in_the_same_way_replayed_and_live(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """The sockets and `GET /api/events` agree, on what was there and on what comes."""
    register(client, project, "b1")
    query: dict[str, Any] = {"project": project, "topic": " Deploy", "type": "message.created"}  # Any: as open_socket.

    def talk() -> None:
        send(client, project, "a1", ["b1"], topic="other")
        good(say(client, project))
        send(client, project, "a1", ["b1"], topic="DEPLOY")
        send(client, project, "a1", ["b1"])

    talk()
    async with open_socket(server, "/ws/events", since_cursor=0, **query) as opened:
        replayed = await next_events(opened, 2)
        talk()
        live = await next_events(opened, 2)

    assert {event["topic"] for event in replayed + live} == {"deploy"}
    assert events(client, project, topic="deploy") == replayed + live
    assert len(events(client, project)) > 4


async def test_topic_filters_an_agents_socket(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """An agent follows a topic among what is for it."""
    register(client, project, "b1")
    async with open_socket(server, "/ws/agents/b1", project=project, topic="deploy") as opened:
        send(client, project, "a1", ["c1"], topic="deploy")
        send(client, project, "a1", ["b1"], topic="other")
        sent = send(client, project, "a1", ["b1"], topic="deploy")

        event = json.loads(await opened.get_message())

    assert (event["message_id"], event["agent"]) == (sent["message_id"], "b1")


def test_search_over_http(server: ServerProcess, project: str) -> None:
    """Words in the query, the best match first, pages by `next_cursor`; and a key finds in its own project alone."""
    with server.client(with_key(ACME_KEY)) as acme:
        first = send(acme, "acme", "a1", ["b1"], subject="needle", body="x")
        second = send(acme, "acme", "a1", ["b1"], body=f"a needle {'in hay ' * 40}")

        page = good(acme.get("/api/messages/search", params={"q": "needle", "limit": 1}))
        rest = good(acme.get("/api/messages/search", params={"q": "needle", "cursor": page["next_cursor"]}))

        assert [each["id"] for each in page["messages"] + rest["messages"]] == [
            first["message_id"], second["message_id"],
        ]  # fmt: skip
        assert page["messages"][0]["snippet"] == "[needle]"
        refusal(acme.get("/api/messages/search", params={"q": "needle", "project": "umbra"}), 403, "foreign_project")


@pytest.mark.parametrize("wanted", ["", "  ", '"', "***", "a\nb", "x" * 257, "a " * 17])
def test_search_for_nothing_is_refused(client: httpx.Client, project: str, wanted: str) -> None:
    """A search needs a word, on one line, and has a bound."""
    body = refusal(client.get("/api/messages/search", params={"q": wanted, "project": project}), 400, "invalid_request")

    assert [each["field"] for each in body["fields"]] == ["q"]


@pytest.mark.parametrize(
    "wanted", ['x" OR "y', "NEAR(x y)", "x AND", "x NOT y", "subject : x", "{a b} : x", "^x + y", "x*'--"]
)
def test_search_takes_nothing_as_syntax(client: httpx.Client, project: str, wanted: str) -> None:
    """What is an operator to the index is text here, and never an error."""
    send(client, project, "a1", ["b1"], body="x y")

    good(client.get("/api/messages/search", params={"q": wanted, "project": project}))
