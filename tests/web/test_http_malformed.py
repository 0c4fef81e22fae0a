"""Bodies that are no request: malformed, oversized, empty, of wrong types, on every route (issue 2, "Bad input").

Each refusal is JSON with a stable code and a sentence, a 4xx, and stores nothing: the head of the project's event log is
the sentinel, and the list of projects.
"""

import json
from collections.abc import Callable
from typing import Final

import httpx
import pytest
from calls import JSON_HEADER, Json, nothing_stored, refusal, register, reserve, send

MIB: Final = 1024 * 1024
ROUTES: Final = (
    ("POST", "/api/agents"),
    ("PATCH", "/api/agents/{agent}/metadata"),
    ("POST", "/api/messages"),
    ("POST", "/api/reservations"),
    ("POST", "/api/agents/{agent}/heartbeat"),
    ("POST", "/api/messages/{message}/ack"),
    ("PATCH", "/api/reservations/{reservation}"),
    ("POST", "/api/reservations/check"),
    ("POST", "/api/reservations/validate"),
    ("POST", "/api/reservations/{reservation}/transfer"),
    ("POST", "/api/reservations/{reservation}/request"),
    ("POST", "/api/reservations/{reservation}/force-release"),
)


@pytest.fixture(scope="module")
def crowded() -> str:
    """A project that the tables below share: each case leaves it as it was."""
    return "crowded"


@pytest.fixture(scope="module")
def path_of(client: httpx.Client, crowded: str) -> Callable[[str], str]:
    """Fills the ids of a real agent, message and reservation of project `crowded` into a route."""
    project = crowded
    agent = register(client, project, "anna")["agent_id"]
    message = send(client, project, "ben", ["anna"])["message_id"]
    reservation = reserve(client, project, agent, "src/**")["id"]

    def fill(template: str) -> str:
        return template.format(agent=agent, message=message, reservation=reservation)

    return fill


def nested(count: int) -> bytes:
    return b'{"metadata":' + b"[" * count + b"]" * count + b"}"


MALFORMED: Final = {
    "not-json": b"hello",
    "half": b'{"name":"x"',
    "trailing-comma": b'{"name":"x",}',
    "two-values": b'{"name":"x"} {"name":"y"}',
    "array": b"[]",
    "string": b'"x"',
    "number": b"17",
    "true": b"true",
    "nan": b'{"ttl_minutes":NaN}',
    "infinity": b'{"ttl_minutes":Infinity}',
    "1e999": b'{"ttl_minutes":1e999}',
    "5000-digits": b'{"ttl_minutes":' + b"9" * 5000 + b"}",
    "name-twice": b'{"name":"x","name":"y"}',
    "inner-name-twice": b'{"metadata":{"a":"b","a":"c"}}',
    "depth-33": nested(32),
    "10001-values": b'{"capabilities":[' + b"1," * 9_999 + b"1]}",
    "brackets-open": b"[" * 200_000,
    "brackets-closed": nested(100_000),
    "braces": b'{"a":' * 100_000,
    "invalid-utf8": b'{"name":"\xff\xfe"}',
    "utf8-surrogate": b'{"name":"\xed\xa0\x80"}',
    "utf16": '{"name":"x"}'.encode("utf-16"),
    "escaped-surrogate": b'{"name":"\\ud800"}',
    "escaped-surrogate-key": b'{"\\udfff":"x"}',
    "raw-control": b'{"name":"a\nb"}',
    "nul": b"\x00",
}


@pytest.mark.parametrize(("method", "route"), ROUTES)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_body_is_refused_on_every_route(
    client: httpx.Client, crowded: str, path_of: Callable[[str], str], method: str, route: str, body: bytes
) -> None:
    """What is no JSON object is 400 `malformed_json`, whatever the route, and stores nothing."""
    path = path_of(route)

    with nothing_stored(client, crowded):
        answer = client.request(method, path, content=body, headers=JSON_HEADER, params={"project": crowded})

        refusal(answer, 400, "malformed_json")


