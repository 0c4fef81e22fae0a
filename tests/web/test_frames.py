"""Frames: what many readers share is, for each of them, what it would have got alone (issue 7)."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from intermute.core import limits
from intermute.core.events import Event, EventType, is_for, on_the_wire, shortened
from intermute.core.ids import Micros, ProjectName
from intermute.web.following import Subscription
from intermute.web.frames import Framed, Frames, Sheet
from intermute.web.server import text_frame

PROJECT = ProjectName("p")
NAMES = ("anna", "id-1", "ben", 'q"ü\\\n', "agent")
SAME_AGENT = frozenset({"anna", "id-1"})

_texts = st.sampled_from(["x", "y"]) | st.text(max_size=20)
_LONG = limits.SHORT_EVENT_BYTES_MAX
# Some around the length from which an event is looked at more closely, and around the bound.
_values = _texts | st.sampled_from([_LONG // 2, _LONG - 600, _LONG]).map(lambda size: "x" * size)
_data = st.dictionaries(
    st.sampled_from(["a", "agen", "agent", "agent_id", "agents", "topic", "z"]), _values, max_size=5
)
_audiences = st.none() | st.frozensets(st.sampled_from(NAMES), max_size=3)
_types = st.sampled_from([EventType.MESSAGE_CREATED, EventType.MESSAGE_READ, EventType.RESERVATION_CREATED])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Draw some events with growing cursors."""
    cursor, found = 0, []
    for data, audience, kind in draw(st.lists(st.tuples(_data, _audiences, _types), max_size=8)):
        cursor += draw(st.integers(1, 3))
        found.append(Event(cursor, kind, Micros(cursor), audience, data))
    return found


def addresses_of(address: str) -> frozenset[str]:
    """Tell of one agent, which has two addresses."""
    return SAME_AGENT if address in SAME_AGENT else frozenset({address})


def reader(
    cursor: int, asked_as: str | None, types: Any = None, topic: str | None = None, *, is_short: bool = False
) -> Subscription:
    """Return a reader; its project is looked at by nobody here."""
    return Subscription(None, cursor, asked_as, None, types, topic, is_short)  # type: ignore[arg-type] # as said.


def frame_of(event: Event, asked_as: str | None) -> bytes:
    """Return the frame that wsproto makes for one reader alone, as the careful lane sends it."""
    text = msgspec.json.encode(on_the_wire(event, PROJECT, asked_as)).decode() + "\n"
    return Connection(ConnectionType.SERVER).send(TextMessage(data=text))


def alone(events: Sequence[Event], one: Subscription) -> list[bytes]:
    """Return the frames of one reader, each made for it."""
    addresses = None if one.asked_as is None else addresses_of(one.asked_as)
    return [
        frame_of(shortened(event) if one.is_short else event, one.asked_as)
        for event in events
        if event.cursor > one.cursor and is_for(event, addresses, one.types, one.topic)
    ]


@given(
    logs(),
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.none() | st.sampled_from(NAMES),
            st.none() | st.frozensets(_types, max_size=2),
            st.none() | st.sampled_from(["x", "y", "z"]),
            st.booleans(),
        ),
        max_size=8,
    ),
)
def test_each_reader_gets_what_it_would_have_got_alone(events: list[Event], wishes: list[Any]) -> None:
    """Whoever shares a sheet, with whatever filter, under whatever address: to the last byte, in order, nothing else."""
    sheet = Sheet(0, events, 99, Frames(PROJECT), addresses_of)

    on_it = [event for event in events if event.cursor <= sheet.end]  # The rest comes on the next one.
    for *wish, is_short in wishes:
        one = reader(*wish, is_short=is_short)
        cut = sheet.cut(one)
        assert list(cut.frames) == alone(on_it, one)
        assert cut.joined == b"".join(cut.frames)
        assert len(cut.cursors) == len(cut.frames)


def test_readers_of_other_filters_share_nothing() -> None:
    """Types and topics tell readers apart as well, in whichever order they come."""
    events = [Event(n, EventType.SPEC_CREATED, Micros(n), None, {"topic": topic}) for n, topic in enumerate("xyx", 1)]
    sheet = Sheet(0, events, 3, Frames(PROJECT), addresses_of)
    wishes = [(None, None), (None, "x"), (None, "y"), (frozenset({"spec.created"}), "y"), (frozenset({"other"}), None)]

    assert [len(sheet.cut(reader(0, None, *wish)).frames) for wish in wishes] == [3, 2, 1, 1, 0]


