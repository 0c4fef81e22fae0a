"""Live messages as the project decides them: who is reached, what is stored before a terminal sees it (contract.md 1.3, 1.10)."""

from typing import Any

import pytest
from handler_bench import LOCAL, REMOTE, proving
from live_bench import Live
from pytest import raises

from intermute.core import limits
from intermute.core.api.contacts import SetPolicy
from intermute.core.api.live import AckPoke, ExpireWindow, ListPokes
from intermute.core.api.messages import GetMessage, SendMessage
from intermute.core.errors import (
    AgentIdentityMismatch,
    InvalidRequest,
    LiveDeliveryFailed,
    LiveRateLimit,
    PolicyDenied,
    RecipientBusy,
)
from intermute.core.live import PokeResult, Transport
from intermute.core.poison import fingerprint
from intermute.project.handlers.pokes import NotePokes


@pytest.fixture
def bench() -> Live:
    """See `Live`."""
    return Live()


def test_live_message_is_stored_before_it_is_carried(bench: Live) -> None:
    """The answer comes with the message on the disk, its terminal and its text planned; no inbox has it."""
    sent = bench.live("ben", id="m1", thread_id="t")

    assert sent.delivery == "injecting"
    [planned] = bench.planned("m1")
    assert (planned.addresses, planned.target) == (("ben",), "main:0.1")
    assert planned.text.startswith("--- INTERMUTE-PEER-MESSAGE START [from=anna, thread=t, trust=LOW] ---\n")
    assert bench.inbox("ben").messages == []
    assert bench.ask(GetMessage(message_id="m1")).body == "hi"


def test_both_is_in_the_inbox_as_well(bench: Live) -> None:
    """A message by both ways is read later, whatever becomes of the terminal."""
    assert bench.live("ben", transport="both").delivery == "injecting"
    assert [each.body for each in bench.inbox("ben").messages] == ["hi"]


@pytest.mark.parametrize(("result", "word"), [(PokeResult.INJECTED, "injected"), (PokeResult.FAILED, None)])
def test_live_message_is_over_once_it_is_noted(bench: Live, result: PokeResult, word: str | None) -> None:
    """Nothing is shown later, the log has the result, and sending it again repeats the outcome, not the message (41)."""
    bench.live("ben", id="m1")
    bench.note("m1", result)
    bench.restart()
    bench.wait(limits.POKE_STALE_S + 1)

    assert (bench.pokes(), bench.planned("m1"), bench.told()) == ([], [], [(result, "because")])
    if word is None:
        with raises(LiveDeliveryFailed) as failed:
            bench.live("ben", id="m1")
        assert failed.value.details == {"delivery": "failed"}
    else:
        assert (again := bench.live("ben", id="m1")).replayed
        assert again.delivery == word
    assert bench.planned("m1") == []


def test_failed_both_is_shown_later(bench: Live) -> None:
    """What no terminal took waits to be asked for, until it is acknowledged."""
    bench.live("ben", transport="both", id="m1")
    assert bench.pokes() == []
    bench.note("m1", PokeResult.FAILED, Transport.BOTH)
    bench.restart()

    assert bench.pokes() == ["m1"]
    assert bench.planned("m1") == []
    bench.run(AckPoke(message_id="m1", agent="ben"))
    assert bench.pokes() == []
    assert bench.run(AckPoke(message_id="m1", agent="ben")).status == "ok"
    assert [each.type for each in bench.events()].count("peer.poke_ack") == 1


def test_injected_both_is_not_shown_again(bench: Live) -> None:
    """What the terminal has need not be asked for."""
    bench.live("ben", transport="both", id="m1")
    bench.note("m1", PokeResult.INJECTED, Transport.BOTH)
    bench.wait(limits.POKE_STALE_S + 1)

    assert (bench.pokes(), bench.told()) == ([], [("injected", "because")])


