"""Policies at work: who receives, who is named as denied, what is remembered (contract.md 1.2 and 1.3)."""

import pytest
from handler_bench import LOCAL, REMOTE, Bench, claiming, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.contacts import GetPolicy, PolicyView, PutContact, SetPolicy
from intermute.core.api.handing_over import RequestRelease
from intermute.core.api.messages import GetMessage, SendMessage, Sent
from intermute.core.errors import (
    AgentIdentityMismatch,
    InvalidLivePolicy,
    InvalidPolicy,
    MessageIdTaken,
    PolicyDenied,
    PolicyRequired,
    UnknownAgent,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben, carl and mal."""
    made = Bench()
    for name in ("anna", "ben", "carl", "mal"):
        made.register(name)
    return made


def policy(bench: Bench, agent: str, policy: str) -> None:
    """Set an agent's policy for messages."""
    bench.run(SetPolicy(agent=agent, policy=policy))


def send(bench: Bench, sender: str, *to: str, thread: str | None = None, **more: object) -> Sent:
    """Send a message, perhaps in a thread."""
    sent = bench.run(SendMessage(sender=sender, to=list(to), thread_id=thread, **more))  # type: ignore[arg-type] # fields.
    assert isinstance(sent, Sent)
    return sent


def bodies(bench: Bench, agent: str) -> list[str]:
    """Return what is in an inbox."""
    return [each.body for each in bench.inbox(agent).messages]


def test_policy_is_open_to_begin_with(bench: Bench) -> None:
    """An agent that never said anything, and a name that nobody has, take messages, and live ones from contacts."""
    for agent in ("ben", "nobody"):
        found = bench.ask(GetPolicy(agent=agent))

        assert (found.policy, found.live_contact_policy) == ("open", "contacts_only")


def test_policy_can_be_set_in_parts(bench: Bench) -> None:
    """Each of the two is left as it is where it is not named or empty."""
    bench.run(SetPolicy(agent="ben", policy="auto", live_contact_policy=""))
    found = bench.run(SetPolicy(agent="ben", live_contact_policy="block_all"))

    assert (found.policy, found.live_contact_policy) == ("auto", "block_all")
    assert bench.ask(GetPolicy(agent="ben")) == found


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (SetPolicy(agent="ben"), PolicyRequired),
        (SetPolicy(agent="ben", policy="", live_contact_policy=""), PolicyRequired),
        (SetPolicy(agent="ben", policy="closed"), InvalidPolicy),
        (SetPolicy(agent="ben", policy="open", live_contact_policy="Open"), InvalidLivePolicy),
        (SetPolicy(agent="nobody", policy="open"), UnknownAgent),
    ],
)
def test_policy_that_is_none_is_refused(bench: Bench, command: SetPolicy, error: type[Exception]) -> None:
    """A change that cannot be is refused as a whole: one bad policy leaves the other as it is."""
    with raises(error):
        bench.run(command)

    assert bench.ask(GetPolicy(agent="ben")).policy == "open"


def test_policy_is_the_agents_own(bench: Bench) -> None:
    """Another agent cannot open somebody's inbox, whether it proves who it is or only says so."""
    mal = bench.register("mel")

    for caller in (proving(mal), claiming("mal"), claiming("mal", is_local=False)):
        with raises(AgentIdentityMismatch):
            bench.run(SetPolicy(agent="ben", policy="open"), caller)

    for caller in (LOCAL, REMOTE, claiming("ben")):
        bench.run(SetPolicy(agent="ben", policy="auto"), caller)


def test_policy_survives_registration_and_restart(bench: Bench) -> None:
    """An agent that blocks everybody goes on to do so when it comes back under its session, and after a restart."""
    dora = bench.register("dora")
    bench.run(SetPolicy(agent="dora", policy="block_all", live_contact_policy="open"))

    bench.register("dora", dora.session_id)
    kept = PolicyView(agent_id=dora.agent_id, policy="block_all", live_contact_policy="open")
    assert bench.ask(GetPolicy(agent="dora")) == kept
    with raises(PolicyDenied):
        bench.send("anna", "dora")
    bench.restart()

    assert bench.ask(GetPolicy(agent="dora")) == kept
    with raises(PolicyDenied):
        bench.send("anna", "dora")


