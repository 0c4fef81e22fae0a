"""Event streams over WebSocket: live, in order, replayed without loss, and only to those they are for (contract.md 2).

HTTP calls block this process while the server, another process, goes on; what it pushes meanwhile waits in the kernel.
"""

import json

import httpx
import pytest
from calls import events, good, head, mark, register, release, reserve, send
from server_process import ServerProcess
from sockets import next_events, open_socket


def projects(client: httpx.Client) -> list[str]:
    """Return the names of all projects."""
    return [each["project"] for each in good(client.get("/api/projects"))["projects"]]


def make_large_spec(client: httpx.Client, project: str) -> None:
    """Make an entity of which the event is longer than 32 KiB."""
    good(client.post("/api/specs", json={"project": project, "id": "s", "title": "T", "vision": "v" * 40_000}), 201)


async def test_socket_pushes_live_events_in_order(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Without a cursor a socket starts at now and then gets every event of the project, in log order."""
    register(client, project, "before")

    async with open_socket(server, "/ws/events", project=project) as opened:
        for number in range(20):
            send(client, project, "a1", ["b1"], body=str(number))
        received = await next_events(opened, 20)

    assert received == events(client, project, since=1)
    assert [event["type"] for event in received] == ["message.created"] * 20


async def test_message_event_has_the_original_fields(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """The event is a superset of the original's object with sorted keys, ends with a newline, and holds no body."""
    async with open_socket(server, "/ws/agents/b1", project=project) as opened:
        sent = send(client, project, "a1", ["b1"], body="the secret text")
        text = str(await opened.get_message())

    event = json.loads(text)
    original = {"agent": "b1", "cursor": sent["cursor"], "message_id": sent["message_id"], "project": project}
    assert {**original, "type": "message.created"}.items() <= event.items()
    assert list(event) == sorted(event)
    assert text.endswith("\n")
    assert "secret" not in text
    assert event["from"] == "a1"
    assert event["created_at"].endswith("Z")


async def test_event_is_whole_for_who_names_a_place(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """With `since_cursor` a socket has what the log has, however large; without it a large one says what it lacks."""
    register(client, project, "anna")
    first = head(client, project)
    async with (
        open_socket(server, "/ws/events", project=project, since_cursor=first) as whole,
        open_socket(server, "/ws/events", project=project) as short,
    ):
        make_large_spec(client, project)
        [all_of_it], [part] = await next_events(whole, 1), await next_events(short, 1)

    assert [all_of_it] == events(client, project, since=first)
    assert all_of_it.pop("data")["vision"] == "v" * 40_000
    assert part.pop("left_out") == ["data"]
    assert part == all_of_it


async def test_ack_and_read_are_pushed_to_the_whole_project(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Everyone hears of a message being read and acknowledged, and by whom."""
    async with open_socket(server, "/ws/agents/zed", project=project) as opened:
        sent = send(client, project, "a1", ["b1"])
        mark(client, project, sent["message_id"], "read", "b1")
        mark(client, project, sent["message_id"], "ack", "b1")
        received = await next_events(opened, 2)

    assert [(event["type"], event["message_id"], event["agent_id"]) for event in received] == [
        ("message.read", sent["message_id"], "b1"), ("message.ack", sent["message_id"], "b1"),
    ]  # fmt: skip


async def test_replay_starts_after_the_cursor_and_goes_on_live(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """`since_cursor` replays what came after it, and what comes next follows without a gap."""
    cursors = [send(client, project, "a1", ["b1"])["cursor"] for _ in range(250)]

    async with open_socket(server, "/ws/events", project=project, since_cursor=cursors[9]) as opened:
        cursors += [send(client, project, "a1", ["b1"])["cursor"] for _ in range(5)]
        received = await next_events(opened, 245)

    assert [event["cursor"] for event in received] == cursors[10:]


async def test_reconnecting_reader_misses_and_repeats_nothing(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A reader that is cut off again and again, while events flow, sees each event once when it comes back by cursor."""
    seen: list[int] = []
    sent: list[int] = []
    for _ in range(8):
        since = seen[-1] if seen else 0
        async with open_socket(server, "/ws/events", project=project, since_cursor=since) as opened:
            sent += [send(client, project, "a1", ["b1"])["cursor"] for _ in range(7)]
            seen += [event["cursor"] for event in await next_events(opened, 5)]
        sent += [send(client, project, "a1", ["b1"])["cursor"] for _ in range(3)]

    async with open_socket(server, "/ws/events", project=project, since_cursor=seen[-1]) as opened:
        seen += [event["cursor"] for event in await next_events(opened, len(sent) - len(seen))]

    assert seen == sent


async def test_agents_socket_sees_its_own_messages_alone(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """`/ws/agents/{id}` gets messages to that agent, by name or id, and the project's public events."""
    anna = register(client, project, "anna")
    since = head(client, project)
    send(client, project, "zed", ["ben"], body="not hers")
    mine = [send(client, project, "zed", [address])["cursor"] for address in ("anna", anna["agent_id"])]
    copied = send(client, project, "zed", ["ben"], cc=["anna"])["cursor"]
    held = reserve(client, project, "ben", "src/**")["fence"]

    async with open_socket(server, f"/ws/agents/{anna['agent_id']}", project=project, since_cursor=since) as by_id:
        received = await next_events(by_id, 4)
    async with open_socket(server, "/ws/agents/anna", project=project, since_cursor=since) as by_name:
        again = await next_events(by_name, 4)

    assert [event["cursor"] for event in received] == [*mine, copied, held]
    assert [event.get("agent") for event in received] == [*[anna["agent_id"]] * 3, None]
    assert [event.get("agent") for event in again] == [*["anna"] * 3, None]


async def test_sender_hears_no_echo_of_its_message(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """The sender is no recipient, unless it names itself."""
    async with open_socket(server, "/ws/agents/a1", project=project, since_cursor=0) as opened:
        send(client, project, "a1", ["b1"])
        own = send(client, project, "a1", ["a1"])["cursor"]
        received = await next_events(opened, 1)

    assert received[0]["cursor"] == own


async def test_blind_copy_is_pushed_without_its_name(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """A blind recipient hears of its message; no stream tells another reader that it exists."""
    async with open_socket(server, "/ws/agents/hidden", project=project, since_cursor=0) as hidden:
        sent = send(client, project, "a1", ["b1"], cc=["c1"], bcc=["hidden"])
        assert [event["cursor"] for event in await next_events(hidden, 1)] == [sent["cursor"]]

    for path in ("/ws/agents/b1", "/ws/agents/c1", "/ws/agents/a1", "/ws/events"):
        async with open_socket(server, path, project=project, since_cursor=0) as opened:
            mark(client, project, sent["message_id"], "read", "b1")
            text = "".join(str(event) for event in await next_events(opened, 1))
        assert "hidden" not in text


async def test_several_sockets_of_one_agent_all_get_every_event(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Several sockets per agent are allowed (contract.md 2.1)."""
    async with (
        open_socket(server, "/ws/agents/b1", project=project) as first,
        open_socket(server, "/ws/agents/b1", project=project) as second,
    ):
        sent = send(client, project, "a1", ["b1"])
        received = [*await next_events(first, 1), *await next_events(second, 1)]

    assert [event["cursor"] for event in received] == [sent["cursor"]] * 2


async def test_socket_hears_nothing_of_other_projects(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A stream is one project's."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        send(client, f"{project}-other", "a1", ["b1"])
        mine = send(client, project, "a1", ["b1"])
        received = await next_events(opened, 1)

    assert (received[0]["project"], received[0]["message_id"]) == (project, mine["message_id"])


async def test_socket_may_be_there_before_its_project(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A reader that waits for a project makes none, and misses nothing of the one that comes."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        assert project not in projects(client)

        register(client, project, "first")
        register(client, project, "second")

        assert [event["name"] for event in await next_events(opened, 2)] == ["first", "second"]


async def test_type_filter_lets_only_these_types_through(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """`type` narrows a stream; without it everything comes."""
    types = "reservation.created,reservation.released"
    async with open_socket(server, "/ws/events", project=project, type=types) as opened:
        send(client, project, "a1", ["b1"])
        held = reserve(client, project, "a1", "src/**")
        release(client, held["id"])
        received = await next_events(opened, 2)

    assert [event["type"] for event in received] == ["reservation.created", "reservation.released"]


@pytest.mark.parametrize(
    "message",
    ['{"type":"subscribe","event_types":["task.created"],"project":"x"}', "[]", "null", '{"type":"unsubscribe"}'],
)
async def test_what_clients_say_is_ignored(
    server: ServerProcess, client: httpx.Client, project: str, message: str
) -> None:
    """The SDK's subscribe messages are accepted silently, and filter nothing (contract.md 2.3)."""
    async with open_socket(server, "/ws/agents/b1", project=project) as opened:
        await opened.send_message(message)
        sent = send(client, project, "a1", ["b1"])
        received = await next_events(opened, 1)

    assert received[0]["message_id"] == sent["message_id"]


async def test_mail_sent_before_registration_reaches_the_agents_socket(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A socket opened under a name that nobody has keeps getting that name's mail once somebody registers under it."""
    async with open_socket(server, "/ws/agents/late", project=project, since_cursor=0) as opened:
        first = send(client, project, "a1", ["late"])
        late = register(client, project, "late")
        second = send(client, project, "a1", [late["agent_id"]])
        received = [event for event in await next_events(opened, 3) if event["type"] == "message.created"]

    assert [event["message_id"] for event in received] == [first["message_id"], second["message_id"]]


async def test_replay_for_a_registered_agent_has_what_came_before_it(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Mail sent to a name before anyone had it is part of the replay of the agent that registered under it."""
    first = send(client, project, "a1", ["late"])
    late = register(client, project, "late")

    async with open_socket(server, f"/ws/agents/{late['agent_id']}", project=project, since_cursor=0) as opened:
        received = await next_events(opened, 1)

    assert received[0].get("message_id") == first["message_id"]
