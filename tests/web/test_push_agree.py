"""The sockets of both lanes: the same handshakes, the same refusals, the same events and the same ends (issue 7).

One service in this process has both; a token more in `Connection` takes a handshake to the careful lane.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from both_lanes import LANES, QUICK, heard, house, parts, settled, without_date
from guarded_server import Client
from known_keys import ACME_KEY, UMBRA_KEY, with_key
from open_projects import DEMO, Service
from server_process import REMOTE
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from intermute.core import limits
from intermute.core.api.agents import MergeMetadata, RegisterAgent
from intermute.core.api.messages import AckMessage, ReadMessage, SendMessage
from intermute.core.api.reservations import ReleaseReservation, Reserve
from intermute.core.errors import ProjectQuarantined
from intermute.core.events import Event, EventType
from intermute.core.ids import Micros
from intermute.core.retention import RetentionRule
from intermute.project.retention import trim


@dataclass
class Agents:
    """Who is there in the history below."""

    anna: str
    ben: str


async def settle_in(service: Service) -> Agents:
    """Let two agents come."""
    anna, ben = [await service.run(RegisterAgent(name=name)) for name in ("anna", "ben")]
    return Agents(anna.agent_id, ben.agent_id)


async def live_on(service: Service, agents: Agents) -> None:
    """Let happen what readers see in different ways: letters by name and id, copies, marks, topics, newcomers, public things."""
    send = partial(SendMessage, sender="anna", body="hello")
    for to, more in (
        (["ben"], {}), ([agents.ben], {"topic": " Deploy "}), (["ben", "late"], {"cc": ["anna"]}),
        (["zed"], {"bcc": ["ben", "late"], "topic": "deploy"}), (["anna"], {}), (["a/b"], {}),
    ):  # fmt: skip
        sent = await service.run(send(to=to, **more))
        for agent in ("ben", "late"):
            for mark in (ReadMessage, AckMessage):
                await service.outcome(mark(message_id=sent.message_id, agent=agent))
    held = await service.run(Reserve(agent_id=agents.anna, path_pattern="src/**"))
    late = await service.run(RegisterAgent(name="late"))
    await service.run(send(to=[late.agent_id, 'q"ü'], topic="deploy"))
    await service.run(ReleaseReservation(reservation_id=held.id, agent_id=agents.anna))
    await service.together(*(send(to=["ben"] if n % 3 else ["late", "anna"]) for n in range(30)))


VIEWS = (
    "/ws/events?", "/ws/events?type=message.created", "/ws/events?type=reservation.created,reservation.released",
    "/ws/events?topic=deploy", "/ws/events?topic=DEPLOY&type=message.created", "/ws/events?type=nothing",
    "/ws/events?agent=anna", "/ws/agents/anna?", "/ws/agents/ben?", "/ws/agents/{ben}?", "/ws/agents/late?",
    "/ws/agents/zed?topic=deploy", "/ws/agents/ben?type=message.created,message.read", "/ws/agents/a/b?", "/ws/agents/nobody?",
)  # fmt: skip


async def test_both_lanes_stream_the_same(tmp_path: Path) -> None:
    """Every view, begun before the project, in its middle with and without a cursor, and at its end: same texts, same goodbye."""
    opened: dict[tuple[str, str, str], Client] = {}
    async with house(tmp_path) as place:
        service = place.service

        async def begin(when: str, agents: Agents, **since: int) -> None:
            for view in VIEWS:
                path = view.format(ben=agents.ben) + "".join(f"&since_cursor={each}" for each in since.values())
                for lane in LANES:
                    opened[when, view, lane] = await place.open(lane, f"{path}&project={DEMO}".replace("?&", "?"))

        await begin("before", Agents("", "nobody-yet"))
        agents = await settle_in(service)
        await begin("live", agents)
        await live_on(service, agents)
        await begin("from the beginning", agents, since=0)
        await begin("from the middle", agents, since=9)
        await live_on(service, agents)
        await begin("from beyond the end", agents, since=service.project.hub.head + 2)
        await live_on(service, agents)
        await settled()
        service.registry.stop()

        found = {key: await heard(client) for key, client in opened.items()}

        assert all(ending is not None and ending.code == 1001 for _, ending in found.values())
        for when, view, lane in found:
            fast, careful = found[when, view, "fast"], found[when, view, "careful"]
            assert fast == careful, (when, view, lane)
        # The control: there is something to compare, and views differ.
        assert len({json.dumps(texts) for texts, _ in found.values()}) > 2 * len(VIEWS)
        assert max(len(texts) for texts, _ in found.values()) > 150
        assert place.server.events == []


REFUSALS: Sequence[tuple[str, Mapping[str, str], int]] = (
    ("/ws/events?since_cursor=x", {}, 400), ("/ws/events?since_cursor=-1&nope=1", {}, 400),
    ("/ws/events?project=a%00b", {}, 400), ("/ws/agents/b1", {"X-Agent-ID": "c1"}, 403),
    ("/ws/agents/b1?project=demo", {"X-Agent-ID": "c1"}, 403), ("/ws/events", {"X-Agent-Token": "x"}, 403),
    ("/ws/agents/b1", {"X-Agent-Token": "x", "X-Agent-ID": "b1"}, 403), ("/ws/events", REMOTE, 401),
    ("/ws/events", with_key("wrong"), 401), ("/ws/events?project=umbra", with_key(ACME_KEY), 403),
    ("/ws/agents/b1?project=acme", with_key(UMBRA_KEY), 403), ("/ws/events", {"Origin": "http://evil.example"}, 403),
    ("/ws/events", {"Sec-Fetch-Site": "cross-site"}, 403), ("/ws/nothing", {}, 404), ("/api/agents", {}, 404),
    ("/ws/events?project=demo&since_cursor=1", {}, 410), ("/ws/agents/b1?project=demo&since_cursor=1", {}, 410),
    ("/ws/events?project=full", {}, 503), ("/ws/events?project=bad", {}, 503),
)  # fmt: skip


async def test_both_lanes_refuse_alike(tmp_path: Path) -> None:
    """Status, headers and body; then the connection ends."""
    async with house(tmp_path) as place:
        service = place.service
        agents = await settle_in(service)
        await live_on(service, agents)
        await trim(service.project, [RetentionRule(keep_events=0)], archives=False)
        for name in ("full", "bad"):
            await service.run(RegisterAgent(name="x"), project=name)
        full, bad = service.registry.find_open("full"), service.registry.find_open("bad")  # type: ignore[arg-type]
        assert full is not None
        assert bad is not None
        bad.damage = "on purpose"
        with ExitStack() as held:
            for _ in range(limits.SUBSCRIBERS_PER_PROJECT_MAX):
                held.enter_context(full.hub.subscription())
            for path, headers, status in REFUSALS:
                answers = []
                for lane in LANES:
                    client = await place.ask(lane, path, headers)
                    answers.append(parts(await client.end()))

                assert answers[0] == answers[1], path
                assert answers[0][0] == f"HTTP/1.1 {status} ".encode(), (path, answers[0])
        bad.damage = None
        assert place.server.events == []


@pytest.mark.parametrize("path", ["/ws/events?project=demo", "/ws/agents/anna?project=demo", "/ws/events?project=new"])
async def test_both_lanes_accept_alike(tmp_path: Path, path: str) -> None:
    """The answer to a good handshake, to the last byte but the date."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        answers = []
        for lane in LANES:
            client = await place.ask(lane, path, {})
            await client.more()
            answers.append(without_date(client.buffer))

        assert answers[0] == answers[1]
        assert answers[0].startswith(b"HTTP/1.1 101 ")


