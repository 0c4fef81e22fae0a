"""How the original reads a request, and the whole objects that its clients send: contract.md 0.2, and section 12.

Deviations of design.md 9 are named beside their tests. What is no JSON object: tests/web/test_http_malformed.py.
"""

from typing import Final

import httpx
import pytest
from calls import JSON_HEADER, Json, good, nothing_stored, refusal, send

ZERO_TIME: Final = "0001-01-01T00:00:00Z"


def agent_body(project: str, name: str) -> Json:
    """A whole agent: its times are unset."""
    return {
        "project": project, "name": name, "capabilities": ["python"], "metadata": {"repo": "/src"}, "status": "active",
        "last_seen": ZERO_TIME, "created_at": ZERO_TIME,
    }  # fmt: skip


def reservation_body(project: str, agent: str, pattern: str) -> Json:
    """A whole reservation."""
    return {
        "id": "", "agent_id": agent, "project": project, "path_pattern": pattern, "exclusive": True, "reason": "",
        "ttl_minutes": 15, "created_at": ZERO_TIME, "expires_at": ZERO_TIME, "released_at": None, "is_active": False,
    }  # fmt: skip


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
    ("text", "name", "capabilities"),
    [
        pytest.param('{"Name":"x","PROJECT":"$project"}', "x", None, id="keys-in-any-case"),
        pytest.param('{"name":"x","project":"$project","capabilities":null}', "x", None, id="null-is-absent"),
        pytest.param(
            '{"name":"x","project":"$project","capabilities":["a",null]}', "x", ["a", ""], id="null-in-a-list"
        ),
        pytest.param(' \n{"name":"x","project":"$project","capabilities":[]}\r\n\t', "x", [], id="space-around-it"),
        pytest.param('{"na\\u006de":"\\u0078","project":"$project"}', "x", None, id="escapes"),
        pytest.param('{"name":"x","project":"$project","agent_id":"y","id":"z"}', "x", None, id="ids-are-ignored"),
    ],
)
def test_body_is_read_as_by_the_original(
    client: httpx.Client, project: str, text: str, name: str, capabilities: list[str] | None
) -> None:
    """Keys match in any case, `null` is a field that is not there and an empty text in a list, and space does not count."""
    found = good(client.post("/api/agents", content=text.replace("$project", project), headers=JSON_HEADER))

    agent = good(client.get("/api/agents", params={"project": project}))["agents"][0]
    assert (agent["name"], agent["capabilities"]) == (name, capabilities)
    assert found["agent_id"] == agent["agent_id"] not in ("y", "z")


@pytest.mark.parametrize("how", ["ack", "read"])
@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"agent":""}', b'{"agent":null}'])
def test_mark_needs_no_body(client: httpx.Client, project: str, how: str, body: bytes) -> None:
    """Ack and read do without a body; the agent may stand in the query (contract.md 1.3)."""
    sent = send(client, project, "a1", ["b1", "c1"])
    asked = {"project": project, "agent": "c1"}

    found = client.post(
        f"/api/messages/{sent['message_id']}/{how}", content=body, headers=JSON_HEADER if body else {}, params=asked
    )

    assert good(found)["agent"] == "c1"


def test_top_level_null_is_an_empty_object(client: httpx.Client, project: str) -> None:
    """A body of `null` counts as `{}` (contract.md 0.2)."""
    agent = good(client.post("/api/agents", json=agent_body(project, "anna")))

    good(client.post(f"/api/agents/{agent['agent_id']}/heartbeat", content=b"null", headers=JSON_HEADER))
    refusal(client.post("/api/messages", content=b"null", headers=JSON_HEADER), 400, "invalid_request")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        # The original took the last of two equal keys; no client sends any, and readers differ (guarantees.md T11).
        pytest.param(
            b'{"name":"first","name":"last","project":"$project"}', "malformed_json", "comes twice", id="twice"
        ),
        pytest.param(
            b'{"name":"a","Name":"b","project":"$project"}', "invalid_request", "comes twice", id="in-two-cases"
        ),
        # The original read the first value and dropped the rest.
        pytest.param(b'{"name":"x","project":"$project"} {}', "malformed_json", "trailing", id="a-second-value"),
        pytest.param(b'{"name":"x","project":"$project"} rest', "malformed_json", "trailing", id="trailing-bytes"),
        # The original read it as U+FFFD.
        pytest.param(b'{"name":"\xff","project":"$project"}', "malformed_json", "UTF-8", id="not-utf-8"),
        # The original dropped it; a mistyped `exclusive` must not pass silently.
        pytest.param(b'{"nam":"x","project":"$project"}', "invalid_request", "did you mean 'name'", id="unknown-key"),
    ],
)
def test_body_that_readers_would_take_differently_is_refused(
    client: httpx.Client, project: str, text: bytes, code: str, words: str
) -> None:
    """Deviation: what the original read in one way of several is refused, with the reason, and nothing is stored."""
    with nothing_stored(client, project):
        answer = client.post("/api/agents", content=text.replace(b"$project", project.encode()), headers=JSON_HEADER)

        assert words in refusal(answer, 400, code)["message"]
