"""Keys and walls: who needs a key, what it opens, and that it opens nothing else (contract.md 3 and 0.7, design.md 9)."""

from dataclasses import dataclass

import httpx
import pytest
from calls import Json, events, good, head, inbox, refusal, register, reserve, send
from known_keys import ACME_KEY, HASHED_KEY, UMBRA_KEY, with_key
from server_process import REMOTE, ServerProcess

ROUTES = (
    ("POST", "/api/agents"), ("GET", "/api/agents"), ("GET", "/api/agents/presence"), ("GET", "/api/agents/a"),
    ("DELETE", "/api/agents/a"), ("POST", "/api/agents/a/heartbeat"), ("PATCH", "/api/agents/a/metadata"),
    ("POST", "/api/messages"), ("GET", "/api/messages/m"), ("GET", "/api/messages/m/recipients"),
    ("POST", "/api/messages/m/ack"), ("POST", "/api/messages/m/read"), ("GET", "/api/inbox/a"),
    ("GET", "/api/inbox/a/counts"), ("GET", "/api/inbox/a/stale-acks"), ("GET", "/api/threads?agent=a"),
    ("GET", "/api/threads/t"), ("POST", "/api/reservations"), ("GET", "/api/reservations"),
    ("DELETE", "/api/reservations"), ("GET", "/api/reservations/check?pattern=x"), ("GET", "/api/reservations/r"),
    ("POST", "/api/reservations/check"), ("POST", "/api/reservations/validate"),
    ("POST", "/api/reservations/r/transfer"), ("POST", "/api/reservations/r/request"),
    ("POST", "/api/reservations/r/force-release"), ("GET", "/api/audit"),
    ("GET", "/api/reservations/waiting"), ("POST", "/api/intents"), ("GET", "/api/intents"), ("GET", "/api/intents/i"),
    ("PATCH", "/api/intents/i"), ("GET", "/api/projects/acme/settings"), ("PATCH", "/api/projects/acme/settings"),
    ("GET", "/api/projects/acme/symbols"), ("DELETE", "/api/projects/acme/symbols"),
    ("PATCH", "/api/reservations/r"), ("DELETE", "/api/reservations/r"), ("GET", "/api/events"), ("GET", "/api/projects"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_remote_caller_without_a_key_is_refused_everywhere(remote: httpx.Client, method: str, path: str) -> None:
    """Every route but health and the interface's description needs a key from elsewhere."""
    body: Json | None = {} if method in ("POST", "PATCH") else None

    assert refusal(remote.request(method, path, json=body), 401)["error"] == "unauthorized"


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 203.0.113.10", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 127.0.0.1, 203.0.113.10",
        "X-Forwarded-For: ", "X-Forwarded-For: localhost", "X-Forwarded-For: unknown", "Forwarded: for=127.0.0.1",
        "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: localhost",
        "X-Client-IP: 127.0.0.1", "True-Client-IP: 127.0.0.1", "CF-Connecting-IP: 127.0.0.1", "X-Original-Forwarded-For: x",
        "X-Cluster-Client-IP: 127.0.0.1", "Fastly-Client-IP: 127.0.0.1", "X-Envoy-External-Address: 127.0.0.1", "via: ",
    ],
)  # fmt: skip
def test_forwarded_call_is_not_local(client: httpx.Client, header: str) -> None:
    """Any header that says somebody forwarded the call makes it remote, whatever it claims (guarantees.md T5)."""
    name, _, value = header.partition(":")

    refusal(client.get("/api/agents", headers={name: value.strip()}), 401, "unauthorized")


def test_peer_on_loopback_is_local(client: httpx.Client) -> None:
    """Negative control: the same call without such a header needs no key."""
    good(client.get("/api/agents"))


@pytest.mark.parametrize("form", ["Bearer {key}", "bearer {key}", "BEARER {key}", "Bearer   {key}"])
def test_key_is_recognised_in_every_spelling(client: httpx.Client, form: str) -> None:
    """The scheme's case does not matter, the key is trimmed (contract.md 3.3)."""
    headers = {**REMOTE, "Authorization": form.format(key=ACME_KEY)}

    assert [each["project"] for each in good(client.get("/api/projects", headers=headers))["projects"]] == ["acme"]


@pytest.mark.parametrize(
    "value",
    [
        "", "Bearer", "Bearer wrong", f"Basic {ACME_KEY}", ACME_KEY, f"Bearer{ACME_KEY}", f"Bearer {ACME_KEY}x",
        f"Bearer {ACME_KEY.upper()}", f"Bearer {ACME_KEY[:-1]}", "Bearer \xff", f"Token {ACME_KEY}",
    ],
)  # fmt: skip
def test_anything_else_is_no_key(client: httpx.Client, value: str) -> None:
    """A wrong key, another scheme and no key are the same 401."""
    headers = [(b"X-Forwarded-For", b"203.0.113.10"), (b"Authorization", value.encode("latin-1"))]

    refusal(client.get("/api/agents", headers=headers), 401, "unauthorized")


