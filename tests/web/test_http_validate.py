"""Fencing for tools: does a reservation still hold under its fence, and for whom (issue 3, point 9)?"""

import httpx
import pytest
from calls import Json, good, head, nothing_stored, refusal, register, release, reserve

VALIDATE = "/api/reservations/validate"


def validate(client: httpx.Client, project: str, reservation: Json, **changes: object) -> Json:
    """Return whether this reservation holds under its fence, or under what `changes` says instead."""
    asked = {"project": project, "reservation_id": reservation["id"], "fence": reservation["fence"], **changes}
    found: Json = good(client.post(VALIDATE, json=asked))
    return found


def test_validate_of_an_active_reservation_says_until_when(client: httpx.Client, project: str) -> None:
    """Holder and fence are right: it holds, and the time left binds."""
    anna = register(client, project, "anna")
    held = reserve(client, project, "anna", "src/**", ttl_minutes=5)

    found = validate(client, project, held, agent_id="anna")

    assert (found["valid"], found["reason"], found["reservation_id"]) == (True, "active", held["id"])
    assert (found["fence"], found["held_by"]) == (held["fence"], "anna")
    assert 290_000 < found["expires_in_ms"] <= 300_000
    assert validate(client, project, held, agent=anna["agent_id"])["valid"] is True


def test_validate_finds_the_project_by_the_id(client: httpx.Client, project: str) -> None:
    """A hook that knows nothing but id and fence is answered."""
    held = reserve(client, project, "anna", "src/**")

    found = good(client.post(VALIDATE, json={"reservation_id": held["id"], "fence": held["fence"]}))

    assert (found["valid"], found["held_by"]) == (True, "anna")


def test_validate_of_an_unknown_id_is_an_answer(client: httpx.Client, project: str) -> None:
    """An id that nobody has is `unknown` with 200, and makes no project."""
    with nothing_stored(client, project):
        found = validate(client, project, {"id": "nope", "fence": 1})

    assert (found["valid"], found["reason"], found["reservation_id"]) == (False, "unknown", "nope")
    assert {"fence", "held_by", "expires_in_ms", "ended"}.isdisjoint(found)


@pytest.mark.parametrize("difference", [-1, 1])
def test_validate_under_another_fence_is_stale(client: httpx.Client, project: str, difference: int) -> None:
    """Only the very fence counts; the answer says which one it is."""
    reserve(client, project, "ben", "docs")
    held = reserve(client, project, "anna", "src/**")

    found = validate(client, project, held, fence=held["fence"] + difference)

    assert (found["valid"], found["reason"], found["fence"]) == (False, "stale_fence", held["fence"])
    assert "expires_in_ms" not in found


@pytest.mark.parametrize("naming", ["agent", "agent_id", "header"])
def test_validate_for_another_agent_is_not_yours(client: httpx.Client, project: str, naming: str) -> None:
    """Whoever is named has to be the holder; the answer says who is."""
    held = reserve(client, project, "anna", "src/**")
    asked = {"project": project, "reservation_id": held["id"], "fence": held["fence"]}

    headers = {"X-Agent-ID": "ben"} if naming == "header" else {}
    body = asked if naming == "header" else {**asked, naming: "ben"}
    found = good(client.post(VALIDATE, json=body, headers=headers))

    assert (found["valid"], found["reason"], found["held_by"]) == (False, "not_yours", "anna")


def test_validate_of_an_ended_reservation_says_how_it_ended(client: httpx.Client, project: str) -> None:
    """Released and deregistered are told apart, with the fence that it had."""
    register(client, project, "ben")
    released, left = reserve(client, project, "anna", "src/**"), reserve(client, project, "ben", "docs")
    release(client, released["id"])
    good(client.delete("/api/agents/ben", params={"project": project}))

    found = [validate(client, project, each) for each in (released, left)]

    assert [(each["valid"], each["reason"]) for each in found] == [(False, "ended")] * 2
    assert [each["ended"] for each in found] == ["released", "deregistered"]
    assert [each["fence"] for each in found] == [released["fence"], left["fence"]]


def test_validate_changes_nothing(client: httpx.Client, project: str) -> None:
    """It is a query: asked in every way, the log stays as it is."""
    held = reserve(client, project, "anna", "src/**")
    before = head(client, project)

    for changes in ({}, {"fence": 0}, {"agent_id": "ben"}, {"reservation_id": "nope"}):
        validate(client, project, held, **changes)

    assert head(client, project) == before


def test_validate_with_a_key_sees_its_own_project_alone(client: httpx.Client, acme: httpx.Client, project: str) -> None:
    """An id of another project is unknown, and tells nothing of whose it is."""
    held = reserve(client, project, "anna", "src/**")

    found = good(acme.post(VALIDATE, json={"reservation_id": held["id"], "fence": held["fence"]}))

    assert (found["valid"], found["reason"]) == (False, "unknown")
    assert "anna" not in str(found)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param({}, {"reservation_id", "fence"}, id="nothing"),
        pytest.param({"reservation_id": "r"}, {"fence"}, id="no-fence"),
        pytest.param({"fence": 1}, {"reservation_id"}, id="no-id"),
        pytest.param({"reservation_id": 1, "fence": "1"}, {"reservation_id", "fence"}, id="types"),
        pytest.param({"reservation_id": "r", "fence": True}, {"fence"}, id="flag"),
        pytest.param({"reservation_id": "r", "fence": 1.5}, {"fence"}, id="fraction"),
        pytest.param({"reservation_id": "r", "fence": -1}, {"fence"}, id="negative"),
        pytest.param({"reservation_id": "r", "fence": 2**53}, {"fence"}, id="2^53"),
        pytest.param({"reservation_id": "r" * 257, "fence": 1}, {"reservation_id"}, id="long-id"),
        pytest.param({"reservation_id": "a\nb", "fence": 1}, {"reservation_id"}, id="control"),
        pytest.param({"reservation_id": "r", "fence": 1, "agent_id": ""}, {"agent_id"}, id="blank-agent"),
        pytest.param({"reservation_id": "r", "fence": 1, "fense": 1}, {"fense"}, id="mistyped"),
    ],
)
def test_validate_that_cannot_be_meant_is_refused(
    client: httpx.Client, project: str, body: Json, fields: set[str]
) -> None:
    """Bad input is 400 with every field named, and stores nothing."""
    with nothing_stored(client, project):
        found = refusal(client.post(VALIDATE, json={"project": project, **body}), 400, "invalid_request")

    assert {each["field"] for each in found["fields"]} == fields


def test_validate_takes_the_largest_fence(client: httpx.Client, project: str) -> None:
    """0 and 2^53 - 1 are numbers that a fence may have; neither is anybody's."""
    held = reserve(client, project, "anna", "src/**")

    for fence in (0, 2**53 - 1):
        assert validate(client, project, held, fence=fence)["reason"] == "stale_fence"
