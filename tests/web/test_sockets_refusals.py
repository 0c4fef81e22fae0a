"""Sockets that are not opened, and sockets that are closed: plain HTTP refusals, close codes (contract.md 2.1)."""

import httpx
import pytest
from calls import good, register, send
from known_keys import ACME_KEY, with_key
from server_process import REMOTE, ServerProcess, until
from sockets import HANDSHAKE, closing, handshake, masked_frame, next_events, open_socket
from trio_websocket import ConnectionRejected

GOOD_HANDSHAKE = dict(line.split(": ") for line in HANDSHAKE)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        pytest.param("/ws/events", REMOTE, 401, "unauthorized", id="no-key"),
        pytest.param("/ws/events", with_key("wrong"), 401, "unauthorized", id="wrong-key"),
        pytest.param("/ws/events?project=umbra", with_key(ACME_KEY), 403, "foreign_project", id="foreign-project"),
        pytest.param("/ws/agents/b1?project=umbra", with_key(ACME_KEY), 403, "foreign_project", id="foreign-agent"),
        pytest.param("/ws/agents/b1", {"X-Agent-ID": "c1"}, 403, "agent_identity_mismatch", id="another-agent"),
        pytest.param("/ws/events", {"X-Agent-Token": "x"}, 403, "agent_header_missing", id="token-alone"),
        pytest.param(
            "/ws/events", {"X-Agent-Token": "x", "X-Agent-ID": "b1"}, 403, "agent_identity_mismatch", id="wrong-token"
        ),
        pytest.param("/ws/events", {"Origin": "http://evil.example"}, 403, "browser_refused", id="origin"),
        pytest.param("/ws/events", {"Origin": "null"}, 403, "browser_refused", id="origin-null"),
        pytest.param("/ws/events", {"Origin": "file://"}, 403, "browser_refused", id="origin-file"),
        pytest.param("/ws/events", {"Sec-Fetch-Site": "cross-site"}, 403, "browser_refused", id="fetch-site"),
        pytest.param("/ws/events?since_cursor=x", {}, 400, "invalid_request", id="cursor"),
        pytest.param("/ws/events?since_cursor=-1", {}, 400, "invalid_request", id="negative-cursor"),
        pytest.param("/ws/events?sinse_cursor=1", {}, 400, "invalid_request", id="unknown-field"),
        pytest.param("/ws/events?project=a%00b", {}, 400, "invalid_project", id="bad-project"),
        pytest.param("/ws/nothing", {}, 404, "unknown_route", id="unknown-path"),
        pytest.param("/api/agents", {}, 404, "unknown_route", id="not-a-socket"),
        pytest.param("/health", {}, 404, "unknown_route", id="health-is-not-a-socket"),
    ],
)
def test_refused_upgrade_is_a_plain_http_answer(
    server: ServerProcess, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Who may not have a socket gets a 4xx with a JSON body before any 101."""
    found, fields, body, bare = handshake(server, path, *(f"{name}: {value}" for name, value in headers.items()))
    bare.close()

    assert (found, fields["content-type"]) == (status, "application/json")
    assert body.get("code", body["error"]) == code
    assert body["message"]


@pytest.mark.parametrize(
    ("changed", "statuses"),
    [
        pytest.param({"Sec-WebSocket-Version": "8"}, {400, 426}, id="version"),
        pytest.param({"Sec-WebSocket-Version": None}, {400, 426}, id="no-version"),
        pytest.param({"Sec-WebSocket-Key": None}, {400}, id="no-key"),
        pytest.param({"Upgrade": None}, {400, 404, 426}, id="no-upgrade"),
        pytest.param({"Connection": "close"}, {400, 404, 426}, id="no-connection-upgrade"),
    ],
)
def test_bad_handshake_is_a_4xx_in_json(
    server: ServerProcess, changed: dict[str, str | None], statuses: set[int]
) -> None:
    """A request for a socket that is no handshake is refused as JSON."""
    headers = {name: value for name, value in {**GOOD_HANDSHAKE, **changed}.items() if value is not None}
    with server.client(headers) as fresh:
        answer = fresh.get("/ws/events")

    assert answer.status_code in statuses
    assert answer.json()["error"]
    assert answer.json()["message"]


async def test_library_sees_the_refusal_too(server: ServerProcess) -> None:
    """An ordinary client library reports status and body of a refusal."""
    with pytest.RaisesGroup(ConnectionRejected, allow_unwrapped=True, flatten_subgroups=True) as refused:
        async with open_socket(server, "/ws/events", REMOTE):
            pass

    error = refused.value.exceptions[0] if isinstance(refused.value, BaseExceptionGroup) else refused.value
    assert isinstance(error, ConnectionRejected)
    assert error.status_code == 401


async def test_key_opens_the_sockets_of_its_project(server: ServerProcess, acme: httpx.Client) -> None:
    """Negative control: with its key a remote caller hears its own project, named or not."""
    for query in ({}, {"project": "acme"}):
        async with open_socket(server, "/ws/agents/b1", with_key(ACME_KEY), **query) as opened:
            sent = send(acme, "acme", "a1", ["b1"])
            assert (await next_events(opened, 1))[0]["message_id"] == sent["message_id"]


async def test_token_opens_its_agents_socket(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Negative control: the right token beside the right id is accepted."""
    anna = register(client, project, "anna")
    headers = {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": anna["token"]}

    async with open_socket(server, "/ws/agents/anna", headers, project=project) as opened:
        sent = send(client, project, "a1", ["anna"])
        assert (await next_events(opened, 1))[0]["message_id"] == sent["message_id"]


@pytest.mark.parametrize("garbage", ["hello", "{", "", '{"a":NaN}', "[" * 20_000])
async def test_garbage_from_a_client_closes_with_1007(server: ServerProcess, project: str, garbage: str) -> None:
    """Text that is no JSON ends the socket with 1007 and the original's reason."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        await opened.send_message(garbage)
        reason = await closing(opened)

    assert reason.code == 1007
    assert reason.reason == "failed to unmarshal JSON"


async def test_binary_message_closes_with_1003(server: ServerProcess, project: str) -> None:
    """There is nothing to say in binary."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        await opened.send_message(b"\x00\x01")
        reason = await closing(opened)

    assert reason.code == 1003


async def test_oversized_message_closes_with_1009(server: ServerProcess, project: str) -> None:
    """A message over the limit ends the socket with 1009."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        await opened.send_message('"' + "x" * 200_000 + '"')
        reason = await closing(opened)

    assert reason.code == 1009


def test_broken_frame_closes_with_1002(server: ServerProcess, project: str) -> None:
    """A frame of an unknown opcode ends the socket with a protocol error."""
    status, _, _, bare = handshake(server, f"/ws/events?project={project}")
    assert status == 101
    with bare:
        bare.sendall(masked_frame(0x3, b"x"))
        received = b"".join(iter(lambda: bare.recv(4096), b""))

    assert received[0] == 0x88
    assert int.from_bytes(received[2:4], "big") == 1002


def test_close_is_answered_with_the_same_code(server: ServerProcess, project: str) -> None:
    """A client that closes gets its code back (contract.md 2.1)."""
    status, _, _, bare = handshake(server, f"/ws/events?project={project}")
    assert status == 101
    with bare:
        bare.sendall(masked_frame(0x8, (1000).to_bytes(2, "big") + b"client closing"))
        received = b"".join(iter(lambda: bare.recv(4096), b""))

    assert received[0] == 0x88
    assert int.from_bytes(received[2:4], "big") == 1000


def test_no_extension_is_negotiated(server: ServerProcess, project: str) -> None:
    """No compression is accepted, so that no frame can be a bomb and the SDK cannot stumble (contract.md 2.3)."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    status, fields, _, bare = handshake(server, f"/ws/events?project={project}", offer)
    bare.close()

    assert status == 101
    assert "sec-websocket-extensions" not in fields


async def test_bystander_hears_on_while_others_misbehave(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """What one socket does is no other's concern."""
    async with open_socket(server, "/ws/events", project=project) as bystander:
        for garbage in (b"\xff" * 50, masked_frame(0x1, b"{"), masked_frame(0x8, b"x"), b"\x00", b""):
            status, _, _, bare = handshake(server, f"/ws/events?project={project}")
            assert status == 101
            bare.sendall(garbage)
            bare.close()
        sent = send(client, project, "a1", ["b1"])
        received = await next_events(bystander, 1)

    assert received[0]["message_id"] == sent["message_id"]


async def test_closed_sockets_are_forgotten(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """A socket that went away, politely or not, is no longer counted as a reader."""

    def readers() -> int:
        return int(good(client.get("/health", params={"project": project}))["projects"][0]["subscribers"])

    register(client, project, "anna")
    async with open_socket(server, "/ws/events", project=project):
        assert readers() == 1

    until(lambda: readers() == 0, "the reader to be forgotten")
