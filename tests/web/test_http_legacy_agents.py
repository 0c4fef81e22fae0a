"""What the original's clients expect of agents: contract.md 1.2 and 8, field by field.

The deviations of design.md 9 and the rules of design.md 6 are named beside their tests.
"""

import re
import uuid

import httpx
import pytest
from calls import events, good, head, refusal, register

AGENT_FIELDS = [
    "agent_id", "session_id", "name", "project", "capabilities", "metadata", "status", "last_seen", "created_at",
]  # fmt: skip
PRESENCE_FIELDS = [
    "agent_id", "kind", "status", "last_seen", "repo", "files", "objective", "confidence", "active_bead_id", "thread_id",
]  # fmt: skip
TO_THE_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_register_answers_with_the_original_fields_in_order(client: httpx.Client, project: str) -> None:
    """Registration answers 200 with id, session, name, a token of 32 characters and cursor 0."""
    body = {
        "name": "fixer", "project": project, "capabilities": ["python"], "metadata": {"repo": "/src"}, "status": "active",
    }  # fmt: skip

    found = good(client.post("/api/agents", json=body))

    assert list(found)[:5] == ["agent_id", "session_id", "name", "token", "cursor"]
    assert (found["name"], found["cursor"]) == ("fixer", 0)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", found["token"])
    assert uuid.UUID(found["agent_id"])
    assert uuid.UUID(found["session_id"])


def test_register_without_a_name_gets_a_generated_one(client: httpx.Client, project: str) -> None:
    """An agent that brings no name gets one of ours."""
    for name in ({}, {"name": ""}, {"name": "  "}, {"name": None}):
        found = good(client.post("/api/agents", json={"project": project, **name}))

        assert re.fullmatch(r"[A-Z][a-z]+[A-Z][a-z]+(-\d+)?", found["name"])


def test_register_of_a_live_name_gets_a_suffix_and_says_so(client: httpx.Client, project: str) -> None:
    """Names of live agents are unique in a project (design.md 6)."""
    register(client, project, "fixer")

    second = register(client, project, "fixer")

    assert second["name"] == "fixer-2"
    assert second["requested_name"] == "fixer"
    assert "fixer-2" in second["message"]


def test_register_with_a_bad_session_is_refused_in_the_original_words(client: httpx.Client, project: str) -> None:
    """A session that is no UUID is 400 with the original's text, which quotes the value."""
    body = refusal(client.post("/api/agents", json={"project": project, "session_id": 'x"y'}), 400)

    assert body["code"] == "invalid_session_id"
    assert body["error"] == 'invalid session_id: must be a valid UUID: "x\\"y"'


def test_register_of_a_live_session_under_another_name_is_refused(client: httpx.Client, project: str) -> None:
    """A session in use by a live agent of another name is 409 with the original's code and text."""
    first = register(client, project, "anna")
    taken = {"project": project, "name": "ben", "session_id": first["session_id"]}

    body = refusal(client.post("/api/agents", json=taken), 409)

    assert body["code"] == "active_session_conflict"
    assert body["error"] == "session_id is in use by an active agent"


def test_register_of_the_same_session_and_name_is_a_renewal(client: httpx.Client, project: str) -> None:
    """A crashed agent that comes back at once is the same agent, with a new token (design.md 6)."""
    first = register(client, project, "anna")

    again = register(client, project, "anna", session_id=first["session_id"])

    assert again["agent_id"] == first["agent_id"]
    assert again["renewed"] is True
    assert again["token"] != first["token"]


def test_register_of_a_session_with_its_token_may_change_the_name(client: httpx.Client, project: str) -> None:
    """The agent's token renews its session under any name (design.md 6)."""
    first = register(client, project, "anna")

    again = register(client, project, "ada", session_id=first["session_id"], token=first["token"])

    assert (again["agent_id"], again["name"]) == (first["agent_id"], "ada")


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("{given}", id="canonical"),
        pytest.param("urn:uuid:{given}", id="urn"),
        pytest.param("{{{given}}}", id="braces"),
        pytest.param("{plain}", id="32-digits"),
        pytest.param("{upper}", id="upper-case"),
        pytest.param("  {given} ", id="spaces"),
    ],
)
def test_session_spellings_of_the_original_name_one_session(client: httpx.Client, project: str, spelling: str) -> None:
    """Every spelling of a UUID that the original takes is accepted, and means the same session."""
    given = uuid.uuid5(uuid.NAMESPACE_URL, project)
    first = register(client, project, "anna", session_id=str(given))
    spelled = spelling.format(given=given, plain=given.hex, upper=str(given).upper())

    again = register(client, project, "anna", session_id=spelled)

    assert again["agent_id"] == first["agent_id"]