def test_policy_that_cannot_be_read_denies(bench: Bench) -> None:
    """What another version stored lets nobody in, is not lost by the next registration, and can be replaced."""
    dora = bench.register("dora")
    bench.connection.execute("UPDATE agents SET contact_policy = 'friends_of_friends' WHERE id = ?", (dora.agent_id,))
    bench.restart()

    with raises(PolicyDenied) as refused:
        bench.send("anna", "dora")
    bench.register("dora", dora.session_id)

    assert refused.value.denials[0].reason == "policy_unreadable"
    bench.restart()
    assert bench.ask(GetPolicy(agent="dora")).policy == "unreadable"
    policy(bench, "dora", "open")
    assert bench.send("anna", "dora").delivery == "async"


def test_send_leaves_out_who_does_not_take_it(bench: Bench) -> None:
    """The others get it and do not see the denied among its recipients; the sender learns who, in what order, and why."""
    policy(bench, "ben", "block_all")
    policy(bench, "mal", "contacts_only")

    sent = send(bench, "anna", "carl", "ben", cc=["mal", "dora"], bcc=["ben"], id="m1")

    assert (sent.denied, sent.delivery) == (["ben", "mal"], "async")
    assert [(each.agent, each.reason) for each in sent.denials or ()] == [("ben", "blocked"), ("mal", "not_a_contact")]
    found = bench.ask(GetMessage(message_id="m1"), claiming("anna"))
    assert (found.to, found.cc, found.bcc) == (["carl"], ["dora"], None)
    assert [bodies(bench, each) for each in ("ben", "mal")] == [[], []]
    [event] = [each for each in bench.events() if each.type == "message.created"]
    assert set(event.audience or ()) == {str(bench.state.agents.canonical("carl")), "dora"}


def test_send_that_nobody_takes_stores_nothing(bench: Bench) -> None:
    """It is refused with everybody's name, in the order to, cc, bcc, and the log does not grow."""
    for name in ("ben", "carl", "mal"):
        policy(bench, name, "block_all")
    head = bench.state.head

    with raises(PolicyDenied) as refused:
        send(bench, "anna", "mal", cc=["carl"], bcc=["ben"], id="m1")

    assert refused.value.details["denied"] == ["mal", "carl", "ben"]
    assert bench.state.head == head


def test_send_to_copies_alone_is_delivered(bench: Bench) -> None:
    """Where every `to` is denied and a copy is not, the message is stored, without a word about delivery."""
    policy(bench, "ben", "block_all")

    sent = send(bench, "anna", "ben", cc=["carl"])

    assert (sent.denied, sent.delivery) == (["ben"], None)
    assert len(bodies(bench, "carl")) == 1


def test_contact_is_let_in(bench: Bench) -> None:
    """Whom the recipient took into its list writes to it; the other direction is another matter."""
    policy(bench, "ben", "contacts_only")
    policy(bench, "anna", "contacts_only")
    bench.run(PutContact(agent="ben", other="anna"))

    assert bench.send("anna", "ben").denied is None
    with raises(PolicyDenied):
        bench.send("ben", "anna")


def test_auto_lets_in_who_works_on_the_same_paths(bench: Bench) -> None:
    """A reservation of each that share a path open the way, whatever their modes, until one of them is given back."""
    policy(bench, "ben", "auto")
    bench.reserve("ben", "src/**", shared=True)
    bench.reserve("mal", "docs/**")

    bench.reserve("anna", "src/api/*.py", shared=True)

    assert bench.send("anna", "ben").denied is None
    with raises(PolicyDenied) as refused:
        bench.send("mal", "ben")
    assert refused.value.denials[0].reason == "no_shared_work"
    bench.wait(limits.TTL_DEFAULT_S)
    bench.heartbeat("anna")
    bench.heartbeat("ben")
    with raises(PolicyDenied):
        bench.send("anna", "ben")


