"""The original's Go SDK, call by call, with the bodies that it sends: contract.md, appendix A.

It sends whole objects: empty ids, zero times, cursors and flags that mean nothing in a request; it never says who it is.
"""

from typing import Final

import httpx
import pytest
from calls import Json, good, head, refusal

ZERO_TIME: Final = "0001-01-01T00:00:00Z"


def agent_body(project: str, name: str) -> Json:
    """The SDK's agent: omitempty fields are left out, times never are."""
    return {
        "project": project, "name": name, "capabilities": ["python"], "metadata": {"repo": "/src"}, "status": "active",
        "last_seen": ZERO_TIME, "created_at": ZERO_TIME,
    }  # fmt: skip


def message_body(project: str, sender: str, to: str) -> Json:
    """The SDK's message."""
    return {
        "id": "", "thread_id": "t-1", "project": project, "from": sender, "to": [to], "cc": None, "bcc": None,
        "subject": "", "body": "hi", "importance": "", "ack_required": True, "created_at": ZERO_TIME, "cursor": 0,
    }  # fmt: skip


def reservation_body(project: str, agent: str, pattern: str) -> Json:
    """The SDK's reservation."""
    return {
        "id": "", "agent_id": agent, "project": project, "path_pattern": pattern, "exclusive": True, "reason": "",
        "ttl_minutes": 15, "created_at": ZERO_TIME, "expires_at": ZERO_TIME, "released_at": None, "is_active": False,
    }  # fmt: skip


def test_sdk_registers_and_keeps_its_heart_beating(client: httpx.Client, project: str) -> None:
    """RegisterAgent and Heartbeat expect 200 each."""
    found = good(client.post("/api/agents", json=agent_body(project, "anna")))

    assert {"agent_id", "session_id", "name"} <= set(found)
    good(client.post(f"/api/agents/{found['agent_id']}/heartbeat", json={}))


def test_sdk_lists_and_discovers_agents(client: httpx.Client, project: str) -> None:
    """ListAgents and DiscoverAgents expect `agents`, with times that Go parses."""
    good(client.post("/api/agents", json=agent_body(project, "anna")))

    listed = good(client.get("/api/agents", params={"project": project}))["agents"]
    found = good(client.get("/api/agents", params={"project": project, "capability": "python,go"}))["agents"]

    assert listed == found
    assert listed[0]["created_at"].endswith("Z")
    assert not listed[0]["created_at"].startswith("0001")


def test_sdk_sends_reads_and_acknowledges_without_saying_who_it_is(client: httpx.Client, project: str) -> None:
    """Ack and Read send `{}`; with one recipient it is that one (the original's [BUG-56])."""
    agent = good(client.post("/api/agents", json=agent_body(project, "anna")))["agent_id"]
    sent = good(client.post("/api/messages", json=message_body(project, "ben", agent)))
    page = good(client.get(f"/api/inbox/{agent}", params={"since_cursor": 0, "project": project}))

    good(client.post(f"/api/messages/{sent['message_id']}/ack", params={"project": project}, json={}))
    good(client.post(f"/api/messages/{sent['message_id']}/read", params={"project": project}, json={}))

    assert [message["id"] for message in page["messages"]] == [sent["message_id"]]
    assert not page["messages"][0]["created_at"].startswith("0001")
    assert good(client.get(f"/api/inbox/{agent}/counts"))["unread"] == 0
    assert good(client.get(f"/api/inbox/{agent}/stale-acks", params={"ttl_seconds": 1}))["count"] == 0


def test_sdk_reads_threads(client: httpx.Client, project: str) -> None:
    """ListThreads and ThreadMessages send a cursor of zero for the first page."""
    sent = good(client.post("/api/messages", json=message_body(project, "ben", "anna")))

    threads = good(client.get("/api/threads", params={"agent": "anna", "cursor": 0, "project": project}))
    thread = good(client.get("/api/threads/t-1", params={"cursor": 0, "project": project}))

    assert [each["thread_id"] for each in threads["threads"]] == ["t-1"]
    assert [message["id"] for message in thread["messages"]] == [sent["message_id"]]


