"""The original's Go SDK, call by call, over a real socket: contract.md, appendix A.

Deviations of design.md 9 are named beside their tests.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from calls import Json
from go_sdk import GoSdk
from go_types import TYPES, differences, read
from known_keys import ACME_KEY
from sdk_calls import BY_NAME, CALLS, FURNITURE, Call, World, furnished
from server_process import ServerProcess

FROM_ELSEWHERE = "X-Forwarded-For: 203.0.113.10"
KINDS = ("Spec", "Epic", "Story", "Task", "Insight", "Session", "CUJ")
SENT = ("Agent", "Message", "Reservation", *KINDS)
LOCKED = ("Spec", "Epic", "Story", "Task", "CUJ")
"""The kinds for which the SDK knows ErrConflict."""

every_call = pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])


@pytest.fixture
def world(server: ServerProcess, project: str) -> Iterator[World]:
    """A project with one of everything, and a local SDK without a key."""
    with GoSdk(server) as sdk:
        yield furnished(sdk, project, project)


@pytest.fixture
def keyed(server: ServerProcess, project: str) -> Iterator[World]:
    """The same in project acme, by an SDK on another machine that has its key."""
    with GoSdk(server, ACME_KEY, FROM_ELSEWHERE) as sdk:
        yield furnished(sdk, "acme", project)


@every_call
def test_call_has_the_answer_that_the_sdk_expects(world: World, call: Call) -> None:
    """Status and every field that the SDK reads, as its types read them; the connection stays open."""
    answer = world.answers[call.name] if call in FURNITURE else world.call(call.name)

    call.check(answer, world.names)


@every_call
def test_call_with_a_key_is_taken_by_the_sdk(keyed: World, call: Call) -> None:
    """Status and types, by key from another machine. Deviation: a release needs the owner's name, which the SDK never sends."""
    answer = keyed.answers[call.name] if call in FURNITURE else keyed.call(call.name)

    if call.name == "ReleaseReservation":
        assert (answer.status, answer.json()["error"]) == (403, "not_yours")
    else:
        call.taken(answer)


@every_call
def test_call_without_a_key_is_refused_from_elsewhere(server: ServerProcess, world: World, call: Call) -> None:
    """401 with the original's `error`, and the connection can be used for the next call."""
    with GoSdk(server, "", FROM_ELSEWHERE) as stranger:
        answers = [call.sent(stranger, world.names) for _ in range(2)]

    assert [(answer.status, answer.json()["error"]) for answer in answers] == [(401, "unauthorized")] * 2


@pytest.mark.parametrize("call", [call for call in CALLS if call.body], ids=[call.name for call in CALLS if call.body])
def test_call_may_carry_any_field_of_the_sdk(world: World, call: Call) -> None:
    """Deviation: unknown fields are refused, but for those that the SDK's types have, which are taken in every body."""
    body: Json = json.loads(call.body or "")
    every = {field for kind in SENT for field in TYPES[kind]} | {"feature_id"}
    loaded = replace(call, body=json.dumps({**dict.fromkeys(sorted(every)), **body}))
    mistyped = replace(call, body=json.dumps({**body, "exclusiv": True}))

    loaded.taken(loaded.sent(world.sdk, world.names))
    assert mistyped.sent(world.sdk, world.names).status == 400


@pytest.mark.parametrize("kind", KINDS)
def test_get_of_an_unknown_entity_is_not_found(world: World, kind: str) -> None:
    """404, which the SDK reports as "not found"."""
    names = {**world.names, kind.lower(): "nobody"}

    assert BY_NAME[f"Get{kind}"].sent(world.sdk, names).status == 404


@pytest.mark.parametrize("kind", LOCKED)
def test_stale_update_is_a_conflict(world: World, kind: str) -> None:
    """409, which is the SDK's ErrConflict; what was written first stays."""
    assert world.call(f"Update{kind}").status == 200
    before = world.call(f"Get{kind}").body

    assert world.call(f"Update{kind}").status == 409
    assert world.call(f"Get{kind}").body == before


def test_session_has_no_lock(world: World) -> None:
    """A session is updated without a version, again and again."""
    assert [world.call("UpdateSession").status for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "Insight"])
def test_update_of_an_unknown_entity_is_not_found(world: World, kind: str) -> None:
    """Deviation: 404 instead of 409, or of a phantom session (the original's [BUG-34])."""
    answer = BY_NAME[f"Update{kind}"].sent(world.sdk, {**world.names, kind.lower(): "nobody"})

    assert (answer.status, answer.json()["error"]) == (404, "unknown_entity")


@pytest.mark.parametrize("kind", KINDS)
def test_create_with_an_id_that_is_there_is_a_conflict(world: World, kind: str) -> None:
    """Deviation: 409, where the original had an empty 500."""
    call = BY_NAME[f"Create{kind}"]
    assert call.body is not None
    again = Call(call.name, call.method, call.path, call.body.replace('"id":""', f'"id":"${kind.lower()}"'))

    answer = again.sent(world.sdk, world.names)

    assert (answer.status, answer.json()["error"]) == (409, "duplicate_id")


