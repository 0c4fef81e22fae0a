"""The main job end to end: two agents share one code base (issue 2, points 4 to 7).

One story, told in tests that each start it anew: register, reserve, collide, talk, wait, release.
"""

from dataclasses import dataclass

import httpx
import pytest
from calls import events, good, inbox, refusal, register, reserve, send


@dataclass
class Pair:
    """Two agents in one project."""

    client: httpx.Client
    project: str
    anna: str
    ben: str


@pytest.fixture
def pair(client: httpx.Client, project: str) -> Pair:
    """Anna and Ben, registered."""
    anna = register(client, project, "anna", capabilities=["python"], metadata={"repo": "/src/acme"})
    ben = register(client, project, "ben", capabilities=["go"])
    return Pair(client, project, anna["agent_id"], ben["agent_id"])


def test_registration_shows_both_agents_to_each_other(pair: Pair) -> None:
    """Who registered is listed as active, with what it said of itself."""
    listed = good(pair.client.get("/api/agents", params={"project": pair.project}))["agents"]

    by_name = {agent["name"]: agent for agent in listed}
    assert set(by_name) == {"anna", "ben"}
    assert by_name["anna"]["agent_id"] == pair.anna
    assert by_name["anna"]["capabilities"] == ["python"]
    assert by_name["anna"]["metadata"] == {"repo": "/src/acme"}
    assert all(agent["active"] for agent in listed)


def test_collision_tells_the_asker_who_holds_what_and_where_they_meet(pair: Pair) -> None:
    """A refused asker learns holder, pattern, reason, expiry and one path that both would touch."""
    held = reserve(pair.client, pair.project, pair.anna, "pkg/handlers/*.go", reason="refactor", ttl_minutes=10)

    asked = {"project": pair.project, "agent_id": pair.ben, "path_pattern": "pkg/**", "exclusive": False}
    body = refusal(pair.client.post("/api/reservations", json=asked), 409, "reservation_conflict")

    assert len(body["conflicts"]) == 1
    conflict = body["conflicts"][0]
    assert conflict["reservation_id"] == held["id"]
    assert conflict["agent_id"] == pair.anna
    assert conflict["held_by"] == "anna"
    assert conflict["pattern"] == "pkg/handlers/*.go"
    assert conflict["reason"] == "refactor"
    assert conflict["expires_at"] == held["expires_at"]
    assert conflict["example"].startswith("pkg/handlers/")
    assert conflict["example"].endswith(".go")
    assert 590 <= conflict["retry_after_s"] <= 600


def test_refused_request_reserves_nothing_of_its_several_patterns(pair: Pair) -> None:
    """Several patterns are granted as a whole or not at all."""
    reserve(pair.client, pair.project, pair.anna, "src/api/**")
    asked = {"project": pair.project, "agent_id": pair.ben, "patterns": ["docs/**", "src/api/core.py"]}

    body = refusal(pair.client.post("/api/reservations", json=asked), 409, "reservation_conflict")

    assert [conflict["requested"]["target"] for conflict in body["conflicts"]] == ["src/api/core.py"]
    listed = good(pair.client.get("/api/reservations", params={"project": pair.project}))["reservations"]
    assert [each["agent_id"] for each in listed] == [pair.anna]


def test_message_reaches_the_holder_and_its_answer_comes_back_in_the_thread(pair: Pair) -> None:
    """Two agents talk in a thread: inbox, unread count, acknowledgement and thread view agree."""
    asked = send(
        pair.client, pair.project, "ben", ["anna"],
        thread_id="t-1", subject="src/api", body="may I?", ack_required=True,
    )  # fmt: skip

    received = inbox(pair.client, pair.project, "anna", unread="true")
    assert [message["id"] for message in received] == [asked["message_id"]]
    good(pair.client.post(f"/api/messages/{asked['message_id']}/read", json={"agent": pair.anna}))
    good(pair.client.post(f"/api/messages/{asked['message_id']}/ack", json={"agent": pair.anna}))
    answered = send(pair.client, pair.project, pair.anna, [pair.ben], thread_id="t-1", body="in a minute")

    counts = good(pair.client.get("/api/inbox/anna/counts", params={"project": pair.project}))
    assert (counts["total"], counts["unread"]) == (1, 0)
    thread = good(pair.client.get("/api/threads/t-1", params={"project": pair.project}))
    assert [message["id"] for message in thread["messages"]] == [asked["message_id"], answered["message_id"]]
    recipients = good(pair.client.get(f"/api/messages/{asked['message_id']}/recipients"))["recipients"]
    assert [each["agent"] for each in recipients] == ["anna"]
    assert recipients[0]["read_at"]
    assert recipients[0]["ack_at"]


