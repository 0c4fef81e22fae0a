"""Events: who gets which, and what they look like on the wire (contract.md 2.2, design.md 5)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core import limits
from intermute.core.events import Event, EventType, is_for, on_the_wire, parse_topic, parse_types, shortened
from intermute.core.ids import PROJECT_NAME_CHARS_MAX, Micros, ProjectName

AT_US = Micros(1_784_714_400_000_000)
FOR_ALL = Event(1, EventType.RESERVATION_CREATED, AT_US, None, {"path_pattern": "a", "agent_id": "x"})
FOR_ANNA = Event(2, EventType.MESSAGE_CREATED, AT_US, frozenset({"id-anna", "carl"}), {"message_id": "m"})


@pytest.mark.parametrize(
    ("event", "reader", "types", "is_shown"),
    [
        (FOR_ALL, None, None, True),
        (FOR_ALL, "id-ben", None, True),
        (FOR_ANNA, None, None, True),
        (FOR_ANNA, "id-anna", None, True),
        (FOR_ANNA, "id-ben", None, False),
        (FOR_ANNA, "id-carl carl", None, True),
        (FOR_ANNA, "id-dora dora", None, False),
        (FOR_ANNA, "id-anna", {"message.created"}, True),
        (FOR_ANNA, "id-anna", {"message.ack"}, False),
        (FOR_ALL, None, {"message.created"}, False),
    ],
)
def test_event_is_for_its_audience(event: Event, reader: str | None, types: set[str] | None, is_shown: bool) -> None:
    """Everyone, or the addresses it is for, an agent that registered under one of them included; of the wished types."""
    addresses = None if reader is None else frozenset(reader.split())

    assert is_for(event, addresses, None if types is None else frozenset(types)) == is_shown


@pytest.mark.parametrize(
    ("topic", "is_shown"), [(None, True), ("", True), ("deploy", True), (" Deploy ", True), ("deploys", False)]
)
def test_event_is_of_its_topic(topic: str | None, is_shown: bool) -> None:
    """A topic is looked up as messages have it, and an event without one is of none."""
    event = FOR_ANNA._replace(data={"message_id": "m", "topic": "deploy"})
    wanted = parse_topic(topic)

    assert is_for(event, None, None, wanted) == is_shown
    assert is_for(FOR_ALL, None, None, wanted) == (wanted is None)


def test_event_on_the_wire_is_a_superset_in_order() -> None:
    """The type's own fields and the common ones, sorted by name."""
    fields = on_the_wire(FOR_ALL, ProjectName("demo"), "anna")

    assert list(fields) == sorted(fields)
    assert fields == {
        "agent_id": "x",
        "created_at": "2026-07-22T10:00:00Z",
        "cursor": 1,
        "path_pattern": "a",
        "project": "demo",
        "type": "reservation.created",
    }


def test_event_repeats_the_address_that_the_reader_used() -> None:
    """An addressed event names the reader as it asked; a stream of the whole project tells no address."""
    assert on_the_wire(FOR_ANNA, ProjectName("demo"), "anna")["agent"] == "anna"
    assert "agent" not in on_the_wire(FOR_ANNA, ProjectName("demo"), None)


NAMES = st.sampled_from(["data", "entity_id", "targets", "patterns", "findings", "reason", "orphaned"])
VALUES = st.integers(0, 40_000).map("é".__mul__) | st.lists(st.integers(0, 99), max_size=9).map(
    lambda each: each * 2000
)


@given(data=st.dictionaries(NAMES, VALUES, max_size=5))
def test_short_event_fits_and_says_what_it_lacks(data: dict[str, Any]) -> None:
    """With the longest project and address it is within the bound; it lacks its largest fields alone, and names them."""
    event = FOR_ANNA._replace(cursor=2**62, data=data)

    fields = on_the_wire(shortened(event), ProjectName("𝄞" * PROJECT_NAME_CHARS_MAX), "𝄞" * limits.ADDRESS_CHARS_MAX)

    left_out = set(fields.get("left_out", []))
    assert len(msgspec.json.encode(fields)) + 1 <= limits.SHORT_EVENT_BYTES_MAX
    assert {name: fields[name] for name in data if name not in left_out} == {
        name: value for name, value in data.items() if name not in left_out
    }
    assert left_out <= set(data)
    kept = [len(value) for name, value in data.items() if name not in left_out]
    assert not left_out or all(len(data[name]) * 4 >= max(kept, default=0) for name in left_out)


@pytest.mark.parametrize(("chars", "is_whole"), [(30_700, True), (30_710, True), (30_711, False), (40_000, False)])
def test_short_event_is_whole_while_it_fits(chars: int, is_whole: bool) -> None:
    """The bound is exact for the longest names of project and reader: one character more, and the field is left out."""
    event = FOR_ALL._replace(data={"data": "x" * chars})

    assert (shortened(event) == event) == is_whole


def test_event_cannot_forge_the_common_fields() -> None:
    """Data of an event never covers its cursor, its type or its project."""
    forged = FOR_ALL._replace(data={"cursor": 99, "type": "x", "project": "other", "created_at": "never"})

    fields = on_the_wire(forged, ProjectName("demo"), None)

    assert (fields["cursor"], fields["type"], fields["project"]) == (1, "reservation.created", "demo")


@pytest.mark.parametrize(
    ("text", "types"), [(None, None), ("", None), (" , ", set()), ("a", {"a"}), (" a , b,,a", {"a", "b"})]
)
def test_types_are_a_list_with_commas(text: str | None, types: set[str] | None) -> None:
    """No wish is every type; blanks around names mean nothing."""
    assert parse_types(text) == types


def test_event_types_are_named_by_subject_and_past() -> None:
    """Each name is a subject and what happened to it (style.md 9)."""
    assert all(len(kind.split(".")) == 2 and kind == kind.lower() for kind in EventType)
