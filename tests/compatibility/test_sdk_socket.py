"""The WebSocket client of the original's Go SDK against ours: contract.md 2, with its handshake and its limits."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from calls import Json, good, send
from go_structs import Time, unmarshal
from known_keys import ACME_KEY
from server_process import REMOTE, ServerProcess
from sockets import handshake, masked_frame

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"
FRAME_BYTES_MAX = 32_768
"""The SDK's read limit for one message."""
DOMAIN_EVENT = {"type": str, "project": str, "entity_id": str, "created_at": Time}
TEXT, CLOSE, PING = 1, 8, 9


@dataclass
class SdkSocket:
    """A connection as the SDK holds it: it reads messages, and now and then sends one."""

    bare: socket.socket
    headers: dict[str, str]
    _buffer: bytes = field(default=b"")

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self.bare.recv(65536)
            assert more, "the connection was closed"
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def frame(self) -> tuple[int, bytes]:
        """Return the next frame, after checking what every client checks: no reserved bits, no mask."""
        first, second = self._take(2)
        assert first & 0x70 == 0
        assert second & 0x80 == 0
        length = second
        if second == 126:
            length = int.from_bytes(self._take(2), "big")
        elif second == 127:
            length = int.from_bytes(self._take(8), "big")
        return first & 0x0F, self._take(length)

    def event(self) -> Json:
        """Return the next event, after decoding it as the SDK does."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                continue
            assert opcode == TEXT
            assert len(payload) <= FRAME_BYTES_MAX
            unmarshal(payload, DOMAIN_EVENT)
            found: Json = json.loads(payload)
            return found

    def say(self, opcode: int, payload: bytes) -> None:
        """Send one frame."""
        self.bare.sendall(masked_frame(opcode, payload))


@contextmanager
def dialled(server: ServerProcess, path: str, *lines: str) -> Iterator[SdkSocket]:
    """Dial as the SDK does; fail unless it is let in."""
    status, headers, body, bare = handshake(server, path, OFFER, *lines)
    with bare:
        assert status == 101, body
        yield SdkSocket(bare, headers)


def test_handshake_with_compression_on_offer(server: ServerProcess, project: str) -> None:
    """101 with the right accept key, and no extension that the SDK would reject."""
    with dialled(server, f"/ws/agents/b1?project={project}") as opened:
        assert opened.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        agreed = opened.headers.get("sec-websocket-extensions", "")
        parameters = {part.strip() for part in agreed.split(";")[1:]}
        assert parameters <= {"client_no_context_takeover", "server_no_context_takeover"}


def test_message_reaches_the_recipients_socket(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """`message.created` has the original's fields and values, and comes right after 101 (the original's [BUG-16])."""
    with dialled(server, f"/ws/agents/b1?project={project}") as opened:
        sent = send(client, project, "a1", ["b1"])

        event = opened.event()

    expected = {
        "agent": "b1", "cursor": sent["cursor"], "message_id": sent["message_id"], "project": project,
        "type": "message.created",
    }  # fmt: skip
    assert {name: event[name] for name in expected} == expected
    assert list(event) == sorted(event)


def test_domain_change_reaches_every_socket_of_the_project(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A domain event carries the entity under `data`; the SDK without an agent dials /ws/events, which exists here."""
    with (
        dialled(server, f"/ws/agents/b1?project={project}") as one,
        dialled(server, f"/ws/events?project={project}") as all_,
    ):
        made = good(client.post("/api/specs", json={"project": project, "title": "V2"}), 201)
        client.delete(f"/api/specs/{made['id']}?project={project}")
        events = [(socket.event(), socket.event()) for socket in (one, all_)]

    for created, archived in events:
        assert (created["type"], created["entity_id"], created["data"]) == ("spec.created", made["id"], made)
        assert (archived["type"], archived["data"]) == ("spec.archived", None)


def test_subscription_is_taken_in_silence(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Subscribe and Unsubscribe have no answer and no effect: the default stays everything."""
    with dialled(server, f"/ws/agents/b1?project={project}") as opened:
        for kind in ("subscribe", "unsubscribe"):
            opened.say(TEXT, json.dumps({"type": kind, "event_types": ["x"], "project": project}).encode())
        send(client, project, "a1", ["b1"])

        assert opened.event()["type"] == "message.created"


def test_close_of_the_sdk_is_answered(server: ServerProcess, project: str) -> None:
    """1000 `client closing` is echoed."""
    with dialled(server, f"/ws/agents/b1?project={project}") as opened:
        opened.say(CLOSE, (1000).to_bytes(2, "big") + b"client closing")

        opcode, payload = opened.frame()

    assert (opcode, payload[:2]) == (CLOSE, (1000).to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("path", "lines", "status", "error"),
    [
        ("/ws/agents/b1", [], 401, "unauthorized"),
        ("/ws/agents/b1?project=umbra", [f"Authorization: Bearer {ACME_KEY}"], 403, None),
        ("/ws/agents/b1", [f"Authorization: Bearer {ACME_KEY}", "X-Agent-ID: c1"], 403, None),
    ],
)
def test_refusals_come_before_the_upgrade(
    server: ServerProcess, path: str, lines: list[str], status: int, error: str | None
) -> None:
    """401 and 403 as JSON instead of 101; another `X-Agent-ID` than the path's is refused."""
    remote = [f"{name}: {value}" for name, value in REMOTE.items()]

    found, _, body, bare = handshake(server, path, OFFER, *remote, *lines)

    bare.close()
    assert found == status
    assert error in (None, body["error"])


def test_key_opens_its_projects_socket(server: ServerProcess, acme: httpx.Client) -> None:
    """With a key the project is the key's, named or not."""
    remote = [f"{name}: {value}" for name, value in REMOTE.items()]
    with dialled(server, "/ws/agents/sdk-b1", *remote, f"Authorization: Bearer {ACME_KEY}") as opened:
        send(acme, "acme", "a1", ["sdk-b1"])

        assert opened.event()["project"] == "acme"
