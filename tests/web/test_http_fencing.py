"""The header If-Reservation-Token: a change is applied only while the fences that it names hold (guarantees.md G7)."""

import httpx
import pytest
from calls import Json, good, nothing_stored, refusal, register, release, reserve
from mutations import MUTATIONS

from intermute.core.limits import FENCES_MAX

HEADER = "If-Reservation-Token"
PATH = "held/by/the/warden"


def under(*held: Json, **more: str) -> dict[str, str]:
    """Return the header with the fences of these reservations."""
    return {HEADER: ", ".join(f"{each['id']}:{each['fence']}" for each in held), **more}


def change(client: httpx.Client, project: str, headers: dict[str, str]) -> httpx.Response:
    """Ask for a change that any agent may make."""
    return client.post("/api/specs", json={"project": project, "title": "x"}, headers=headers)


@pytest.mark.parametrize("operation", MUTATIONS)
def test_change_under_a_stale_fence_is_refused(client: httpx.Client, project: str, operation: str) -> None:
    """On every operation that changes something: 412 under the fence of before, done under the one that holds."""
    request = MUTATIONS[operation](client, project)
    held = reserve(client, project, "warden", PATH)
    stale = {**held, "fence": held["fence"] - 1}

    with nothing_stored(client, project):
        found = refusal(request.send(client, None, **under(stale)), 412, "stale_token")
    done = request.send(client, None, **under(held))

    assert (found["reservation_id"], found["reason"], found["fence"]) == (held["id"], "stale_fence", held["fence"])
    assert done.status_code == request.status, done.text


def test_holder_that_slept_cannot_write_over_the_next_one(client: httpx.Client, project: str) -> None:
    """The story behind it: anna's lease goes to ben, and what she still sends is not applied; ben's is."""
    register(client, project, "anna")
    register(client, project, "ben")
    hers = reserve(client, project, "anna", PATH)
    good(change(client, project, under(hers)), 201)
    release(client, hers["id"])
    his = reserve(client, project, "ben", PATH)

    with nothing_stored(client, project):
        late = refusal(change(client, project, under(hers)), 412, "stale_token")
    good(change(client, project, under(his)), 201)

    assert late["reason"] == "unknown"
    assert his["fence"] > hers["fence"]
    good(change(client, project, {}), 201)  # The control: without the header nothing is looked at.


def test_fence_of_a_reservation_that_was_handed_over_is_stale(client: httpx.Client, project: str) -> None:
    """The reservation lives on under its id, and the giver is out."""
    register(client, project, "anna")
    register(client, project, "ben")
    held = reserve(client, project, "anna", PATH)
    good(client.post(f"/api/reservations/{held['id']}/transfer", json={"to": "ben"}, headers={"X-Agent-ID": "anna"}))

    assert refusal(change(client, project, under(held)), 412, "stale_token")["reason"] == "stale_fence"


def test_fence_of_another_agent_is_refused(client: httpx.Client, project: str) -> None:
    """Who says who it is holds what it names."""
    held = reserve(client, project, "anna", PATH)

    found = change(client, project, under(held, **{"X-Agent-ID": "ben"}))

    assert refusal(found, 412, "stale_token")["reason"] == "not_yours"
    good(change(client, project, under(held, **{"X-Agent-ID": "anna"})), 201)


def test_all_fences_have_to_hold(client: httpx.Client, project: str) -> None:
    """One that does not hold is enough, in one header or in several."""
    first, second = (reserve(client, project, "anna", path) for path in ("a", "b"))
    good(change(client, project, under(first, second)), 201)
    release(client, second["id"])

    for headers in (
        [(HEADER, under(first, second)[HEADER])],
        [(HEADER, under(each)[HEADER]) for each in (first, second)],
    ):
        found = client.post("/api/specs", json={"project": project, "title": "x"}, headers=headers)
        assert refusal(found, 412, "stale_token")["reservation_id"] == second["id"]


def test_repeat_is_answered_though_the_fence_is_stale_by_now(client: httpx.Client, project: str) -> None:
    """What was applied under a fence that held was applied; under another key the same is refused."""
    held = reserve(client, project, "anna", PATH)
    first = change(client, project, under(held, **{"Idempotency-Key": "k1"}))
    release(client, held["id"])

    again = change(client, project, under(held, **{"Idempotency-Key": "k1"}))

    assert (again.status_code, again.content) == (201, first.content)
    refusal(change(client, project, under(held, **{"Idempotency-Key": "k2"})), 412, "stale_token")


@pytest.mark.parametrize(
    "value", ["", "abc", "abc:", "abc:x", ":1", "abc:-1", "a:1,,b:2", "a:1;b:2", "a:" + "9" * 16,
     ", ".join(["a:1"] * (FENCES_MAX + 1))]
)  # fmt: skip
def test_header_that_is_none_is_refused(client: httpx.Client, project: str, value: str) -> None:
    """It is told what the header looks like, and nothing is applied."""
    with nothing_stored(client, project):
        found = refusal(change(client, project, {HEADER: value}), 400, "invalid_request")

    assert found["details"][0]["field"] == HEADER if "details" in found else HEADER in str(found)


def test_fence_in_a_project_that_does_not_exist_makes_none(client: httpx.Client, project: str) -> None:
    """Nothing is held there."""
    with nothing_stored(client, project):
        assert refusal(change(client, project, {HEADER: "abc:1"}), 412, "stale_token")["reason"] == "unknown"
