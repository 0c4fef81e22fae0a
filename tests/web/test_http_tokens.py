"""Agent tokens: who sends one is bound to the agent it belongs to (contract.md 3.3, 3.6; design.md 6)."""

import httpx
import pytest
from calls import Json, good, head, inbox, refusal, register, reserve, send
from server_process import ServerProcess


@pytest.fixture
def anna(client: httpx.Client, project: str) -> Json:
    """A registered agent."""
    return register(client, project, "anna")


@pytest.fixture
def ben(client: httpx.Client, project: str) -> Json:
    """Another one."""
    return register(client, project, "ben")


def proving(agent: Json) -> dict[str, str]:
    """Return the headers by which an agent proves who it is."""
    return {"X-Agent-ID": agent["agent_id"], "X-Agent-Token": agent["token"]}


WRITES: dict[str, tuple[str, str, Json | None]] = {
    "heartbeat": ("POST", "/api/agents/{id}/heartbeat", None),
    "metadata": ("PATCH", "/api/agents/{id}/metadata", {"metadata": {"a": "b"}}),
    "deregister": ("DELETE", "/api/agents/{id}", None),
    "send": ("POST", "/api/messages", {"from": "{id}", "to": ["zed"]}),
    "reserve": ("POST", "/api/reservations", {"agent_id": "{name}", "path_pattern": "x"}),
    "release-all": ("DELETE", "/api/reservations?agent_id={id}", None),
}


def write(client: httpx.Client, name: str, agent: Json, headers: dict[str, str]) -> httpx.Response:
    """Do one of the writes in the name of an agent, as whoever the headers say."""
    method, path, template = WRITES[name]
    fields = {"id": agent["agent_id"], "name": agent["name"]}
    body = template and {
        field: value.format(**fields) if isinstance(value, str) else value for field, value in template.items()
    }
    query = {"project": agent["project"]}
    url = httpx.URL(path.format(**fields)).copy_merge_params(query)
    return client.request(method, url, json=body and {**body, **query}, headers=headers)


@pytest.mark.parametrize("name", WRITES)
def test_right_token_lets_the_agent_act(client: httpx.Client, project: str, anna: Json, name: str) -> None:
    """Negative control: an agent that proves who it is acts in its own name."""
    answer = write(client, name, anna, proving(anna))

    assert answer.status_code in (200, 201)


@pytest.mark.parametrize("name", WRITES)
def test_right_token_does_not_speak_for_another(
    client: httpx.Client, project: str, anna: Json, ben: Json, name: str
) -> None:
    """A proved caller that acts in another's name is 403, and nothing is stored."""
    before = head(client, project)

    refusal(write(client, name, ben, proving(anna)), 403, "agent_identity_mismatch")

    assert head(client, project) == before


@pytest.mark.parametrize("name", WRITES)
def test_token_without_its_agent_is_refused(client: httpx.Client, project: str, anna: Json, name: str) -> None:
    """A token without X-Agent-ID is 403 in the original's words."""
    before = head(client, project)

    body = refusal(write(client, name, anna, {"X-Agent-Token": anna["token"]}), 403)

    assert body["error"] == "agent token is bound but X-Agent-ID header is missing"
    assert head(client, project) == before


