"""Every call of the original's Go SDK, with its bytes, over a real socket: contract.md appendix A.

The calls of broadcast, topics and the like are not here: the SDK has none of them.
"""

from collections.abc import Iterator

import pytest
from go_sdk import GoClient, GoTransport
from go_structs import ENTITIES, ZERO_TIME, Json, SdkError, marshal, struct, unmarshal
from known_keys import ACME_KEY
from server_process import REMOTE, ServerProcess


@pytest.fixture
def transport(server: ServerProcess) -> Iterator[GoTransport]:
    """A connection of a local caller."""
    opened = GoTransport(server.port)
    yield opened
    opened.close()


@pytest.fixture
def sdk(transport: GoTransport, project: str) -> GoClient:
    """The SDK without a key, on this machine."""
    return GoClient(transport, project)


@pytest.fixture
def keyed(server: ServerProcess) -> Iterator[GoClient]:
    """The SDK with a key, from another machine."""
    opened = GoTransport(server.port, {"Authorization": f"Bearer {ACME_KEY}", **REMOTE})
    yield GoClient(opened, "acme")
    opened.close()


def agent(sdk: GoClient, name: str) -> str:
    """Register an agent as the SDK does and return its id."""
    found = sdk.register_agent(name=name, capabilities=["python"], metadata={"repo": "/src"}, status="active")
    return str(found["agent_id"])


def message(sdk: GoClient, sender: str, *to: str, **more: Json) -> Json:
    """Send a message as the SDK does."""
    return sdk.send_message(**{"thread_id": "t-1", "from": sender, "to": list(to), "body": "a < b & c", **more})


def test_bytes_of_the_sdk_are_those_of_go(sdk: GoClient) -> None:
    """Control of the harness: struct order, zero times, no empty optional fields, Go's escapes."""
    body = struct(ENTITIES["specs"], frozenset({"project", "title", "status"}), project="p", title="<a>&é")

    assert (
        marshal(body)
        == (
            '{"project":"p","title":"\\u003ca\\u003e\\u0026é","status":"",'
            '"created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"}'
        ).encode()
    )


@pytest.mark.parametrize("bad", ['""', '"2026-07-22T10:00:00"', '"2026-07-22 10:00:00Z"', "5"])
def test_harness_refuses_times_that_go_refuses(bad: str) -> None:
    """Control of the harness: a missing zone or an empty time breaks the SDK."""
    with pytest.raises(SdkError):
        unmarshal(f'{{"created_at":{bad}}}'.encode(), ENTITIES["specs"])


def test_agents(sdk: GoClient) -> None:
    """RegisterAgent, Heartbeat, ListAgents, DiscoverAgents."""
    anna = agent(sdk, "anna")
    sdk.heartbeat(anna)

    [listed] = sdk.list_agents()

    assert (listed["agent_id"], listed["name"], listed["project"]) == (anna, "anna", sdk.project)
    assert (listed["capabilities"], listed["metadata"], listed["status"]) == (["python"], {"repo": "/src"}, "active")
    assert ZERO_TIME not in (listed["created_at"], listed["last_seen"])
    assert sdk.discover_agents("go", "python") == [listed]
    assert sdk.discover_agents("rust") == []


def test_session_of_another_live_agent_is_an_error(sdk: GoClient) -> None:
    """The SDK reads the status alone: 409 for a session in use, 400 for one that is no UUID."""
    first = sdk.register_agent(name="anna")

    with pytest.raises(SdkError, match="register failed: 409"):
        sdk.register_agent(name="ben", session_id=first["session_id"])
    with pytest.raises(SdkError, match="register failed: 400"):
        sdk.register_agent(name="ben", session_id="main")


def test_messages(sdk: GoClient) -> None:
    """SendMessage, InboxSince, Ack, Read, InboxCounts, StaleAcks."""
    anna = agent(sdk, "anna")
    sent = message(sdk, "ben", anna, ack_required=True)

    page = sdk.inbox_since(anna)

    [received] = page["messages"]
    assert (received["id"], received["cursor"], page["cursor"]) == (sent["message_id"], sent["cursor"], sent["cursor"])
    assert (received["from"], received["to"], received["body"]) == ("ben", [anna], "a < b & c")
    assert received["ack_required"] is True
    assert received["created_at"] != ZERO_TIME
    assert sdk.inbox_since(anna, page["cursor"]) == {"messages": [], "cursor": page["cursor"]}
    assert sdk.inbox_counts(anna) == {"total": 1, "unread": 1}
    assert sdk.stale_acks(anna)["ttl_seconds"] == 1800
    # Deviation (design.md 9): the SDK says not who it is; with one recipient it is that one.
    sdk.mark(sent["message_id"], "ack")
    sdk.mark(sent["message_id"], "read")
    assert sdk.inbox_counts(anna) == {"total": 1, "unread": 0}
    assert sdk.stale_acks(anna, ttl_seconds=1, limit=5)["messages"] == []


