"""Registering, renewing, taking over, leaving: design.md 6."""

import uuid

import pytest
from handler_bench import LOCAL, Bench, claiming, proving
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.agents import AgentList, DeregisterAgent, GetAgent, ListAgents, MergeMetadata, RegisterAgent
from intermute.core.api.messages import AckMessage, GetMessage, InboxCounts, SendMessage, Threads
from intermute.core.api.reservations import ListReservations
from intermute.core.errors import (
    AgentHeaderMissing,
    AgentIdentityMismatch,
    InvalidRequest,
    MetadataRequired,
    UnknownAgent,
)
from intermute.project.project import check_identity

SESSION = "0d6a3c5e-1a8b-4a0e-8a55-0a4f8a1b2c3d"
SILENCE_S = limits.AGENT_SILENCE_S


@pytest.fixture
def bench() -> Bench:
    """An empty project."""
    return Bench()


def test_register_answers_with_identity_and_token(bench: Bench) -> None:
    """A new agent learns its id, session, name and token, and where its inbox begins."""
    anna = bench.register("anna")

    assert anna.name == "anna"
    assert uuid.UUID(anna.agent_id).version == 8
    assert uuid.UUID(anna.session_id).version == 4
    assert len(anna.token) == 32
    assert anna.cursor == 0
    assert not anna.renewed


def test_register_without_name_makes_names_that_differ(bench: Bench) -> None:
    """Agents that bring no name get one each."""
    names = [bench.register().name for _ in range(50)]

    assert len(set(names)) == 50
    assert all(names)


def test_register_blank_name_counts_as_none(bench: Bench) -> None:
    """Spaces are no name."""
    assert bench.register("   ").name.strip()


def test_register_name_clash_gets_a_suffix(bench: Bench) -> None:
    """Names of live agents are unique; the reply says which one it became."""
    bench.register("anna")

    second, third = bench.register("anna"), bench.register("anna")

    assert [second.name, third.name] == ["anna-2", "anna-3"]
    assert second.requested_name == "anna"
    assert second.message is not None
    assert "anna-2" in second.message


def test_register_name_that_is_an_id_is_refused(bench: Bench) -> None:
    """No agent passes for another, or gets what waits for one that left, by taking its id as a name."""
    anna, ben = bench.register("anna"), bench.register("ben")
    bench.send("ben", anna.agent_id, body="for anna alone")
    bench.run(DeregisterAgent(agent=anna.agent_id))

    for asked in (anna.agent_id, ben.agent_id, bench.send("ben", "carl").message_id):
        with raises(InvalidRequest) as refused:
            bench.register(asked)
        assert "choose a name of your own" in refused.value.message

    assert bench.inbox(anna.agent_id).messages[0].body == "for anna alone"


def test_register_own_id_as_name_is_refused(bench: Bench) -> None:
    """Not even its own id is a name for an agent; what it holds stays with it."""
    anna = bench.register("anna", SESSION)
    held = bench.reserve("anna", "a")

    with raises(InvalidRequest):
        bench.run(RegisterAgent(name=anna.agent_id, session_id=SESSION, token=anna.token))

    assert bench.run(DeregisterAgent(agent="anna")).released == [held.id]


@pytest.mark.parametrize(
    "name", ["an\u202ena", "an\u2028na", "anna\u200b", "\u2066anna", "an\u00adna", "\ue000", "Operator"]
)
def test_register_name_that_deceives_is_refused(bench: Bench, name: str) -> None:
    """A name is what its readers see: no turned, split or hidden characters, and nobody poses as the operator."""
    with raises(InvalidRequest) as refused:
        bench.register(name)

    assert [field for field, _ in refused.value.problems] == ["name"]


@pytest.mark.parametrize("name", ["Ünal", "小鳥", "anna 2", "operator-2", "🦜"])
def test_register_name_that_can_be_seen_is_taken(bench: Bench, name: str) -> None:
    """Whatever can be read is a name."""
    assert bench.register(name).name == name