async def test_bug_in_a_handshake_is_500_in_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and costs its own connection."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        monkeypatch.setattr(place.service.project, "identify", lambda _caller: 1 // 0)
        answers = []
        for lane in LANES:
            client = await place.ask(lane, "/ws/events?project=demo", {})
            answers.append(without_date(await client.end()))

        assert answers[0] == answers[1]
        assert answers[0].startswith(b"HTTP/1.1 500 ")
        assert len(place.service.logged("request.crashed")) == 2
        assert place.service.project.hub.subscribers == 0


ENDS: Mapping[str, tuple[object, ...]] = {
    "binary": (BytesMessage(data=b"x"),),
    "no JSON": (TextMessage(data="{"),),
    "nothing": (TextMessage(data=""),),
    "nothing in binary": (BytesMessage(data=b""),),
    "deep": (TextMessage(data="[" * 20_000),),
    "too large": (TextMessage(data="1" * 70_000),),
    "too many pings": (Ping(),) * 60,
    "too many fragments": (TextMessage(data="", message_finished=False),) * 300,
    "a close": (CloseConnection(code=3000, reason="bye"),),
    "a close without a code": (CloseConnection(code=1005),),
    "JSON and then a close": (TextMessage(data='{"type":"subscribe"}'), CloseConnection(code=1000)),
}


@pytest.mark.parametrize("name", ENDS)
async def test_both_lanes_close_alike(tmp_path: Path, name: str) -> None:
    """Whatever a client says, the same code and reason; and its place is free again."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        endings = []
        for lane in LANES:
            client = await place.open(lane, "/ws/agents/anna?project=demo")
            await client.send(b"".join(client.frames.send(each) for each in ENDS[name]))  # type: ignore[arg-type] # events.
            frames = []
            while (frame := await client.next_frame()) is not None:
                frames += [frame] if isinstance(frame, CloseConnection) else []
            endings.append(frames)

        assert endings[0] == endings[1]
        assert len(endings[0]) == 1
        await settled()
        assert place.service.project.hub.subscribers == 0
        assert place.server.events == []


async def test_both_lanes_close_for_a_quarantine_alike(tmp_path: Path) -> None:
    """1013, with the cursor to come back with."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        clients = [await place.open(lane, "/ws/events?project=demo") for lane in LANES]
        await place.service.run(RegisterAgent(name="carl"))
        await settled()

        place.service.project.hub.close(ProjectQuarantined())

        (texts, fast), (others, careful) = [await heard(client) for client in clients]
        assert (texts, fast) == (others, careful)
        assert fast is not None
        assert (len(texts), fast.code) == (1, 1013)