def test_session_is_unique_in_its_project_only(client: httpx.Client, project: str) -> None:
    """The same session in another project is another agent (design.md 6; the original's [BUG-27])."""
    first = register(client, project, "anna")

    other = register(client, f"{project}-other", "ben", session_id=first["session_id"])

    assert other["agent_id"] != first["agent_id"]


def test_agent_list_has_the_original_fields_newest_first(client: httpx.Client, project: str) -> None:
    """The list has the original's fields in order, nulls where nothing was given, and no token."""
    register(client, project, "bare")
    register(client, project, "full", capabilities=[], metadata={}, status="busy")

    listed = good(client.get("/api/agents", params={"project": project}))["agents"]

    assert [agent["name"] for agent in listed] == ["full", "bare"]
    assert all(list(agent)[: len(AGENT_FIELDS)] == AGENT_FIELDS for agent in listed)
    full, bare = listed
    assert (full["capabilities"], full["metadata"], full["status"]) == ([], {}, "busy")
    assert (bare["capabilities"], bare["metadata"], bare["status"]) == (None, None, "")
    assert TO_THE_SECOND.fullmatch(full["last_seen"])
    assert TO_THE_SECOND.fullmatch(full["created_at"])
    assert "token" not in full


def test_agent_list_filters_by_any_capability(client: httpx.Client, project: str) -> None:
    """`capability` is a comma-separated list; blanks are dropped, any match counts, case matters."""
    register(client, project, "py", capabilities=["python", "go"])
    register(client, project, "rs", capabilities=["rust"])
    register(client, project, "none")

    def named(capability: str) -> list[str]:
        listed = good(client.get("/api/agents", params={"project": project, "capability": capability}))["agents"]
        return sorted(agent["name"] for agent in listed)

    assert named("python") == ["py"]
    assert named(" rust , ,go") == ["py", "rs"]
    assert named("Python") == []
    assert named("") == ["none", "py", "rs"]


def test_agent_list_without_a_project_covers_all_for_a_local_caller(client: httpx.Client, project: str) -> None:
    """A local caller that names no project sees the agents of every project, each with its project."""
    # The names sort first, so that the list's bound (see test_http_gathered_lists.py) does not cut them off.
    mine = register(client, f"a-{project}", "anna")
    other = register(client, f"a-{project}-other", "ben")

    listed = good(client.get("/api/agents"))["agents"]

    found = {agent["agent_id"]: agent["project"] for agent in listed}
    assert found[mine["agent_id"]] == f"a-{project}"
    assert found[other["agent_id"]] == f"a-{project}-other"


def test_agent_list_of_an_empty_project_is_an_empty_list(client: httpx.Client, project: str) -> None:
    """A list without hits is `[]`, never null."""
    assert good(client.get("/api/agents", params={"project": project}))["agents"] == []
    assert good(client.get("/api/agents/presence", params={"project": project}))["agents"] == []


def test_presence_reads_the_agents_metadata(client: httpx.Client, project: str) -> None:
    """Presence is made of metadata, trimmed, with the original's fields in order and its defaults."""
    metadata = {
        "agent_kind": " codex ", "status": "idle", "repo": "/src/acme", "files_touched": '[" a.py ", ""]',
        "objective": "fix parser", "active_bead_confidence": "reported", "active_bead_id": "acme-12", "thread_id": "t",
    }  # fmt: skip
    register(client, project, "full", metadata=metadata, status="busy")
    register(client, project, "bare", status="busy")

    everyone = good(client.get("/api/agents/presence", params={"project": project}))["agents"]
    some = good(client.get("/api/agents/presence", params={"project": project, "active_bead_id": " acme-12 "}))[
        "agents"
    ]

    assert all(list(agent)[: len(PRESENCE_FIELDS)] == PRESENCE_FIELDS for agent in everyone)
    full = {field: some[0][field] for field in PRESENCE_FIELDS if field not in ("agent_id", "last_seen")}
    assert full == {
        "kind": "codex", "status": "idle", "repo": "/src/acme", "files": ["a.py"], "objective": "fix parser",
        "confidence": "reported", "active_bead_id": "acme-12", "thread_id": "t",
    }  # fmt: skip
    bare = next(agent for agent in everyone if agent["name"] == "bare")
    assert (bare["status"], bare["files"], bare["confidence"], bare["kind"]) == ("busy", [], "unknown", "")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"focus_state":""}', b'{"focus_state":null}', b'{"focus_state":"thinking"}']
)
def test_heartbeat_answers_with_the_id_and_logs_nothing(client: httpx.Client, project: str, body: bytes) -> None:
    """A heartbeat needs no body; it answers exactly the id and is no event."""
    agent = register(client, project, "anna")
    before = head(client, project)

    headers = {"Content-Type": "application/json"} if body else {}
    found = good(client.post(f"/api/agents/{agent['agent_id']}/heartbeat", content=body, headers=headers))

    assert found == {"agent_id": agent["agent_id"]}
    assert head(client, project) == before