def test_register_name_of_a_silent_agent_is_free(bench: Bench) -> None:
    """After 5 silent minutes a name can be had, and it means the new bearer."""
    bench.register("anna")
    bench.wait(SILENCE_S)

    second = bench.register("anna")

    assert second.name == "anna"
    assert bench.state.agents.canonical("anna") == second.agent_id


def test_register_name_is_kept_until_the_silence_is_over(bench: Bench) -> None:
    """A moment before 5 minutes the name is still taken."""
    bench.register("anna")
    bench.wait(SILENCE_S - 0.001)

    assert bench.register("anna").name == "anna-2"


def test_register_taken_name_is_lost_by_the_silent_agent(bench: Bench) -> None:
    """An agent that comes back after its name was given away has another one: names of live agents stay unique."""
    first = bench.register("anna")
    bench.wait(SILENCE_S)
    second = bench.register("anna")

    bench.heartbeat(first.agent_id)

    live = {agent.id: agent.name for agent in bench.state.agents if agent.is_live(bench.mono_s)}
    assert live[second.agent_id] == "anna"  # type: ignore[index] # a NewType of str.
    assert len(set(live.values())) == 2


def test_register_names_mean_the_same_after_a_restart(bench: Bench) -> None:
    """Who bears a name does not depend on when the memory was built."""
    first = bench.register("anna", SESSION)
    bench.wait(SILENCE_S)
    bench.register("anna")
    bench.wait(SILENCE_S)
    renewed = bench.register("anna", SESSION)
    assert renewed.agent_id == first.agent_id

    bench.restart()

    assert bench.state.agents.canonical("anna") == first.agent_id


def test_register_adopts_mail_for_its_name(bench: Bench) -> None:
    """What was sent to a name before anybody had it belongs to the agent that registers under it."""
    sent = bench.run(SendMessage(sender="ben", to=["anna"], id="m1", body="hi", thread_id="t"))
    assert sent.unregistered == ["anna"]

    anna = bench.register("anna")

    assert [message.id for message in bench.inbox(anna.agent_id).messages] == ["m1"]
    assert bench.ask(InboxCounts(agent="anna")).unread == 1
    assert [thread.thread_id for thread in bench.ask(Threads(agent="anna")).threads] == ["t"]
    assert bench.run(AckMessage(message_id="m1", agent="anna")).ack_at is not None


def test_register_adopts_mail_within_one_batch(bench: Bench) -> None:
    """A registration and an acknowledgement that are stored together agree on who the recipient is."""
    bench.send("ben", "anna", message_id="m1")

    _, marked = bench.batch((RegisterAgent(name="anna"), LOCAL), (AckMessage(message_id="m1", agent="anna"), LOCAL))

    assert not isinstance(marked, Exception)
    assert bench.ask(InboxCounts(agent="anna")).total == 1


def test_register_adopts_reservations_of_its_name(bench: Bench) -> None:
    """What was reserved under a name goes to the agent that registers under it, on disk as well."""
    held = bench.reserve("anna", "src/**")

    anna = bench.register("anna")

    assert [each.id for each in bench.state.leases.held_by(bench.state.agents.canonical("anna"))] == [held.id]
    [listed] = bench.ask(ListReservations(agent=anna.agent_id)).reservations
    assert listed.id == held.id
    bench.reserve("anna", "src/a.py")


def test_register_does_not_adopt_the_mail_of_another(bench: Bench) -> None:
    """Mail of a registered agent stays its own when its name passes on."""
    first = bench.register("anna")
    bench.send("ben", "anna", message_id="m1")
    bench.wait(SILENCE_S)

    second = bench.register("anna")

    assert bench.inbox(second.agent_id).messages == []
    assert [message.id for message in bench.inbox(first.agent_id).messages] == ["m1"]


def test_register_lets_a_sender_repeat_its_message(bench: Bench) -> None:
    """Who sent under a name and then registered under it is the same sender."""
    sent = bench.send("anna", "ben", message_id="m1")
    bench.register("anna")

    again = bench.send("anna", "ben", message_id="m1")

    assert (again.cursor, again.replayed) == (sent.cursor, True)


