"""Commands with an Idempotency-Key: decided once, answered as before, whatever came between (guarantees.md G4)."""

from typing import Any

import msgspec
import pytest
from handler_bench import LOCAL, Bench, bench_of, keyed
from msgspec.structs import replace
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.entities import TYPES
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import ReleaseReservation, Reserve
from intermute.core.entities.definition import Kind
from intermute.core.errors import (
    IdempotencyKeyMismatch,
    ReplyNotKept,
    ReservationConflict,
    TooManyIdempotencyKeys,
)
from intermute.core.once import Reply
from intermute.core.wishes import OnConflict
from intermute.project.handlers.liveness import Tick
from intermute.project.handlers.turns import Queued
from intermute.store import kept_replies

LETTER = SendMessage(sender="anna", to=["ben"])
RESERVE = Reserve(agent_id="anna", paths=["a"])
WAIT = Reserve(agent_id="ben", paths=["a"], on_conflict=OnConflict.WAIT, wait_seconds=30)


@pytest.fixture
def bench() -> Bench:
    """A project with anna and ben."""
    return bench_of("anna", "ben")


def kept_count(bench: Bench) -> int:
    """Return how many replies are in the database, after checking that memory knows it."""
    count = len(kept_replies.oldest(bench.connection, 10_000_000))
    assert len(bench.state.kept) == count
    return count


def body(reply: Any) -> Any:  # Any: whatever JSON holds.
    """Return what a reply says."""
    assert isinstance(reply, Reply)
    return msgspec.json.decode(reply.body)


def test_repeat_is_answered_with_the_first_reply(bench: Bench) -> None:
    """The same bytes, said to be a repeat; one event; also by a new run of the actor."""
    first = bench.run(*keyed(LETTER))
    head = bench.state.head

    again = [bench.run(*keyed(LETTER))]
    bench.restart()
    again.append(bench.run(*keyed(LETTER)))

    assert (first.is_repeat, [each.is_repeat for each in again]) == (False, [True, True])
    assert {each.body for each in again} == {first.body}
    assert (bench.state.head, kept_count(bench)) == (head, 1)


def test_two_in_one_batch_are_one(bench: Bench) -> None:
    """The second finds what the first has decided, although nothing is stored yet; so does other content."""
    other = SendMessage(sender="anna", to=["carl"])

    first, again, refused = bench.batch(keyed(LETTER), keyed(LETTER), keyed(other))

    assert (again.body, again.is_repeat, isinstance(refused, IdempotencyKeyMismatch)) == (first.body, True, True)
    assert [event.type for event in bench.events()].count("message.created") == 1


def test_reply_and_change_are_in_one_group(bench: Bench) -> None:
    """The statements of one command hold both: there is no commit with one of them."""
    outcomes, transactions = bench.decide(keyed(LETTER))

    [group] = [each for each in transactions if each.statements]
    assert isinstance(outcomes[0], Reply)
    written = [statement.sql.split()[2] for statement in group.statements if statement.sql.split()[0] == "INSERT"]
    assert {"messages", "events", "kept_replies"} <= set(written)


def test_lost_batch_loses_key_and_change(bench: Bench) -> None:
    """What was decided and never stored is decided anew by the next run: nothing was done under the key."""
    [lost], _ = bench.decide(keyed(LETTER))
    bench.restart()

    again = bench.run(*keyed(LETTER))

    assert (again.is_repeat, body(again)["cursor"]) == (False, body(lost)["cursor"])


def test_command_without_effect_is_kept_as_well(bench: Bench) -> None:
    """A delete that found nothing must not find something when it comes again."""
    task = TYPES[Kind.TASK]
    delete = task.delete(id="t")
    first = bench.run(*keyed(delete))
    bench.run(task.create(id="t", title="x"))

    again = bench.run(*keyed(delete))

    assert (again.body, again.is_repeat) == (first.body, True)
    assert bench.ask(task.get(id="t")).id == "t"


def test_refusal_is_not_kept(bench: Bench) -> None:
    """It changed nothing; the same request may be granted later."""
    held = bench.run(RESERVE)
    asked = Reserve(agent_id="ben", paths=["a"])
    with raises(ReservationConflict):
        bench.run(*keyed(asked))
    assert kept_count(bench) == 0

    bench.run(ReleaseReservation(reservation_id=held.id))

    assert [bench.run(*keyed(asked)).is_repeat for _ in range(2)] == [False, True]


def test_registration_is_repeated_although_the_caller_has_a_name_now(bench: Bench) -> None:
    """What it said of itself then is not what the project makes of it now; the token is the one it was given."""
    caller = Caller(is_local=False, claims="carl")
    asked = keyed(RegisterAgent(name="carl"), caller=caller)

    first, again = bench.run(*asked), bench.run(*asked)

    assert (again.body, again.is_repeat) == (first.body, True)
    assert body(first)["token"]


