"""How the original reads a request: contract.md 0.2, with the deviations of design.md 9 beside their tests.

The SDK's calls one by one are in test_sdk_calls.py; here are bodies that any client may send.
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