def test_heartbeat_brings_the_agent_to_the_front_of_the_list(client: httpx.Client, project: str) -> None:
    """The list is ordered by the last sign of life, and a focus state is kept with the agent."""
    first = register(client, project, "first")
    register(client, project, "second")

    good(client.post(f"/api/agents/{first['agent_id']}/heartbeat", json={"focus_state": "tool-use"}))

    listed = good(client.get("/api/agents", params={"project": project}))["agents"]
    assert [agent["name"] for agent in listed] == ["first", "second"]
    assert listed[0]["focus_state"] == "tool-use"


def test_heartbeat_with_an_unknown_focus_state_is_refused(client: httpx.Client, project: str) -> None:
    """A focus state that is none of the four is 400 in the original's words."""
    agent = register(client, project, "anna")

    body = refusal(client.post(f"/api/agents/{agent['agent_id']}/heartbeat", json={"focus_state": "asleep"}), 400)

    assert body["error"] == "invalid focus_state"


def test_metadata_is_merged_and_answered_with_the_agent(client: httpx.Client, project: str) -> None:
    """Given keys are set, the others stay; the answer is the agent as in the list."""
    agent = register(client, project, "anna", metadata={"repo": "/a", "branch": "main"})

    path = f"/api/agents/{agent['agent_id']}/metadata"
    found = good(client.patch(path, json={"metadata": {"branch": "fix", "bead": "1"}}))

    assert list(found)[: len(AGENT_FIELDS)] == AGENT_FIELDS
    assert found["metadata"] == {"repo": "/a", "branch": "fix", "bead": "1"}
    assert events(client, project)[-1]["type"] == "agent.metadata"


def test_metadata_does_not_grow_by_merging(client: httpx.Client, project: str) -> None:
    """What an agent says of itself is bounded as a whole, since every project keeps it in memory; the rest stays."""
    agent = register(client, project, "anna", metadata={"a": "v" * 8192})
    path = f"/api/agents/{agent['agent_id']}/metadata"

    refusal(client.patch(path, json={"metadata": {"b": "v" * 8192}}), 400, "invalid_request")

    assert good(client.patch(path, json={"metadata": {"b": "w"}}))["metadata"] == {"a": "v" * 8192, "b": "w"}


def test_metadata_of_an_agent_that_had_none_is_set(client: httpx.Client, project: str) -> None:
    """An agent registered without metadata can be given some (the original's [BUG-03])."""
    agent = register(client, project, "anna")

    found = good(client.patch(f"/api/agents/{agent['agent_id']}/metadata", json={"metadata": {"a": "b"}}))

    assert found["metadata"] == {"a": "b"}


@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": None}])
def test_metadata_without_keys_is_refused_in_the_original_words(
    client: httpx.Client, project: str, body: dict[str, object]
) -> None:
    """An empty map is 400 with the original's text."""
    agent = register(client, project, "anna")

    found = refusal(client.patch(f"/api/agents/{agent['agent_id']}/metadata", json=body), 400)

    assert found["error"] == "metadata map required"


def test_agent_is_found_by_its_id_and_by_its_name(client: httpx.Client, project: str) -> None:
    """An address is an id or a name; an id alone finds its project (design.md 6)."""
    agent = register(client, project, "anna")

    by_id = good(client.get(f"/api/agents/{agent['agent_id']}"))
    by_name = good(client.get("/api/agents/anna", params={"project": project}))

    assert by_id == by_name
    assert by_id["project"] == project


def test_deregistered_agent_is_gone_and_its_name_is_free(client: httpx.Client, project: str) -> None:
    """After leaving, the agent is unknown, and another may take the name without a suffix."""
    agent = register(client, project, "anna")

    good(client.delete(f"/api/agents/{agent['agent_id']}"))

    refusal(client.get(f"/api/agents/{agent['agent_id']}"), 404, "unknown_agent")
    refusal(client.delete(f"/api/agents/{agent['agent_id']}"), 404, "unknown_agent")
    assert register(client, project, "anna")["name"] == "anna"
