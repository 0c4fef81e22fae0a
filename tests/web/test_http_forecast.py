"""Preflight over HTTP: a plan's forecast, and what stands between branches."""

import httpx
import pytest
from calls import Json, good, head, nothing_stored, refusal, register, reserve

FORECAST = "/api/forecast"


def foresee(client: httpx.Client, project: str, *plan: Json, **more: object) -> Json:
    """Return the forecast of a plan."""
    found: Json = good(client.post(FORECAST, json={"project": project, "plan": list(plan), **more}))
    return found


def test_forecast_says_what_stands_in_the_way_and_in_which_order(client: httpx.Client, project: str) -> None:
    """The body of claims.md 7 is answered in its form; ids and names are both taken."""
    anna = register(client, project, "anna")
    held = reserve(client, project, "cleo", "src/billing.py", ttl_minutes=5)
    rename = {
        "address": "src/billing.py::compute_total",
        "op": "rename",
        "to": "src/billing.py::compute_invoice_total",
    }

    found = foresee(
        client,
        project,
        {"step": "s1", "agent_id": anna["agent_id"], "targets": [rename]},
        {"step": "s2", "agent": "ben", "after": ["s1"], "patterns": ["src/*.py"], "mode": "X", "op": "modify"},
        branch_policy="any",
        include=["reservations", "intents", "plan", "blast_radius"],
    )

    assert (found["as_of_seq"], found["verdict"], found["high_risk"]) == (held["seq"], "conflict", 2)
    first, second = found["steps"]
    assert (first["would_grant"], first["earliest"]) == (False, held["expires_at"])
    finding = first["findings"][0]
    assert (finding["against"], finding["held_by"], finding["kind"]) == (
        f"reservation:{held['id']}",
        "cleo",
        "containment",
    )
    assert (finding["requested"]["op"], finding["held"]["mode"]) == ("rename", "X")
    assert second["would_grant"] is False
    assert {(each["a"], each["b"], each["ordered"]) for each in found["pairs"]} == {("s1", "s2", True)}
    assert found["waves"] == [["s1"], ["s2"]]
    assert found["blast_radius"] == {"state": "unavailable"}


def test_forecast_of_an_unknown_project_is_clear_and_makes_none(client: httpx.Client, project: str) -> None:
    """Nothing is held where nothing is."""
    with nothing_stored(client, project):
        found = foresee(client, project, {"step": "s1", "agent_id": "anna", "paths": ["src/a.py"]})

    assert (found["verdict"], found["steps"]) == ("clear", [{"step": "s1", "would_grant": True, "findings": []}])


def test_reserving_on_a_stale_forecast_is_409(client: httpx.Client, project: str) -> None:
    """S13: a relevant claim after the forecast is named; an irrelevant one is none."""
    reserve(client, project, "cleo", "docs")
    seq = foresee(client, project, {"step": "s1", "agent_id": "anna", "path_pattern": "src"})["as_of_seq"]
    body = {"project": project, "agent_id": "anna", "exclusive": False, "if_seq": seq}
    meanwhile = reserve(client, project, "ben", "src/a.py", exclusive=False)

    stale = refusal(client.post("/api/reservations", json={**body, "path_pattern": "src"}), 409, "stale_forecast")
    granted = good(client.post("/api/reservations", json={**body, "path_pattern": "lib"}), 201)

    assert [each["reservation_id"] for each in stale["changed"]] == [meanwhile["id"]]
    assert granted["is_active"] is True


def test_forecast_stores_nothing(client: httpx.Client, project: str) -> None:
    """Reading is all it does."""
    reserve(client, project, "ben", "src")
    before = head(client, project)

    foresee(client, project, {"step": "s1", "agent_id": "anna", "path_pattern": "src"})

    assert head(client, project) == before


