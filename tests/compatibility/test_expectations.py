"""What the original's clients may expect beyond single calls: contract.md 0.3 to 0.7, 1.0 and 1.9, and 9.

Deviations of design.md 9 are named beside their tests. Which tests keep the other sections: docs/compatibility.md.
"""

import re
from typing import Final

import httpx
import pytest
from calls import Json, good, register, reserve, send

TO_THE_NANOSECOND: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z")
TO_THE_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.mark.parametrize(
    ("path", "where", "form"),
    [
        pytest.param("/api/agents", ("agents", "last_seen"), TO_THE_SECOND, id="agent-last-seen"),
        pytest.param("/api/agents", ("agents", "created_at"), TO_THE_SECOND, id="agent-created"),
        pytest.param("/api/agents/presence", ("agents", "last_seen"), TO_THE_SECOND, id="presence"),
        pytest.param("/api/threads?agent=b1", ("threads", "last_at"), TO_THE_SECOND, id="thread"),
        pytest.param("/api/inbox/b1", ("messages", "created_at"), TO_THE_NANOSECOND, id="inbox"),
        pytest.param("/api/threads/t", ("messages", "created_at"), TO_THE_NANOSECOND, id="thread-message"),
        pytest.param("/api/topics/$project/x", ("messages", "created_at"), TO_THE_NANOSECOND, id="topic"),
        pytest.param(
            "/api/inbox/b1/stale-acks?ttl_seconds=0", ("messages", "created_at"), TO_THE_NANOSECOND, id="stale-ack"
        ),
        pytest.param("/api/reservations", ("reservations", "created_at"), TO_THE_NANOSECOND, id="reservation-created"),
        pytest.param("/api/reservations", ("reservations", "expires_at"), TO_THE_NANOSECOND, id="reservation-expires"),
        pytest.param(
            "/api/reservations/check?pattern=src/x", ("conflicts", "expires_at"), TO_THE_NANOSECOND, id="conflict"
        ),
        pytest.param("/api/specs", ("", "created_at"), TO_THE_NANOSECOND, id="entity-created"),
        pytest.param("/api/sessions", ("", "started_at"), TO_THE_NANOSECOND, id="session-started"),
    ],
)
def test_times_have_the_form_of_the_original(
    client: httpx.Client, project: str, path: str, where: tuple[str, str], form: re.Pattern[str]
) -> None:
    """Agents, presence and threads to the second, the rest with a trimmed fraction; always UTC as `Z` (contract.md 0.3)."""
    register(client, project, "a1")
    send(client, project, "a1", ["b1"], thread_id="t", topic="x", ack_required=True)
    reserve(client, project, "a1", "src/**")
    good(client.post("/api/specs", json={"project": project, "title": "x"}), 201)
    good(client.post("/api/sessions", json={"project": project, "name": "x", "agent": "a1"}), 201)
    path, _, query = path.replace("$project", project).partition("?")
    asked = {"project": project, **dict(each.split("=") for each in query.split("&") if each)}

    answer = good(client.get(path, params=asked))

    rows = answer[where[0]] if where[0] else answer
    assert len(rows) == 1
    assert form.fullmatch(rows[0][where[1]])


