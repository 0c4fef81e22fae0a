"""All seven kinds of entities over HTTP: as the original's clients see them, and beyond (contract.md 1.9; issue 4)."""

from typing import Any

import httpx
import pytest
from calls import Json, events, good, nothing_stored, refusal
from entity_samples import example_ids, smallest, whole

from intermute.core.entities.definition import Entity
from intermute.core.entities.kinds import CUJ, ENTITIES, INSIGHT, SESSION, SPEC, TASK

every_kind = pytest.mark.parametrize("entity", ENTITIES, ids=example_ids())
ZERO = "0001-01-01T00:00:00Z"


def create(client: httpx.Client, project: str, entity: Entity, **fields: object) -> Json:
    """Make an entity and return it."""
    body = {"project": project, **smallest(entity), **fields}
    found: Json = good(client.post(f"/api/{entity.plural}", json=body), 201)
    return found


def listed(client: httpx.Client, entity: Entity, **query: str) -> list[str]:
    """Return the ids of a list, which is a bare array."""
    found = good(client.get(f"/api/{entity.plural}", params=query))
    assert isinstance(found, list)
    return [each["id"] for each in found]


def pages(client: httpx.Client, entity: Entity, limit: int) -> list[Any]:
    """Return the entities of a kind in all projects, read in pages of so many."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(f"/api/{entity.plural}", params={"limit": str(limit), **cursor})
        found += good(answer)
        if "x-next-cursor" not in answer.headers:
            return found
        cursor = {"cursor": answer.headers["x-next-cursor"]}


@every_kind
def test_entity_from_making_to_deleting(client: httpx.Client, project: str, entity: Entity) -> None:
    """The original's life of an entity: 201, 200, a bare array, PUT with the version, 204, 404; each with its event."""
    made = create(client, project, entity, **whole(entity))
    where = f"/api/{entity.plural}/{made['id']}"
    asked = {"project": project}

    made.pop("warnings", None)
    assert good(client.get(where, params=asked)) == made
    assert good(client.get(where)) == made  # The id tells the project.
    assert good(client.get(f"/api/{entity.plural}", params=asked)) == [made]
    replaced = good(client.put(where, json={"project": project, **smallest(entity), "version": 1, "created_at": ZERO}))
    assert (replaced["id"], replaced["version"]) == (made["id"], 2)
    assert replaced.get("created_at") == made.get("created_at")
    merged = good(client.patch(where, json=whole(entity, "bb")))
    assert merged["version"] == 3
    gone = client.delete(where, params=asked)
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-length" not in gone.headers
    assert client.delete(where, params=asked).status_code == 204
    refusal(client.get(where, params=asked), 404, "unknown_entity")
    assert good(client.get(f"/api/{entity.plural}", params=asked)) == []
    told = events(client, project)
    assert [each["type"] for each in told] == [entity.created, entity.updated, entity.updated, entity.deleted]
    assert {each["entity_id"] for each in told} == {made["id"]}
    merged.pop("warnings", None)
    assert (told[0]["data"], told[2]["data"], told[3]["data"]) == (made, merged, None)


@every_kind
def test_whole_entity_as_the_original_sends_it(client: httpx.Client, project: str, entity: Entity) -> None:
    """The SDK sends zero times, empty texts and nulls, and what it has read before it sends back as it is."""
    sent = {name: value or None for name, value in whole(entity).items()}
    first = create(
        client, project, entity, id="x", version=0, created_at=ZERO, updated_at=ZERO, started_at=ZERO, **sent
    )
    first.pop("warnings", None)

    second = good(client.put(f"/api/{entity.plural}/x", json=first))

    changing = ("version", "updated_at", "warnings")
    assert {n: v for n, v in second.items() if n not in changing} == {
        n: v for n, v in first.items() if n not in changing
    }


