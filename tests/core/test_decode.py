"""Strict decoding at the border: every bad field named at once, and what old clients send accepted (contract.md 0.2)."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import raises

from intermute.core.errors import DomainError, InvalidRequest, MalformedJson
from intermute.core.operations import OPERATIONS, Operation
from intermute.web.decode import _at_once, _field_by_field, decode, fields_of


def operation(name: str) -> Operation:
    """Return the operation of this name."""
    return next(each for each in OPERATIONS if each.name == name)


def decoded(
    name: str, body: bytes | str = b"", *, query: Sequence[tuple[str, str]] = (), **path: str
) -> Any:  # Any: the input of that operation.
    """Decode one call."""
    return decode(operation(name), path, query, body if isinstance(body, bytes) else body.encode())


def problems(
    name: str, body: bytes | str = b"", *, query: Sequence[tuple[str, str]] = (), **path: str
) -> dict[str, str]:
    """Return what is wrong with a call, by field."""
    with raises(InvalidRequest) as refused:
        decoded(name, body, query=query, **path)
    return dict(refused.value.problems)


def test_decode_names_every_bad_field_at_once() -> None:
    """One refusal for all mistakes, the missing fields included."""
    found = problems("SendMessage", '{"to": [], "body": 5, "importance": "a\\nb", "subjekt": "x"}')

    assert set(found) == {"from", "to", "body", "importance", "subjekt"}
    assert found["from"] == "is required"
    assert "subject" in found["subjekt"]


def test_decode_null_is_absent() -> None:
    """`null` for any field is as good as leaving it out (contract.md 0.2)."""
    assert decoded("SendMessage", '{"from": "a", "to": ["b"], "cc": null, "body": null}').cc is None
    assert problems("SendMessage", '{"from": null, "to": ["b"]}') == {"from": "is required"}


def test_decode_refuses_a_field_in_two_spellings() -> None:
    """Of two spellings of one field neither is taken: otherwise the order of names would decide (guarantees.md T11)."""
    for body in ('{"from": "a", "to": ["b"], "From": "c"}', '{"FROM": "a", "to": ["b"], "from": "a"}'):
        assert set(problems("SendMessage", body)) == {"from"}


def test_decode_names_match_in_any_case() -> None:
    """As Go's decoder does it."""
    assert decoded("SendMessage", '{"FROM": "a", "To": ["b"]}').sender == "a"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"path_pattern": 5}', "path_pattern"),
        ('{"exclusive": "true"}', "exclusive"),
        ('{"exclusive": 1}', "exclusive"),
        ('{"ttl_minutes": "5"}', "ttl_minutes"),
        ('{"ttl_minutes": 1.5}', "ttl_minutes"),
        ('{"ttl_minutes": 1e30}', "ttl_minutes"),
        ('{"patterns": "a"}', "patterns"),
        ('{"patterns": {"a": 1}}', "patterns"),
        ('{"agent_id": " "}', "agent_id"),
        ('{"agent_id": "a\\u0000"}', "agent_id"),
    ],
)
def test_decode_takes_no_wrong_type(body: str, field: str) -> None:
    """A number is no text and a text is no flag: nothing is guessed (T25)."""
    assert set(problems("Reserve", body)) == {field}


def test_decode_unknown_field_is_refused_with_the_nearest() -> None:
    """A mistyped `exclusive` must not pass silently (design.md 9)."""
    assert problems("Reserve", '{"exclusiv": false}') == {
        "exclusiv": "is not a field of this operation; did you mean 'exclusive'?"
    }


def test_decode_fields_of_the_originals_client_pass() -> None:
    """Whole objects of its SDK are accepted, and ignored where they mean nothing."""
    common = '"id":"","agent_id":"a","project":"p","created_at":"0001-01-01T00:00:00Z"'
    body = f'{{{common},"path_pattern":"x","exclusive":true,"expires_at":"0001-01-01T00:00:00Z","is_active":false}}'

    assert decoded("Reserve", body).path_pattern == "x"


@pytest.mark.parametrize("body", ["", "   ", "[]", "5", '"x"', "{", '{"a":1} x', "{'a':1}", '{"a":NaN}', "[" * 100_000])
def test_decode_what_is_no_object_is_malformed(body: str) -> None:
    """One JSON object, or 400 with the reason; depth is no way to crash (T11)."""
    with raises(MalformedJson):
        decoded("Reserve", body)


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"reason": "\xff"}', b'{"reason": "\\ud800"}'])
def test_decode_half_characters_are_malformed(body: bytes) -> None:
    """Nothing that is not UTF-8, and no half of a surrogate pair, gets behind the border."""
    with raises(DomainError):
        decoded("Reserve", body)


def test_decode_query_reads_numbers_and_flags() -> None:
    """In a query everything is text: numbers and flags are read, an empty value is absent, the first one counts."""
    query = [("limit", "5"), ("limit", "7"), ("active", "true"), ("cursor", "")]

    found = decoded("ListReservations", query=query)

    assert (found.limit, found.active, found.cursor) == (5, True, None)