def test_register_keeps_the_senders_blind_copies(bench: Bench) -> None:
    """Who sent under a name and then registered under it still sees whom it copied blindly."""
    bench.run(SendMessage(sender="anna", to=["ben"], bcc=["carl"], id="m1"))
    anna = bench.register("anna")

    assert bench.ask(GetMessage(message_id="m1"), claiming(anna.agent_id)).bcc == ["carl"]


def test_deregister_releases_and_frees_the_name(bench: Bench) -> None:
    """Leaving gives back the reservations and the name; the mail stays."""
    anna = bench.register("anna")
    bench.send("ben", "anna", message_id="m1")
    held = bench.reserve("anna", "src/**")

    left = bench.run(DeregisterAgent(agent="anna"))

    assert left.released == [held.id]
    assert bench.register("anna").name == "anna"
    assert [message.id for message in bench.inbox(anna.agent_id).messages] == ["m1"]
    with raises(UnknownAgent):
        bench.ask(GetAgent(agent=anna.agent_id))


def test_deregister_of_another_with_a_token_is_refused(bench: Bench) -> None:
    """A proved caller acts for itself alone."""
    bench.register("anna")
    ben = bench.register("ben")

    with raises(AgentIdentityMismatch):
        bench.run(DeregisterAgent(agent="anna"), proving(ben))


def test_unknown_agents_are_refused(bench: Bench) -> None:
    """Commands about nobody say so."""
    for command in (DeregisterAgent(agent="nobody"), MergeMetadata(agent="nobody", metadata={"a": "b"})):
        with raises(UnknownAgent):
            bench.run(command)


def test_metadata_merge_keeps_other_keys(bench: Bench) -> None:
    """A merge sets what it names."""
    bench.run(RegisterAgent(name="anna", metadata={"repo": "a", "x": "1"}))

    view = bench.run(MergeMetadata(agent="anna", metadata={"x": "2"}))

    assert view.metadata == {"repo": "a", "x": "2"}


def test_metadata_merge_of_nothing_is_refused(bench: Bench) -> None:
    """An empty merge is a mistake, told in the original's words."""
    bench.register("anna")

    for merge in (MergeMetadata(agent="anna"), MergeMetadata(agent="anna", metadata={})):
        with raises(MetadataRequired):
            bench.run(merge)


@pytest.mark.parametrize(("keys", "is_refused"), [(63, False), (64, False), (65, True)])
def test_metadata_keys_are_bounded(bench: Bench, keys: int, is_refused: bool) -> None:
    """An agent has at most 64 keys, however they came together."""
    bench.run(RegisterAgent(name="anna", metadata={str(each): "" for each in range(40)}))
    merge = MergeMetadata(agent="anna", metadata={str(each): "" for each in range(40, keys)})

    if is_refused:
        with raises(InvalidRequest):
            bench.run(merge)
    else:
        assert len(bench.run(merge).metadata) == keys


def test_list_agents_pages_and_filters(bench: Bench) -> None:
    """The most recently seen first; capabilities are alternatives; pages join without gap or repetition."""
    for name, capabilities in (("a", ["go"]), ("b", ["python"]), ("c", None), ("d", ["rust", "go"])):
        bench.run(RegisterAgent(name=name, capabilities=capabilities))
        bench.wait(1)

    def names(page: AgentList) -> list[str]:
        return [agent.name for agent in page.agents]

    assert names(bench.ask(ListAgents())) == ["d", "c", "b", "a"]
    assert names(bench.ask(ListAgents(capability="go, python"))) == ["d", "b", "a"]
    first = bench.ask(ListAgents(limit=3))
    assert first.next_cursor == 3
    assert names(bench.ask(ListAgents(limit=3, cursor=3))) == ["a"]


def test_identity_token_without_agent_is_refused(bench: Bench) -> None:
    """A token alone proves nothing; it belongs to an agent that must be named."""
    anna = bench.register("anna")
    nameless = Caller(is_local=True, token_hash=proving(anna).token_hash)

    with raises(AgentHeaderMissing):
        check_identity(bench.state, ListAgents(), nameless)