def test_ack_of_a_message_to_several_needs_a_name(sdk: GoClient) -> None:
    """Deviation (design.md 9): where nobody can tell which recipient the SDK is, 400 instead of a mark of nobody."""
    sent = message(sdk, "ben", "anna", "carl")

    with pytest.raises(SdkError, match="ack failed: 400"):
        sdk.mark(sent["message_id"], "ack")
    with pytest.raises(SdkError, match="read failed: 404"):
        sdk.mark("unknown", "read")


def test_threads(sdk: GoClient) -> None:
    """ListThreads and ThreadMessages, the first page by a cursor of zero."""
    first, second = message(sdk, "ben", "anna"), message(sdk, "anna", "ben", body="ok")

    listed = sdk.list_threads("anna")
    thread = sdk.thread_messages("t-1")

    assert [(each["thread_id"], each["message_count"], each["last_from"]) for each in listed["threads"]] == [
        ("t-1", 2, "anna")
    ]
    assert listed["cursor"] == second["cursor"]
    assert [each["id"] for each in thread["messages"]] == [first["message_id"], second["message_id"]]
    assert sdk.list_threads("anna", first["cursor"])["threads"] == []
    assert [each["body"] for each in sdk.thread_messages("t-1", first["cursor"])["messages"]] == ["ok"]


def test_reservations(sdk: GoClient) -> None:
    """Reserve wants 200, and ReleaseReservation sends no X-Agent-ID; both work here (design.md 9)."""
    anna = agent(sdk, "anna")
    made = sdk.reserve(agent_id=anna, path_pattern="src/**", exclusive=True, reason="work", ttl_minutes=15)

    assert (made["agent_id"], made["path_pattern"], made["exclusive"], made["is_active"]) == (
        anna,
        "src/**",
        True,
        True,
    )
    assert ZERO_TIME not in (made["created_at"], made["expires_at"])
    assert [each["id"] for each in sdk.active_reservations()] == [made["id"]]
    assert [each["id"] for each in sdk.agent_reservations(anna)] == [made["id"]]
    with pytest.raises(SdkError, match="reserve failed: 409"):
        sdk.reserve(agent_id="ben", path_pattern="src/a.py", exclusive=True)
    sdk.release_reservation(made["id"])
    assert sdk.active_reservations() == []
    [ended] = sdk.agent_reservations(anna)
    assert ended["is_active"] is False
    assert ended["released_at"] is not None
    with pytest.raises(SdkError, match="release failed: 404"):
        sdk.release_reservation(made["id"])


def test_shared_reservations_of_the_sdk_go_together(sdk: GoClient) -> None:
    """`exclusive` is always sent; false is shared."""
    for name in ("anna", "ben"):
        sdk.reserve(agent_id=name, path_pattern="docs/**", exclusive=False)

    assert len(sdk.active_reservations()) == 2


def test_nameless_project_of_the_sdk_is_the_default_one(transport: GoTransport) -> None:
    """A client without a project sends `project=`, which is `default`."""
    sdk = GoClient(transport, "")
    made = sdk.reserve(agent_id="sdk-agent", path_pattern="sdk/only/**", exclusive=True)

    assert made["project"] == "default"
    assert made["id"] in [each["id"] for each in sdk.active_reservations()]
    sdk.release_reservation(made["id"])


CHANGING = {"version": 0, "updated_at": ""}
SAMPLES: dict[str, dict[str, Json]] = {
    "specs": {"title": "V2", "vision": "fast"},
    "epics": {"spec_id": "s", "title": "Core", "description": "d"},
    "stories": {"epic_id": "e", "title": "Login", "acceptance_criteria": ["a"]},
    "tasks": {"story_id": "st", "title": "Do it", "agent": "b1"},
    "insights": {"source": "scout", "category": "tech", "title": "X", "score": 0.85},
    "sessions": {"name": "main", "agent": "b1"},
    "cujs": {"spec_id": "s", "title": "Onboard", "steps": [{"order": 1, "action": "open", "expected": "form"}]},
}
STATUS = {
    "specs": "draft",
    "epics": "open",
    "stories": "todo",
    "tasks": "pending",
    "sessions": "running",
    "cujs": "draft",
}
FILTERS = {
    "specs": {"status": "draft"}, "epics": {"spec": "s"}, "stories": {"epic": "e"},
    "tasks": {"status": "pending", "agent": "b1"}, "insights": {"spec": "s2", "category": "tech"},
    "sessions": {"status": "running"}, "cujs": {"spec": "s"},
}  # fmt: skip


