"""Handing over as clients meet it: transfer, request, force-release and the audit (issue 3 point 6, claims.md 8 S04)."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from calls import Json, events, good, head, inbox, mark, nothing_stored, refusal, register, release, reserve
from server_process import ServerProcess


@dataclass
class Scene:
    """Two agents, one of which holds something."""

    client: httpx.Client
    project: str
    anna: Json
    ben: Json
    held: Json

    def post(self, what: str, body: Json, **headers: str) -> httpx.Response:
        """Do something with what anna holds."""
        return self.client.post(f"/api/reservations/{self.held['id']}/{what}", json=body, headers=headers)


def scene_in(client: httpx.Client, project: str) -> Scene:
    """Return anna, who holds src/**, and ben."""
    anna, ben = register(client, project, "anna"), register(client, project, "ben")
    return Scene(client, project, anna, ben, reserve(client, project, anna["agent_id"], "src/**", reason="IM-1"))


@pytest.fixture
def scene(client: httpx.Client, project: str) -> Scene:
    """The agents of a project of their own."""
    return scene_in(client, project)


def proving(agent: Json) -> dict[str, str]:
    """Return the headers by which an agent proves who it is."""
    return {"X-Agent-ID": agent["agent_id"], "X-Agent-Token": agent["token"]}


def audit(client: httpx.Client, project: str | None, **query: str) -> Json:
    """Return a page of the audit."""
    found: Json = good(client.get("/api/audit", params={**({"project": project} if project else {}), **query}))
    return found


# ---- giving


def test_transfer_gives_the_reservation_to_another_agent(scene: Scene) -> None:
    """By name; the answer is the reservation with its new holder and fence, and the receiver has mail."""
    given = good(scene.post("transfer", {"to": "ben", "reason": "your turn"}, **proving(scene.anna)))

    assert {given[key] for key in ("id", "agent_id")} == {scene.held["id"], scene.ben["agent_id"]}
    assert (given["held_by"], given["patterns"], given["reason"]) == ("ben", ["src/**"], "IM-1")
    assert (given["expires_at"], given["fence"] > scene.held["fence"]) == (scene.held["expires_at"], True)
    [letter] = inbox(scene.client, scene.project, "ben")
    assert (letter["from"], letter["body"], letter["sender_verified"]) == ("anna", "your turn", True)
    [event] = events(scene.client, scene.project, type="reservation.transferred")
    assert (event["from"], event["to"]) == (scene.anna["agent_id"], scene.ben["agent_id"])
    assert (event["fence"], event["old_fence"]) == (given["fence"], scene.held["fence"])


def test_transfer_moves_every_right(scene: Scene) -> None:
    """The receiver releases and the giver cannot; the old fence is worth nothing to a tool that asks."""
    given = good(scene.post("transfer", {"to": scene.ben["agent_id"]}, **proving(scene.anna)))

    def is_valid(fence: int) -> bool:
        asked = {"reservation_id": given["id"], "fence": fence}
        return bool(good(scene.client.post("/api/reservations/validate", json=asked))["valid"])

    assert (is_valid(scene.held["fence"]), is_valid(given["fence"])) == (False, True)
    refusal(scene.client.delete(f"/api/reservations/{given['id']}", headers=proving(scene.anna)), 403, "not_yours")
    release(scene.client, given["id"], **proving(scene.ben))


@pytest.mark.parametrize(
    ("who", "body", "status", "code"),
    [
        pytest.param("ben", {"to": "ben"}, 403, "not_yours", id="not-the-holder"),
        pytest.param("anna", {"to": "anna"}, 400, "invalid_request", id="to-itself"),
        pytest.param("anna", {"to": "nobody"}, 404, "unknown_agent", id="to-nobody"),
        pytest.param("anna", {}, 400, "invalid_request", id="to-missing"),
        pytest.param("anna", {"to": " "}, 400, "invalid_request", id="to-blank"),
        pytest.param("anna", {"to": "x" * 257}, 400, "invalid_request", id="to-long"),
        pytest.param("anna", {"to": ["ben"]}, 400, "invalid_request", id="to-list"),
        pytest.param("anna", {"to": "ben", "reason": "a\nb"}, 400, "invalid_request", id="reason-lines"),
        pytest.param("anna", {"to": "ben", "reason": "x" * 1025}, 400, "invalid_request", id="reason-long"),
        pytest.param("anna", {"to": "ben", "ttl_seconds": 5}, 400, "invalid_request", id="unknown-field"),
    ],
)
def test_transfer_that_cannot_be_is_refused(scene: Scene, who: str, body: Json, status: int, code: str) -> None:
    """Wrong holder, wrong receiver and wrong fields are named, and nothing is stored."""
    with nothing_stored(scene.client, scene.project):
        refusal(scene.post("transfer", body, **{"X-Agent-ID": who}), status, code)


def test_transfer_beyond_the_receivers_limit_is_refused(scene: Scene) -> None:
    """Who holds 200 gets no more, and the refusal tells the limit; a place less and it fits."""
    for number in range(200):
        last = reserve(scene.client, scene.project, "ben", f"b{number}")

    body = refusal(scene.post("transfer", {"to": "ben"}), 429, "reservation_limit")
    release(scene.client, last["id"])

    assert body["limit"] == 200
    good(scene.post("transfer", {"to": "ben"}))


def test_transfer_that_would_part_overlapping_ones_is_refused(scene: Scene) -> None:
    """What only one holder may have at once stays with one; the refusal lists what to release first."""
    inner = reserve(scene.client, scene.project, "anna", "src/a.py")

    with nothing_stored(scene.client, scene.project):
        body = refusal(scene.post("transfer", {"to": "ben"}), 409, "transfer_conflict")

    assert [conflict["reservation_id"] for conflict in body["conflicts"]] == [inner["id"]]


# ---- asking


def test_request_reaches_the_holder_once_until_it_is_read(scene: Scene) -> None:
    """The holder gets one message with the reason; asked again it is not disturbed, and the answer says so."""
    first = good(scene.post("request", {"agent_id": "ben", "reason": "release at noon"}))
    before = head(scene.client, scene.project)
    second = good(scene.post("request", {"agent": "ben", "reason": "please"}))

    [letter] = inbox(scene.client, scene.project, "anna")
    assert (letter["from"], letter["body"], letter["id"]) == ("ben", "release at noon", first["message_id"])
    assert "src/**" in letter["subject"]
    assert (first["asked"], second["asked"], second["message_id"]) == (True, False, first["message_id"])
    assert head(scene.client, scene.project) == before
    [event] = events(scene.client, scene.project, type="reservation.wanted")
    assert (event["wanted_by_name"], event["held_by"], event["reason"]) == ("ben", "anna", "release at noon")

    mark(scene.client, scene.project, letter["id"], "read", "anna")
    assert good(scene.post("request", {"agent": "ben"}))["asked"]


def test_request_without_a_body_is_by_the_header(scene: Scene) -> None:
    """X-Agent-ID is enough to ask."""
    path = f"/api/reservations/{scene.held['id']}/request"

    assert good(scene.client.post(path, headers={"X-Agent-ID": "ben"}))["held_by"] == "anna"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nobody"),
        pytest.param({"agent_id": "anna"}, id="the-holder"),
        pytest.param({"agent_id": ""}, id="blank"),
        pytest.param({"agent_id": 7}, id="number"),
        pytest.param({"agent_id": "ben", "reason": "a\tb"}, id="reason-control"),
        pytest.param({"agent_id": "ben", "why": "x"}, id="unknown-field"),
    ],
)
def test_request_that_cannot_be_is_refused(scene: Scene, body: Json) -> None:
    """Nobody, the holder itself, and wrong fields are 400, and nothing is stored."""
    with nothing_stored(scene.client, scene.project):
        refusal(scene.post("request", body), 400, "invalid_request")


# ---- taking


def test_release_by_another_agent_is_refused_and_by_force_recorded(scene: Scene) -> None:
    """S04: releasing another's is 403; an operator forces it, with an event, an audit record and word to the loser."""
    refusal(
        scene.client.delete(f"/api/reservations/{scene.held['id']}", headers={"X-Agent-ID": "ben"}), 403, "not_yours"
    )

    taken = good(scene.post("force-release", {"reason": "the build is broken"}))

    [event] = events(scene.client, scene.project, type="reservation.force_released")
    [record] = audit(scene.client, scene.project)["records"]
    [letter] = inbox(scene.client, scene.project, "anna")
    assert taken["released"] == [scene.held["id"]]
    assert taken["cursor"] == event["cursor"] == record["cursor"]
    assert (event["by"], event["why"], event["fence"]) == ("operator", "the build is broken", scene.held["fence"])
    assert (record["actor"], record["verified"], record["reason"]) == ("operator", False, "the build is broken")
    assert (record["action"], record["subject"]["patterns"]) == ("reservation.force_released", ["src/**"])
    assert (record["subject"]["held_by"], record["subject"]["mode"]) == ("anna", "exclusive")
    assert (letter["from"], "the build is broken" in letter["body"]) == ("operator", True)
    ended = good(scene.client.get(f"/api/reservations/{scene.held['id']}"))
    assert (ended["is_active"], ended["ended"]) == (False, "forced")
    reserve(scene.client, scene.project, "ben", "src/a.py")


def test_force_release_by_a_proved_agent_is_recorded_as_verified(scene: Scene) -> None:
    """On the server's own machine an agent with its token acts as operator, under its own name."""
    good(scene.post("force-release", {"reason": "stuck"}, **proving(scene.ben)))

    [record] = audit(scene.client, scene.project)["records"]
    assert (record["actor"], record["actor_name"], record["verified"]) == (scene.ben["agent_id"], "ben", True)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("transfer", {"to": "ben", "agent_id": "anna"}),
        ("request", {"agent_id": "anna"}),
        ("force-release", {"reason": "x", "agent_id": "anna"}),
    ],
)
def test_proved_agent_does_not_act_for_another(scene: Scene, what: str, body: Json) -> None:
    """A token speaks for its own agent alone, and a wrong one for nobody."""
    carl = register(scene.client, scene.project, "carl")

    with nothing_stored(scene.client, scene.project):
        refusal(scene.post(what, body, **proving(carl)), 403)
        wrong = {"X-Agent-ID": scene.anna["agent_id"], "X-Agent-Token": carl["token"]}
        refusal(scene.post(what, body, **wrong), 403, "agent_identity_mismatch")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="reason-missing"),
        pytest.param({"reason": ""}, id="reason-empty"),
        pytest.param({"reason": "   "}, id="reason-blank"),
        pytest.param({"reason": None}, id="reason-null"),
        pytest.param({"reason": "x" * 1025}, id="reason-long"),
        pytest.param({"reason": "a\nb"}, id="reason-lines"),
        pytest.param({"reason": "x", "if_silent_seconds": 59}, id="silence-short"),
        pytest.param({"reason": "x", "if_silent_seconds": -1}, id="silence-negative"),
        pytest.param({"reason": "x", "if_silent_seconds": 86401}, id="silence-long"),
        pytest.param({"reason": "x", "if_silent_seconds": "60"}, id="silence-text"),
        pytest.param({"reason": "x", "if_silent_seconds": 60.5}, id="silence-fraction"),
        pytest.param({"reason": "x", "agent_id": "anna"}, id="ones-own"),
    ],
)
def test_force_release_that_cannot_be_meant_is_refused(scene: Scene, body: Json) -> None:
    """A reason in words, a silence between 60 s and a day, and another's reservation; nothing is stored otherwise."""
    with nothing_stored(scene.client, scene.project):
        refusal(scene.post("force-release", body), 400, "invalid_request")


@pytest.mark.parametrize("seconds", [60, 86400])
def test_force_release_on_a_condition_spares_a_live_holder(scene: Scene, seconds: int) -> None:
    """Both ends of the range are taken; a holder that was heard just now keeps what it has."""
    with nothing_stored(scene.client, scene.project):
        answer = scene.post("force-release", {"reason": "x", "agent_id": "ben", "if_silent_seconds": seconds})

        body = refusal(answer, 403, "force_release_refused")
    assert body["silent_s"] < 60
    assert int(answer.headers["retry-after"]) <= seconds + 1


@pytest.mark.parametrize(
    ("what", "body"),
    [("transfer", {"to": "ben"}), ("request", {"agent_id": "ben"}), ("force-release", {"reason": "x"})],
)
def test_handing_over_what_is_not_there_is_refused(scene: Scene, what: str, body: Json) -> None:
    """An unknown id and an ended reservation are 404, each with its code."""
    release(scene.client, scene.held["id"])

    with nothing_stored(scene.client, scene.project):
        unknown = scene.client.post(f"/api/reservations/nothing/{what}", json={**body, "project": scene.project})
        refusal(unknown, 404, "unknown_reservation")
        refusal(scene.post(what, body), 404, "reservation_ended")


def test_holder_of_a_key_is_no_operator(acme: httpx.Client, client: httpx.Client) -> None:
    """With a key one transfers, asks and reads the audit, and takes nothing from a live agent; a local caller does."""
    scene = scene_in(acme, "acme")
    given = good(scene.post("transfer", {"to": "ben", "agent_id": "anna"}))
    refusal(scene.post("transfer", {"to": "anna"}), 403, "not_yours")
    assert good(scene.post("request", {"agent_id": "anna"}))["held_by"] == "ben"
    before = head(acme, "acme")

    for body in ({"reason": "x"}, {"reason": "x", "agent_id": "anna"}):
        answer = scene.post("force-release", body)
        assert answer.status_code in (400, 403)
    refused = refusal(scene.post("force-release", {"reason": "x", "agent_id": "anna"}), 403, "force_release_refused")
    live = {"reason": "x", "agent_id": "anna", "if_silent_seconds": 60}
    refusal(scene.post("force-release", live), 403, "force_release_refused")

    assert "if_silent_seconds" in refused["message"]
    assert head(acme, "acme") == before
    good(client.post(f"/api/reservations/{given['id']}/force-release", json={"reason": "by the operator"}))
    assert [each["reason"] for each in audit(acme, None)["records"]] == ["by the operator"]


# ---- the audit


def test_audit_comes_in_pages_and_is_the_projects_own(scene: Scene, acme: httpx.Client, remote: httpx.Client) -> None:
    """The oldest first, from a cursor on; other projects and callers without a key see nothing of it."""
    taken = [good(scene.post("force-release", {"reason": "x"}))]
    again = reserve(scene.client, scene.project, "anna", "lib")
    taken.append(good(scene.client.post(f"/api/reservations/{again['id']}/force-release", json={"reason": "y"})))

    page = audit(scene.client, scene.project, limit="1")
    rest = audit(scene.client, scene.project, since_cursor=str(page["cursor"]))

    assert [each["cursor"] for each in page["records"] + rest["records"]] == [each["cursor"] for each in taken]
    assert audit(scene.client, f"{scene.project}-other")["records"] == []
    refusal(acme.get("/api/audit", params={"project": scene.project}), 403, "foreign_project")
    refusal(remote.get("/api/audit"), 401, "unauthorized")


@pytest.mark.parametrize("query", [{"since_cursor": "-1"}, {"since_cursor": "x"}, {"limit": "x"}, {"sinse": "1"}])
def test_audit_with_a_bad_query_is_refused(client: httpx.Client, project: str, query: dict[str, str]) -> None:
    """Numbers are numbers, and unknown fields are named."""
    refusal(client.get("/api/audit", params={"project": project, **query}), 400, "invalid_request")


def test_handing_over_survives_a_restart(tmp_path: Path) -> None:
    """After a restart the receiver holds it under the new fence, the asker has asked, and the record is there."""
    with ServerProcess(tmp_path) as running, running.client() as client:
        scene = scene_in(client, "acme")
        given = good(scene.post("transfer", {"to": "ben"}))
        good(scene.post("request", {"agent_id": "anna"}))
        lib = reserve(client, "acme", "anna", "lib")
        good(client.post(f"/api/reservations/{lib['id']}/force-release", json={"reason": "stuck"}))
        kept = audit(client, "acme")
        running.kill()

    with ServerProcess(tmp_path) as again, again.client() as client:
        found = good(client.get(f"/api/reservations/{given['id']}"))
        assert (found["held_by"], found["fence"], found["is_active"]) == ("ben", given["fence"], True)
        assert audit(client, "acme") == kept
        asked = client.post(f"/api/reservations/{given['id']}/request", json={"agent_id": "anna", "project": "acme"})
        assert good(asked)["asked"] is False
        assert good(client.get(f"/api/reservations/{lib['id']}", params={"project": "acme"}))["ended"] == "forced"
        assert [each["subject"] for each in inbox(client, "acme", "ben")] == [
            "You now hold 'src/**'",
            "Please let go of 'src/**'",
        ]
        assert again.stop() == 0