@pytest.mark.parametrize("kind", KINDS)
def test_delete_of_an_unknown_entity_is_no_content(world: World, kind: str) -> None:
    """204 always, with an empty body."""
    answers = [world.call(f"Delete{kind}") for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(204, b"")] * 2


@pytest.mark.parametrize(
    ("name", "changed", "status", "code"),
    [
        pytest.param("Heartbeat", {"agent": "nobody"}, 404, "unknown_agent", id="heartbeat"),
        pytest.param("AssignTask", {"task": "nothing"}, 404, "unknown_entity", id="assign"),
        pytest.param("ReleaseReservation", {"reservation": "nothing"}, 404, "unknown_reservation", id="release"),
        pytest.param("Reserve", {"agent": "ben"}, 409, "reservation_conflict", id="reserve-what-another-has"),
        # Deviation: nothing is marked or linked that is not there; the original said 200.
        pytest.param("Ack", {"message": "nothing"}, 404, "unknown_message", id="ack"),
        pytest.param("Read", {"message": "nothing"}, 404, "unknown_message", id="read"),
        pytest.param("LinkInsightToSpec", {"insight": "nothing"}, 404, "unknown_entity", id="link-insight"),
        pytest.param("LinkCUJToFeature", {"cuj": "nothing"}, 404, "unknown_entity", id="link-cuj"),
    ],
)
def test_call_about_what_is_not_there_fails(
    world: World, name: str, changed: dict[str, str], status: int, code: str
) -> None:
    """The SDK reports the status and does not read the body, in which an agent finds what to do."""
    answer = BY_NAME[name].sent(world.sdk, {**world.names, **changed})

    assert (answer.status, answer.json()["error"]) == (status, code)


def test_marks_without_a_name_are_the_only_recipients(world: World) -> None:
    """Ack and Read send `{}`; where a message has one recipient it is that one's (the original's [BUG-56])."""
    world.call("Ack")
    world.call("Read")

    assert read("Counts", world.call("InboxCounts").json()) == {"total": 1, "unread": 0}


def test_second_reservation_of_an_agent_is_no_conflict(world: World) -> None:
    """An agent may reserve again what it has (contract.md 6.3), and a release gives one of the two back."""
    assert world.call("Reserve").status == 200
    assert world.call("ReleaseReservation").status == 200

    assert len(world.call("AgentReservations").json()["reservations"]) == 2
    assert len(world.call("ActiveReservations").json()["reservations"]) == 1


def test_ids_with_strange_characters_are_found(server: ServerProcess, project: str) -> None:
    """Go escapes an id in a path; it is found under its own name, a slash in it as well."""
    spelled = {"feature/x": "feature%2Fx", "a b": "a%20b", "ü?&#": "%C3%BC%3F&%23"}
    body = '{"id":"$id","project":"$project","title":"t","status":"","created_at":"0001-01-01T00:00:00Z"}'

    with GoSdk(server) as sdk:
        for name, path in spelled.items():
            sent = body.replace("$id", name).replace("$project", project)
            assert sdk.call("POST", "/api/specs", sent).status == 201
            assert sdk.call("GET", f"/api/specs/{path}?project={project}").json()["id"] == name
            assert sdk.call("DELETE", f"/api/specs/{path}?project={project}").status == 204
        assert sdk.call("GET", f"/api/specs?project={project}").json() == []


def test_html_characters_as_go_escapes_them_are_text(server: ServerProcess, project: str) -> None:
    """Go writes `<`, `>`, `&` and line separators as escapes; they arrive as what they mean."""
    sent = f'{{"project":"{project}","from":"ben","to":["anna"],"body":"\\u003cb\\u003e \\u0026 \\u2028 \\u2029 \\ufffd é"}}'

    with GoSdk(server) as sdk:
        assert sdk.call("POST", "/api/messages", sent).status == 200
        found = sdk.call("GET", f"/api/inbox/anna?project={project}&since_cursor=0").json()["messages"]

    assert [message["body"] for message in found] == ["<b> & \u2028 \u2029 \ufffd é"]


def test_table_would_notice() -> None:
    """Control: another value, a missing field, a field of another type and an unset time are each found."""
    wanted = {"id": "<id>", "at": "<time>", "cursor": -1, "list": [{"a": 1}]}
    sound = {"id": "x", "at": "2026-01-01T00:00:00Z", "cursor": 3, "list": [{"a": 1}]}

    assert differences(wanted, sound) == []
    wrong_ones: tuple[Json, ...] = (
        {"id": ""}, {"at": "0001-01-01T00:00:00Z"}, {"at": ""}, {"at": "2026-01-01T00:00:00"}, {"cursor": 0},
        {"cursor": "3"}, {"list": []}, {"list": [{"a": 2}]}, {"list": [{"a": True}]}, {"list": [{}]}, {"more": 1},
    )  # fmt: skip
    for wrong in wrong_ones:
        assert len(differences(wanted, {**sound, **wrong})) == 1, wrong
    for kind, value in (
        ("Sent", {"cursor": -1}),
        ("Sent", {"cursor": 1.5}),
        ("Spec", {"created_at": ""}),
        ("[]Link", {}),
    ):
        with pytest.raises(AssertionError, match="Go cannot read"):
            read(kind, value)