def test_poke_that_nobody_noted_is_shown(bench: Live) -> None:
    """If the server ended in between, the message is shown late, rather than never."""
    bench.live("ben", transport="both", id="m1")
    bench.restart()
    bench.wait(limits.POKE_STALE_S - 1)
    assert bench.pokes() == []

    bench.wait(2)

    assert bench.pokes() == ["m1"]


def test_note_has_a_fingerprint(bench: Live) -> None:
    """In a project that remembers a poisoned request the courier's notes are told apart from it like any other."""
    note = NotePokes(message_id="m1", transport=Transport.LIVE, results=((bench.ben_id, PokeResult.INJECTED, ""),))

    assert fingerprint(note, LOCAL) != fingerprint(SendMessage(sender="anna", to=["ben"]), LOCAL)


def test_poke_is_shown_in_the_originals_form(bench: Live) -> None:
    """The envelope without a thread, and the date of HTTP."""
    bench.at_prompt("ben", "thinking")
    bench.live("ben", transport="both", id="m1", thread_id="t")

    [poke] = bench.ask(ListPokes(agent="ben")).pokes

    assert poke.sender == "anna"
    assert poke.body.startswith("--- INTERMUTE-PEER-MESSAGE START [from=anna, thread=, trust=LOW] ---\n")
    assert poke.created_at == "Wed, 22 Jul 2026 10:00:00 GMT"


def not_at_prompt(bench: Live) -> None:
    """Let ben be busy."""
    bench.at_prompt("ben", "tool-use")


def silent(bench: Live) -> None:
    """Let ben's last word be too old."""
    bench.wait(limits.FOCUS_FRESH_S + 1)


def restarted(bench: Live) -> None:
    """Let nobody remember what ben said."""
    bench.restart()


def renewed(bench: Live) -> None:
    """Let ben be another process."""
    bench.register("ben", bench.ben.session_id)


def without_window(bench: Live) -> None:
    """Let ben's window be closed."""
    bench.run(ExpireWindow(window_uuid="w1"))


def remote_window(bench: Live) -> None:
    """Let ben's window be one that a caller from another machine named."""
    bench.window(bench.ben, "w1", "main:0.1", REMOTE)


def without_target(bench: Live) -> None:
    """Let ben's window have no terminal."""
    bench.window(bench.ben, "w1")


def others_window(bench: Live) -> None:
    """Let ben's window be carl's."""
    bench.window(bench.register("carl"), "w1", "main:0.1")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (not_at_prompt, "not_at_prompt"),
        (silent, "not_at_prompt"),
        (restarted, "not_at_prompt"),
        (renewed, "not_at_prompt"),
        (without_window, "no_window"),
        (remote_window, "no_window"),
        (without_target, "no_window"),
        (others_window, "no_window"),
    ],
)
def test_who_cannot_be_reached_is_busy_or_deferred(bench: Live, spoil: Any, reason: str) -> None:
    """Live is refused with who and what it does, and stores nothing; both is deferred and says why in the log."""
    spoil(bench)
    head = bench.state.head

    with raises(RecipientBusy) as refused:
        bench.live("ben")

    assert (refused.value.details["agent"], bench.state.head) == ("ben", head)
    assert bench.live("ben", transport="both", id="m1").delivery == "deferred"
    assert (bench.pokes(), bench.told()) == (["m1"], [("deferred", reason)])


def test_focus_counts_to_the_last_second(bench: Live) -> None:
    """Exactly as long as is promised."""
    bench.wait(limits.FOCUS_FRESH_S)

    assert bench.live("ben").delivery == "injecting"


def test_focus_outlives_the_actor(bench: Live) -> None:
    """What an agent said in this process counts after a crash of its project."""
    bench.crash()

    assert bench.live("ben").delivery == "injecting"


