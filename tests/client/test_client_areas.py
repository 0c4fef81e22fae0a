"""Agents, messages, threads, inbox, checks, intents and forecasts, against a real service."""

import pytest
import trio
from carriers import Script, answer, proxy_to, refused
from known_keys import ACME_KEY
from server_process import ServerProcess

from intermute.client import BadSettings, Client, NobodyYet, conflicts_in
from intermute.client.settings import settings_from
from intermute.core import limits
from intermute.core.api.agents import AgentList
from intermute.core.api.forecasts import PlanStep
from intermute.core.api.system import ListProjects
from intermute.core.errors import (
    ForeignProject,
    InternalError,
    ReservationConflict,
    Unauthorized,
    UnknownAgent,
    UnknownMessage,
)
from intermute.embedded import Server

REGISTERED = answer(
    200, {"agent_id": "a", "session_id": "s", "name": "anna", "token": "t", "cursor": 1, "project": "p"}
)
BEATEN = answer(200, {"agent_id": "a"})


async def test_conversation_goes_both_ways(hosted: Server, project: str) -> None:
    """Sent, fetched, read, acknowledged and answered, with threads and counts as they should be."""
    async with Client(hosted.url, project=project) as anna, Client(hosted.url, project=project) as ben:
        await anna.agents.register("anna")
        await ben.agents.register("ben")
        sent = await anna.messages.send("ben", "may I?", subject="src", ack_required=True, thread_id="t1")
        [message] = [each async for each in ben.inbox.messages()]
        assert (message.body, message.sender_verified) == ("may I?", True)
        await ben.messages.mark_read(sent.message_id)
        await ben.messages.acknowledge(sent.message_id)
        await ben.messages.reply(message, "yes")
        await ben.messages.send(["anna"], "and more")

        assert [each.body for each in (await anna.threads.read("t1")).messages] == ["may I?", "yes"]
        assert [each.thread_id for each in (await anna.threads.list()).threads].count("t1") == 1
        [standing] = (await anna.messages.recipients(sent.message_id)).recipients
        assert None not in (standing.read_at, standing.ack_at)
        assert (await anna.inbox.counts()).total == 2
        assert [each.body async for each in anna.inbox.messages(limit=1)] == ["yes", "and more"]
        assert (await anna.inbox.stale_acknowledgements()).count == 0
        with pytest.raises(UnknownMessage):
            await anna.messages.get("nowhere")


async def test_agents_see_each_other(hosted: Server, project: str) -> None:
    """Who registered is listed, its metadata can be added to, and who leaves is gone and nobody any more."""
    async with Client(hosted.url, project=project) as client:
        registered = await client.agents.register("anna", capabilities=["python"], metadata={"a": "1"})
        merged = await client.agents.merge_metadata(b="2")
        assert merged.metadata == {"a": "1", "b": "2"}
        assert [each.agent_id for each in (await client.agents.list(capability="python")).agents] == [
            registered.agent_id
        ]
        assert (await client.agents.get("anna")).agent_id == registered.agent_id
        assert len((await client.agents.presence()).agents) == 1
        await client.agents.deregister()
        with pytest.raises(NobodyYet, match="INTERMUTE_AGENT_NAME"):
            await client.agents.heartbeat()


async def test_registering_again_with_the_token_keeps_the_agent(hosted: Server, project: str) -> None:
    """A second client with what registration gave is the same agent."""
    async with Client(hosted.url, project=project) as first:
        was = await first.agents.register("anna")
    async with Client(hosted.url, project=project) as second:
        now = await second.agents.register("anna", session_id=was.session_id, token=was.token)

    assert (now.agent_id, now.renewed) == (was.agent_id, True)


async def test_look_before_reserving(hosted: Server, project: str) -> None:
    """Checks, intents, forecasts and lists tell what a reservation would meet."""
    async with (
        Client(hosted.url, project=project, agent_name="anna") as anna,
        Client(hosted.url, project=project, agent_name="ben") as ben,
    ):
        held = await anna.reservations.reserve("src/**", reason="IM-1")
        assert (await ben.reservations.check("src/a.py")).conflicts[0].held_by == "anna"
        assert not (await anna.reservations.check("src/a.py")).conflict
        with pytest.raises(ReservationConflict) as met:
            await ben.reservations.reserve("src/a.py")
        assert [each.example for each in conflicts_in(met.value)] == ["src/a.py"]
        intent = await ben.planning.declare("docs/**", detail="IM-2")
        assert (await ben.planning.report(intent.intent_id, "done")).state == "done"
        assert [each.intent_id for each in (await ben.planning.intents(agent="ben")).intents] == [intent.intent_id]
        told = await ben.planning.forecast([PlanStep(step="one", agent="ben", patterns=["src/b.py"])])
        assert told.verdict == "conflict"
        assert (await ben.planning.reconcile()).pairs == []
        assert (await ben.reservations.request_release(held.id, "please")).asked
        handed = await anna.reservations.renew(held.id, ttl_minutes=5)
        assert handed.fence == held.fence
        assert [each.id for each in (await anna.reservations.list(agent="anna")).reservations] == [held.id]
        assert (await anna.reservations.release(held.id)).released == [held.id]
        assert (await anna.reservations.get(held.id)).ended == "released"
        assert (await anna.reservations.release_all()).released == []