@pytest.mark.parametrize(("method", "route"), ROUTES[:4])
def test_empty_body_is_refused_where_one_is_needed(
    client: httpx.Client, crowded: str, path_of: Callable[[str], str], method: str, route: str
) -> None:
    """An empty body is 400; heartbeat, ack, read and renewal do without one (contract.md 0.2)."""
    path = path_of(route)

    with nothing_stored(client, crowded):
        for body in (b"", b"  \n "):
            answer = client.request(method, path, content=body, headers=JSON_HEADER, params={"project": crowded})
            refusal(answer, 400, "malformed_json")


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_oversized_body_is_refused(
    client: httpx.Client, crowded: str, path_of: Callable[[str], str], method: str, route: str
) -> None:
    """One byte over 1 MiB is 413 with the limit named, whether the length is announced or not."""
    path = path_of(route)
    body = b'{"body":"' + b"x" * (MIB - 10) + b'"}'
    assert len(body) == MIB + 1

    with nothing_stored(client, crowded):
        announced = refusal(client.request(method, path, content=body, headers=JSON_HEADER), 413, "body_too_large")
        chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
        refusal(client.request(method, path, content=chunks, headers=JSON_HEADER), 413, "body_too_large")

    assert announced["limit_bytes"] == MIB


@pytest.mark.parametrize(("spare", "status"), [(-1, 200), (0, 200), (1, 413)])
def test_body_limit_is_exact(client: httpx.Client, project: str, spare: int, status: int) -> None:
    """1 MiB less a byte and 1 MiB pass; a byte more does not."""
    text = json.dumps({"project": project, "from": "a", "to": ["b"], "body": "x"}).encode()
    body = text + b" " * (MIB - len(text) + spare)

    assert client.post("/api/messages", content=body, headers=JSON_HEADER).status_code == status


WRONG_TYPES: Final = (
    ("POST", "/api/agents", {"name": 1, "session_id": [], "capabilities": "python", "metadata": {"a": 1}, "status": True}),
    ("PATCH", "/api/agents/{agent}/metadata", {"metadata": {"a": {"b": "c"}}}),
    (
        "POST", "/api/messages",
        {
            "from": 1, "to": "ben", "cc": {}, "bcc": [1], "subject": [], "body": 5, "ack_required": "yes",
            "metadata": {"a": 1}, "attachments": [{"name": "x"}],
        },
    ),
    (
        "POST", "/api/reservations",
        {
            "agent_id": 7, "path_pattern": [], "patterns": "x", "exclusive": "true", "ttl_minutes": 1.5,
            "ttl_seconds": "60", "reason": {},
        },
    ),
    ("POST", "/api/agents/{agent}/heartbeat", {"focus_state": 3}),
    ("POST", "/api/messages/{message}/ack", {"agent": ["anna"]}),
    ("POST", "/api/reservations/{reservation}/transfer", {"to": 1, "agent_id": [], "agent": {}, "reason": True}),
    ("POST", "/api/reservations/{reservation}/request", {"agent_id": [], "agent": 2, "reason": {}}),
    (
        "POST", "/api/reservations/{reservation}/force-release",
        {"reason": 1, "agent_id": {}, "agent": [], "if_silent_seconds": "60"},
    ),
    ("PATCH", "/api/reservations/{reservation}", {"agent_id": 1, "ttl_minutes": "soon", "ttl_seconds": True}),
)  # fmt: skip


@pytest.mark.parametrize(("method", "route", "body"), WRONG_TYPES)
def test_wrong_types_are_named_all_at_once(
    client: httpx.Client, crowded: str, path_of: Callable[[str], str], method: str, route: str, body: Json
) -> None:
    """One refusal names every field that is wrong, so that one correction is enough."""
    path = path_of(route)

    with nothing_stored(client, crowded):
        answer = client.request(method, path, json={**body, "project": crowded})

        found = refusal(answer, 400, "invalid_request")
    assert {field["field"] for field in found["fields"]} == set(body)
    assert all(name in found["message"] for name in body)