@pytest.mark.parametrize(
    ("path", "empty"),
    [
        ("/api/agents", {"agents": []}),
        ("/api/agents/presence", {"agents": []}),
        ("/api/inbox/b1", {"messages": [], "cursor": 0}),
        ("/api/inbox/b1/counts", {"total": 0, "unread": 0}),
        ("/api/threads?agent=b1", {"threads": [], "cursor": 0}),
        ("/api/threads/t", {"thread_id": "t", "messages": [], "cursor": 0}),
        ("/api/topics/$project/x", {"messages": [], "cursor": 0}),
        ("/api/reservations", {"reservations": []}),
        ("/api/reservations?agent=b1", {"reservations": []}),
        ("/api/reservations/check?pattern=x", {"conflicts": [], "conflict": False}),  # Deviation: not null.
        *((f"/api/{plural}", []) for plural in ("specs", "epics", "stories", "tasks", "insights", "sessions", "cujs")),
    ],
)
def test_list_without_hits_is_empty_and_never_null(
    client: httpx.Client, project: str, path: str, empty: Json | list[Json]
) -> None:
    """A project that nobody has used answers every list with `[]`, and counts with zeros (contract.md 1.2 to 1.9)."""
    path = path.replace("$project", project)

    found = good(client.get(f"{path}{'&' if '?' in path else '?'}project={project}"))

    if isinstance(empty, dict):
        assert empty.items() <= found.items()
    else:
        assert found == empty


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/agents", None, 200),
        ("GET", "/api/agents/presence", None, 200),
        ("GET", "/api/inbox/b1", None, 200),
        ("GET", "/api/inbox/b1/counts", None, 200),
        ("GET", "/api/inbox/b1/stale-acks", None, 200),
        ("GET", "/api/threads?agent=b1", None, 200),
        ("GET", "/api/threads/t", None, 200),
        ("GET", "/api/reservations", None, 200),
        ("GET", "/api/reservations/check?pattern=no/body/has/this", None, 200),
        ("POST", "/api/reservations", {"agent_id": "expecting", "path_pattern": "x/y", "exclusive": False}, 201),
        ("GET", "/api/specs", None, 200),
        # The original had 403 where the body of an entity named no project (class P4); no client of it leaves it out.
        ("POST", "/api/specs", {"title": "x"}, 201),
        ("POST", "/api/agents", {"name": "x"}, 400),
        ("POST", "/api/messages", {"from": "a1", "to": ["b1"]}, 400),
        ("POST", "/api/broadcast", {"from": "a1", "topic": "t", "body": "b"}, 400),
    ],
)
def test_missing_project_is_the_keys(
    acme: httpx.Client, method: str, path: str, body: Json | None, status: int
) -> None:
    """With a key, what names no project is about the key's; registering and sending must name it (contract.md 0.7)."""
    answer = acme.request(method, path, json=body)

    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"] == "project_required"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        # The original answered 400, or with the messages of all projects.
        pytest.param("/api/inbox/$project", ("messages", 0), id="inbox"),
        pytest.param("/api/threads?agent=$project", ("threads", 0), id="threads"),
        pytest.param("/api/reservations/check?pattern=$project/x", ("conflicts", 0), id="check"),
        # What an agent holds and who is there are gathered over all projects, as in the original.
        pytest.param("/api/reservations?agent=$project", ("reservations", 1), id="reservations-of-an-agent"),
    ],
)
def test_call_without_a_project_is_about_one_project(
    client: httpx.Client, project: str, path: str, found: tuple[str, int]
) -> None:
    """Deviation: a local caller that names no project means `default`, since cursors and locks belong to one project."""
    send(client, project, "a1", [project], thread_id="t")
    reserve(client, project, project, f"{project}/**")

    answer = good(client.get(path.replace("$project", project)))

    assert len(answer[found[0]]) == found[1]


FIELDS: Final = {
    "specs": ("id project title vision users problem status version created_at updated_at", "draft"),
    "epics": ("id project spec_id title description status version created_at updated_at", "open"),
    "stories": ("id project epic_id title acceptance_criteria status version created_at updated_at", "todo"),
    "tasks": ("id project story_id title agent session_id status version created_at updated_at", "pending"),
    "insights": ("id project spec_id source category title body url score created_at", None),
    "sessions": ("id project name agent task_id status started_at updated_at", "running"),
    "cujs": (
        (
            "id spec_id project title persona priority entry_point exit_point steps success_criteria error_recovery "
            "status version created_at updated_at"
        ),
        "draft",
    ),
}
"""Each kind's fields in the order of the original, and the status of a new one (contract.md 9)."""
ALWAYS: Final = {
    "specs": "id project title status version created_at updated_at",
    "epics": "id project title status version created_at updated_at",
    "stories": "id project epic_id title status version created_at updated_at",
    "tasks": "id project title status version created_at updated_at",
    "insights": "id project source category title score created_at",
    "sessions": "id project name agent status started_at updated_at",
    "cujs": "id spec_id project title priority status version created_at updated_at",
}
"""The fields that are shown when they are empty as well."""
OF_THE_SERVER: Final = ("id", "project", "status", "version", "created_at", "updated_at", "started_at")
LISTS: Final = ("acceptance_criteria", "success_criteria", "error_recovery")
STEPS: Final = [{"order": 1, "action": "open", "expected": "form", "alternatives": ["b"]}]

every_kind = pytest.mark.parametrize("plural", FIELDS)


def filled(plural: str) -> Json:
    """Return a value for every field of a kind that a client sets."""
    special: Json = {"score": 0.5, "steps": STEPS, **{name: ["a"] for name in LISTS}}
    names = [name for name in FIELDS[plural][0].split() if name not in OF_THE_SERVER]
    return {name: special.get(name, f"some {name}") for name in names}


@every_kind
def test_entity_has_the_fields_of_the_original_in_order(client: httpx.Client, project: str, plural: str) -> None:
    """All fields, in the original's order; what ours has besides comes after them; a new one has its first status."""
    names, status = FIELDS[plural]

    found = good(client.post(f"/api/{plural}", json={"project": project, **filled(plural)}), 201)

    assert list(found)[: len(names.split())] == names.split()
    assert filled(plural).items() <= found.items()
    assert found.get("status") == status


