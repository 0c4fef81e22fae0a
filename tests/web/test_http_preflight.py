"""The whole way of a plan: symbols, live claims and intents, forecast, reservation on it (claims.md 7, S13 and S18)."""

import httpx
from calls import Json, good, refusal, register

TOTAL, PAYMENT = "src/billing.py::compute_total", "src/api/pay.py::process_payment"


def uploaded(client: httpx.Client, project: str, **call: object) -> None:
    """Upload an index in which the payment calls the total."""
    call = {"from": "process_payment", "to": TOTAL, **call}
    files = [{"path": "src/billing.py"}, {"path": "src/api/pay.py", "calls": [call]}]
    good(client.put(f"/api/projects/{project}/symbols", json={"commit": "467234bf", "files": files}))


def forecast(client: httpx.Client, project: str, *steps: Json, **more: object) -> Json:
    """Return what a plan would run into."""
    found: Json = good(client.post("/api/forecast", json={"project": project, "plan": list(steps), **more}))
    return found


def step(name: str, agent: str, address: str, **more: object) -> Json:
    """Return a step about one address."""
    return {"step": name, "agent_id": agent, "addresses": [address], **more}


def test_s18_change_of_a_body_concerns_its_caller_half_as_much_as_a_rename(client: httpx.Client, project: str) -> None:
    """Ben holds the direct caller: 0.375 for an edit, 0.75 for a rename; four candidates of a call say too little."""
    uploaded(client, project)
    body = {"project": project, "agent_id": "ben", "addresses": [PAYMENT]}
    good(client.post("/api/reservations", json=body), 201)

    found = {
        op: forecast(client, project, step("s1", "anna", TOTAL, op=op))["steps"][0]["findings"]
        for op in ("modify", "rename")
    }

    assert {op: [(each["kind"], each["confidence"]) for each in each_op] for op, each_op in found.items()} == {
        "modify": [("blast_radius_overlap", 0.375)],
        "rename": [("blast_radius_overlap", 0.75)],
    }
    assert found["rename"][0]["path"] == [TOTAL, PAYMENT]
    uploaded(client, project, same_named=4)
    assert forecast(client, project, step("s1", "anna", TOTAL, op="rename"))["steps"][0]["findings"] == []


def test_forecast_without_symbols_says_so(client: httpx.Client, project: str) -> None:
    """Not "none": nobody has looked."""
    assert forecast(client, project, step("s1", "anna", TOTAL))["blast_radius"] == {"state": "unavailable"}
    uploaded(client, project)
    assert forecast(client, project, step("s1", "anna", TOTAL))["blast_radius"] == {
        "state": "ok", "index_commit": "467234bf",
    }  # fmt: skip


def test_forecast_shows_what_was_declared(client: httpx.Client, project: str) -> None:
    """An intent warns and leaves the step free to be granted; without `intents` it is not looked at."""
    register(client, project, "ben")
    body = {"project": project, "agent_id": "ben", "addresses": [TOTAL], "operation": "delete"}
    intent = good(client.post("/api/intents", json=body), 201)

    [seen] = forecast(client, project, step("s1", "anna", TOTAL))["steps"]
    [blind] = forecast(client, project, step("s1", "anna", TOTAL), include=["reservations"])["steps"]

    assert [each["against"] for each in seen["findings"]] == [f"intent:{intent['intent_id']}"]
    assert (seen["would_grant"], blind["findings"]) == (True, [])


def test_s13_forecast_is_stale_once_a_relevant_claim_has_changed(client: httpx.Client, project: str) -> None:
    """A change elsewhere does not matter; one on the spot does, a declared one, too."""
    as_of = forecast(client, project, step("s1", "anna", TOTAL))["as_of_seq"]
    elsewhere = {"project": project, "agent_id": "ben", "paths": ["docs"]}
    good(client.post("/api/reservations", json=elsewhere), 201)
    mine = {"project": project, "agent_id": "anna", "addresses": [TOTAL], "mode": "shared", "if_seq": as_of}
    held = good(client.post("/api/reservations", json=mine), 201)
    good(client.delete(f"/api/reservations/{held['id']}"))

    reading = {"project": project, "agent_id": "ben", "addresses": [TOTAL], "mode": "shared"}
    good(client.post("/api/reservations", json=reading), 201)

    stale = refusal(client.post("/api/reservations", json=mine), 409, "stale_forecast")
    assert [each["held_by"] for each in stale["changed"]] == ["ben"]
    fresh = forecast(client, project, step("s1", "anna", TOTAL, mode="shared"))["as_of_seq"]
    good(client.post("/api/reservations", json={**mine, "if_seq": fresh}), 201)
    declared = {"project": project, "agent_id": "carl", "addresses": [TOTAL], "operation": "delete"}
    good(client.post("/api/intents", json=declared), 201)
    refusal(client.post("/api/reservations", json={**mine, "if_seq": fresh}), 409, "stale_forecast")
