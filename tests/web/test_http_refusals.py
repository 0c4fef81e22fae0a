"""Requests that cannot be meant: bad fields, numbers, names, ids and targets (issue 2, "Bad input").

Each refusal is JSON with a stable code and a sentence, a 4xx, and stores nothing: the head of the project's event log is
the sentinel, and the list of projects.
"""

from typing import Any

import httpx
import pytest
from calls import JSON_HEADER, Json, events, good, nothing_stored, refusal, register, send


@pytest.mark.parametrize(
    ("route", "body", "fields"),
    [
        pytest.param("/api/messages", {}, {"from", "to"}, id="message-required"),
        pytest.param("/api/messages", {"from": "", "to": ["b"]}, {"from"}, id="message-blank-from"),
        pytest.param("/api/messages", {"from": "  ", "to": ["b"]}, {"from"}, id="message-spaces-from"),
        pytest.param("/api/messages", {"from": "a", "to": []}, {"to"}, id="message-to-nobody"),
        pytest.param("/api/messages", {"from": "a", "to": [None]}, {"to"}, id="message-to-null"),
        pytest.param("/api/messages", {"from": "a\nb", "to": ["b\u0000"]}, {"from", "to"}, id="message-control"),
        pytest.param("/api/messages", {"from": "a", "to": ["x" * 257]}, {"to"}, id="message-long-address"),
        pytest.param("/api/messages", {"from": "a", "to": ["b"] * 1001}, {"to"}, id="message-too-many"),
        pytest.param("/api/messages", {"from": "a", "to": ["b"], "body": "x" * 262145}, {"body"}, id="message-body"),
        pytest.param("/api/messages", {"from": "a", "to": ["b"], "id": "x" * 257}, {"id"}, id="message-id"),
        pytest.param("/api/messages", {"from": "a", "to": ["b"], "subject": "x" * 1025}, {"subject"}, id="message-subject"),
        pytest.param(
            "/api/messages", {"from": "a", "to": ["b"], "attachments": [{"name": "x", "path": "y"}] * 51},
            {"attachments"}, id="message-attachments",
        ),
        pytest.param("/api/reservations", {}, {"path_pattern"}, id="reserve-nothing"),
        pytest.param("/api/reservations", {"path_pattern": "x"}, {"agent_id"}, id="reserve-nobody"),
        pytest.param("/api/reservations", {"agent_id": "", "path_pattern": "x"}, {"agent_id"}, id="reserve-blank"),
        pytest.param("/api/reservations", {"agent_id": "a", "patterns": []}, {"path_pattern"}, id="reserve-empty-list"),
        pytest.param(
            "/api/reservations", {"agent_id": "a", "patterns": [f"x{n}" for n in range(101)]}, {"patterns"},
            id="reserve-too-many",
        ),
        pytest.param(
            "/api/reservations", {"agent_id": "a", "path": "x", "mode": "maybe"}, {"mode"}, id="reserve-unknown-mode"
        ),
        pytest.param("/api/agents", {"name": "x" * 1025}, {"name"}, id="agent-long-name"),
        pytest.param("/api/agents", {"name": "a\u0007b"}, {"name"}, id="agent-control"),
        pytest.param("/api/agents", {"capabilities": ["x"] * 65}, {"capabilities"}, id="agent-capabilities"),
        pytest.param("/api/agents", {"metadata": {f"k{n}": "v" for n in range(65)}}, {"metadata"}, id="agent-metadata"),
        pytest.param("/api/agents", {"metadata": {"k": "v" * 8193}}, {"metadata"}, id="agent-metadata-value"),
        pytest.param("/api/agents", {"metadata": dict.fromkeys("ab", "v" * 8192)}, {"metadata"}, id="agent-metadata-whole"),
    ],
)  # fmt: skip
def test_fields_beyond_their_limits_are_named(
    client: httpx.Client, project: str, route: str, body: Json, fields: set[str]
) -> None:
    """Missing, blank, overlong and overfull fields are 400 and named."""
    with nothing_stored(client, project):
        found = refusal(client.post(route, json={**body, "project": project}), 400, "invalid_request")

    assert {field["field"] for field in found["fields"]} == fields