@every_kind
def test_refusals_name_what_is_wrong(client: httpx.Client, project: str, entity: Entity) -> None:
    """Duplicate 409, stale 409 with the current one, unknown 404, bad fields 400; and nothing is stored."""
    required = next(iter(smallest(entity)))
    create(client, project, entity, id="x")
    every, where = f"/api/{entity.plural}", f"/api/{entity.plural}/x"
    body = {"project": project, **smallest(entity)}

    with nothing_stored(client, project):
        assert refusal(client.post(every, json={**body, "id": "x"}), 409, "duplicate_id")["id"] == "x"
        stale = refusal(client.put(where, json={**body, "version": 9}), 409, "stale_version")
        assert (stale["version"], stale["current"]["id"]) == (1, "x")
        for call in (client.put, client.patch):
            refusal(call(f"/api/{entity.plural}/y", json={**body, "version": 1}), 404, "unknown_entity")
        for bad, field in (
            ({"project": project}, required),
            ({**body, required: 5}, required),
            ({**body, "titel": "x"}, "titel"),
            ({**body, "version": "1"}, "version"),
            ({**body, "created_at": "yesterday", "started_at": "2026-01-01T00:00:00"}, None),
            ({**body, "id": "a\nb"}, "id"),
            ({**body, required: "x" * 2000}, required),
        ):
            named = refusal(client.post(every, json=bad), 400, "invalid_request")["fields"]
            assert field is None or field in [each["field"] for each in named]
        refusal(client.post(every, content=b"[]", headers={"Content-Type": "application/json"}), 400, "malformed_json")
        refusal(client.post(every, json={**body, required: "x" * 1_100_000}), 413, "body_too_large")
        refusal(client.get(every, params={"project": project, "cursor": "?"}), 400, "invalid_request")


@every_kind
def test_other_project_sees_and_changes_nothing(
    acme: httpx.Client, umbra: httpx.Client, client: httpx.Client, entity: Entity
) -> None:
    """A key works in its project alone, by names and by ids that tell another."""
    made = create(acme, "acme", entity)
    where = f"/api/{entity.plural}/{made['id']}"

    refusal(umbra.get(where), 404, "unknown_entity")
    refusal(umbra.put(where, json={**smallest(entity), "version": 1}), 404, "unknown_entity")
    refusal(umbra.patch(where, json=smallest(entity)), 404, "unknown_entity")
    assert umbra.delete(where).status_code == 204
    for call in (umbra.get, umbra.delete):
        refusal(call(where, params={"project": "acme"}), 403, "foreign_project")
    refusal(umbra.post(f"/api/{entity.plural}", json={**smallest(entity), "project": "acme"}), 403, "foreign_project")
    assert made["id"] not in listed(umbra, entity)
    assert good(acme.get(where))["version"] == 1
    assert made["id"] in listed(acme, entity)


@every_kind
def test_same_id_in_two_projects_is_two_entities(client: httpx.Client, project: str, entity: Entity) -> None:
    """An id that a client gave means another entity in another project."""
    other = f"{project}-other"
    create(client, project, entity, id="x", **whole(entity, "a"))
    create(client, other, entity, id="x", **whole(entity, "bb"))

    client.delete(f"/api/{entity.plural}/x", params={"project": other})

    assert listed(client, entity, project=project) == ["x"]
    assert listed(client, entity, project=other) == []


