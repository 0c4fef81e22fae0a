"""What is done with entities over HTTP: assign, claim, next, link, tree, and deletes that say what they orphan (issue 4)."""

from pathlib import Path

import httpx
from calls import Json, events, good, nothing_stored, refusal, register, reserve

from intermute.core.entities.kinds import ENTITIES


def create(client: httpx.Client, project: str, plural: str, **fields: object) -> Json:
    """Make an entity and return it."""
    found: Json = good(client.post(f"/api/{plural}", json={"project": project, "title": "x", **fields}), 201)
    return found


def test_assign_as_the_original_does(client: httpx.Client, project: str) -> None:
    """The project in the query, the agent in the body; an agent may be empty; an unknown task is 404."""
    task = create(client, project, "tasks", story_id="st1")
    where, asked = f"/api/tasks/{task['id']}/assign", {"project": project}

    assigned = good(client.post(where, params=asked, json={"agent": "b1"}))
    assert (assigned["agent"], assigned["status"], assigned["version"]) == ("b1", "running", 2)
    assert good(client.get("/api/tasks", params={**asked, "status": "running", "agent": "b1"})) == [assigned]
    nobody = good(client.post(where, params=asked, json={"agent": ""}))
    assert (nobody.get("agent"), nobody["status"], nobody["version"]) == (None, "running", 3)
    assert [each["type"] for each in events(client, project)] == ["task.created", "task.assigned", "task.assigned"]
    refusal(client.post(where, params=asked, json={"agent": "b1", "version": 1}), 409, "stale_version")
    refusal(client.post("/api/tasks/nothing/assign", params=asked, json={"agent": "b1"}), 404, "unknown_entity")
    assert client.get(where).status_code == 404  # The rest of the path is an id, and there is no such task.


def test_links_as_the_original_makes_them(client: httpx.Client, project: str) -> None:
    """Insights to specifications, journeys to features: 200, and a bare array of links."""
    insight, journey = create(client, project, "insights"), create(client, project, "cujs")
    asked = {"project": project}

    good(client.post(f"/api/insights/{insight['id']}/link", params=asked, json={"spec_id": "s"}))
    assert good(client.get(f"/api/insights/{insight['id']}"))["spec_id"] == "s"
    where = f"/api/cujs/{journey['id']}"
    linked = good(client.post(f"{where}/link", params=asked, json={"feature_id": "f1"}))
    assert linked == {**linked, "cuj_id": journey["id"], "feature_id": "f1", "project": project}
    assert good(client.get(f"{where}/links", params=asked)) == [linked]
    good(client.post(f"{where}/unlink", params=asked, json={"feature_id": "f1"}))
    assert good(client.get(f"{where}/links", params=asked)) == []
    told = [(each["type"], each["data"]) for each in events(client, project)][2:]
    assert told == [
        ("insight.linked", {"spec_id": "s"}), ("cuj.linked", {"feature_id": "f1"}), ("cuj.unlinked", {"feature_id": "f1"}),
    ]  # fmt: skip
    with nothing_stored(client, project):
        refusal(client.post("/api/insights/i/link", params=asked, json={"spec_id": "s"}), 404, "unknown_entity")
        refusal(client.post("/api/cujs/c/link", params=asked, json={"feature_id": "f"}), 404, "unknown_entity")
        refusal(client.post(f"{where}/link", params=asked, json={"feature_id": ""}), 400, "invalid_request")
        refusal(client.post(f"{where}/link", params=asked, json={}), 400, "invalid_request")


def test_claim_with_its_targets(client: httpx.Client, project: str) -> None:
    """The task and the reservation in one step; a conflict leaves the task free; the others learn who has it."""
    anna = register(client, project, "anna")["agent_id"]
    task = create(client, project, "tasks")
    where = f"/api/tasks/{task['id']}/claim"
    reserve(client, project, "ben", "src/**")

    with nothing_stored(client, project):
        body = {"agent": "anna", "patterns": ["src/a.py"]}
        assert refusal(client.post(where, json=body), 409, "reservation_conflict")["conflicts"][0]["held_by"] == "ben"
        refusal(client.post(where, json={"agent": "anna", "patterns": ["../a"]}), 400, "bad_pattern")
        refusal(client.post(where, json={}), 400, "invalid_request")
    claimed = good(client.post(where, json={"paths": ["docs/a.md"]}, headers={"X-Agent-ID": "anna"}))
    assert (claimed["agent"], claimed["status"], claimed["reservation"]["agent_id"]) == (anna, "running", anna)
    thread = good(client.get(f"/api/threads/{claimed['thread_id']}", params={"project": project}))
    assert len(thread["messages"]) == 1
    taken = refusal(client.post(where, json={"agent": "ben"}), 409, "task_taken")
    assert (taken["agent"], taken["held_by"]) == (anna, "anna")
    assert good(client.post(where, json={"agent": "anna"}))["repeated"] is True
    client.delete(f"/api/agents/{anna}")
    released = events(client, project, type="task.released")
    assert [(each["entity_id"], each["reason"]) for each in released] == [(task["id"], "deregistered")]


