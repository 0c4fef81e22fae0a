"""Reading the original's cells: times, JSON and texts become what a request could have said, or are told of."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.entities.kinds import CUJ, SPEC
from intermute.core.ids import Micros, ProjectName, mint_id
from intermute.core.original.agents import agent_of
from intermute.core.original.entities import entity_of, link_of
from intermute.core.original.messages import message_of
from intermute.core.original.reservations import OVER, reservation_of
from intermute.core.original.rows import Cell, LeftOut, Row, Times, instant

FIRST, LAST = datetime(1970, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone.
NOW_US = Micros(1_784_714_400_000_000)
AGENT = {"id": "a1", "name": "anna", "last_seen": "2026-07-01T10:00:00Z", "created_at": "2026-07-01T09:00:00Z"}
MESSAGE = {
    "message_id": "m1",
    "from_agent": "a1",
    "to_json": '["b1"]',
    "body": "hi",
    "created_at": "2026-07-01T10:00:00Z",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1970-01-01T01:00:00+01:00", 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("1970-01-01 00:00:00Z", None),
        ("1970-01-01T00:00:00", None),
        ("1970-13-01T00:00:00Z", None),
        ("", None),
    ],
)
def test_instant_reads_what_go_prints_and_nothing_else(text: str, expected: int | None) -> None:
    """RFC 3339 with a zone and up to nine digits; the rest of a microsecond is cut."""
    assert instant(text) == expected


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)), st.integers(0, 999))
def test_instant_reads_every_time(at: datetime, nanos: int) -> None:
    """Whatever Go prints of an instant comes back to the microsecond, trimmed zeros or not."""
    digits = f"{at.microsecond:06d}{nanos:03d}".rstrip("0")
    text = at.strftime(f"%Y-%m-%dT%H:%M:%S{'.' * bool(digits)}{digits}Z").rjust(len("1970-01-01T00:00:00Z"), "0")

    assert instant(text) == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "expected", "is_noted"),
    [
        ("2026-07-01T10:00:00Z", 1_782_900_000_000_000, False),
        ("0001-01-01T00:00:00Z", None, False),
        ("", None, False),
        ("yesterday", None, True),
        ("1969-12-31T23:59:59Z", None, True),
        ("2099-01-01T00:00:00Z", NOW_US, True),
    ],
)
def test_times_that_make_no_sense_count_as_not_set(text: str, expected: int | None, is_noted: bool) -> None:
    """The zero time is no time; what else cannot be is noted; nothing happened in the future."""
    times = Times(NOW_US)

    assert times.read(Row({"t": text}), "t") == expected
    assert bool(times.notes) is is_noted


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"message_id": ""}, "no id"),
        ({"to_json": "[]"}, "nobody is left"),
        ({"to_json": "null"}, "nobody is left"),
        ({"to_json": '{"a":1}'}, "not a list"),
        ({"to_json": "[1]"}, "not a list"),
        ({"to_json": '["b1"'}, "not JSON"),
        ({"to_json": "[" * 5000}, "not JSON"),
        ({"from_agent": ""}, "from"),
        ({"from_agent": "a\nb"}, "one line"),
        ({"body": "x" * (256 * 1024 + 1)}, "body"),
        ({"thread_id": "t" * 257}, "thread_id"),
        ({"subject": "a\x00b"}, "subject"),
    ],
)
def test_message_that_no_request_could_send_is_left_out(cells: dict[str, Cell], reason: str) -> None:
    """Each rule of the request holds, and the reason names the field."""
    with pytest.raises(LeftOut, match=reason):
        message_of(Row({**MESSAGE, **cells}), [], NOW_US)


def test_message_at_its_limits_is_taken() -> None:
    """Control: one character less is fine, and `null` or the empty text in a list is nobody."""
    found = message_of(Row({**MESSAGE, "body": "x" * 256 * 1024, "cc_json": '[null, "", "c1"]'}), [], NOW_US)

    assert (found.asked.to, found.asked.cc) == (["b1"], ["c1"])


def test_broken_cell_leaves_its_row_out() -> None:
    """What is not text in UTF-8 is said of the column that has it."""
    with pytest.raises(LeftOut, match="body is not text"):
        message_of(Row({**MESSAGE, "body": None}, frozenset({"body"})), [], NOW_US)


def test_agent_is_taken_whatever_is_wrong_with_what_it_says_of_itself() -> None:
    """Name, session, lists and metadata that cannot be are replaced and noted; the id stays."""
    cells: dict[str, Cell] = {
        "name": "x" * 2000,
        "session_id": "main",
        "capabilities_json": "{}",
        "metadata_json": '{"a":1}',
        "status": "a\nb",
    }

    found = agent_of(Row({**AGENT, **cells}, frozenset({"token"})), NOW_US)

    assert (found.id, found.asked.name, found.session_id, found.token) == ("a1", None, None, None)
    assert (found.asked.capabilities, found.asked.metadata, found.asked.status) == (None, None, None)
    assert len(found.notes) == 5


@pytest.mark.parametrize("agent_id", ["", " ", "a\tb", "x" * 257, mint_id(ProjectName("p"), lambda _bits: 5)])
def test_agent_without_an_id_of_ours_is_left_out(agent_id: str) -> None:
    """An id must be an address, and must not pretend to have been made here."""
    with pytest.raises(LeftOut, match="id"):
        agent_of(Row({**AGENT, "id": agent_id}), NOW_US)


def test_entity_keeps_version_and_times() -> None:
    """The version is what its clients hold; a time that is not set is left to the import."""
    cells: dict[str, Cell] = {
        "id": "s1",
        "title": "V2",
        "version": 3,
        "created_at": "2026-07-01T10:00:00Z",
        "updated_at": "0001-01-01T00:00:00Z",
    }

    found = entity_of(SPEC, Row(cells), NOW_US)

    assert (found.version, found.made_at_us, found.asked.updated_at) == (3, 1_782_900_000_000_000, None)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"id": "/"}, "no id"),
        ({"title": "x" * 1025}, "title"),
        ({"steps_json": '[{"order":"one"}]'}, "steps"),
        ({"steps_json": '[{"actoin":"open"}]'}, "actoin"),
        ({"success_criteria_json": '"a"'}, "success_criteria"),
    ],
)
def test_entity_that_no_request_could_make_is_left_out(cells: dict[str, Cell], reason: str) -> None:
    """Each rule of the request holds, inside steps as well."""
    with pytest.raises(LeftOut, match=reason):
        entity_of(CUJ, Row({"id": "c1", "title": "X", **cells}), NOW_US)


@pytest.mark.parametrize("version", [0, -1, 2**40, None])
def test_senseless_version_is_the_first(version: int | None) -> None:
    """A version counts changes; what cannot be one begins anew."""
    assert entity_of(SPEC, Row({"id": "s", "title": "t", "version": version}), NOW_US).version == 1


def test_link_without_a_feature_is_left_out() -> None:
    """A link names a feature."""
    with pytest.raises(LeftOut):
        link_of(Row({"cuj_id": "c1", "feature_id": ""}), NOW_US)


def reservation(**cells: Cell) -> Row:
    """Return a reservation that has an hour left."""
    return Row({
        "id": "r1", "agent_id": "a1", "path_pattern": "src/**", "exclusive": 1, "created_at": "2026-07-22T09:00:00Z",
        "expires_at": "2026-07-22T11:00:00Z", **cells,
    })  # fmt: skip


@pytest.mark.parametrize(
    "cells",
    [
        {"released_at": "2026-07-22T09:30:00Z"},
        {"expires_at": "2026-07-22T10:00:00Z"},
        {"expires_at": ""},
        {"expires_at": "soon"},
    ],
)
def test_reservation_that_is_over_is_left_out(cells: dict[str, Cell]) -> None:
    """Released, out of time at this very moment, or without an end: it stands no more."""
    with pytest.raises(LeftOut, match=OVER):
        reservation_of(reservation(**cells), NOW_US)


def test_reservation_keeps_its_end() -> None:
    """It runs from its old beginning to its old end, and a day from now at the most."""
    found = reservation_of(reservation(), NOW_US)
    long = reservation_of(reservation(expires_at="2099-01-01T00:00:00Z"), NOW_US)

    assert (found.ttl_s, found.created_at_us) == (7200, NOW_US - 3_600_000_000)
    assert long.created_at_us + long.ttl_s * 1_000_000 == NOW_US + 86_400_000_000
    assert long.notes


_CELLS = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=40),
    st.sampled_from(["null", "[]", "{}", "[null]", '["a"]', '{"a":"b"}', "0001-01-01T00:00:00Z", "\x00", "é" * 300]),
    st.text(string.printable, max_size=12).map(lambda text: f'["{text}"]'),
)  # fmt: skip
_ROWS = st.dictionaries(
    st.sampled_from([
        "id", "message_id", "name", "session_id", "token", "from_agent", "to_json", "cc_json", "body", "created_at",
        "last_seen", "capabilities_json", "metadata_json", "title", "version", "steps_json", "path_pattern", "expires_at",
        "agent_id", "score",
    ]),
    _CELLS,
)  # fmt: skip


@given(_ROWS)
def test_any_row_is_read_or_left_out(cells: dict[str, Cell]) -> None:
    """Whatever SQLite can hold, reading it ends in a record or in a reason, never in a crash."""
    row = Row(cells)

    for read in (
        lambda: agent_of(row, NOW_US),
        lambda: message_of(row, [row], NOW_US),
        lambda: entity_of(CUJ, row, NOW_US),
        lambda: entity_of(SPEC, row, NOW_US),
        lambda: reservation_of(row, NOW_US),
        lambda: link_of(row, NOW_US),
    ):
        try:
            read()
        except LeftOut as left_out:
            assert left_out.reason
