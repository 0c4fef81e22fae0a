"""Requests that are applied once: what is the same request, who may have its reply, and how long it is kept (G4)."""

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import ReleaseAll, Reserve
from intermute.core.errors import IdempotencyKeyMismatch, ReplyNotKept, TooManyIdempotencyKeys
from intermute.core.ids import Micros
from intermute.core.once import KeptReplies, Once, Reply, as_repeat, is_forgettable
from intermute.core.times import SECOND_US, Now

LOCAL = Caller(is_local=True)
NOW = Now(1000.0, Micros(10**15))
RESERVE = Reserve(agent_id="anna", paths=["a"])


def once(question: Any = RESERVE, key: str = "k", caller: Caller = LOCAL) -> Once:
    """Return a request that is to be applied once; nobody renders here."""
    return Once.of(key, caller, question, _unused)


def _unused(_view: object) -> Reply:
    raise AssertionError("not rendered here")


def later(seconds: float) -> Now:
    """Return a later time."""
    return Now(NOW.mono_s + seconds, Micros(NOW.wall_us + round(seconds * SECOND_US)))


@given(
    st.integers(100, 599),
    st.binary(max_size=300),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=2),
)
def test_kept_reply_comes_out_as_it_went_in(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Byte for byte, also an empty body and one that begins with zeros."""
    reply = Reply(status, body, headers)

    kept = once().kept(reply, 7, NOW.wall_us)

    assert once().opened(kept) == reply
    assert as_repeat(reply) == Reply(status, body, headers, is_repeat=True)


def test_kept_reply_is_sealed() -> None:
    """What is stored has neither the reply nor the key in it, and two replies under one key share no pad."""
    secret, key = b'{"token":"a-very-secret-token"}\n', "an-idempotency-key"
    kept = [once(key=key).kept(Reply(200, secret), number, NOW.wall_us) for number in (1, 2)]

    for each in kept:
        assert each.reply is not None
        stored = b"".join((each.place, each.content, each.reply))
        assert b"secret" not in stored
        assert key.encode() not in stored
    assert kept[0].reply != kept[1].reply


@pytest.mark.parametrize(
    "question",
    [
        Reserve(agent_id="ben", paths=["a"]),
        Reserve(agent_id="anna", paths=["a", "b"]),
        Reserve(agent_id="anna", paths=["a"], reason="x"),
        Reserve(agent_id="anna", paths=["a"], project="p"),
        Reserve(agent_id="anna", paths=["a"], id=""),
        SendMessage(sender="anna", to=["a"]),
        ReleaseAll(agent_id="anna"),
    ],
)
def test_other_content_is_refused(question: Any) -> None:
    """Any field that says what is asked, and any other operation."""
    kept = once().kept(Reply(200, b"x"), 1, NOW.wall_us)

    with raises(IdempotencyKeyMismatch):
        once(question).opened(kept)


@pytest.mark.parametrize("question", [RESERVE, Reserve(agent_id="anna", paths=["a"], wait_seconds=3, ticket="t")])
def test_same_content_is_the_same(question: Reserve) -> None:
    """How long the client waits, and with which ticket, is not what it asks for."""
    assert once(question).content == once().content


def test_field_that_a_later_version_adds_changes_nothing() -> None:
    """A request that was kept before an upgrade is known after it: what is absent is no content."""

    class Ask(msgspec.Struct):
        text: str
        more: str | None = None

    before = once(Ask("x")).content
    Later = msgspec.defstruct("Ask", [("text", str), ("more", str | None, None), ("new", int | None, None)])  # noqa: N806

    assert once(Later("x")).content == before
    assert once(Later("x", new=1)).content != before


def test_key_belongs_to_what_the_caller_presents() -> None:
    """Another key, another claim, another token, and a caller from elsewhere are other places."""
    callers = [
        LOCAL,
        Caller(is_local=False),
        Caller(is_local=True, claims="anna"),
        Caller(is_local=True, claims="ben"),
        Caller(is_local=True, claims="anna", token_hash=b"t"),
        Caller(is_local=True, claims="anna", token_hash=b"u"),
    ]

    places = {once(key=key, caller=caller).place for caller in callers for key in ("k", "l")}

    assert len(places) == 2 * len(callers)


@pytest.mark.parametrize(("bytes_more", "is_kept"), [(-1, True), (0, True), (1, False)])
def test_long_reply_is_noted_and_not_kept(bytes_more: int, is_kept: bool) -> None:
    """At the limit it is kept; beyond it, the repeat is told that it was applied, and other content still is 422."""
    overhead = (
        len(b"\xcc\xc8") + len(b"\xc6....") + len(b"\x93") + len(b"\x80")
    )  # What MessagePack puts around the body.
    body = b"x" * (limits.KEPT_REPLY_BYTES_MAX - overhead + bytes_more)
    kept = once().kept(Reply(200, body), 1, NOW.wall_us)

    assert (kept.reply is not None) == is_kept
    if not is_kept:
        with raises(ReplyNotKept):
            once().opened(kept)
        with raises(IdempotencyKeyMismatch):
            once(SendMessage(sender="a", to=["b"])).opened(kept)


def test_room_is_bounded() -> None:
    """One more than the limit is refused, with the time until there may be room."""
    kept = KeptReplies(1, limits.KEPT_REPLIES_MAX)
    kept.look_at(NOW.wall_us, NOW)

    kept.check_room(NOW)
    kept.add(NOW)
    with raises(TooManyIdempotencyKeys) as refused:
        kept.check_room(later(3600))

    assert refused.value.retry_after_s == limits.REPLY_KEPT_S + limits.FORGET_EVERY_S - 3600


def test_numbers_only_grow_and_count() -> None:
    """What is forgotten is the oldest, and the next number is always a new one."""
    kept = KeptReplies()

    numbers = [kept.add(NOW) for _ in range(3)]
    kept.forget(2, later(1).wall_us, later(10))

    assert (numbers, len(kept), kept.add(NOW), len(kept)) == ([1, 2, 3], 1, 4, 2)


def test_look_is_due_when_the_oldest_is_old_enough() -> None:
    """A day and a little after the oldest one; not at all while there is none; at once where it is long past."""
    kept = KeptReplies()
    wait_s = limits.REPLY_KEPT_S + limits.FORGET_EVERY_S

    due: list[float] = [kept.due_s]
    changes: list[Callable[[], object]] = [
        lambda: kept.add(NOW),
        lambda: kept.add(later(60)),
        lambda: kept.forget(1, later(60).wall_us, later(100)),
        lambda: kept.forget(2, None, later(200)),
        lambda: kept.add(later(300)),
        lambda: kept.look_at(Micros(0), later(400)),
    ]
    for change in changes:
        change()
        due.append(kept.due_s - NOW.mono_s)

    assert due == [math.inf, wait_s, wait_s, wait_s + 60, math.inf, wait_s + 300, 400]


@pytest.mark.parametrize(("seconds", "is_old"), [(limits.REPLY_KEPT_S - 1, False), (limits.REPLY_KEPT_S, True)])
def test_reply_is_kept_for_a_day(seconds: int, is_old: bool) -> None:
    """Not a second less."""
    assert is_forgettable(NOW.wall_us, later(seconds)) == is_old
