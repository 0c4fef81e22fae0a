"""The header Idempotency-Key over HTTP, on every operation that changes something (guarantees.md G4)."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from calls import Json, good, head, nothing_stored, refusal, register, reserve
from mutations import MUTATIONS
from server_process import ServerProcess, until

from intermute.core.limits import IDEMPOTENCY_KEY_CHARS_MAX
from intermute.core.operations import OPERATIONS
from intermute.web.repeats import takes_key

REPEATED = "idempotency-replayed"
MESSAGE = {"from": "anna", "to": ["ben"]}


def key(number: int = 1) -> dict[str, str]:
    """Return the header with a key."""
    return {"Idempotency-Key": f"key-{number}"}


def test_every_operation_that_changes_something_is_tried() -> None:
    """A new command fails here until there is a request for it below."""
    assert {f"{each.method} {each.path}" for each in OPERATIONS if takes_key(each)} == set(MUTATIONS)


@pytest.mark.parametrize("operation", MUTATIONS)
def test_same_request_again_is_answered_as_before_and_done_once(
    client: httpx.Client, project: str, operation: str
) -> None:
    """Status, body and headers are the same, and one says that it is a repeat; other content is 422, and nothing is done."""
    request = MUTATIONS[operation](client, project)

    first = request.send(client, "key")
    assert (first.status_code, first.headers.get(REPEATED)) == (request.status, None), first.text
    with nothing_stored(client, project):
        again = request.send(client, "key")
        refusal(request.send_other(client, "key"), 422, "idempotency_key_mismatch")

    assert (again.status_code, again.content, again.headers[REPEATED]) == (first.status_code, first.content, "true")
    for name in ("content-type", "x-orphaned"):
        assert again.headers.get(name) == first.headers.get(name)


def test_headers_of_the_first_answer_come_again(client: httpx.Client, project: str) -> None:
    """An answer without a body says what it says in its headers."""
    spec = good(client.post("/api/specs", json={"project": project, "title": "x"}), 201)["id"]
    good(client.post("/api/epics", json={"project": project, "title": "x", "spec_id": spec}), 201)

    answers = [client.delete(f"/api/specs/{spec}", headers=key()) for _ in range(2)]

    told = [(each.status_code, each.headers["x-orphaned"], each.headers.get(REPEATED)) for each in answers]
    assert told == [(204, "1", None), (204, "1", "true")]
    assert "content-type" not in answers[1].headers


def test_without_the_key_the_same_request_is_a_new_one(client: httpx.Client, project: str) -> None:
    """Control: what makes it one is the key, and another key is another request."""
    body = {"project": project, **MESSAGE}

    sent = [good(client.post("/api/messages", json=body, headers=each)) for each in ({}, {}, key(1), key(2))]

    assert len({each["message_id"] for each in sent}) == 4
    assert head(client, project) == sent[-1]["cursor"]


def test_spelling_and_version_do_not_matter(client: httpx.Client, project: str) -> None:
    """The content is the same fields, in whatever order, under either prefix of the routes."""
    fields = {"project": project, **MESSAGE}

    first = client.post("/api/messages", json=fields, headers=key())
    again = client.post("/api/v1/messages", json=dict(reversed(fields.items())), headers=key())

    assert (again.content, again.headers[REPEATED]) == (first.content, "true")


def test_key_on_another_operation_is_refused(client: httpx.Client, project: str) -> None:
    """A key stands for one request to one operation."""
    good(client.post("/api/messages", json={"project": project, **MESSAGE}, headers=key()))

    with nothing_stored(client, project):
        body = {"project": project, "agent_id": "anna", "paths": ["a"]}
        refusal(client.post("/api/reservations", json=body, headers=key()), 422, "idempotency_key_mismatch")


def test_refusal_is_decided_anew(client: httpx.Client, project: str) -> None:
    """What was refused changed nothing, so the same request may succeed later, under the same key."""
    held = reserve(client, project, "anna", "a")
    body = {"project": project, "agent_id": "ben", "path_pattern": "a"}

    refusal(client.post("/api/reservations", json=body, headers=key()), 409, "reservation_conflict")
    good(client.delete(f"/api/reservations/{held['id']}"))
    first = client.post("/api/reservations", json=body, headers=key())
    again = client.post("/api/reservations", json=body, headers=key())

    assert (first.status_code, again.content) == (201, first.content)
    assert (first.headers.get(REPEATED), again.headers.get(REPEATED)) == (None, "true")


def test_keys_belong_to_callers(client: httpx.Client, project: str) -> None:
    """Two agents with one key are not in each other's way, and none is given the other's answer."""
    anna, ben = register(client, project, "anna"), register(client, project, "ben")
    callers = [
        {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": anna["token"]},
        {"X-Agent-ID": anna["agent_id"]},
        {"X-Agent-ID": ben["agent_id"]},
        {},
    ]

    sent = [
        client.post("/api/messages", json={"project": project, **MESSAGE}, headers={**each, **key()})
        for each in callers
    ]

    assert [each.headers.get(REPEATED) for each in sent] == [None] * len(callers)
    assert len({good(each)["message_id"] for each in sent}) == len(callers)


def test_keys_belong_to_projects(acme: httpx.Client, umbra: httpx.Client) -> None:
    """The key that a project uses says nothing in another one."""
    first = acme.post("/api/messages", json={"project": "acme", **MESSAGE}, headers=key())
    other = umbra.post("/api/messages", json={"project": "umbra", **MESSAGE}, headers=key())

    assert [good(each) and each.headers.get(REPEATED) for each in (first, other)] == [None, None]


def test_leaving_is_repeated_after_the_token_is_gone(client: httpx.Client, project: str) -> None:
    """Who left cannot prove any more who it was; its repeat is answered all the same, and only that."""
    anna = register(client, project, "anna")
    proof = {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": anna["token"]}

    first = client.delete(f"/api/agents/{anna['agent_id']}", headers={**proof, **key()})
    again = client.delete(f"/api/agents/{anna['agent_id']}", headers={**proof, **key()})

    assert (again.status_code, again.content, again.headers[REPEATED]) == (200, first.content, "true")
    new_key = {**proof, **key(2)}
    refusal(client.delete(f"/api/agents/{anna['agent_id']}", headers=new_key), 403, "agent_identity_mismatch")
    body = {"project": project, **MESSAGE}
    refusal(client.post("/api/messages", json=body, headers=new_key), 403, "agent_identity_mismatch")


@pytest.mark.parametrize("bad", ["", "a b", "schlüssel".encode("latin-1"), "x" * (IDEMPOTENCY_KEY_CHARS_MAX + 1)])
def test_bad_key_is_400_and_names_the_header(client: httpx.Client, project: str, bad: str | bytes) -> None:
    """Nothing is done under a key that cannot be kept."""
    headers = httpx.Headers([(b"Idempotency-Key", bad if isinstance(bad, bytes) else bad.encode())])

    with nothing_stored(client, project):
        answer = client.post("/api/messages", json={"project": project, **MESSAGE}, headers=headers)
        [problem] = refusal(answer, 400, "invalid_request")["fields"]

    assert problem["field"] == "Idempotency-Key"


def test_strange_content_is_judged_by_its_operation(client: httpx.Client, project: str) -> None:
    """What is odd in a body or a path meets the refusal or the answer that it meets without a key, and no defect."""
    call = {"from": "f", "to": "g", "same_named": 2**70}
    upload = {"commit": "a" * 40, "files": [{"path": "a.py", "symbols": [{"name": "f"}], "calls": [call]}]}
    requests: list[tuple[str, str, Json | None]] = [
        ("PUT", f"/api/projects/{project}/symbols", upload),
        ("DELETE", "/api/tasks/%ED%A0%80", None),
        ("DELETE", "/api/tasks/%00", None),
        ("POST", "/api/tasks", {"project": project, "title": "x", "version": 2**70}),
    ]

    for method, path, body in requests:
        plain = client.request(method, path, json=body)
        keyed = client.request(method, path, json=body, headers=key())
        assert (plain.status_code, plain.status_code < 500) == (keyed.status_code, True), path


def test_two_keys_are_400(client: httpx.Client, project: str) -> None:
    """Nobody could say which of them counts."""
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]

    answer = client.post("/api/messages", json={"project": project, **MESSAGE}, headers=headers)

    assert refusal(answer, 400, "invalid_request")["fields"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("good_key", ["x", "x" * IDEMPOTENCY_KEY_CHARS_MAX, '"quoted"', "~!{}"])
def test_any_visible_key_will_do(client: httpx.Client, project: str, good_key: str) -> None:
    """Every character that is seen, up to the limit."""
    headers = {"Idempotency-Key": good_key}

    sent = [client.post("/api/messages", json={"project": project, **MESSAGE}, headers=headers) for _ in range(2)]

    assert [good(each) and each.headers.get(REPEATED) for each in sent] == [None, "true"]


def test_queries_take_no_notice_of_it(client: httpx.Client, project: str) -> None:
    """What changes nothing in the project is answered anew, whatever the header says."""
    anna = register(client, project, "anna")["agent_id"]

    for headers in (key(), {"Idempotency-Key": "not a key"}):
        checked = client.post("/api/reservations/check", json={"project": project, "paths": ["a"]}, headers=headers)
        beaten = client.post(f"/api/agents/{anna}/heartbeat", headers=headers)
        assert [good(each) and each.headers.get(REPEATED) for each in (checked, beaten)] == [None, None]


def test_key_in_a_project_that_does_not_exist_makes_no_file(client: httpx.Client, project: str) -> None:
    """Refused or without effect, a typo leaves nothing behind."""
    with nothing_stored(client, project):
        refusal(client.post("/api/messages/m/ack", json={"project": project, "agent": "a"}, headers=key()), 404)
        assert client.delete("/api/tasks/t", params={"project": project}, headers=key()).status_code == 204


def test_calls_that_wait_under_one_key_get_one_reservation(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A ticket is not kept; the grant is, and it is 201 for everybody who waited and for who asks later."""
    held = reserve(client, project, "anna", "a")
    body = {"project": project, "agent_id": "ben", "path_pattern": "a", "on_conflict": "wait", "wait_seconds": 20}

    def ask() -> httpx.Response:
        with server.client() as own:
            return own.post("/api/reservations", json=body, headers=key())

    def waiting() -> list[Json]:
        found: list[Json] = good(client.get("/api/reservations/waiting", params={"project": project}))["waiting"]
        return found

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(ask)]
        [first] = until(waiting, "ben in the queue")
        calls.append(pool.submit(ask))
        good(client.delete(f"/api/reservations/{held['id']}"))
        answers = [call.result(10) for call in calls]
    answers.append(ask())

    assert {good(each, 201)["id"] for each in answers} == {first["ticket"]}
    assert len({each.content for each in answers}) == 1
    assert answers[-1].headers[REPEATED] == "true"