def test_waiter_gets_the_path_once_the_holder_released_it(pair: Pair) -> None:
    """A refused agent waits for `reservation.released` in the log and then gets what it asked for, with a higher fence."""
    held = reserve(pair.client, pair.project, pair.anna, "src/api/**")
    asked = {"project": pair.project, "agent_id": pair.ben, "path_pattern": "src/api/core.py", "exclusive": True}
    refusal(pair.client.post("/api/reservations", json=asked), 409)
    seen = events(pair.client, pair.project)[-1]["cursor"]

    good(pair.client.delete(f"/api/reservations/{held['id']}", headers={"X-Agent-ID": pair.anna}))
    released = events(pair.client, pair.project, since=seen, type="reservation.released")

    assert [event["reservation_id"] for event in released] == [held["id"]]
    granted = good(pair.client.post("/api/reservations", json=asked), 201)
    assert granted["fence"] > held["fence"]
    assert granted["agent_id"] == pair.ben


def test_leaving_agent_gives_everything_back(pair: Pair) -> None:
    """Who deregisters loses its reservations and its name; its messages stay."""
    held = reserve(pair.client, pair.project, pair.anna, "src/**")
    sent = send(pair.client, pair.project, pair.anna, ["ben"], body="bye")

    left = good(pair.client.delete(f"/api/agents/{pair.anna}"))

    assert left["released"] == [held["id"]]
    listed = good(pair.client.get("/api/agents", params={"project": pair.project}))["agents"]
    assert [agent["name"] for agent in listed] == ["ben"]
    reserve(pair.client, pair.project, pair.ben, "src/**")
    assert [message["id"] for message in inbox(pair.client, pair.project, "ben")] == [sent["message_id"]]


def test_log_tells_the_whole_story_in_order(pair: Pair) -> None:
    """Every change is an event, under one strictly growing cursor without a gap between neighbours' order."""
    held = reserve(pair.client, pair.project, pair.anna, "src/**")
    refusal(
        pair.client.post("/api/reservations", json={"project": pair.project, "agent_id": pair.ben, "path": "src/a"}),
        409,
    )
    sent = send(pair.client, pair.project, "ben", ["anna"], body="please")
    good(pair.client.post(f"/api/messages/{sent['message_id']}/read", json={"agent": "anna"}))
    good(pair.client.post(f"/api/messages/{sent['message_id']}/ack", json={"agent": "anna"}))
    good(pair.client.patch(f"/api/reservations/{held['id']}", json={"agent_id": pair.anna, "ttl_minutes": 5}))
    good(pair.client.delete(f"/api/reservations/{held['id']}", params={"agent_id": "anna"}))
    good(pair.client.patch(f"/api/agents/{pair.ben}/metadata", json={"metadata": {"repo": "x"}}))
    good(pair.client.delete(f"/api/agents/{pair.ben}"))

    log = events(pair.client, pair.project)

    assert [event["type"] for event in log] == [
        "agent.registered", "agent.registered", "reservation.created", "message.created", "message.read", "message.ack",
        "reservation.renewed", "reservation.released", "agent.metadata", "agent.deregistered",
    ]  # fmt: skip
    cursors = [event["cursor"] for event in log]
    assert cursors == sorted(set(cursors))
    assert all(event["project"] == pair.project and event["created_at"].endswith("Z") for event in log)