async def test_slow_reader_gets_everything_later(tmp_path: Path) -> None:
    """While it does not read, another one has everything at once; then it gets all of it, in order, and what comes next."""
    async with house(tmp_path, replace(QUICK, send_timeout_s=30, send_buffer_bytes=16_384)) as place:
        agents = await settle_in(place.service)
        slow, quick = [await place.open("fast", "/ws/events?project=demo") for _ in range(2)]
        count = 0

        async def happen(often: int) -> None:
            nonlocal count
            for _ in range(often):
                count += 1
                note = {"a": f"{count} " + "x" * 8_000, "b": "y" * 8_000}
                await place.service.run(MergeMetadata(agent=agents.anna, metadata=note))

        async def cursors(client: Client, wanted: int) -> list[int]:
            found, text = list[int](), ""
            while len(found) < wanted:
                frame = await client.next_frame()
                assert isinstance(frame, TextMessage), frame
                text += frame.data
                if frame.message_finished:
                    found.append(json.loads(text)["cursor"])
                    text = ""
            return found

        expected: list[int] = []
        for _ in range(40):
            await happen(10)
            expected += await cursors(quick, 10)
        feed = place.push.feed_of(place.service.project)
        assert (feed.readers, len(feed)) == (2, 1), "the slow one is behind"

        assert await cursors(slow, 400) == expected
        await settled()
        assert len(feed) == 2, "it has come back"
        await happen(3)
        assert await cursors(slow, 3) == await cursors(quick, 3)


async def test_readers_leave_nothing_behind(tmp_path: Path) -> None:
    """However they go: closed, reset, refused, while they wait for their project or behind the log."""
    async with house(tmp_path, replace(QUICK, send_buffer_bytes=16_384)) as place:
        agents = await settle_in(place.service)
        for project in ("demo", "new", "newer"):
            for path in ("/ws/events", "/ws/agents/anna"):
                for lane in LANES:
                    await place.open(lane, f"{path}?project={project}&since_cursor=0")
        for number in range(60):
            note = {"a": f"{number} " + "x" * 8_000, "b": "y" * 8_000}
            await place.service.run(MergeMetadata(agent=agents.anna, metadata=note))
        await place.service.run(RegisterAgent(name="x"), project="newer")
        await settled()
        registry = place.service.registry
        assert (len(registry.arrivals), place.service.project.hub.subscribers) == (4, 4)

        for client in place.server.clients:
            client.stream.socket.close()
        await settled()
        await settled()

        assert (len(registry.arrivals), len(place.push)) == (0, 0)
        assert [each.hub.subscribers for each in registry.open_projects()] == [0, 0]
        assert place.server.events == []


async def test_bug_in_a_feed_costs_its_sockets_a_reconnection(tmp_path: Path) -> None:
    """They are told 1013 and where to go on; the supervisor starts the feeds again, and who comes then is served."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        hub = place.service.project.hub
        first = await place.open("fast", "/ws/events?project=demo")
        await settled()

        hub.publish([Event(hub.head + 1, EventType.SPEC_CREATED, Micros(1), None, {"what": object()})], hub.head + 1)

        assert (await heard(first))[1] == CloseConnection(
            code=1013, reason="internal_error: come back with since_cursor=2"
        )
        second = await place.open("fast", f"/ws/events?project=demo&since_cursor={hub.head}")
        hub.publish([Event(hub.head + 1, EventType.SPEC_CREATED, Micros(1), None, {"title": "x"})], hub.head + 1)
        assert isinstance(await second.next_frame(), TextMessage)


async def test_comparison_would_notice_the_wrong_lane(tmp_path: Path) -> None:
    """The control: a handshake that the fast lane leaves is not taken for one of its own."""
    async with house(tmp_path) as place:
        with pytest.raises(AssertionError, match="the other lane has it"):
            await place.open("fast", "/ws/events/?project=demo")


async def test_reader_that_leaves_as_its_project_comes_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one moment, in whichever order they are noticed: no place is taken for who has gone."""
    async with house(tmp_path) as place:
        await settle_in(place.service)
        registry = place.service.registry
        for _ in range(20):
            with monkeypatch.context() as patch:
                patch.setattr(registry, "knows", lambda _name: False)  # So that it waits for what is there already.
                client = await place.open("fast", "/ws/events?project=demo")
                await settled()
            assert len(registry.arrivals) == 1

            client.stream.socket.close()
            registry.arrivals.note(DEMO)
            await settled()

            assert (place.service.project.hub.subscribers, len(place.push), len(registry.arrivals)) == (0, 0, 0)