def test_decode_query_of_the_original_is_lenient() -> None:
    """A cursor that is no number counts as none, where the original did so (contract.md 1.3)."""
    assert decoded("Inbox", query=[("since_cursor", "abc"), ("limit", "x")], agent="a").since_cursor is None


def test_decode_query_of_ours_is_strict() -> None:
    """A field of ours that cannot be read is refused by name."""
    assert set(problems("ListReservations", query=[("limit", "x"), ("cursor", "-1")])) == {"limit", "cursor"}


def test_decode_body_fields_do_not_come_in_the_query() -> None:
    """A command's fields belong into its body, but the addressing ones may be in the query as well."""
    assert set(problems("Reserve", "{}", query=[("path_pattern", "a")])) == {"path_pattern"}
    assert decoded("Reserve", "{}", query=[("agent_id", "anna")]).agent_id == "anna"


def test_decode_body_may_be_missing_where_it_says_nothing() -> None:
    """A heartbeat needs no body."""
    assert decoded("Heartbeat", b"", agent="anna").focus_state is None


@given(st.binary(max_size=200))
def test_decode_never_fails_but_by_refusing(body: bytes) -> None:
    """Whatever bytes come, the answer is an input or a refusal (G22)."""
    for each in OPERATIONS:
        if each.takes_body:
            with suppress(DomainError):
                decode(each, {}, [], body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_decode_takes_any_json_for_any_field_or_refuses(data: st.DataObject) -> None:
    """Every field of every operation with any JSON value: an input or a refusal, whose text names the field."""
    chosen = data.draw(st.sampled_from([each for each in OPERATIONS if each.takes_body]))
    names = sorted(field.encode_name for field in msgspec.structs.fields(chosen.input))
    values = data.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=3))

    try:
        decode(chosen, {}, [], msgspec.json.encode(values))
    except InvalidRequest as refused:
        assert all(field in refused.message for field, _ in refused.problems)


def test_decode_names_the_near_field_inside_a_list() -> None:
    """What is wrong inside an object of a list is told with its place and what would be right."""
    found = problems("Reserve", '{"targets": [{"path": "a"}, {"pth": "b"}]}')

    assert found == {"targets": "'pth' is not a field of this operation; did you mean 'path'? at [1]"}


def test_decode_lists_the_choices_of_a_word() -> None:
    """A word out of a short list is refused with the list."""
    assert problems("Reserve", '{"on_conflict": "maybe"}') == {"on_conflict": "use one of reject, grant, wait"}


def test_decode_names_the_near_field_however_deep() -> None:
    """The choices are those of the object in which the field stands, not of the one around it."""
    found = problems("UploadSymbols", '{"commit": "c", "files": [{"path": "a", "calls": [{"too": "f"}]}]}')

    assert "did you mean 'to'? at [0].calls[0]" in found["files"]


SAMPLES = ("SendMessage", "Reserve", "CheckReservations", "Heartbeat", "RegisterAgent", "ListReservations", "Inbox")
_values = (
    st.none()
    | st.booleans()
    | st.integers(-2, 500)
    | st.sampled_from(["", "a", "exclusive", "5", "true", "src/**", "x" * 2000])
    | st.lists(st.sampled_from(["a", "", None]), max_size=3)
)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]], dict[str, object]]:
    """Draw what a caller of an operation may send: mostly its own fields, in mostly the right types."""
    name = draw(st.sampled_from(SAMPLES))
    names = st.sampled_from([*fields_of(operation(name).input), "Path", "subjekt"])
    query = draw(st.lists(st.tuples(names, st.sampled_from(["", "a", "b", "5", "true"])), max_size=4))
    return name, query, draw(st.dictionaries(names, _values, max_size=6))


@settings(max_examples=400)
@given(_calls())
def test_what_is_read_at_once_is_what_is_read_field_by_field(
    call: tuple[str, list[tuple[str, str]], dict[str, object]],
) -> None:
    """The short way is only short: it gives the same input, or leaves the call to the long one."""
    name, query, body = call
    asked = operation(name)
    given_body = body if asked.takes_body else {}
    path = {each: "some" for each in fields_of(asked.input) if "{" + each in asked.path}

    found = _at_once(asked, path, query, given_body)

    if found is not None:
        assert found == _field_by_field(asked, path, query, given_body)


def test_usual_calls_are_read_at_once() -> None:
    """The control: these do not need the long way."""
    reserve = {"project": "p", "agent_id": "a", "path": "src/a.py", "ttl_minutes": 5, "branch": None}
    assert _at_once(operation("Reserve"), {}, [], reserve) is not None
    assert (
        _at_once(operation("CheckReservations"), {}, [("project", "p"), ("path", "a"), ("agent", "b")], {}) is not None
    )
    assert _at_once(operation("Heartbeat"), {"agent": "a"}, [], {}) is not None