@pytest.mark.parametrize("field", ["ttl_minutes", "ttl_seconds"])
@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "2147483649", "1.5", "1e3", "1e400"],
)
def test_absurd_times_are_refused_before_any_arithmetic(
    client: httpx.Client, project: str, field: str, number: str
) -> None:
    """A number that no lease can mean is 400, not an already expired lock (the original's [BUG-31])."""
    body = f'{{"project":"{project}","agent_id":"a","path_pattern":"x","{field}":{number}}}'

    with nothing_stored(client, project):
        refusal(client.post("/api/reservations", content=body, headers=JSON_HEADER), 400)


@pytest.mark.parametrize("seconds", [0, -1, -(2**31)])
def test_time_without_a_second_is_refused(client: httpx.Client, project: str, seconds: int) -> None:
    """`ttl_seconds`, a field of ours, has to be positive."""
    with nothing_stored(client, project):
        body = {"project": project, "agent_id": "a", "path_pattern": "x", "ttl_seconds": seconds}
        found = refusal(client.post("/api/reservations", json=body), 400, "invalid_request")

    assert [field["field"] for field in found["fields"]] == ["ttl_seconds"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/api/events", {"since_cursor": "-1"}, id="events-negative"),
        pytest.param("/api/events", {"since_cursor": "9" * 5000}, id="events-digits"),
        pytest.param("/api/events", {"since_cursor": "9223372036854775808"}, id="events-2^63"),
        pytest.param("/api/events", {"since_cursor": "1.5"}, id="events-fraction"),
        pytest.param("/api/events", {"since_cursor": "x"}, id="events-text"),
        pytest.param("/api/events", {"limit": "x"}, id="events-limit"),
        pytest.param("/api/events", {"wait_seconds": "nan"}, id="events-wait-nan"),
        pytest.param("/api/events", {"wait_seconds": "inf"}, id="events-wait-inf"),
        pytest.param("/api/events", {"wait_seconds": "-1"}, id="events-wait-negative"),
        pytest.param("/api/events", {"wait_seconds": "55.1"}, id="events-wait-long"),
        pytest.param("/api/events", {"agent": ""}, id="events-agent-blank-is-none"),
        pytest.param("/api/agents", {"active": "maybe"}, id="agents-active"),
        pytest.param("/api/agents", {"cursor": "-1"}, id="agents-cursor"),
        pytest.param("/api/reservations", {"cursor": "x"}, id="reservations-cursor"),
        pytest.param("/api/inbox/b1", {"unread": "perhaps"}, id="inbox-unread"),
        pytest.param("/api/reservations/check", {}, id="check-nothing"),
        pytest.param("/api/reservations/check", {"pattern": "x", "mode": "z"}, id="check-mode"),
    ],
)
def test_bad_query_is_refused(client: httpx.Client, project: str, path: str, query: dict[str, str]) -> None:
    """A query that cannot be meant is 400 with the field named; a blank one counts as absent."""
    answer = client.get(path, params={"project": project, **query})

    if query == {"agent": ""}:
        good(answer)
        return
    found = refusal(answer, 400, "invalid_request")
    assert all(field["field"] for field in found["fields"])


@pytest.mark.parametrize("limit", ["9" * 30, "-" + "9" * 30, "9223372036854775808"])
def test_absurd_page_sizes_are_answered(client: httpx.Client, project: str, limit: str) -> None:
    """A page size beyond any number is a page or a refusal, never a failure."""
    for path in ("/api/inbox/b1", "/api/threads/t", "/api/agents", "/api/reservations", "/api/events"):
        answer = client.get(path, params={"project": project, "limit": limit})

        assert answer.status_code in (200, 400), f"{path}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("cursor", ["9" * 30, "18446744073709551615", "9223372036854775807"])