def test_release_of_a_task(client: httpx.Client, project: str) -> None:
    """Given back by its agent and by nobody else, it can be claimed by another one."""
    create(client, project, "tasks", id="t")
    good(client.post("/api/tasks/t/claim", json={"project": project, "agent": "anna"}))

    refused = refusal(client.post("/api/tasks/t/release", json={"project": project, "agent": "ben"}), 403, "not_yours")
    assert refused["owner"] == "anna"
    given_back = good(client.post("/api/tasks/t/release", json={"project": project, "agent": "anna", "reason": "ill"}))
    assert (given_back["released"], given_back["status"], given_back.get("agent", "")) == (True, "pending", "")
    assert good(client.post("/api/tasks/t/release", json={"project": project, "agent": "anna"}))["released"] is False
    assert good(client.post("/api/tasks/t/claim", json={"project": project, "agent": "ben"}))["agent"] == "ben"
    events = good(client.get("/api/events", params={"project": project}))["events"]
    [released] = [each for each in events if each["type"] == "task.released"]
    assert (released["held_by"], released["reason"]) == ("anna", "ill")


def test_next_task(client: httpx.Client, project: str) -> None:
    """The oldest that waits for nothing and fits; then 404 with what to wait for."""
    create(client, project, "tasks", id="hard", capabilities=["rust"])
    create(client, project, "tasks", id="first")
    create(client, project, "tasks", id="second", depends_on=["first"])
    body = {"project": project, "agent": "anna"}

    assert good(client.post("/api/tasks/next", json=body))["id"] == "first"
    assert "task.completed" in refusal(client.post("/api/tasks/next", json=body), 404, "no_claimable_task")["message"]
    waiting = refusal(client.post("/api/tasks/second/claim", json=body), 409, "task_not_claimable")
    assert waiting["waits_for"] == ["first"]
    good(client.patch("/api/tasks/first", json={"project": project, "status": "done"}))
    assert good(client.post("/api/tasks/next", json=body))["id"] == "second"
    assert good(client.post("/api/tasks/next", json={**body, "capabilities": ["rust"]}))["id"] == "hard"
    circle = refusal(client.patch("/api/tasks/first", json={"project": project, "depends_on": ["second"]}), 409)
    assert (circle["error"], circle["cycle"]) == ("dependency_cycle", ["first", "second", "first"])


def test_delete_says_what_it_orphans(client: httpx.Client, project: str) -> None:
    """204 with a count in a header, 200 with a list where the caller asks for it, 409 where it forbids it."""
    for name in ("a", "b"):
        create(client, project, "specs", id=name)
        create(client, project, "epics", id=f"of-{name}", spec_id=name)
    asked = {"project": project}

    refused = refusal(client.delete("/api/specs/a", params={**asked, "cascade": "refuse"}), 409, "still_referenced")
    assert refused["references"] == [{"kind": "epic", "id": "of-a", "field": "spec_id"}]
    first = client.delete("/api/specs/a", params=asked)
    assert (first.status_code, first.headers["x-orphaned"], first.headers["x-orphaned-ids"]) == (204, "1", "epic/of-a")
    second = good(client.delete("/api/specs/b", params={**asked, "cascade": "orphan"}))
    assert (second["deleted"], second["orphaned"][0]["id"]) == (True, "of-b")
    assert "x-orphaned" not in client.delete("/api/specs/b", params=asked).headers
    refusal(client.delete("/api/specs/b", params={**asked, "cascade": "delete"}), 400, "invalid_request")


def test_tree_of_a_specification(client: httpx.Client, project: str) -> None:
    """One call for all of it."""
    spec = create(client, project, "specs")["id"]
    epic = create(client, project, "epics", spec_id=spec)["id"]
    story = create(client, project, "stories", epic_id=epic)["id"]
    task = create(client, project, "tasks", story_id=story)["id"]

    tree = good(client.get(f"/api/specs/{spec}/tree"))

    assert tree["epics"][0]["stories"][0]["tasks"][0]["id"] == task
    assert tree["counts"] == {"epics": {"open": 1}, "stories": {"todo": 1}, "tasks": {"pending": 1}, "cujs": {}}
    refusal(client.get("/api/specs/x/tree", params={"project": project}), 404, "unknown_entity")


def test_id_with_slashes_is_one_id(client: httpx.Client, project: str) -> None:
    """An id may have slashes inside, in every route that takes one; those at its ends do not count."""
    create(client, project, "tasks", id="/team/a/1/")
    asked = {"project": project}

    assert good(client.get("/api/tasks/team/a/1", params=asked))["id"] == "team/a/1"
    assert good(client.get("/api/tasks/team%2Fa%2F1", params=asked))["id"] == "team/a/1"
    assert good(client.post("/api/tasks/team/a/1/claim", params=asked, json={"agent": "b"}))["id"] == "team/a/1"
    # What comes after an id is part of it, so that nothing is deleted that was not named (contract.md BUG-36).
    assert client.delete("/api/tasks/team/a/1/whatever", params=asked).status_code == 204
    assert good(client.get("/api/tasks", params=asked))[0]["id"] == "team/a/1"


def test_documentation_names_every_kind() -> None:
    """The page has a row of filters and orders for each kind."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")

    for entity in ENTITIES:
        [row] = [line for line in page.splitlines() if line.startswith(f"| {entity.plural} |")]
        for each in entity.filters:
            assert all(f"`{name}`" in row for name in (each.field, *each.aliases))
        assert all(f"`{status}`" in row for status in entity.flow)