@every_kind
def test_list_of_all_projects_for_a_local_caller(client: httpx.Client, project: str, entity: Entity) -> None:
    """Without a project a local caller gets every project's, in the order of the kind and page by page."""
    for number in range(3):
        for name in (project, f"{project}-b"):
            create(
                client, name, entity, id=f"{name}:{number}", priority=("low", "high", "medium")[number], score=number
            )
    mine = {f"{name}:{number}" for number in range(3) for name in (project, f"{project}-b")}

    # Few pages: each looks into all projects of this service, which are many.
    everything = pages(client, entity, 1000)
    found = pages(client, entity, min(len(everything) // 2, 1000))

    assert found == everything
    assert {each["id"] for each in everything} >= mine
    if "priority" in entity.by_name:
        priorities = [each["priority"] for each in everything if each["id"] in mine]
        assert priorities == sorted(priorities)
    if "score" in entity.by_name:
        scores = [each["score"] for each in everything]
        assert scores == sorted(scores, reverse=True)
    refusal(client.get(f"/api/{entity.plural}", params={"cursor": "x"}), 400, "invalid_request")


@every_kind
def test_pages_of_one_project(client: httpx.Client, project: str, entity: Entity) -> None:
    """`limit` bounds a list; the header X-Next-Cursor leads to the rest and is absent on the last page."""
    for number in range(5):
        create(client, project, entity, id=str(number))
    asked = {"project": project, "limit": "2"}

    first = client.get(f"/api/{entity.plural}", params=asked)
    second = client.get(f"/api/{entity.plural}", params={**asked, "cursor": first.headers["x-next-cursor"]})
    third = client.get(f"/api/{entity.plural}", params={**asked, "cursor": second.headers["x-next-cursor"]})

    assert [each["id"] for page in (first, second, third) for each in good(page)] == ["4", "3", "2", "1", "0"]
    assert "x-next-cursor" not in third.headers


def test_examples_of_the_contract(client: httpx.Client, project: str) -> None:
    """The original's own examples, field by field (contract.md 1.9)."""
    spec = create(client, project, SPEC, title="V2", vision="fast")
    assert list(spec) == ["id", "project", "title", "vision", "status", "version", "created_at", "updated_at"]
    assert (spec["status"], spec["version"]) == ("draft", 1)
    put = {"project": project, "title": "V2b", "status": "research", "version": 1}
    second = good(client.put(f"/api/specs/{spec['id']}", json=put))
    assert (second["title"], second["status"], second["version"], "vision" in second) == ("V2b", "research", 2, False)
    refusal(client.put(f"/api/specs/{spec['id']}", json=put), 409, "stale_version")
    insight = create(client, project, INSIGHT, source="scout", category="tech", title="X", score=0.85)
    assert insight["score"] == 0.85
    session = create(client, project, SESSION, name="main", agent="b1")
    assert (session["status"], session["agent"]) == ("running", "b1")
    steps = [{"order": 1, "action": "open", "expected": "form"}]
    cuj = create(client, project, CUJ, spec_id=spec["id"], title="Onboard", priority="high", steps=steps)
    assert list(cuj)[:6] == ["id", "spec_id", "project", "title", "priority", "steps"]
    assert cuj["steps"] == steps
    done = {"project": project, "title": "Onboard", "priority": "medium", "status": "validated", "version": 1}
    assert "steps" not in good(client.put(f"/api/cujs/{cuj['id']}", json=done))
    task = create(client, project, TASK, title="Do it")
    good(
        client.put(
            f"/api/tasks/{task['id']}", json={"project": project, "title": "Do it", "status": "done", "version": 1}
        )
    )
    assert [each["type"] for each in events(client, project)][-3:] == [
        "cuj.validated",
        "task.created",
        "task.completed",
    ]


def test_absurd_lists_are_refused(client: httpx.Client, project: str) -> None:
    """A thousand steps, a step with a strange field, and texts that are numbers: 400 with the field."""
    step = {"order": 1, "action": "a", "expected": "b"}
    body = {"project": project, "title": "x"}

    for bad in ([step] * 1_000, [{**step, "acton": "a"}], [{**step, "order": 1e300}], ["open"], "open", {"a": 1}):
        named = refusal(client.post("/api/cujs", json={**body, "steps": bad}), 400, "invalid_request")["fields"]
        assert [each["field"] for each in named] == ["steps"]
    for score in (1e300, "1", True):
        refusal(client.post("/api/insights", json={**body, "score": score}), 400, "invalid_request")
    refusal(client.post("/api/stories", json={**body, "acceptance_criteria": [1]}), 400, "invalid_request")
    assert events(client, project) == []