def test_window_that_was_active_last_is_taken(bench: Live) -> None:
    """Without a word the newest; by its name the one that is meant, if it is the recipient's."""
    bench.wait(1)
    bench.window(bench.ben, "w2", "other")

    targets = {
        name: bench.planned(bench.live("ben", target_window_uuid=name).message_id)[0].target
        for name in (None, "w1", "w2")
    }

    assert targets == {None: "other", "w1": "main:0.1", "w2": "other"}
    with raises(RecipientBusy):
        bench.live("ben", target_window_uuid="w3")


def test_live_policy_counts_for_whom_it_is_to(bench: Live) -> None:
    """The live policy decides, the other one has no say; a copy goes by the other one."""
    bench.run(SetPolicy(agent="ben", policy="block_all"))
    assert bench.live("ben").delivery == "injecting"
    bench.run(SetPolicy(agent="ben", policy="open", live_contact_policy="contacts_only"))

    for transport in ("live", "both"):
        with raises(PolicyDenied):
            bench.live("ben", transport=transport)
    assert bench.live("nobody", transport="both", cc=["ben"]).denied == ["nobody"]


def test_live_without_anybody_it_is_to_fails(bench: Live) -> None:
    """A copy is no terminal: with everybody else denied there is nobody to reach."""
    with raises(LiveDeliveryFailed) as refused:
        bench.live("nobody", cc=["ben"])

    assert refused.value.details == {"delivery": None}


def test_terminal_takes_so_many_of_one_sender(bench: Live) -> None:
    """Ten within a minute, deferred ones included; then it is refused with the time to wait, and others are not."""
    for _ in range(limits.LIVE_TRIES_MAX):
        bench.live("ben", transport="both")
        bench.wait(1)

    with raises(LiveRateLimit) as refused:
        bench.live("ben")

    assert refused.value.details["retry_after_seconds"] == limits.LIVE_TRIES_WITHIN_S - limits.LIVE_TRIES_MAX
    assert bench.run(SendMessage(sender="carl", to=["ben"], transport="live")).delivery == "injecting"
    bench.wait(limits.LIVE_TRIES_WITHIN_S - limits.LIVE_TRIES_MAX)
    bench.at_prompt("ben")
    assert bench.live("ben").delivery == "injecting"


def test_live_message_has_bounds(bench: Live) -> None:
    """Too many terminals are refused; too long a text is deferred, or refused where it goes nowhere else."""
    long = {"sender": "anna", "to": ["ben"], "body": "x" * (limits.LIVE_BODY_CHARS_MAX + 1)}
    for number in range(limits.LIVE_RECIPIENTS_MAX + 1):
        bench.run(SetPolicy(agent=bench.register(f"a{number}").agent_id, live_contact_policy="open"))

    with raises(InvalidRequest):
        bench.live(*(f"a{number}" for number in range(limits.LIVE_RECIPIENTS_MAX + 1)), transport="both")
    with raises(RecipientBusy):
        bench.run(SendMessage(**long, transport="live"))  # type: ignore[arg-type] # fields.
    assert bench.run(SendMessage(**long, transport="both")).delivery == "deferred"  # type: ignore[arg-type] # fields.
    assert bench.told()[-1] == ("deferred", "too_long")


def test_pokes_are_bounded(bench: Live) -> None:
    """So many wait for one agent; further ones are in the inbox alone."""
    bench.at_prompt("ben", "thinking")
    for number in range(limits.POKES_PER_AGENT_MAX):
        bench.run(SendMessage(sender=f"s{number}", to=["ben"], transport="both"))

    assert bench.live("ben", transport="both").delivery == "async"
    assert len(bench.pokes()) == limits.POKES_PER_AGENT_MAX


def test_pokes_are_read_and_acknowledged_by_their_agent(bench: Live) -> None:
    """A proved caller sees and answers for itself alone."""
    carl = bench.register("carl")

    with raises(AgentIdentityMismatch):
        bench.ask(ListPokes(agent="ben"), proving(carl))
    with raises(AgentIdentityMismatch):
        bench.run(AckPoke(message_id="m1", agent="ben"), proving(carl))
    with raises(InvalidRequest):
        bench.run(AckPoke(message_id="m1"))