def test_sdk_reserves_with_200_and_releases_without_a_header(client: httpx.Client, project: str) -> None:
    """Reserve with an empty `id` answers 200; ReleaseReservation sends no X-Agent-ID (design.md 9)."""
    made = good(client.post("/api/reservations", json=reservation_body(project, "anna", "src/**")), 200)

    listed = good(client.get("/api/reservations", params={"project": project}))["reservations"]
    mine = good(client.get("/api/reservations", params={"agent": "anna", "project": project}))["reservations"]

    assert made["id"]
    assert made["is_active"] is True
    assert not made["created_at"].startswith("0001")
    assert [each["id"] for each in listed] == [each["id"] for each in mine] == [made["id"]]
    good(client.delete(f"/api/reservations/{made['id']}"))


def test_sdk_meets_a_conflict_as_409(client: httpx.Client, project: str) -> None:
    """The SDK's spelling of a request does not soften a conflict."""
    good(client.post("/api/reservations", json=reservation_body(project, "anna", "src/**")))

    refusal(
        client.post("/api/reservations", json=reservation_body(project, "ben", "src/x")), 409, "reservation_conflict"
    )


def test_sdk_finds_an_agents_reservations_by_its_id_alone(client: httpx.Client, project: str) -> None:
    """AgentReservations names no project; the agent's id tells it."""
    agent = good(client.post("/api/agents", json=agent_body(project, "anna")))["agent_id"]
    made = good(client.post("/api/reservations", json=reservation_body(project, agent, "src/**")))

    found = good(client.get("/api/reservations", params={"agent": agent}))["reservations"]

    assert [each["id"] for each in found] == [made["id"]]


def test_sdk_asks_with_an_empty_project(client: httpx.Client) -> None:
    """ActiveReservations sends `project=` when it has none, which is the project `default`."""
    body = reservation_body("", "sdk-agent", "sdk/only/**")
    made = good(client.post("/api/reservations", json=body))

    found = good(client.get("/api/reservations", params={"project": ""}))["reservations"]

    assert made["id"] in [each["id"] for each in found]
    assert made["project"] == "default"
    good(client.delete(f"/api/reservations/{made['id']}"))


def test_reserve_with_an_id_that_is_not_empty_is_201(client: httpx.Client, project: str) -> None:
    """Negative control: only the empty `id` makes it 200; any other `id` is ignored."""
    body = reservation_body(project, "anna", "src/**")

    given = good(client.post("/api/reservations", json={**body, "id": "mine"}), 201)
    absent = {name: value for name, value in body.items() if name != "id"}

    assert given["id"] != "mine"
    good(client.post("/api/reservations", json={**absent, "path_pattern": "docs/**"}), 201)


@pytest.mark.parametrize(
    "body", [{"Name": "x", "PROJECT": "{p}"}, {"name": None, "project": "{p}", "capabilities": None}]
)
def test_keys_match_in_any_case_and_null_is_absent(client: httpx.Client, project: str, body: Json) -> None:
    """Key names match in any case, and `null` is a field that is not there (contract.md 0.2)."""
    filled = {name: project if value == "{p}" else value for name, value in body.items()}

    found = good(client.post("/api/agents", json=filled))

    assert found["project"] == project
    assert found["name"] in ("x", found["name"])


def test_top_level_null_is_an_empty_object(client: httpx.Client, project: str) -> None:
    """A body of `null` counts as `{}` (contract.md 0.2)."""
    agent = good(client.post("/api/agents", json=agent_body(project, "anna")))
    headers = {"Content-Type": "application/json"}

    good(client.post(f"/api/agents/{agent['agent_id']}/heartbeat", content=b"null", headers=headers))
    refusal(client.post("/api/messages", content=b"null", headers=headers), 400, "invalid_request")


def test_duplicate_keys_are_refused(client: httpx.Client, project: str) -> None:
    """Deviation: of two equal keys the original took the last; no client sends any, and readers differ (guarantees.md T11)."""
    text = f'{{"project":"nowhere","name":"first","name":"last","project":"{project}"}}'

    answer = client.post("/api/agents", content=text, headers={"Content-Type": "application/json"})

    assert "comes twice" in refusal(answer, 400, "malformed_json")["message"]


def test_fields_of_the_sdk_are_accepted_everywhere(client: httpx.Client, project: str) -> None:
    """Whatever whole object the SDK sends where, fields that mean nothing there are ignored (design.md 9)."""
    body = {**reservation_body(project, "a1", "x"), **message_body(project, "a1", "b1"), **agent_body(project, "a1")}
    del body["id"]

    good(client.post("/api/agents", json=body))
    good(client.post("/api/messages", json={**body, "id": ""}))
    good(client.post("/api/reservations", json=body), 201)

    assert head(client, project) == 3