def test_readers_share_what_is_the_same_for_them() -> None:
    """One piece of bytes for all agents to whom nothing is addressed, one for all readers of the whole project."""
    public = Event(1, EventType.RESERVATION_CREATED, Micros(1), None, {})
    letter = Event(2, EventType.MESSAGE_CREATED, Micros(2), frozenset({"ben"}), {})
    sheet = Sheet(0, [public, letter], 2, Frames(PROJECT), addresses_of)

    whole, other = sheet.cut(reader(0, None)), sheet.cut(reader(0, None))
    anna, zed = sheet.cut(reader(0, "anna")), sheet.cut(reader(0, "zed"))

    assert whole.joined is other.joined
    assert anna.joined is zed.joined
    assert [len(cut.frames) for cut in (whole, anna, sheet.cut(reader(0, "ben")))] == [2, 1, 2]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_frame_has_the_length_that_wsproto_would_give_it(size: int) -> None:
    """On both sides of each length at which the head of a frame changes."""
    assert text_frame(b"x" * size) == Connection(ConnectionType.SERVER).send(TextMessage(data="x" * size))


def test_sheet_is_bounded_in_bytes() -> None:
    """Events go into one send up to the bound; one that is larger goes alone, and what is left comes next."""
    half = {"note": "x" * (limits.PUSH_BYTES_MAX // 2)}
    events = [Event(n, EventType.SPEC_CREATED, Micros(n), None, half) for n in (1, 2, 3)]
    large = Event(4, EventType.SPEC_CREATED, Micros(4), None, {"note": "x" * limits.PUSH_BYTES_MAX})

    first, alone_ = (Sheet(0, each, 9, Frames(PROJECT), addresses_of) for each in (events, [large]))

    assert (first.end, len(first.cut(reader(0, None)).frames)) == (1, 1)
    assert (alone_.end, len(alone_.cut(reader(0, None)).frames)) == (4, 1)


def test_sheet_without_events_ends_at_the_head() -> None:
    """A cursor that no event took is passed, and a reader is never moved back."""
    assert [Sheet(start, [], 7, Frames(PROJECT), addresses_of).end for start in (3, 7, 9)] == [7, 7, 9]


@pytest.mark.parametrize(
    ("count", "chars"), [(limits.EVENT_TAIL_MAX, 1), (3, limits.EVENT_TAIL_CHARS_MAX // 4)], ids=["number", "bytes"]
)
def test_newest_events_are_made_once_and_kept_within_bounds(count: int, chars: int) -> None:
    """As many as memory holds of the log itself; what is asked for again is the same, and one too many pushes the oldest out."""
    frames = Frames(PROJECT)
    data = {"note": "x" * chars}
    events = [Event(n, EventType.SPEC_CREATED, Micros(n), None, data) for n in range(1, count + 2)]

    made = [frames.of(each) for each in events[:-1]]
    assert all(frames.of(each) is kept for each, kept in zip(events, made, strict=False))
    last = frames.of(events[-1])

    assert frames.of(events[-1]) is last
    assert frames.of(events[1]) is made[1]
    assert frames.of(events[0]) is not made[0]


def test_another_event_under_a_known_cursor_is_made_anew() -> None:
    """What was kept is compared with what is asked for."""
    frames = Frames(PROJECT)
    one = Event(1, EventType.SPEC_CREATED, Micros(1), None, {"title": "a"})

    assert frames.of(one).whole != frames.of(one._replace(data={"title": "b"})).whole


def test_address_is_put_where_it_is_sorted() -> None:
    """Before and after it stand the same fields as in a text that was made for the reader alone."""
    for data in ({}, {"a": "1"}, {"ab": "1", "agent": "other", "zz": "2"}, {"agent_id": "x"}):
        event = Event(1, EventType.MESSAGE_READ, Micros(1), frozenset({"anna"}), data)
        assert Framed(event, PROJECT).addressed("anna") == frame_of(event, "anna")