def test_no_room_refuses_new_keys_alone(bench: Bench) -> None:
    """A full project takes work without keys, and repeats; a new key changes nothing."""
    first = bench.run(*keyed(LETTER))
    bench.state.kept.first -= limits.KEPT_REPLIES_MAX - 1
    head = bench.state.head

    with raises(TooManyIdempotencyKeys):
        bench.run(*keyed(LETTER, "new"))
    assert bench.state.head == head
    assert bench.run(*keyed(LETTER)).body == first.body
    bench.run(LETTER)


def test_long_reply_is_applied_once_and_not_told_again(bench: Bench) -> None:
    """The first sending is answered; the repeat does nothing and says so."""
    once = replace(keyed(LETTER)[2], render=lambda _view: Reply(200, b"x" * 300_000))

    first = bench.run(LETTER, LOCAL, once)
    head = bench.state.head
    with raises(ReplyNotKept):
        bench.run(LETTER, LOCAL, once)

    assert (len(first.body), bench.state.head) == (300_000, head)


# ---- waiting for a turn


def test_repeat_waits_in_the_same_place(bench: Bench) -> None:
    """One place, one ticket, with the ticket or without; another content under the key is refused."""
    bench.run(RESERVE)

    first = bench.run(*keyed(WAIT))
    again = bench.run(*keyed(WAIT))
    with_ticket = bench.run(*keyed(msgspec.structs.replace(WAIT, ticket=first.ticket, wait_seconds=50)))

    assert isinstance(first, Queued)
    assert [again, with_ticket] == [first, first]
    assert (len(bench.state.waiting), kept_count(bench)) == (1, 0)
    for other in (LETTER, Reserve(agent_id="ben", paths=["b"])):
        with raises(IdempotencyKeyMismatch):
            bench.run(*keyed(other))


def test_grant_from_the_queue_keeps_the_reply(bench: Bench) -> None:
    """Whoever lets the waiter go on stores its reply with its grant; the repeat gets that, and no second reservation."""
    held = bench.run(RESERVE)
    ticket = bench.run(*keyed(WAIT)).ticket

    released, again = bench.batch((ReleaseReservation(reservation_id=held.id), LOCAL), keyed(WAIT))
    bench.restart()
    later = bench.run(*keyed(WAIT))

    assert released
    assert (body(again)["id"], again.is_repeat, later.body) == (ticket, True, again.body)
    assert [each.claim.id for each in bench.state.leases.held_by(body(again)["agent_id"])] == [ticket]


def test_place_that_was_left_is_asked_anew(bench: Bench) -> None:
    """Whose time was up has nothing, so its repeat is a request like the first."""
    held = bench.run(RESERVE)
    bench.run(*keyed(WAIT))
    bench.wait(31)
    bench.tick()
    assert len(bench.state.waiting) == 0
    bench.run(ReleaseReservation(reservation_id=held.id))

    assert [bench.run(*keyed(WAIT)).is_repeat for _ in range(2)] == [False, True]


# ---- forgetting


def forget(bench: Bench) -> None:
    """Do what the ticker does when replies are due."""
    bench.run(Tick(forgets_replies=True))


def test_reply_is_forgotten_after_a_day(bench: Bench) -> None:
    """Not before; after that the same request is a new one."""
    first = bench.run(*keyed(LETTER))
    bench.wait(limits.REPLY_KEPT_S - 1)
    forget(bench)
    assert bench.run(*keyed(LETTER)).body == first.body

    bench.wait(1)
    forget(bench)

    assert kept_count(bench) == 0
    assert not bench.run(*keyed(LETTER)).is_repeat


def test_old_replies_go_in_slices(bench: Bench) -> None:
    """As many as fit into one commit, the oldest first; the next slice is due at once, and the rest when its day is over."""
    old = limits.FORGET_MAX + 2
    bench.batch(*(keyed(LETTER, f"old {number}") for number in range(old)))
    bench.wait(limits.REPLY_KEPT_S - 60)
    bench.run(*keyed(LETTER, "young"))
    bench.wait(60 + limits.FORGET_EVERY_S)
    assert bench.state.kept.due_s <= bench.mono_s

    forget(bench)
    assert (kept_count(bench), bench.state.kept.due_s <= bench.mono_s) == (3, True)
    forget(bench)
    assert kept_count(bench) == 1
    due_s = bench.state.kept.due_s
    assert due_s == pytest.approx(bench.mono_s + limits.REPLY_KEPT_S - 60, abs=0.1)

    bench.restart()
    assert bench.run(*keyed(LETTER, "young")).is_repeat
    assert kept_count(bench) == 1
    assert bench.state.kept.due_s == pytest.approx(bench.mono_s + limits.REPLY_KEPT_S - 60, abs=0.1)


def test_wall_clock_that_stands_still_forgets_nothing(bench: Bench) -> None:
    """Without a day on the wall there is nothing to do, and no look follows the other without a pause."""
    bench.run(*keyed(LETTER))
    bench.wait(limits.REPLY_KEPT_S + limits.FORGET_EVERY_S, wall_s=0)

    forget(bench)

    assert kept_count(bench) == 1
    assert bench.state.kept.due_s > bench.mono_s + limits.REPLY_KEPT_S
