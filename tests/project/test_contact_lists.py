"""The contact list: taken in, asked, granted, refused (issue 6 point 2)."""

import pytest
from handler_bench import Bench, claiming, proving
from holding import guarded_bench, held, hold, types
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import DeregisterAgent
from intermute.core.api.contacts import (
    ApproveContact,
    ApproveMessage,
    ContactView,
    DeclineContact,
    GetContact,
    ListContacts,
    PutContact,
    RemoveContact,
    RequestContact,
    SetPolicy,
)
from intermute.core.api.messages import SendMessage
from intermute.core.contacts import OnDenied
from intermute.core.errors import (
    AgentIdentityMismatch,
    ContactDeclined,
    ContactLimit,
    InvalidRequest,
    PolicyDenied,
    UnknownAgent,
    UnknownContact,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben (who takes messages from contacts alone) and carl."""
    return guarded_bench()


def listed(bench: Bench, agent: str) -> list[tuple[str, str]]:
    """Return the names and states of an agent's list."""
    return [(each.name, each.state) for each in bench.ask(ListContacts(agent=agent)).contacts]


def test_put_takes_somebody_in(bench: Bench) -> None:
    """The agent decides by itself; saying it again changes nothing; both hear of it."""
    head = bench.state.head

    bench.run(PutContact(agent="ben", other="anna"))
    again = bench.run(PutContact(agent="ben", other="anna"))

    assert listed(bench, "ben") == [("anna", "accepted")]
    assert types(bench, head) == [("contact.accepted", frozenset({"anna", "ben"}))]
    assert bench.ask(GetContact(agent="ben", other="anna")) == again


def test_list_survives_a_restart(bench: Bench) -> None:
    """Contacts and requests are on the disk, and so is what waits for approval."""
    bench.run(PutContact(agent="ben", other="anna"))
    bench.run(RequestContact(agent="carl", other="ben"))
    bench.run(SendMessage(sender="carl", to=["ben"], on_denied=OnDenied.HOLD))
    bench.restart()

    assert listed(bench, "ben") == [("anna", "accepted"), ("carl", "requested")]
    assert bench.send("anna", "ben").denied is None
    with raises(PolicyDenied):
        bench.send("carl", "ben")
    assert (
        bench.run(ApproveMessage(message_id=held(bench, "ben")[0].message_id, agent="ben")).cursor
        == bench.state.head - 1
    )


def test_remove_ends_it(bench: Bench) -> None:
    """Who is taken out writes no more, and is not told."""
    bench.run(PutContact(agent="ben", other="anna"))
    head = bench.state.head

    bench.run(RemoveContact(agent="ben", other="anna"))

    assert listed(bench, "ben") == []
    assert types(bench, head) == [("contact.removed", frozenset({"ben"}))]
    with raises(PolicyDenied):
        bench.send("anna", "ben")
    for command in (RemoveContact(agent="ben", other="anna"), GetContact(agent="ben", other="anna")):
        with raises(UnknownContact):
            bench.run(command) if isinstance(command, RemoveContact) else bench.ask(command)


def test_contact_may_be_a_name_that_nobody_has_yet(bench: Bench) -> None:
    """Somebody that is expected is let in when it comes, under the id that it gets."""
    bench.run(PutContact(agent="ben", other="dora"))

    assert bench.send("dora", "ben").denied is None
    dora = bench.register("dora")
    bench.restart()

    assert bench.run(SendMessage(sender=dora.agent_id, to=["ben"]), proving(dora)).denied is None
    assert bench.ask(GetContact(agent="ben", other="dora")).contact_id == dora.agent_id


def test_request_asks_once(bench: Bench) -> None:
    """The asked gets a message and hears it; asking again says the same and sends nothing; nobody is let in by asking."""
    head = bench.state.head

    asked = bench.run(RequestContact(agent="anna", other="ben", reason="the parser"))
    again = bench.run(RequestContact(agent="anna", other="ben", reason="please"))

    assert isinstance(asked, ContactView)
    assert (asked.state, asked.reason, asked) == ("requested", "the parser", again)
    [letter] = bench.inbox("ben").messages
    assert "the parser" in letter.body
    assert letter.metadata == {"event": "contact.requested", "agent_id": asked.agent_id, "contact_id": asked.contact_id}
    assert [kind for kind, _ in types(bench, head)] == ["contact.requested", "message.created"]
    with raises(PolicyDenied):
        bench.send("anna", "ben")


def test_approval_is_of_both(bench: Bench) -> None:
    """Who asked and was granted takes what the other answers, though it takes messages from contacts alone."""
    bench.run(SetPolicy(agent="anna", policy="contacts_only"))
    bench.run(RequestContact(agent="anna", other="ben"))

    bench.run(ApproveContact(agent="ben", other="anna"))

    assert listed(bench, "ben") == [("anna", "accepted")]
    assert listed(bench, "anna") == [("ben", "accepted")]
    assert bench.send("anna", "ben").denied is bench.send("ben", "anna").denied is None


def test_approval_does_not_undo_a_refusal(bench: Bench) -> None:
    """Whoever declined the other before and now asks it stays as it said: only its own word changes its list."""
    bench.run(RequestContact(agent="ben", other="anna"))
    bench.run(DeclineContact(agent="anna", other="ben"))
    bench.run(RequestContact(agent="anna", other="ben"))

    bench.run(ApproveContact(agent="ben", other="anna"))

    assert listed(bench, "anna") == [("ben", "declined")]


def test_decline_is_told_and_final(bench: Bench) -> None:
    """The asker hears it with the reason, and cannot ask again until the other changes its mind."""
    bench.run(RequestContact(agent="anna", other="ben"))

    bench.run(DeclineContact(agent="ben", other="anna", reason="later"))

    assert [each.body for each in bench.inbox("anna").messages] == ["later"]
    with raises(ContactDeclined):
        bench.run(RequestContact(agent="anna", other="ben"))
    bench.run(RemoveContact(agent="ben", other="anna"))
    assert bench.run(RequestContact(agent="anna", other="ben")).state == "requested"


def test_put_grants_a_request(bench: Bench) -> None:
    """An agent that takes somebody in has answered its request."""
    bench.run(RequestContact(agent="anna", other="ben"))

    bench.run(PutContact(agent="ben", other="anna"))

    with raises(UnknownContact):
        bench.run(ApproveContact(agent="ben", other="anna"))
    assert listed(bench, "ben") == [("anna", "accepted")]


def test_who_blocks_all_is_not_asked(bench: Bench) -> None:
    """A request is a message, and an agent that takes none gets none."""
    bench.run(SetPolicy(agent="ben", policy="block_all"))

    with raises(PolicyDenied):
        bench.run(RequestContact(agent="anna", other="ben"))

    assert bench.inbox("ben").messages == []


@pytest.mark.parametrize("kind", [ApproveContact, DeclineContact])
def test_answer_needs_a_request(bench: Bench, kind: type[ApproveContact | DeclineContact]) -> None:
    """What nobody asked for is neither granted nor refused."""
    with raises(UnknownContact):
        bench.run(kind(agent="ben", other="anna"))


@pytest.mark.parametrize("kind", [PutContact, RemoveContact, RequestContact, ApproveContact, DeclineContact])
def test_list_is_the_agents_own(bench: Bench, kind: type[PutContact]) -> None:
    """Nobody takes itself into another's list, or asks in another's name; who is not there has none."""
    with raises(AgentIdentityMismatch):
        bench.run(kind(agent="ben", other="anna"), claiming("anna"))
    with raises(UnknownAgent):
        bench.run(kind(agent="nobody", other="anna"))


def test_list_is_read_by_its_own_agent(bench: Bench) -> None:
    """A proved caller reads its own list alone."""
    dora = bench.register("dora")

    with raises(AgentIdentityMismatch):
        bench.ask(ListContacts(agent="ben"), proving(dora))
    with raises(InvalidRequest):
        bench.ask(ListContacts(agent="ben", state="friends"))


@pytest.mark.parametrize("kind", [PutContact, RequestContact])
def test_nobody_is_its_own_contact(bench: Bench, kind: type[PutContact]) -> None:
    """An agent reaches itself anyway."""
    with raises(InvalidRequest):
        bench.run(kind(agent="ben", other="ben"))


def test_list_is_bounded(bench: Bench) -> None:
    """Contacts up to the bound, and requests up to theirs: neither takes the other's places."""
    for number in range(limits.CONTACTS_PER_AGENT_MAX):
        bench.run(PutContact(agent="ben", other=f"a{number}"))
    with raises(ContactLimit):
        bench.run(PutContact(agent="ben", other="one-more"))
    for number in range(limits.CONTACT_REQUESTS_MAX):
        bench.run(RequestContact(agent=bench.register(f"b{number}").agent_id, other="ben"))
    for command in (RequestContact(agent="anna", other="ben"), ApproveContact(agent="ben", other="b0")):
        with raises(ContactLimit):
            bench.run(command)
    bench.run(RemoveContact(agent="ben", other="a0"))
    assert bench.run(ApproveContact(agent="ben", other="b0")).state == "accepted"


def test_leaving_takes_an_agent_out_of_every_list(bench: Bench) -> None:
    """Neither its own list nor what others' say of it outlives an agent, and what waited for it is refused."""
    bench.run(PutContact(agent="ben", other="anna"))
    bench.run(PutContact(agent="carl", other="ben"))
    hold(bench, "ben", body="x", thread_id="t")
    bench.run(RemoveContact(agent="ben", other="anna"))
    hold(bench, "ben", message_id="m2")

    bench.run(DeregisterAgent(agent="ben"))
    bench.restart()

    assert listed(bench, "carl") == []
    [declined] = [each for each in bench.events() if each.type == "message.declined"]
    assert declined.data["reason"] == "deregistered"