@every_kind
def test_entity_leaves_out_what_the_original_leaves_out(client: httpx.Client, project: str, plural: str) -> None:
    """Of an entity with empty fields those are shown that the original shows, in its order."""
    empty = {name: "" for name in ALWAYS[plural].split() if name not in (*OF_THE_SERVER, "score")}

    found = good(client.post(f"/api/{plural}", json={"project": project, **empty}), 201)

    ours = [name for name in found if name in FIELDS[plural][0].split()]
    assert ours == ALWAYS[plural].split()
    assert found.get("score", 0) == 0
    assert found.get("priority") == ("medium" if plural == "cujs" else None)


@pytest.mark.parametrize("plural", [plural for plural in FIELDS if plural != "insights"])
def test_put_replaces_the_whole_entity(client: httpx.Client, project: str, plural: str) -> None:
    """What a PUT leaves out is erased, the status too; id, project and the time of making stay (contract.md 9)."""
    made = good(client.post(f"/api/{plural}", json={"project": project, **filled(plural)}), 201)
    kept: Json = {name: "kept" for name in ("title", "name", "agent") if name in ALWAYS[plural].split()}

    found = good(client.put(f"/api/{plural}/{made['id']}", json={"project": project, **kept, "version": 1}))

    born = "started_at" if plural == "sessions" else "created_at"
    assert (found["id"], found["project"], found[born]) == (made["id"], project, made[born])
    assert found["status"] == ""
    shown = {name: value for name, value in found.items() if name in filled(plural)}
    wanted: Json = {name: kept.get(name, "") for name in ALWAYS[plural].split() if name in filled(plural)}
    assert shown == wanted


@pytest.mark.parametrize(
    ("plural", "query", "fields", "other"),
    [
        ("specs", "status=research", {"status": "research"}, {"status": "draft"}),
        ("epics", "spec=s1", {"spec_id": "s1"}, {"spec_id": "s2"}),
        ("stories", "epic=e1", {"epic_id": "e1"}, {"epic_id": "e2"}),
        ("tasks", "status=blocked", {"status": "blocked"}, {"status": "pending"}),
        ("tasks", "agent=b1", {"agent": "b1"}, {"agent": "b2"}),
        ("tasks", "status=done&agent=b1", {"status": "done", "agent": "b1"}, {"status": "done", "agent": "b2"}),
        ("insights", "spec=s1", {"spec_id": "s1"}, {"spec_id": "s2"}),
        ("insights", "category=tech", {"category": "tech"}, {"category": "Tech"}),
        ("sessions", "status=idle", {"status": "idle"}, {"status": "error"}),
        ("cujs", "spec=s1", {"spec_id": "s1"}, {"spec_id": "s2"}),
    ],
)
def test_list_filters_as_the_original(
    client: httpx.Client, project: str, plural: str, query: str, fields: Json, other: Json
) -> None:
    """Each filter of the original by its own name; a list is a bare array (contract.md 1.9)."""
    required = {name: "" for name in ALWAYS[plural].split() if name not in (*OF_THE_SERVER, "score", "priority")}
    made = [
        good(client.post(f"/api/{plural}", json={"project": project, **required, **each}), 201)
        for each in (fields, other)
    ]

    found = good(client.get(f"/api/{plural}?{query}&project={project}"))

    assert [each["id"] for each in found] == [made[0]["id"]]


@pytest.mark.parametrize(
    ("plural", "marks", "wanted"),
    [
        ("specs", [{}, {}, {}], [2, 1, 0]),
        ("tasks", [{}, {}, {}], [2, 1, 0]),
        ("sessions", [{}, {}, {}], [2, 1, 0]),
        ("insights", [{"score": 0.1}, {"score": 0.9}, {"score": 0.1}], [1, 2, 0]),
        (
            "cujs",
            [{"priority": "medium"}, {"priority": "high"}, {"priority": "low"}, {"priority": "high"}],
            [3, 1, 2, 0],
        ),
    ],
)
def test_list_has_the_order_of_the_original(
    client: httpx.Client, project: str, plural: str, marks: list[Json], wanted: list[int]
) -> None:
    """The last changed first; insights by score, journeys by the letters of their priority before that."""
    required = {name: "" for name in ALWAYS[plural].split() if name not in (*OF_THE_SERVER, "score", "priority")}
    for number, each in enumerate(marks):
        good(client.post(f"/api/{plural}", json={"project": project, "id": str(number), **required, **each}), 201)

    found = good(client.get(f"/api/{plural}", params={"project": project}))

    assert [each["id"] for each in found] == [str(number) for number in wanted]


def test_new_journey_keeps_a_version_that_is_given(client: httpx.Client, project: str) -> None:
    """A new entity has version 1, whatever is sent; a journey keeps one that is not zero (contract.md 9)."""
    given = {"project": project, "title": "x", "version": 7}

    assert good(client.post("/api/cujs", json=given), 201)["version"] == 7
    assert good(client.post("/api/cujs", json={**given, "version": 0}), 201)["version"] == 1
    assert good(client.post("/api/specs", json=given), 201)["version"] == 1