@pytest.mark.parametrize("name", WRITES)
def test_wrong_token_is_refused(client: httpx.Client, project: str, anna: Json, ben: Json, name: str) -> None:
    """Another's token, or one that nobody has, is 403 in the original's words (its [BUG-19] let unknown ones pass)."""
    before = head(client, project)

    for token in (ben["token"], "unknown", anna["token"] + "x", anna["token"].swapcase()):
        headers = {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": token}
        assert refusal(write(client, name, anna, headers), 403)["error"] == "agent identity mismatch"

    assert head(client, project) == before


@pytest.mark.parametrize(
    "path", ["/api/agents", "/api/inbox/anna", "/api/reservations", "/api/events", "/api/threads/t"]
)
def test_wrong_token_is_refused_for_reading_too(client: httpx.Client, project: str, anna: Json, path: str) -> None:
    """A false identity is refused whatever it asks for."""
    headers = {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": "unknown"}

    refusal(client.get(path, params={"project": project}, headers=headers), 403, "agent_identity_mismatch")
    good(client.get(path, params={"project": project}, headers=proving(anna)))


MAIL = [
    "/api/inbox/{}",
    "/api/inbox/{}/counts",
    "/api/inbox/{}/stale-acks",
    "/api/threads?agent={}",
    "/api/events?agent={}",
]


@pytest.mark.parametrize("path", MAIL)
def test_proved_reader_reads_its_own_mail_only(
    client: httpx.Client, project: str, anna: Json, ben: Json, path: str
) -> None:
    """With a token the mail of another is 403, under its id as under its name; one's own is not."""

    def read(agent: str, headers: dict[str, str]) -> httpx.Response:
        url = httpx.URL(path.format(agent)).copy_merge_params({"project": project})
        return client.get(url, headers=headers)

    for address in (ben["agent_id"], "ben", "nobody"):
        refusal(read(address, proving(anna)), 403, "agent_identity_mismatch")
    for address in (anna["agent_id"], "anna"):
        good(read(address, proving(anna)))
    good(read("ben", {"X-Agent-ID": anna["agent_id"]}))  # Without a token the trust is local, as in the original.


def test_token_proves_an_agent_by_its_name_as_well(client: httpx.Client, project: str, anna: Json) -> None:
    """X-Agent-ID is an address: the id, or the name."""
    headers = {"X-Agent-ID": "anna", "X-Agent-Token": anna["token"]}

    assert write(client, "send", anna, headers).status_code == 200


def test_blank_token_is_no_token(client: httpx.Client, project: str, anna: Json) -> None:
    """An empty token counts as absent (contract.md 3.3)."""
    assert write(client, "send", anna, {"X-Agent-Token": ""}).status_code == 200


def test_proved_sender_is_marked_as_verified(client: httpx.Client, project: str, anna: Json) -> None:
    """A reader can tell a proved sender from a claimed one."""
    write(client, "send", anna, proving(anna))
    write(client, "send", anna, {})

    received = inbox(client, project, "zed")

    assert [message.get("sender_verified", False) for message in received] == [True, False]


def test_renewal_rotates_the_token(client: httpx.Client, project: str, anna: Json) -> None:
    """After a session was renewed only the new token proves the agent, and its reservations stay its own."""
    held = reserve(client, project, anna["agent_id"], "src/**")

    again = register(client, project, "anna", session_id=anna["session_id"])

    refusal(write(client, "send", anna, proving(anna)), 403, "agent_identity_mismatch")
    assert write(client, "send", again, proving(again)).status_code == 200
    good(client.delete(f"/api/reservations/{held['id']}", headers=proving(again)))


def test_token_of_an_agent_that_left_proves_nothing(client: httpx.Client, project: str, anna: Json) -> None:
    """Leaving ends the token too, also for the next agent of that name."""
    good(client.delete(f"/api/agents/{anna['agent_id']}"))
    register(client, project, "anna")

    headers = {"X-Agent-ID": "anna", "X-Agent-Token": anna["token"]}

    refusal(client.get("/api/agents", params={"project": project}, headers=headers), 403, "agent_identity_mismatch")


def test_proved_reader_acknowledges_its_own_mail(client: httpx.Client, project: str, anna: Json, ben: Json) -> None:
    """With a token the recipient needs no other naming, and cannot be another."""
    sent = send(client, project, "zed", ["anna", "ben"])
    path = f"/api/messages/{sent['message_id']}/ack"

    marked = good(client.post(path, params={"project": project}, json={}, headers=proving(anna)))

    assert marked["agent"] == "anna"
    foreign = client.post(path, params={"project": project}, json={"agent": "ben"}, headers=proving(anna))
    refusal(foreign, 403, "agent_identity_mismatch")


def test_tokens_are_never_logged(server: ServerProcess, client: httpx.Client, project: str, anna: Json) -> None:
    """No line of the log holds a token."""
    write(client, "send", anna, proving(anna))

    assert anna["token"] not in "".join(server.lines)
