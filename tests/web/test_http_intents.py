"""Operation intents over HTTP (issue 3, point 7; claims.md 7 and S17)."""

import httpx
from calls import Json, events, good, nothing_stored, refusal, register, release, reserve

INTENTS = "/api/intents"
ADDRESS = "src/billing.py::compute_total"


def declare(client: httpx.Client, project: str, agent: str, **more: object) -> Json:
    """Declare an intent and return it."""
    found: Json = good(client.post(INTENTS, json={"project": project, "agent_id": agent, **more}), 201)
    return found


def test_intent_as_the_specification_has_it(client: httpx.Client, project: str) -> None:
    """The example of claims.md 7: a rename on a reservation, declared, started and done."""
    held = good(
        client.post("/api/reservations", json={"project": project, "agent_id": "anna", "addresses": [ADDRESS]}), 201
    )
    to = "src/billing.py::compute_invoice_total"
    intent = declare(
        client, project, "anna", reservation_id=held["id"], operation="rename", addresses=[ADDRESS], to=to,
        detail="clearer name", ensure_reservation=False,
    )  # fmt: skip

    assert (intent["state"], intent["reservation_id"], intent["targets"][0]["to"]) == ("declared", held["id"], to)
    assert intent["seq"] > held["seq"]
    for state in ("started", "done"):
        changed = good(client.patch(f"{INTENTS}/{intent['intent_id']}", json={"state": state, "commit": "467234bf"}))
        assert (changed["state"], changed["commit"]) == (state, "467234bf")
    assert good(client.get(f"{INTENTS}/{intent['intent_id']}"))["is_active"] is False
    told = [each["type"] for each in events(client, project) if each["type"].startswith("intent.")]
    assert told == ["intent.declared", "intent.started", "intent.done"]


def test_s17_reservation_that_ends_takes_its_intents_along(client: httpx.Client, project: str) -> None:
    """Released: the intent is abandoned, in the list of the reservation and in the log, right after it."""
    held = reserve(client, project, "anna", "src/**")
    intent = declare(client, project, "anna", reservation_id=held["id"], operation="delete")

    release(client, held["id"])

    asked = {"project": project, "reservation_id": held["id"]}
    [listed] = good(client.get(INTENTS, params=asked))["intents"]
    assert (listed["state"], listed["ended"]) == ("abandoned", "reservation_released")
    assert [each["type"] for each in events(client, project)][-2:] == ["reservation.released", "intent.abandoned"]
    refusal(client.patch(f"{INTENTS}/{intent['intent_id']}", json={"state": "started"}), 409, "intent_over")


def test_declared_work_is_a_warning_for_others(client: httpx.Client, project: str) -> None:
    """Granted with a warning, checked as clear with a warning, and both sides hear of it."""
    register(client, project, "anna")
    declare(client, project, "anna", operation="delete", addresses=[ADDRESS])

    body = {"project": project, "agent_id": "ben", "addresses": [ADDRESS]}
    checked = good(client.post("/api/reservations/check", json=body))
    granted = good(client.post("/api/reservations", json=body), 201)

    assert checked["conflict"] is False
    assert [each["held_by"] for each in checked["warnings"]] == ["anna"]
    assert [(each["verdict"], each["standing"]) for each in granted["warnings"]] == [("warn", "declared")]
    assert events(client, project, agent="anna", type="intent.overlap")[0]["held_by"] == "ben"


def test_intent_with_its_reservation_is_all_or_nothing(client: httpx.Client, project: str) -> None:
    """Somebody else holds it: 409 as for a reservation, and nothing is declared."""
    reserve(client, project, "ben", "src/**")

    with nothing_stored(client, project):
        body = {"project": project, "agent_id": "anna", "addresses": [ADDRESS], "ensure_reservation": True}
        refused = refusal(client.post(INTENTS, json=body), 409, "reservation_conflict")

    assert refused["conflicts"][0]["held_by"] == "ben"
    assert good(client.get(INTENTS, params={"project": project}))["intents"] == []


def test_intent_of_nobody_is_refused(client: httpx.Client, project: str) -> None:
    """Unknown, foreign, malformed: each with its code."""
    intent = declare(client, project, "anna", addresses=[ADDRESS])
    where = f"{INTENTS}/{intent['intent_id']}"

    refusal(client.get(f"{INTENTS}/nothing", params={"project": project}), 404, "unknown_intent")
    refusal(client.patch(where, json={"state": "done"}, headers={"X-Agent-ID": "ben"}), 403, "not_yours")
    refusal(client.patch(where, json={"state": "polished"}), 400, "invalid_request")
    refusal(client.post(INTENTS, json={"project": project, "agent_id": "anna"}), 400, "invalid_request")