def test_answer_in_a_thread_is_let_in(bench: Bench) -> None:
    """Who was asked may answer, in that thread alone."""
    policy(bench, "ben", "contacts_only")
    send(bench, "ben", "anna", thread="t")

    assert send(bench, "anna", "ben", thread="t").denied is None
    assert send(bench, "anna", "ben", thread="/t/").denied is None
    for thread in ("u", None):
        with raises(PolicyDenied):
            send(bench, "anna", "ben", thread=thread)


def test_thread_is_not_opened_by_writing_into_it(bench: Bench) -> None:
    """A stranger that writes to somebody open in a thread of the recipient's does not reach the recipient (defect 24)."""
    policy(bench, "ben", "contacts_only")
    send(bench, "ben", "anna", thread="t")
    send(bench, "mal", "carl", thread="t")
    send(bench, "mal", "mal", thread="t")

    with raises(PolicyDenied):
        send(bench, "mal", "ben", thread="t")


def test_thread_without_the_recipient_lets_nobody_in(bench: Bench) -> None:
    """A thread of the sender's, in which the recipient has no part, opens nothing (defect 24)."""
    policy(bench, "ben", "contacts_only")
    send(bench, "carl", "mal", thread="t")

    with raises(PolicyDenied):
        send(bench, "mal", "ben", thread="t")


def test_answer_is_known_within_one_batch(bench: Bench) -> None:
    """A question and its answer that are stored together are a question and its answer."""
    policy(bench, "ben", "contacts_only")
    asked = SendMessage(sender="ben", to=["anna"], thread_id="t")
    answer = SendMessage(sender="anna", to=["ben"], thread_id="t")

    outcomes = bench.batch((answer, LOCAL), (asked, LOCAL), (answer, LOCAL))

    assert [type(each) for each in outcomes] == [PolicyDenied, Sent, Sent]


def test_answer_beside_the_first_policy_is_let_in(bench: Bench) -> None:
    """Where nobody had a policy threads were not looked at; the one that is set now counts for the answer behind it."""
    send(bench, "ben", "anna", thread="t")
    closing = SetPolicy(agent="ben", policy="contacts_only")
    answer, stranger = (SendMessage(sender=each, to=["ben"], thread_id="t") for each in ("anna", "mal"))

    outcomes = bench.batch((closing, LOCAL), (answer, LOCAL), (stranger, LOCAL))

    assert [type(each) for each in outcomes] == [PolicyView, Sent, PolicyDenied]


def test_only_the_newest_of_a_thread_is_looked_at(bench: Bench) -> None:
    """An answer is one to what was written lately: the look into a thread is bounded, and what it does not find denies."""
    policy(bench, "ben", "contacts_only")
    send(bench, "ben", "anna", thread="t")
    for _ in range(limits.THREAD_PARTIES_ASKED - 1):
        send(bench, "carl", "carl", thread="t")
    assert send(bench, "anna", "ben", thread="t").denied is None

    with raises(PolicyDenied):
        send(bench, "anna", "ben", thread="t")


def test_answer_after_a_restart_is_let_in(bench: Bench) -> None:
    """Policies and threads of an earlier process count."""
    policy(bench, "ben", "contacts_only")
    send(bench, "ben", "anna", thread="t")
    bench.restart()

    assert send(bench, "anna", "ben", thread="t").denied is None


@pytest.mark.parametrize("is_guarded", [True, False])
def test_threads_are_looked_at_only_for_a_policy(bench: Bench, is_guarded: bool) -> None:
    """While everybody is open a message in a thread costs no look into the thread."""
    if is_guarded:
        policy(bench, "carl", "auto")
    send(bench, "ben", "anna", thread="t")

    _, [_, deciding] = bench.decide((SendMessage(sender="anna", to=["ben"], thread_id="t"), LOCAL))

    assert ("t" in deciding.facts.threads) is is_guarded