def test_absurd_cursors_are_answered(client: httpx.Client, project: str, cursor: str) -> None:
    """A cursor beyond the log is an empty page or a refusal, never a failure."""
    for path, name in (
        ("/api/inbox/b1", "since_cursor"), ("/api/threads/t", "cursor"), ("/api/agents", "cursor"),
        ("/api/reservations", "cursor"), ("/api/events", "since_cursor"),
    ):  # fmt: skip
        answer = client.get(path, params={"project": project, name: cursor})

        assert answer.status_code in (200, 400), f"{path}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize(
    ("route", "field", "nearest"),
    [
        ("/api/reservations", "exclusiv", "exclusive"),
        ("/api/reservations", "ttl_minuets", "ttl_minutes"),
        ("/api/messages", "bodyy", "body"),
        ("/api/agents", "capabilitys", "capabilities"),
    ],
)
def test_unknown_field_is_refused_with_the_nearest_known_one(
    client: httpx.Client, project: str, route: str, field: str, nearest: str
) -> None:
    """A mistyped field must not pass silently (design.md 9)."""
    with nothing_stored(client, project):
        body = {"project": project, "agent_id": "a", "path_pattern": "x", "from": "a", "to": ["b"], field: True}
        if route != "/api/reservations":
            del body["path_pattern"]
        found = refusal(client.post(route, json=body), 400, "invalid_request")

    problems = {each["field"]: each["problem"] for each in found["fields"]}
    assert f"did you mean '{nearest}'?" in problems[field]


def test_unknown_query_field_is_refused_by_name(client: httpx.Client, project: str) -> None:
    """The same holds for the query, and for a body's field that stands in the query."""
    found = refusal(client.get("/api/inbox/b1", params={"project": project, "sinse_cursor": "1"}), 400)
    assert "did you mean 'since_cursor'?" in found["message"]

    with nothing_stored(client, project):
        asked = {"project": project, "path_pattern": "x", "agent_id": "a"}
        found = refusal(client.post("/api/reservations", params=asked, json={"agent_id": "a"}), 400, "invalid_request")
    assert "body" in found["message"]


def test_long_unknown_field_is_not_repeated_in_full(client: httpx.Client, project: str) -> None:
    """A refusal does not echo a megabyte."""
    answer = client.post("/api/agents", json={"project": project, "x" * 500_000: 1})

    refusal(answer, 400, "invalid_request")
    assert len(answer.content) < 4096


def test_many_unknown_fields_make_a_bounded_refusal(client: httpx.Client, project: str) -> None:
    """Ten thousand unknown fields are one short refusal, and soon."""
    answer = client.post(
        "/api/agents", json={f"field{number}": 1 for number in range(10_000)}, params={"project": project}
    )

    refusal(answer, 400, "invalid_request")
    assert len(answer.content) < 64 * 1024


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/agents/nobody", "unknown_agent"),
        ("DELETE", "/api/agents/nobody", "unknown_agent"),
        ("POST", "/api/agents/nobody/heartbeat", "unknown_agent"),
        ("PATCH", "/api/agents/nobody/metadata", "unknown_agent"),
        ("GET", "/api/messages/nope", "unknown_message"),
        ("GET", "/api/messages/nope/recipients", "unknown_message"),
        ("POST", "/api/messages/nope/ack", "unknown_message"),
        ("POST", "/api/messages/nope/read", "unknown_message"),
        ("GET", "/api/reservations/nope", "unknown_reservation"),
        ("PATCH", "/api/reservations/nope", "unknown_reservation"),
        ("DELETE", "/api/reservations/nope", "unknown_reservation"),
    ],
)
def test_unknown_ids_are_404(client: httpx.Client, project: str, method: str, path: str, code: str) -> None:
    """An id that nobody has is 404 with a code of its kind, and makes no project."""
    options: Json = {"json": {"metadata": {"a": "b"}}} if method == "PATCH" and "agents" in path else {}

    with nothing_stored(client, project):
        refusal(client.request(method, path, params={"project": project}, **options), 404, code)


@pytest.mark.parametrize("name", ["x" * 129, "a\u0000b", "a\nb", "\u202ereversed", "a\u0007"])
def test_bad_project_names_are_refused_everywhere(client: httpx.Client, name: str) -> None:
    """A project name is 1 to 128 printable characters (design.md 6)."""
    refusal(client.post("/api/agents", json={"project": name}), 400, "invalid_project")
    refusal(client.get("/api/inbox/b1", params={"project": name}), 400, "invalid_project")
    refusal(client.get("/api/events", params={"project": name}), 400, "invalid_project")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "CON", "x" * 128, "Zażółć gęślą jaźń 🚀", "'; DROP TABLE"])