async def test_key_opens_its_own_project(server: ServerProcess) -> None:
    """A key goes along with calls and with sockets from another machine, and opens its project."""
    async with (
        proxy_to(server.url, is_remote=True) as proxy,
        Client(proxy.url, api_key=ACME_KEY, project="acme") as client,
    ):
        registered = await client.agents.register()
        async with client.follow(types=["agent.metadata"]) as events:
            await client.agents.merge_metadata(a="1")
            with trio.fail_after(15):
                event = await anext(events)

    assert (event.project, event.fields["agent_id"]) == ("acme", registered.agent_id)


@pytest.mark.parametrize(
    ("key", "refusal"), [(ACME_KEY, ForeignProject), ("wrong", Unauthorized), (None, Unauthorized)]
)
async def test_key_opens_nothing_else(server: ServerProcess, key: str | None, refusal: type[Exception]) -> None:
    """Control: another project, a wrong key and none are refused, to calls and to sockets, and not asked again."""
    async with proxy_to(server.url, is_remote=True) as proxy:
        async with Client(proxy.url, api_key=key, project="umbra", environment={}) as client:
            with pytest.raises(refusal):
                await client.agents.list()
            with pytest.raises(refusal):
                async with client.follow(since=0):
                    raise AssertionError("it was let in")

        assert proxy.connections <= 2


async def test_heartbeats_go_out_while_the_client_is_open(autojump_clock: trio.testing.MockClock) -> None:
    """One a minute, as the agent that registered, and a failure is kept until the next one is heard."""
    script = Script([REGISTERED, BEATEN, refused(500, "internal_error"), BEATEN])
    async with Client(carrier=script, environment={}) as client:
        await client.agents.register("anna")
        await trio.sleep(limits.HEARTBEAT_S * 2.5)
        failed = client.agents.heartbeat_failure
        await trio.sleep(limits.HEARTBEAT_S)
        heard = client.agents.heartbeat_failure
    await trio.sleep(limits.HEARTBEAT_S * 3)

    assert (isinstance(failed, InternalError), heard) == (True, None)
    beats = script.asked[1:]
    assert [each.url.path for each in beats] == ["/api/agents/a/heartbeat"] * 3
    assert {(each.headers["X-Agent-ID"], each.headers["X-Agent-Token"]) for each in beats} == {("a", "t")}


async def test_unknown_agent_beats_no_more(autojump_clock: trio.testing.MockClock) -> None:
    """An agent that the service does not know stops saying that it is alive, and the reason can be read."""
    script = Script([REGISTERED, refused(404, "unknown_agent")])
    async with Client(carrier=script, environment={}) as client:
        await client.agents.register("anna")
        await trio.sleep(limits.HEARTBEAT_S * 10)

    assert len(script.asked) == 2
    assert isinstance(client.agents.heartbeat_failure, UnknownAgent)


def test_settings_come_from_the_environment_and_arguments_win() -> None:
    """Each variable counts where nothing was said; what was said counts more."""
    environment = {
        "INTERMUTE_URL": "http://there:1/",
        "INTERMUTE_API_KEY": "key",
        "INTERMUTE_PROJECT": "acme",
        "INTERMUTE_AGENT_NAME": "anna",
        "INTERMUTE_AGENT": "ben",
    }

    found = settings_from(environment)
    said = settings_from(
        environment, url="https://here", api_key="own", project="umbra", agent_name="carl", timeout_s=1
    )

    assert (found.url, found.api_key, found.project, found.agent_name) == ("http://there:1", "key", "acme", "anna")
    assert (said.url, said.api_key, said.project, said.agent_name) == ("https://here", "own", "umbra", "carl")
    assert (found.timeout_s, said.timeout_s, said.is_encrypted) == (10.0, 1, True)
    assert settings_from({}).url == "http://127.0.0.1:7338"
    assert settings_from({"INTERMUTE_AGENT": "ben"}).agent_name == "ben"
    assert "key" not in repr(found).replace("api_key", "")


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:7338", "http://", "http://a:b@c", "http://x?y", "http://x:0", "http://x y"]
)
def test_bad_url_is_refused_with_what_it_has_to_be_like(url: str) -> None:
    """What is no address is refused before anything is sent."""
    with pytest.raises(BadSettings, match="like http://127"):
        settings_from({"INTERMUTE_URL": url})


async def test_error_of_the_block_comes_out_alone() -> None:
    """An error in a client's block is in no group, so that `except` finds it."""
    with pytest.raises(KeyError):
        async with Client(environment={}):
            raise KeyError("mine")


async def test_answer_of_another_type_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """Asking for a type that the operation does not have is the caller's mistake, and named."""
    async with Client(carrier=Script([answer(200, {"projects": []})]), environment={}) as client:
        with pytest.raises(TypeError, match="ListProjects was answered with a ProjectList, not a AgentList"):
            await client.call(ListProjects(), AgentList)