def test_hashed_key_opens_its_project(server: ServerProcess) -> None:
    """A key stored as `sha256:` opens its project, and the digest itself opens nothing."""
    with server.client(with_key(HASHED_KEY)) as hashed:
        assert [each["project"] for each in good(hashed.get("/api/projects"))["projects"]] == ["hashed"]
    digest = next(word for word in server.keys_file.read_text().split('"') if word.startswith("sha256:"))
    for wrong in (digest, digest.removeprefix("sha256:")):
        with server.client(with_key(wrong)) as stranger:
            refusal(stranger.get("/api/projects"), 401, "unauthorized")


def test_key_of_a_local_caller_is_ignored(client: httpx.Client, project: str) -> None:
    """In local mode any Authorization header is ignored, as in the original."""
    agent = register(client, project, "anna")

    for value in (f"Bearer {ACME_KEY}", "Bearer wrong"):
        good(client.get(f"/api/agents/{agent['agent_id']}", headers={"Authorization": value}))


@pytest.mark.parametrize(
    ("route", "body"),
    [("/api/agents", {"name": "anna"}), ("/api/messages", {"from": "a", "to": ["b"]})],
)
def test_register_and_send_with_a_key_must_name_its_project(acme: httpx.Client, route: str, body: Json) -> None:
    """Class P1: missing or blank is 400, another project 403, the key's own 200."""
    for blank in ({}, {"project": ""}, {"project": None}, {"project": "  "}):
        refusal(acme.post(route, json={**body, **blank}), 400, "project_required")
    refusal(acme.post(route, json={**body, "project": "umbra"}), 403, "foreign_project")
    refusal(acme.post(route, json={**body, "project": "Acme"}), 403, "foreign_project")
    good(acme.post(route, json={**body, "project": "acme"}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path) for method, path in ROUTES
        if (method, path) not in (("POST", "/api/agents"), ("POST", "/api/messages"), ("GET", "/api/projects"))
        and not path.startswith("/api/projects/")
    ],
)  # fmt: skip
def test_foreign_project_is_refused_on_every_other_route(acme: httpx.Client, method: str, path: str) -> None:
    """Deviation: the project boundary is checked on every operation; a missing project is the key's."""
    bodies: dict[str, Json] = {
        "/api/agents/a/metadata": {"metadata": {"a": "b"}},
        "/api/reservations": {"agent_id": "a", "path_pattern": "foreign/x"},
        "/api/intents/i": {"state": "done"},
        "/api/reservations/validate": {"reservation_id": "r", "fence": 1},
        "/api/reservations/r/transfer": {"to": "b"},
        "/api/reservations/r/force-release": {"reason": "x"},
    }
    options: Json = {"json": bodies.get(path, {})} if method in ("POST", "PATCH") else {}
    separator = "&" if "?" in path else "?"

    refusal(acme.request(method, f"{path}{separator}project=umbra", **options), 403, "foreign_project")
    if options:
        refusal(acme.request(method, path, json={**options["json"], "project": "umbra"}), 403, "foreign_project")
    assert acme.request(method, f"{path}{separator}project=acme", **options).status_code != 403


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_settings_of_a_foreign_project_are_refused(acme: httpx.Client, method: str) -> None:
    """The project in the path counts, whatever the query says."""
    options: Json = {"json": {"agent_id": "a"}} if method == "PATCH" else {}

    for query in ("", "?project=acme", "?project=umbra"):
        refusal(acme.request(method, f"/api/projects/umbra/settings{query}", **options), 403, "foreign_project")
        good(acme.request(method, f"/api/projects/acme/settings{query}", **options))


@dataclass
class Umbra:
    """What exists in project umbra, made by the holder of its key."""

    client: httpx.Client
    agent: str
    message: str
    reservation: str
    token: str


@pytest.fixture(scope="module")
def theirs(umbra: httpx.Client) -> Umbra:
    """An agent, a message and a reservation in project umbra."""
    agent = register(umbra, "umbra", "una")
    message = send(umbra, "umbra", agent["agent_id"], ["ulf"], body="secret", thread_id="t-secret", id="m-umbra")
    reservation = reserve(umbra, "umbra", agent["agent_id"], "secret/**")
    return Umbra(umbra, agent["agent_id"], message["message_id"], reservation["id"], agent["token"])


