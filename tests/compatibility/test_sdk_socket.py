"""The original's Go SDK on its WebSocket: the handshake that it makes, and what it reads afterwards (contract.md 2.2, 2.3).

Deviations of design.md 9 are named beside their tests.
"""

import json
from collections.abc import Iterator

import pytest
from calls import Json
from go_sdk import GoSdk
from go_types import ZERO_TIME, read
from known_keys import ACME_KEY
from sdk_calls import World, furnished
from server_process import ServerProcess

SDK_READS_BYTES = 32_768
WEBSOCKET_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What RFC 6455 1.3 answers to the key that is sent."""

PUSHED = (
    ("SendMessage", "message.created", None),
    ("Ack", "message.ack", None),
    ("Read", "message.read", None),
    ("CreateSpec", "spec.created", "Spec"),
    ("UpdateSpec", "spec.updated", "Spec"),
    ("DeleteSpec", "spec.archived", None),
    ("CreateEpic", "epic.created", "Epic"),
    ("UpdateEpic", "epic.updated", "Epic"),
    ("CreateStory", "story.created", "Story"),
    ("UpdateStory", "story.updated", "Story"),
    ("CreateTask", "task.created", "Task"),
    ("AssignTask", "task.assigned", "Task"),
    ("UpdateTask", "task.completed", "Task"),
    ("CreateInsight", "insight.created", "Insight"),
    ("LinkInsightToSpec", "insight.linked", "any"),
    ("CreateSession", "session.started", "Session"),
    ("DeleteSession", "session.stopped", None),
    ("CreateCUJ", "cuj.created", "CUJ"),
    ("UpdateCUJ", "cuj.validated", "CUJ"),
    ("DeleteCUJ", "cuj.archived", None),
    # Deviation: these are announced as well; the original pushed nothing, and the SDK ignores types it does not know.
    ("RegisterAgent", "agent.registered", None),
    ("ReleaseReservation", "reservation.released", None),
    ("UpdateSession", "session.updated", "Session"),
    ("DeleteEpic", "epic.deleted", None),
    ("DeleteStory", "story.deleted", None),
    ("DeleteTask", "task.deleted", None),
    ("DeleteInsight", "insight.deleted", None),
    ("LinkCUJToFeature", "cuj.linked", "any"),
    ("UnlinkCUJFromFeature", "cuj.unlinked", "any"),
)
"""The calls that push an event, its type, and the Go type of its `data`."""


@pytest.fixture
def world(server: ServerProcess, project: str) -> Iterator[World]:
    """A project with one of everything."""
    with GoSdk(server) as sdk:
        yield furnished(sdk, project, project)


@pytest.fixture
def socket(server: ServerProcess) -> Iterator[GoSdk]:
    """A second connection of the same SDK, to be dialled."""
    with GoSdk(server) as sdk:
        yield sdk


def dialled(socket: GoSdk, path: str) -> None:
    """Open the socket, and check the handshake as Go's library does."""
    answer = socket.dial(path)

    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == WEBSOCKET_ACCEPT
    assert (answer.headers["upgrade"].lower(), answer.headers["connection"].lower()) == ("websocket", "upgrade")
    # The library gives up on an answer with other parameters than its own two.
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(("call", "event_type", "kind"), PUSHED, ids=[f"{call}" for call, _, _ in PUSHED])
@pytest.mark.parametrize("path", ["/ws/agents/$agent", "/ws/events"], ids=["agent", "project"])
def test_event_is_what_the_sdk_expects(
    world: World, socket: GoSdk, path: str, call: str, event_type: str, kind: str | None
) -> None:
    """Type, project and entity of each event, on an agent's socket as on `/ws/events`, which the original did not have."""
    dialled(socket, f"{path.replace('$agent', world.names['agent'])}?project={world.names['project']}")

    assert world.call(call).status in (200, 201, 204)
    told: Json = read("Event", socket.next_event())

    assert (told["type"], told["project"]) == (event_type, world.names["project"])
    assert told["created_at"] != ZERO_TIME
    if kind is None:
        assert told["data"] is None
    elif kind != "any":
        assert read(kind, told["data"])["id"] == told["entity_id"] != ""


def test_subscription_is_taken_silently_and_filters_nothing(world: World, socket: GoSdk) -> None:
    """Subscribe and Unsubscribe in the frames of the SDK's library; events of every type come all the same."""
    project = world.names["project"]
    dialled(socket, f"/ws/agents/{world.names['agent']}?project={project}")

    socket.say({"event_types": ["task.created"], "project": project, "type": "subscribe"})
    world.call("CreateSpec")
    socket.say({"event_types": ["task.created"], "type": "unsubscribe"})
    world.call("SendMessage")

    assert [socket.next_event()["type"] for _ in range(2)] == ["spec.created", "message.created"]


def test_event_is_never_longer_than_the_sdk_reads(world: World, socket: GoSdk) -> None:
    """A large entity comes without its `data`, and says so; the SDK's library would break the connection at the whole of it."""
    project = world.names["project"]
    dialled(socket, f"/ws/events?project={project}")

    body = {"id": "large", "project": project, "title": "T", "vision": "v" * 40_000}
    made = world.sdk.call("POST", "/api/specs", json.dumps(body))
    payload = socket.next_text()

    assert made.status == 201
    assert len(payload) <= SDK_READS_BYTES
    event = json.loads(payload)
    told: Json = read("Event", event)
    assert (told["type"], told["entity_id"], told["data"]) == ("spec.created", "large", None)
    assert event["left_out"] == ["data"]


def test_close_of_the_sdk_is_answered_in_kind(world: World, socket: GoSdk) -> None:
    """1000 `client closing` gets a close frame with 1000."""
    dialled(socket, f"/ws/events?project={world.names['project']}")

    _, payload = socket.close()

    assert payload[:2] == (1000).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("key", "path", "status", "code"),
    [
        pytest.param("", "/ws/agents/b1?project=acme", 401, "unauthorized", id="no-key"),
        pytest.param("wrong", "/ws/events?project=acme", 401, "unauthorized", id="wrong-key"),
        pytest.param(ACME_KEY, "/ws/agents/b1?project=umbra", 403, "foreign_project", id="other-project"),
        pytest.param(ACME_KEY, "/ws/events?project=acme", 101, None, id="own-project"),
        pytest.param(ACME_KEY, "/ws/agents/b1", 101, None, id="project-of-the-key"),
    ],
)
def test_dial_with_a_key_opens_its_project_alone(
    server: ServerProcess, key: str, path: str, status: int, code: str | None
) -> None:
    """Class P8 of contract.md 0.7: the key's project, named or not; another one is refused before any 101."""
    with GoSdk(server, key, "X-Forwarded-For: 203.0.113.10") as sdk:
        answer = sdk.dial(path)

    assert answer.status == status
    assert code is None or answer.json()["error"] == code