STEP = {"step": "a", "agent_id": "anna", "path": "x"}


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (None, "plan"),
        ("s1", "plan"),
        ([{**STEP, "after": ["b"]}, {**STEP, "step": "b", "after": ["a"]}], "plan"),
        ([{**STEP, "after": ["b"]}], "plan[0].after"),
        ([STEP, STEP], "plan[1].step"),
        ([{**STEP, "step": f"s{n}"} for n in range(101)], "plan"),
        ([STEP, {"step": "b", "agent_id": "ben"}], "plan[1].path_pattern"),
        ([{**STEP, "step": None}], "plan"),
        ([{"agent_id": "anna", "path": "x"}], "plan"),
        ([{**STEP, "paht": "y"}], "plan"),
        ([{**STEP, "mode": "loud"}], "plan[0].mode"),
    ],
)
def test_malformed_plan_names_the_field(client: httpx.Client, project: str, plan: object, field: str) -> None:
    """Circles, unknown and double steps, too many of them, and fields that are none: 400, and where."""
    answer = refusal(client.post(FORECAST, json={"project": project, "plan": plan}), 400, "invalid_request")

    assert [each["field"] for each in answer["fields"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"), [({"include": ["weather"]}, "include"), ({"branch_policy": "none"}, "branch_policy")]
)
def test_forecast_with_an_unknown_word_names_it(client: httpx.Client, project: str, body: Json, field: str) -> None:
    """Closed choices are refused by name."""
    answer = refusal(client.post(FORECAST, json={"project": project, "plan": [STEP], **body}), 400, "invalid_request")

    assert [each["field"] for each in answer["fields"]] == [field]


def test_forecast_of_a_bad_pattern_is_refused(client: httpx.Client, project: str) -> None:
    """The dialect refuses as it does for a reservation."""
    plan = [{**STEP, "path": None, "pattern": "../x"}]

    refusal(client.post(FORECAST, json={"project": project, "plan": plan}), 400, "bad_pattern")


def test_reconcile_lists_branches_and_what_stands_between_them(client: httpx.Client, project: str) -> None:
    """Past each other on two branches, granted all the same: the merge will meet it."""
    one = reserve(client, project, "anna", "src", branch="core")
    other = reserve(client, project, "ben", "src/a.py", branch="api", on_conflict="grant")
    reserve(client, project, "cleo", "docs")

    found = good(client.get("/api/coordination/reconcile", params={"project": project, "limit": "10"}))

    assert [(each["branch"], each["weight"], each["agents"]) for each in found["branches"]] == [
        (None, 0.0, ["cleo"]),
        ("core", 1.0, ["anna"]),
        ("api", 1.0, ["ben"]),
    ]
    [pair] = found["pairs"]
    assert (pair["a"]["reservation_id"], pair["b"]["reservation_id"]) == (one["id"], other["id"])
    assert (pair["kind"], pair["verdict"], pair["confidence"]) == ("containment", "conflict", 1.0)
    assert "cut" not in found
    assert found["as_of_seq"] == head(client, project)


def test_reconcile_of_nothing_is_empty(client: httpx.Client, project: str) -> None:
    """A project that nobody has is answered, and not made."""
    with nothing_stored(client, project):
        found = good(client.get("/api/coordination/reconcile", params={"project": project}))

    assert (found["branches"], found["pairs"]) == ([], [])


def test_forecast_stays_in_its_project(acme: httpx.Client, umbra: httpx.Client) -> None:
    """A key sees its own project: what another one holds is in nobody's way there."""
    good(umbra.post("/api/reservations", json={"agent_id": "ben", "path_pattern": "foreseen/plan"}), 201)
    plan = [{**STEP, "path": "foreseen/plan"}]

    assert good(acme.post(FORECAST, json={"plan": plan}))["verdict"] == "clear"
    assert good(umbra.post(FORECAST, json={"plan": plan}))["verdict"] == "conflict"
    refusal(acme.post(FORECAST, json={"project": "umbra", "plan": plan}), 403, "foreign_project")
    refusal(acme.get("/api/coordination/reconcile", params={"project": "umbra"}), 403, "foreign_project")