def test_odd_project_names_are_only_names(client: httpx.Client, project: str, name: str) -> None:
    """Negative control: a printable name is accepted whatever it looks like, and is its own project."""
    whole = f"{name[: 128 - len(project)]}{project}"

    register(client, whole, "anna")

    assert [agent["name"] for agent in good(client.get("/api/agents", params={"project": whole}))["agents"]] == ["anna"]


def test_project_name_is_one_in_both_unicode_forms(client: httpx.Client, project: str) -> None:
    """Composed and decomposed spellings of a name are one project (design.md 6)."""
    agent = register(client, f"{project}-caf\u00e9", "anna")

    found = good(client.get("/api/agents", params={"project": f"{project}-cafe\u0301"}))["agents"]

    assert [each["agent_id"] for each in found] == [agent["agent_id"]]


def test_reading_an_unknown_project_makes_none(client: httpx.Client, project: str) -> None:
    """Reads of a project that does not exist are empty and leave no trace."""
    with nothing_stored(client, project):
        assert good(client.get("/api/inbox/b1", params={"project": project}))["messages"] == []
        assert good(client.get("/api/reservations", params={"project": project}))["reservations"] == []
        assert events(client, project) == []


def test_dangerous_text_is_only_text(client: httpx.Client, project: str) -> None:
    """What means something to SQL, logs, JSON or HTML comes back as it was sent."""
    texts = [
        "'; DROP TABLE messages; --",
        '"}{"',
        "<script>alert(1)</script>",
        "\u2028\u2029",
        "a\u0000b",
        "\x1b]0;x\x07",
        "🚀",
    ]
    for text in texts:
        send(client, project, "a1", ["b1"], body=text)

    received = good(client.get("/api/inbox/b1", params={"project": project}))["messages"]

    assert [message["body"] for message in received] == texts


@pytest.mark.parametrize(
    "path",
    [
        "/api/inbox/%00",
        "/api/agents/%0a",
        "/api/messages/%1b/ack",
        "/api/specs/a%0Ab",
        "/api/specs/a%0a",
        "/api/specs/a%0ab/tree",
        "/api/inbox/x%0a/counts",
    ],
)
def test_control_characters_in_a_path_are_refused(client: httpx.Client, project: str, path: str) -> None:
    """A path decodes to text of one line, or is refused by the operation that it is about."""
    method = "POST" if path.endswith("ack") else "GET"

    refusal(client.request(method, path, params={"project": project}), 400, "invalid_request")


@pytest.mark.parametrize(
    "path", ["/api/inbox/%ff%fe", "/api/inbox/%ed%a0%80", "/api/inbox/b1?project=%ff", "/api/inbox/%"]
)
def test_invalid_utf8_in_a_target_is_survived(client: httpx.Client, path: str) -> None:
    """Bytes that are no UTF-8 are replaced or refused, never a failure."""
    answer = client.get(path)

    assert answer.status_code in (200, 400), f"{answer.status_code} {answer.text}"
    assert isinstance(answer.json(), dict)


def test_refusal_stays_valid_json_whatever_it_quotes(client: httpx.Client, project: str) -> None:
    """Values that a refusal repeats cannot break out of its JSON, nor inflate it."""
    hostile = '"},{"error":"ok"\\\u2028</script>'

    answers: list[Any] = [
        client.get(f"/api/agents/{'x' * 256}", params={"project": project}),
        client.post("/api/agents", json={"project": project, "session_id": hostile}),
        client.post("/api/reservations", json={"project": project, "agent_id": "a", "path_pattern": "[" + hostile}),
        client.post("/api/agents", json={"project": project, hostile: 1}),
        client.get("/api/" + "y" * 4000),
    ]

    for answer in answers:
        refusal(answer, answer.status_code)
        assert 400 <= answer.status_code < 500
        assert len(answer.content) < 8192
