"""Who reaches whom: the whole table of policies and bonds, and what holds of every row of it (contract.md 1.2)."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.contacts import (
    Bond,
    ContactPolicy,
    Outcome,
    Parties,
    Reason,
    decide,
    is_answer,
    read_policy,
)
from intermute.core.ids import AgentId

OPEN, AUTO, CONTACTS_ONLY, BLOCK_ALL = ContactPolicy
ANNA, BEN, CARL, MAL = (AgentId(name) for name in ("anna", "ben", "carl", "mal"))
Ties = tuple[bool, bool, bool, bool]
NONE: Ties = (False, False, False, False)
ITSELF, CONTACT, ANSWER, SHARING = (tuple(at == number for at in range(4)) for number in range(4))


def bond(ties: Ties) -> Bond:
    """Return a bond of these ties: itself, contact, answer, shared work."""
    return Bond(ties[0], ties[1], lambda: ties[2], lambda: ties[3])


@pytest.mark.parametrize(
    ("policy", "ties", "outcome", "reason"),
    [
        (OPEN, NONE, Outcome.DELIVER, Reason.OPEN),
        (OPEN, CONTACT, Outcome.DELIVER, Reason.OPEN),
        (CONTACTS_ONLY, NONE, Outcome.DENY, Reason.NOT_A_CONTACT),
        (CONTACTS_ONLY, CONTACT, Outcome.DELIVER, Reason.CONTACT),
        (CONTACTS_ONLY, ANSWER, Outcome.DELIVER, Reason.THREAD),
        (CONTACTS_ONLY, SHARING, Outcome.DENY, Reason.NOT_A_CONTACT),
        (CONTACTS_ONLY, ITSELF, Outcome.DELIVER, Reason.ITSELF),
        (AUTO, NONE, Outcome.DENY, Reason.NO_SHARED_WORK),
        (AUTO, CONTACT, Outcome.DELIVER, Reason.CONTACT),
        (AUTO, ANSWER, Outcome.DELIVER, Reason.THREAD),
        (AUTO, SHARING, Outcome.DELIVER, Reason.SHARED_WORK),
        (BLOCK_ALL, NONE, Outcome.DENY, Reason.BLOCKED),
        (BLOCK_ALL, (False, True, True, True), Outcome.DENY, Reason.BLOCKED),
        (BLOCK_ALL, ITSELF, Outcome.DELIVER, Reason.ITSELF),
        (None, (False, True, True, True), Outcome.DENY, Reason.POLICY_UNREADABLE),
        (None, ITSELF, Outcome.DELIVER, Reason.ITSELF),
    ],
)
def test_policy_decides(policy: ContactPolicy | None, ties: Ties, outcome: Outcome, reason: Reason) -> None:
    """Each policy lets in what it says, and gives the reason."""
    assert decide(policy, bond(ties)) == (outcome, reason)


@pytest.mark.parametrize(
    ("policy", "has_room", "outcome", "reason"),
    [
        (CONTACTS_ONLY, True, Outcome.HOLD, Reason.NOT_A_CONTACT),
        (AUTO, True, Outcome.HOLD, Reason.NO_SHARED_WORK),
        (CONTACTS_ONLY, False, Outcome.DENY, Reason.HELD_FULL),
        (AUTO, False, Outcome.DENY, Reason.HELD_FULL),
        (BLOCK_ALL, True, Outcome.DENY, Reason.BLOCKED),
        (BLOCK_ALL, False, Outcome.DENY, Reason.BLOCKED),
        (None, True, Outcome.DENY, Reason.POLICY_UNREADABLE),
        (OPEN, False, Outcome.DELIVER, Reason.OPEN),
    ],
)
def test_denied_message_is_held_where_it_may_be(
    policy: ContactPolicy | None, has_room: bool, outcome: Outcome, reason: Reason
) -> None:
    """On the sender's wish it waits for approval, unless the recipient takes nothing at all, or can keep no more."""
    assert decide(policy, bond(NONE), has_room=has_room) == (outcome, reason)


