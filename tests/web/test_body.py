"""Strict JSON bodies: one meaning, bounded cost (guarantees.md T11, G13)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core import limits
from intermute.core.errors import InvalidRequest, MalformedJson
from intermute.core.operations import OPERATIONS
from intermute.web.body import json_object

UPLOAD = next(each for each in OPERATIONS if each.name == "UploadSymbols")


def refused(body: str | bytes, **options: Any) -> str:
    """Return why a body is refused."""
    with pytest.raises(MalformedJson) as found:
        json_object(body if isinstance(body, bytes) else body.encode(), **options)
    return found.value.problem


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '{"a":[{"b":1},{"c":1,"c":1}]}', '{"a":1,"\\u0061":2}', '{"":1,"":1}',
        '{"x":"::::","a":1,"a":1}', '{"a":null,"a":null}',
    ],
)  # fmt: skip
def test_name_that_comes_twice_is_refused(body: str) -> None:
    """Of two equal names one reader takes the first and another the last, so neither is taken."""
    assert "comes twice" in refused(body)


@pytest.mark.parametrize("body", ['{"a":1,"b":{"a":1}}', '{"a":"b:c","b":":::"}', '{"a":1,"A":2}', '[{"a":1},{"a":1}]'])
def test_name_in_two_objects_is_no_repetition(body: str) -> None:
    """Control: the same name in two objects, colons in texts, and another case are no repetition."""
    assert json_object(b'{"x":' + body.encode() + b"}") == {"x": json.loads(body)}


def test_parser_alone_would_take_the_last_one() -> None:
    """Control: msgspec drops the first of two equal names without a word."""
    assert msgspec.json.decode(b'{"a":1,"a":2}') == {"a": 2}


@pytest.mark.parametrize(("number", "is_good"), [(2**53 - 2, True), (2**53 - 1, True), (2**53, False), (2**63, False)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("template", ['{"a":%d}', '{"a":[[%d]]}', '{"a":{"b":[{"c":%d}]}}'])
def test_integers_are_those_that_every_reader_has(template: str, sign: int, number: int, is_good: bool) -> None:
    """Up to 2^53 - 1 either way, wherever they stand."""
    body = template % (sign * number)

    if is_good:
        assert json_object(body.encode()) == json.loads(body)
    else:
        with pytest.raises(InvalidRequest) as found:
            json_object(body.encode())
        assert [field for field, _ in found.value.problems] == ["a"]


def test_every_field_with_a_large_number_is_named() -> None:
    """One refusal for all of them, at most twenty, and the sound ones are not in it."""
    large, many = {"a": 2**60, "b": 1, "c": [{"d": -(2**60)}]}, {f"f{number}": 2**60 for number in range(1000)}

    for body, count in ((large, 2), (many, 20)):
        with pytest.raises(InvalidRequest) as found:
            json_object(json.dumps(body).encode())
        assert len(found.value.problems) == count


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize(("spare", "is_good"), [(-1, True), (0, True), (1, False)])
def test_depth_limit_is_exact(opening: str, spare: int, is_good: bool) -> None:
    """32 levels are read, 33 are not, whether of arrays or of objects."""
    inner = limits.BODY_DEPTH_MAX - 1 + spare
    body = '{"x":' + opening * inner + ("" if opening == "[" else "1") + ("]" if opening == "[" else "}") * inner + "}"

    if is_good:
        assert json_object(body.encode()) == json.loads(body)
    else:
        assert "nested too deeply" in refused(body)


@pytest.mark.parametrize(("spare", "is_good"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("limit", [limits.BODY_VALUES_MAX, UPLOAD.values_max])
def test_limit_of_values_is_exact(limit: int, spare: int, is_good: bool) -> None:
    """As many values as the limit are read, one more is not; the list that holds them counts as well."""
    body = json.dumps({"a": [0] * (limit - 1 + spare)}).encode()

    if is_good:
        assert len(json_object(body, values_max=limit)) == 1
    else:
        assert "values" in refused(body, values_max=limit)


def test_largest_upload_of_symbols_fits() -> None:
    """What the limits of an upload allow is within the limit of values, with every field of every symbol and call."""
    symbol, call = (dict.fromkeys(range(4)), dict.fromkeys(range(6)))
    files = limits.UPLOAD_FILES_MAX * (1 + 5)
    values = files + limits.UPLOAD_SYMBOLS_MAX * (1 + len(symbol)) + limits.UPLOAD_CALLS_MAX * (1 + len(call)) + 4

    assert values <= UPLOAD.values_max


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_sound_object_is_read_as_it_is(value: dict[str, Any]) -> None:
    """Whatever another writer makes of an object is read back the same, colons and escapes in it or not."""
    assert json_object(json.dumps(value).encode()) == value