def test_answer_to_a_name_that_was_registered_since_is_let_in(bench: Bench) -> None:
    """Whom the question was sent to under a name answers under the id it has now."""
    policy(bench, "ben", "contacts_only")
    send(bench, "ben", "dora", thread="t")
    dora = bench.register("dora")

    assert bench.run(SendMessage(sender=dora.agent_id, to=["ben"], thread_id="t"), proving(dora)).denied is None


def test_answer_to_who_asked_under_a_name_is_let_in(bench: Bench) -> None:
    """Who asked before it registered is still the one that asked."""
    send(bench, "dora", "anna", thread="t")
    bench.register("dora")
    policy(bench, "dora", "contacts_only")

    assert send(bench, "anna", "dora", thread="t").denied is None


def test_policy_set_in_the_same_batch_counts(bench: Bench) -> None:
    """What is decided after a change goes by it, though both are stored together."""
    closing, letter = SetPolicy(agent="ben", policy="block_all"), SendMessage(sender="anna", to=["ben"])

    outcomes = bench.batch((letter, LOCAL), (closing, LOCAL), (letter, LOCAL))

    assert [type(each) for each in outcomes] == [Sent, PolicyView, PolicyDenied]


def test_repeated_send_answers_what_became_of_it(bench: Bench) -> None:
    """A repetition goes by what is stored: policies that have changed since neither deliver nor deny anything."""
    policy(bench, "mal", "block_all")
    first = send(bench, "anna", "ben", "mal", id="m1")
    policy(bench, "mal", "open")
    policy(bench, "ben", "block_all")

    again = send(bench, "anna", "ben", "mal", id="m1")

    assert (again.replayed, again.cursor, again.denied, again.delivery) == (True, first.cursor, ["mal"], "async")
    assert [each.reason for each in again.denials or ()] == ["not_delivered_then"]
    assert bodies(bench, "mal") == []


def test_message_is_not_changed_past_a_policy(bench: Bench) -> None:
    """New content for who has the message and takes none any more is refused: the inbox would change under its eyes."""
    send(bench, "anna", "ben", "carl", id="m1", body="kind")
    policy(bench, "ben", "block_all")

    with raises(PolicyDenied) as refused:
        send(bench, "anna", "ben", "carl", id="m1", body="unkind")
    with raises(PolicyDenied):
        send(bench, "anna", "carl", id="m1", body="unkind")

    assert "another id" in refused.value.message
    assert bodies(bench, "ben") == bodies(bench, "carl") == ["kind"]


def test_strangers_id_is_taken_whatever_the_policies(bench: Bench) -> None:
    """Whose message an id is, is said before any policy is looked at."""
    send(bench, "anna", "carl", id="m1")
    policy(bench, "ben", "block_all")

    with raises(MessageIdTaken):
        send(bench, "mal", "ben", id="m1")


def test_itself_is_always_reached(bench: Bench) -> None:
    """Notes to oneself are nobody else's business."""
    policy(bench, "ben", "block_all")

    assert bench.send("ben", "ben").delivery == "async"


def test_service_tells_what_happened_but_not_the_words_of_the_denied(bench: Bench) -> None:
    """A request for a reservation reaches its holder, without what somebody wrote whom it does not listen to."""
    policy(bench, "ben", "contacts_only")
    bench.run(PutContact(agent="ben", other="anna"))
    held = bench.reserve("ben", "src/**")

    for asker in ("mal", "anna"):
        bench.run(RequestRelease(reservation_id=held.id, agent_id=asker, reason=f"words of {asker}"))

    assert bodies(bench, "ben") == ["mal wants to work there and gave no reason.", "words of anna"]