@pytest.mark.parametrize(("policy", "ties"), list(product([None, *ContactPolicy], product([False, True], repeat=4))))
def test_policies_are_as_strict_as_their_order(policy: ContactPolicy | None, ties: Ties) -> None:
    """What a stricter policy delivers, every laxer one delivers; a further bond never keeps a message out."""

    def delivers(policy: ContactPolicy | None, ties: Ties) -> bool:
        return decide(policy, bond(ties)).outcome is Outcome.DELIVER

    strictness = [OPEN, AUTO, CONTACTS_ONLY, BLOCK_ALL, None]
    assert all(delivers(laxer, ties) or not delivers(policy, ties) for laxer in strictness[: strictness.index(policy)])
    for at in range(4):
        more: Ties = (ties[0] or at == 0, ties[1] or at == 1, ties[2] or at == 2, ties[3] or at == 3)
        assert delivers(policy, more) or not delivers(policy, ties)


@pytest.mark.parametrize("policy", [OPEN, BLOCK_ALL, None])
def test_thread_and_work_are_asked_only_where_they_count(policy: ContactPolicy | None) -> None:
    """Looking into threads and reservations costs, and is left out where nothing depends on it."""

    def never() -> bool:
        raise AssertionError("nobody has to know")

    decide(policy, Bond(is_itself=False, is_contact=False, is_answer=never, shares_work=never))
    decide(CONTACTS_ONLY, Bond(is_itself=False, is_contact=False, is_answer=lambda: False, shares_work=never))


@pytest.mark.parametrize(
    ("text", "policy"), [*((each.value, each) for each in ContactPolicy), ("", None), ("OPEN", None)]
)
def test_policy_of_another_version_cannot_be_read(text: str, policy: ContactPolicy | None) -> None:
    """A text that is none of the four is no policy, and above all not an open one."""
    assert read_policy(text) is policy


@pytest.mark.parametrize(
    ("thread", "is_let_in"),
    [
        ([], False),
        ([(BEN, {ANNA})], True),  # Ben wrote to anna: she answers.
        ([(CARL, {ANNA, BEN})], True),  # Carl wrote to both.
        ([(ANNA, {BEN})], False),  # Anna's own word opens nothing.
        ([(ANNA, {CARL})], False),
        ([(ANNA, {ANNA, BEN})], False),
        ([(CARL, {ANNA})], False),  # Ben has no part in the thread.
        ([(CARL, {BEN})], False),  # Anna has none.
        ([(CARL, {ANNA}), (BEN, {CARL})], False),  # Ben has, but never with anna.
        ([(ANNA, {CARL}), (CARL, {ANNA}), (CARL, {BEN})], False),
    ],
)
def test_thread_lets_in_who_was_written_to_in_it(thread: list[tuple[AgentId, set[AgentId]]], is_let_in: bool) -> None:
    """Anna reaches ben in a thread only if ben, or somebody else together with ben, wrote to her there."""
    parties = [Parties(sender, frozenset(recipients)) for sender, recipients in thread]

    assert is_answer(ANNA, BEN, parties) is is_let_in


AGENTS = st.sampled_from([ANNA, BEN, CARL, MAL])


@given(
    st.lists(st.tuples(AGENTS, st.frozensets(AGENTS, min_size=1)), max_size=8),
    st.lists(st.frozensets(AGENTS, min_size=1), max_size=8),
)
def test_writing_never_opens_a_thread_for_its_writer(
    thread: list[tuple[AgentId, frozenset[AgentId]]], own: list[frozenset[AgentId]]
) -> None:
    """Whatever mal writes into a thread, and to whom: whom it did not reach before, it does not reach after."""
    before = [Parties(*each) for each in thread]
    after = before + [Parties(MAL, recipients) for recipients in own]

    assert [is_answer(MAL, each, after) for each in (ANNA, BEN, CARL)] == [
        is_answer(MAL, each, before) for each in (ANNA, BEN, CARL)
    ]