NOBODY = "2f0c6c1e-8f1c-8a57-9a2e-0d5b7a0f4c11"
FOREIGN: dict[str, tuple[str, str, Json | None]] = {
    "get-agent": ("GET", "/api/agents/{agent}", None),
    "heartbeat": ("POST", "/api/agents/{agent}/heartbeat", {"focus_state": "thinking"}),
    "metadata": ("PATCH", "/api/agents/{agent}/metadata", {"metadata": {"a": "b"}}),
    "deregister": ("DELETE", "/api/agents/{agent}", None),
    "get-message": ("GET", "/api/messages/{message}", None),
    "recipients": ("GET", "/api/messages/{message}/recipients", None),
    "ack": ("POST", "/api/messages/{message}/ack", {"agent": "ulf"}),
    "read": ("POST", "/api/messages/{message}/read", {"agent": "ulf"}),
    "get-reservation": ("GET", "/api/reservations/{reservation}", None),
    "renew": ("PATCH", "/api/reservations/{reservation}", {"ttl_minutes": 5}),
    "release": ("DELETE", "/api/reservations/{reservation}", None),
    "transfer": ("POST", "/api/reservations/{reservation}/transfer", {"to": "ulf"}),
    "request": ("POST", "/api/reservations/{reservation}/request", {"agent_id": "ulf"}),
    "force-release": ("POST", "/api/reservations/{reservation}/force-release", {"reason": "x"}),
}


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_id_is_answered_like_an_unknown_one(
    acme: httpx.Client, theirs: Umbra, method: str, path: str, body: Json | None
) -> None:
    """With a key of A an id of B is 404 in the very words of an id that nobody has, and changes nothing in B."""
    ids = {"agent": theirs.agent, "message": theirs.message, "reservation": theirs.reservation}
    headers = {"X-Agent-ID": theirs.agent}
    before = head(theirs.client, "umbra")

    there = acme.request(method, path.format(**ids), json=body, headers=headers)
    nowhere = acme.request(method, path.format(**dict.fromkeys(ids, NOBODY)), json=body, headers=headers)

    refusal(there, 404)
    used = next(each for each in ids.values() if each in path.format(**ids))
    assert there.text.replace(used, NOBODY) == nowhere.text
    assert head(theirs.client, "umbra") == before
    assert "una" not in there.text


def test_the_owner_reaches_all_of_it(theirs: Umbra) -> None:
    """Negative control: with the key of B the same ids are found."""
    assert good(theirs.client.get(f"/api/agents/{theirs.agent}"))["name"] == "una"
    assert good(theirs.client.get(f"/api/messages/{theirs.message}"))["body"] == "secret"
    assert good(theirs.client.get(f"/api/reservations/{theirs.reservation}"))["is_active"] is True


def test_lists_show_nothing_of_another_project(acme: httpx.Client, theirs: Umbra) -> None:
    """Lists, inboxes, threads, events and checks of A hold nothing of B, whatever is asked for by id."""
    assert theirs.agent not in acme.get("/api/agents").text
    assert theirs.agent not in acme.get("/api/agents/presence").text
    assert inbox(acme, "acme", "ulf") == []
    assert good(acme.get(f"/api/inbox/{theirs.agent}"))["messages"] == []
    assert good(acme.get("/api/threads/t-secret"))["messages"] == []
    assert good(acme.get(f"/api/reservations?agent={theirs.agent}"))["reservations"] == []
    assert good(acme.get("/api/reservations/check?pattern=secret/x"))["conflict"] is False
    assert "secret" not in str(events(acme, "acme"))
    assert "umbra" not in acme.get("/health").text
    refusal(acme.get("/health", params={"project": "umbra"}), 403, "foreign_project")


def test_same_message_id_in_two_projects_is_two_messages(acme: httpx.Client, theirs: Umbra) -> None:
    """An id that B uses is free in A, and tells nothing of B."""
    sent = send(acme, "acme", "a1", ["b1"], id=theirs.message, body="mine")

    assert sent["message_id"] == theirs.message
    assert "replayed" not in sent
    assert good(theirs.client.get(f"/api/messages/{theirs.message}"))["body"] == "secret"


def test_token_of_another_project_proves_nothing(acme: httpx.Client, theirs: Umbra) -> None:
    """A token of B is no identity in A."""
    headers = {"X-Agent-ID": theirs.agent, "X-Agent-Token": theirs.token}

    refusal(acme.get("/api/agents", headers=headers), 403, "agent_identity_mismatch")


def test_release_with_a_key_needs_the_owner(acme: httpx.Client) -> None:
    """Deviation: the release without a name is for local callers alone; with a key it is 403."""
    held = reserve(acme, "acme", "a1", "release/only")

    refusal(acme.delete(f"/api/reservations/{held['id']}"), 403, "not_yours")
    refusal(acme.delete(f"/api/reservations/{held['id']}", headers={"X-Agent-ID": "b1"}), 403, "not_yours")
    good(acme.delete(f"/api/reservations/{held['id']}", headers={"X-Agent-ID": "a1"}))


def test_keys_are_never_logged(server: ServerProcess, acme: httpx.Client, umbra: httpx.Client) -> None:
    """No line of the log holds a key."""
    good(acme.get("/api/agents"))
    good(umbra.get("/api/agents"))

    logged = "".join(server.lines)
    assert not [key for key in (ACME_KEY, UMBRA_KEY, HASHED_KEY) if key in logged]
