"""The event iterator gives each event once and in order, whatever happens to its connection or to the service."""

import random
from pathlib import Path
from typing import Any

import pytest
import trio
from carriers import Proxy, proxy_to
from server_process import ServerProcess

from intermute.client import Client, CursorExpired, Event, Events, NoAnswer, Retries
from intermute.core.api.system import EventPage, ListEvents
from intermute.core.errors import AgentIdentityMismatch
from intermute.embedded import Server

PATIENCE_S = 20.0
EAGER = Retries(first_s=0.005, longest_s=0.05)
"""Pauses for tests that break many connections."""


async def log_of(client: Client, since: int = 0) -> list[int]:
    """Return the cursors of the whole log after one, read page by page."""
    found: list[int] = []
    while True:
        page = await client.call(ListEvents(since_cursor=since, limit=1000), EventPage)
        if not page.events:
            return found
        found += [event["cursor"] for event in page.events]
        since = page.cursor


async def write(client: Client, count: int) -> None:
    """Make that many events, of many lengths."""
    for number in range(count):
        await client.agents.merge_metadata(note="x" * (number % 40) * 20, number=str(number))


async def take(events: Events, count: int) -> list[Event]:
    """Return the next events."""
    with trio.fail_after(PATIENCE_S):
        return [await anext(events) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
async def test_events_are_neither_lost_nor_repeated_when_sockets_are_cut(
    hosted: Server, project: str, seed: int
) -> None:
    """However often the connection breaks, in the handshake or in the middle of a frame, the reader has the log."""
    chance = random.Random(seed)
    async with (
        proxy_to(hosted.url, lambda _number: chance.randrange(1, 6000)) as proxy,
        Client(hosted.url, project=project) as writer,
        Client(hosted.url, project=project) as direct,
    ):
        await writer.agents.register("anna")
        async with Client(proxy.url, project=project, retries=EAGER) as reader, trio.open_nursery() as nursery:
            nursery.start_soon(write, writer, 150)
            async with reader.follow(since=0) as events:
                seen = [event.cursor for event in await take(events, 151)]

        assert seen == await log_of(direct)
        assert proxy.cuts > 20
        assert events.connections > 20


async def test_sockets_are_cut_in_the_middle_of_frames(hosted: Server, project: str) -> None:
    """Control: where the reader does not come back, a cut connection loses the rest of its frame and all after it."""
    async with proxy_to(hosted.url, lambda _number: 1500) as proxy, Client(hosted.url, project=project) as writer:
        await writer.agents.register("anna")
        await write(writer, 20)
        async with Client(proxy.url, project=project) as reader, reader.follow(since=0, patience_s=0.0) as events:
            seen = []
            with pytest.raises(NoAnswer):
                while True:
                    proxy.is_open = False
                    seen.append((await anext(events)).cursor)

    assert 0 < len(seen) < 21


async def test_events_go_on_after_the_service_was_killed(tmp_path: Path) -> None:
    """A service that is killed with SIGKILL and started again, twice, costs the reader not one event."""
    home, project = tmp_path / "killed", "acme"
    server = ServerProcess(home)
    port = await trio.to_thread.run_sync(lambda: server.port)
    seen: list[int] = []
    lasting = Retries(first_s=0.05, longest_s=0.2, attempts_max=200, patience_s=60)
    try:
        async with (
            Client(f"http://127.0.0.1:{port}", project=project, retries=lasting) as writer,
            Client(f"http://127.0.0.1:{port}", project=project, retries=lasting) as reader,
        ):
            await writer.agents.register("anna")
            async with reader.follow(since=0) as events, trio.open_nursery() as nursery:
                nursery.start_soon(write, writer, 200)
                while len(seen) < 201:
                    if len(seen) in (50, 130):
                        await trio.to_thread.run_sync(server.kill)
                        server = ServerProcess(home, port=port)
                        await trio.to_thread.run_sync(server.started)
                    seen += [event.cursor for event in await take(events, 1)]
            log = await log_of(writer)
    finally:
        server.kill()

    assert seen == log[: len(seen)]
    assert len(seen) == len(log), "a change that was sent again under its key is one event"
    assert events.connections >= 3


async def test_follow_without_a_cursor_begins_now_and_stays_there(hosted: Server, project: str) -> None:
    """Where the first socket breaks before anything came, what happened until the second one is not lost."""
    async with proxy_to(hosted.url) as proxy, Client(hosted.url, project=project) as writer:
        await writer.agents.register("anna")
        async with (
            Client(proxy.url, project=project, retries=EAGER) as reader,
            reader.follow() as events,
            trio.open_nursery() as nursery,
        ):
            begun = events.cursor
            proxy.shut()
            await write(writer, 3)
            proxy.is_open = True
            seen = [event.cursor for event in await take(events, 3)]
            nursery.cancel_scope.cancel()

        assert seen == await log_of(writer, begun)


async def test_cancelled_wait_loses_nothing(hosted: Server, project: str) -> None:
    """Whoever gives up waiting for an event gets it with the next call."""
    async with Client(hosted.url, project=project) as client:
        await client.agents.register("anna")
        async with client.follow(since=0) as events, trio.open_nursery() as nursery:
            nursery.start_soon(write, client, 100)
            seen: list[int] = []
            with trio.fail_after(PATIENCE_S):
                while len(seen) < 101:
                    with trio.move_on_after(0.0005):
                        seen.append((await anext(events)).cursor)

        assert seen == await log_of(client)


async def test_iterator_ends_with_its_block(hosted: Server, project: str) -> None:
    """After its block the iterator is over, and opens no socket that nobody would close."""
    async with Client(hosted.url, project=project) as client:
        await client.agents.register("anna")
        async with client.follow(since=0) as events:
            await take(events, 1)

        assert [event async for event in events] == []
        assert events.connections == 1


async def test_follow_filters_by_type_and_by_agent(hosted: Server, project: str) -> None:
    """One agent's stream has what is addressed to it, and types narrow any stream."""
    async with Client(hosted.url, project=project) as anna, Client(hosted.url, project=project) as ben:
        await anna.agents.register("anna")
        await ben.agents.register("ben")
        async with ben.follow(agent="ben", types=["message.created"]) as mine:
            await ben.messages.send("anna", "not for ben")
            sent = await anna.messages.send("ben", "for ben")
            [event] = await take(mine, 1)

    assert (event.type, event.agent, event.fields["message_id"]) == ("message.created", "ben", sent.message_id)


async def test_refusal_for_good_is_raised(hosted: Server, project: str) -> None:
    """What the service refuses for good is its own error, where the stream is opened, and alone."""
    async with Client(hosted.url, project=project) as anna, Client(hosted.url, project=project) as ben:
        await anna.agents.register("anna")
        await ben.agents.register("ben")

        with pytest.raises(AgentIdentityMismatch):
            async with anna.follow(agent="ben"):
                raise AssertionError("it was let in")


async def test_reader_is_told_when_there_is_nobody_for_too_long() -> None:
    """After its patience a reader hears that nobody answers, and where it looked."""
    async with Client("http://127.0.0.1:1", retries=EAGER, environment={}) as client:
        with pytest.raises(NoAnswer, match="/ws/events got no answer"):
            async with client.follow(since=7, patience_s=0.1):
                raise AssertionError("nobody is there")


def handshake_answer(status: int, body: bytes, *fields: str) -> bytes:
    """Return an answer that refuses a handshake."""
    lines = [
        f"HTTP/1.1 {status} Said",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        *fields,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


async def refusing(stream: Any, said: bytes) -> None:
    """Answer one handshake with these bytes. Any: a stream of trio's."""
    async with stream:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        await stream.send_all(said)


async def test_trimmed_log_is_an_error() -> None:
    """410 cursor_expired is raised, with where the log begins, and is not asked again."""
    body = b'{"error":"cursor_expired","message":"Read the present state anew.","oldest_cursor":42}'
    asked: list[int] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append(1)
        await refusing(stream, handshake_answer(410, body))

    async with trio.open_nursery() as nursery:
        listeners: list[Any] = await nursery.start(trio.serve_tcp, serve, 0)  # Any: as trio returns them.
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with Client(url, environment={}) as client:
            with pytest.raises(CursorExpired) as expired:
                async with client.follow(since=7):
                    raise AssertionError("it was let in")
        nursery.cancel_scope.cancel()

    assert expired.value.details["oldest_cursor"] == 42
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        (handshake_answer(503, b'{"error":"shutting_down","message":"Come back."}', "Retry-After: 1"), 1.0),
        (handshake_answer(502, b"<html>a proxy's own page</html>"), 0.0),
    ],
    ids=["the service's", "a proxy's"],
)
async def test_passing_refusal_of_a_stream_is_waited_out(
    hosted: Server, project: str, said: bytes, pause_s: float
) -> None:
    """503 with Retry-After is not the end: the reader waits that long, and comes back."""
    at_s: list[float] = []

    proxy = Proxy(hosted.url, lambda _number: None)

    async def serve(stream: trio.SocketStream) -> None:
        at_s.append(trio.current_time())
        if len(at_s) == 1:
            await refusing(stream, said)
        else:
            await proxy.handle(stream)

    async with Client(hosted.url, project=project) as writer, trio.open_nursery() as nursery:
        await writer.agents.register("anna")
        listeners: list[Any] = await nursery.start(trio.serve_tcp, serve, 0)  # Any: as trio returns them.
        proxy.url = url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with Client(url, project=project) as client, client.follow(since=0) as events:
            [event] = await take(events, 1)
        nursery.cancel_scope.cancel()

    assert event.type == "agent.registered"
    assert at_s[1] - at_s[0] >= pause_s
