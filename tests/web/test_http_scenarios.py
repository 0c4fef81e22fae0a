"""The scenarios of claims.md section 8 over real HTTP, each under its number; those of time are in tests/project.

S02 and S15 are in test_http_waiting.py, S01 and S19 in tests/project/test_leases_in_time.py.
"""

import httpx
from calls import Json, events, good, refusal, reserve


def ask(client: httpx.Client, project: str, agent: str, **more: object) -> httpx.Response:
    """Send a request for a reservation."""
    return client.post("/api/reservations", json={"project": project, "agent_id": agent, **more})


def granted(client: httpx.Client, project: str, agent: str, **more: object) -> Json:
    """Reserve, and return the reservation."""
    found: Json = good(ask(client, project, agent, **more), 201)
    return found


def test_s03_same_key_twice_is_one_reservation(client: httpx.Client, project: str) -> None:
    """The second answer is 200 with the same id, and the log has one event."""
    first = granted(client, project, "anna", paths=["a"], idempotency_key="k")

    second = good(ask(client, project, "anna", paths=["a"], idempotency_key="k"))

    assert (second["id"], second["repeated"]) == (first["id"], True)
    assert [each["type"] for each in events(client, project)] == ["reservation.created"]
    refusal(ask(client, project, "anna", paths=["b"], idempotency_key="k"), 409, "idempotency_key_reused")


def test_s04_release_by_another_is_refused_and_force_is_on_record(client: httpx.Client, project: str) -> None:
    """Another agent's release is 403; an operator's force-release writes an audit row."""
    held = granted(client, project, "anna", paths=["a"])
    target = f"/api/reservations/{held['id']}"

    refusal(client.delete(target, params={"agent_id": "ben"}), 403)
    good(client.post(f"{target}/force-release", json={"reason": "stuck"}))

    [row] = good(client.get("/api/audit", params={"project": project}))["records"]
    assert row["reason"] == "stuck"


def test_s05_time_is_refused_or_clamped(client: httpx.Client, project: str) -> None:
    """Zero and fewer seconds are 400, two days are one, and said to be."""
    for seconds in (0, -5):
        refusal(ask(client, project, "anna", paths=["a"], ttl_seconds=seconds), 400)

    assert granted(client, project, "anna", paths=["a"], ttl_seconds=48 * 3600)["ttl_clamped"]


def test_s06_upgrade_meets_the_other_reader_only(client: httpx.Client, project: str) -> None:
    """S to X while another holds S is 409; one's own S does not count."""
    mine = granted(client, project, "anna", paths=["a"], mode="S")
    other = granted(client, project, "ben", paths=["a"], mode="S")
    target = f"/api/reservations/{mine['id']}"

    refused = refusal(client.patch(target, json={"mode": "X"}), 409, "reservation_conflict")
    good(client.delete(f"/api/reservations/{other['id']}"))

    assert [each["held_by"] for each in refused["conflicts"]] == ["ben"]
    assert good(client.patch(target, json={"mode": "X"}))["mode"] == "exclusive"


def test_s07_one_refusal_lists_both_rows(client: httpx.Client, project: str) -> None:
    """Who holds IX on a directory and X on a file in it is named with both."""
    granted(client, project, "anna", targets=[{"path": "src", "mode": "IX"}, {"path": "src/a.py", "mode": "X"}])

    refused = refusal(ask(client, project, "ben", paths=["src"], mode="S"), 409, "reservation_conflict")

    assert sorted(each["held"]["target"] for each in refused["conflicts"]) == ["src", "src/a.py"]


def test_s08_partial_grants_what_is_free(client: httpx.Client, project: str) -> None:
    """Of three targets two are free: 201 with two, and one denied with what is in its way."""
    reserve(client, project, "anna", "b")

    found = granted(client, project, "ben", paths=["a", "b", "c"], partial=True)

    assert [each["target"] for each in found["targets"]] == ["a", "c"]
    [denied] = found["denied"]
    assert (denied["n"], denied["target"], denied["conflicts"][0]["held_by"]) == (1, "b", "anna")


def test_s14_targets_of_one_agent_are_joined(client: httpx.Client, project: str) -> None:
    """One agent's overlapping targets never clash, and the same one twice is held in the weakest mode that says both."""
    targets = [{"path": "src", "mode": "S"}, {"path": "src", "mode": "IX"}, {"path": "src/a.py", "mode": "X"}]

    found = granted(client, project, "anna", targets=targets)

    assert [(each["target"], each["mode"]) for each in found["targets"]] == [("src", "SIX"), ("src/a.py", "X")]