@pytest.mark.parametrize("plural", SAMPLES)
def test_entities(sdk: GoClient, plural: str) -> None:
    """Create*, Get*, List*, Update*, Delete*: 201, 200, a bare array, the version, 204, "not found", ErrConflict."""
    made = sdk.create(plural, **SAMPLES[plural])

    assert {name: made[name] for name in SAMPLES[plural] if name != "steps"} == {
        name: value for name, value in SAMPLES[plural].items() if name != "steps"
    }
    assert made.get("status", "") == STATUS.get(plural, "")
    assert ZERO_TIME not in made.values()
    assert sdk.get(plural, made["id"]) == made
    if plural == "insights":
        sdk.link_insight(made["id"], "s2")
        made = sdk.get(plural, made["id"])
    assert sdk.list(plural, **FILTERS[plural]) == [made]
    assert sdk.list(plural, **dict.fromkeys(FILTERS[plural], "nothing")) == []
    if plural != "insights":
        changed = sdk.update(plural, made)
        assert (
            {**changed, "version": 0, "updated_at": ""} == {**made, "version": 0, "updated_at": ""}
            if "version" in made
            else True
        )
        if "version" in made:
            assert (made["version"], changed["version"]) == (1, 2)
            with pytest.raises(SdkError, match="ErrConflict"):
                sdk.update(plural, made)
    sdk.delete(plural, made["id"])
    sdk.delete(plural, made["id"])
    with pytest.raises(SdkError, match="not found"):
        sdk.get(plural, made["id"])


@pytest.mark.parametrize("plural", ["specs", "epics", "stories", "tasks", "cujs"])
def test_duplicate_and_unknown_ids(sdk: GoClient, plural: str) -> None:
    """Deviation (design.md 9): a duplicate id is 409, so ErrConflict as the SDK hopes; an unknown one is 404 on update."""
    made = sdk.create(plural, id="x", **SAMPLES[plural])

    with pytest.raises(SdkError, match="ErrConflict"):
        sdk.create(plural, id="x", **SAMPLES[plural])
    with pytest.raises(SdkError, match=f"update {plural} failed: 404"):
        sdk.update(plural, {**made, "id": "y"})


def test_assignment_and_links(sdk: GoClient) -> None:
    """AssignTask, LinkCUJToFeature, UnlinkCUJFromFeature, GetCUJFeatureLinks."""
    task, journey = sdk.create("tasks", title="x"), sdk.create("cujs", title="x")

    assigned = sdk.assign_task(task["id"], "b1")
    sdk.link_cuj(journey["id"], "f1")
    sdk.link_cuj(journey["id"], "f1")

    assert (assigned["agent"], assigned["status"], assigned["version"]) == ("b1", "running", 2)
    [link] = sdk.cuj_links(journey["id"])
    assert (link["cuj_id"], link["feature_id"], link["project"]) == (journey["id"], "f1", sdk.project)
    sdk.link_cuj(journey["id"], "f1", "unlink")
    assert sdk.cuj_links(journey["id"]) == []


def test_sdk_with_a_key(keyed: GoClient) -> None:
    """From another machine with a key the calls are the same, but a release needs an owner (design.md 9)."""
    anna = agent(keyed, "anna")
    sent = message(keyed, "ben", anna)
    made = keyed.reserve(agent_id=anna, path_pattern="sdk-with-a-key/**", exclusive=True, ttl_minutes=1)

    keyed.heartbeat(anna)
    keyed.mark(sent["message_id"], "ack")

    assert made["id"] in [each["id"] for each in keyed.agent_reservations(anna)]
    with pytest.raises(SdkError, match="release failed: 403"):
        keyed.release_reservation(made["id"])
    keyed.project = "umbra"
    for call in (keyed.list_agents, lambda: agent(keyed, "x"), lambda: keyed.create("specs", title="x")):
        with pytest.raises(SdkError, match="failed: 403"):
            call()


def test_sdk_without_a_key_from_another_machine(server: ServerProcess) -> None:
    """Without a key the SDK sees 401 on every call."""
    transport = GoTransport(server.port, REMOTE)

    with pytest.raises(SdkError, match="list agents failed: 401"):
        GoClient(transport, "acme").list_agents()
    transport.close()
