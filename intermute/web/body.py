"""Strict JSON: one object that means one thing to every reader, and whose cost is bounded before anything looks at it.

Refused: what is no JSON object in UTF-8, a name that comes twice in one object, whole numbers that a double cannot hold, more
levels or more values than any operation has use for. msgspec, which parses, takes the last of two equal names and numbers
of any size. Source: guarantees.md T11, contract.md 0.2.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from intermute.core import limits
from intermute.core.errors import InvalidRequest, MalformedJson


def json_object(body: bytes, *, values_max: int = limits.BODY_VALUES_MAX) -> Mapping[str, object]:
    """Return the object that a body is; `null` is an empty one. Raises: MalformedJson, InvalidRequest."""
    if not body.strip():
        raise MalformedJson("the body is empty")
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise MalformedJson(str(error).removeprefix("JSON is malformed: ")) from None
    except UnicodeDecodeError:
        raise MalformedJson("it is not valid UTF-8") from None
    except RecursionError:
        raise MalformedJson(_TOO_DEEP) from None
    if decoded is None:
        return {}
    if not isinstance(decoded, dict):
        raise MalformedJson(f"it is a {type(decoded).__name__}, not an object")
    names = _check_values(decoded, values_max)
    # Every name is followed by a colon, and a colon may stand in a text as well: only with more of them than names can a
    # name have been dropped. So the second parser, which tells for certain, runs for few bodies.
    if body.count(b":") > names:
        _check_names(body)
    return decoded


def _check_values(decoded: Mapping[str, object], values_max: int) -> int:
    """Check depth, number and size of the values; return how many names there are. Level by level, so nothing recurses."""
    names = values = 0
    level: list[Any] = [decoded]  # Any: whatever JSON holds.
    for _ in range(limits.BODY_DEPTH_MAX):
        inner: list[Any] = []
        for container in level:
            is_object = isinstance(container, dict)
            members = container.values() if is_object else container
            names += len(container) if is_object else 0
            values += len(container)
            for value in members:
                if isinstance(value, (dict, list)):
                    inner.append(value)
                elif isinstance(value, int) and abs(value) > limits.BODY_INTEGER_MAX:
                    raise InvalidRequest([(name, _TOO_LARGE) for name in _with_large_numbers(decoded)])
        if values > values_max:
            raise MalformedJson(f"it has more than {values_max} values; split the work")
        if not inner:
            return names
        level = inner
    raise MalformedJson(_TOO_DEEP)


def _with_large_numbers(decoded: Mapping[str, object]) -> list[str]:
    """Return the fields that hold a number that is too large, wherever in them; the depth was not checked, so no recursion."""
    found = []
    for name, field in decoded.items():
        left: list[Any] = [field]  # Any: whatever JSON holds.
        while left:
            value = left.pop()
            if isinstance(value, dict):
                left.extend(value.values())
            elif isinstance(value, list):
                left.extend(value)
            elif isinstance(value, int) and abs(value) > limits.BODY_INTEGER_MAX:
                found.append(name[:_SHOWN_NAME_CHARS])
                break
        if len(found) >= _FIELDS_MAX:
            break
    return found


def _check_names(body: bytes) -> None:
    def check(pairs: Sequence[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedJson(f"the name {name[:_SHOWN_NAME_CHARS]!r} comes twice in one object")
            seen.add(name)

    json.loads(body, object_pairs_hook=check)


_TOO_DEEP = f"it is nested too deeply: at most {limits.BODY_DEPTH_MAX} levels"
_TOO_LARGE = "is beyond -(2^53-1) to 2^53-1, which not every JSON reader takes for the same number"
_SHOWN_NAME_CHARS = 80
_FIELDS_MAX = 20  # fields named in one refusal; no operation has more that are numbers.
