"""The structs of the original's Go SDK, and Go's JSON: fields in the order of the struct, zero times always there.

Answers are read as strictly as Go reads them: a time must be RFC 3339 with a zone, a value must be of the field's type, `null`
and unknown fields are fine. Source: contract.md 0.3, 9 and appendix A.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

Json = Any  # Any: whatever JSON holds.
ZERO_TIME: Final = "0001-01-01T00:00:00Z"

_GO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_ESCAPED: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class SdkError(Exception):
    """What the SDK returns: "<op> failed: <status>", "not found" or ErrConflict."""


class Time:
    """A field of Go's time.Time."""


SPEC: Final = {"id": str, "project": str, "title": str, "vision": str, "users": str, "problem": str, "status": str,
               "version": int, "created_at": Time, "updated_at": Time}  # fmt: skip
ENTITIES: Final[dict[str, dict[str, Any]]] = {
    "specs": SPEC,
    "epics": {"id": str, "project": str, "spec_id": str, "title": str, "description": str, "status": str, "version": int,
              "created_at": Time, "updated_at": Time},
    "stories": {"id": str, "project": str, "epic_id": str, "title": str, "acceptance_criteria": [str], "status": str,
                "version": int, "created_at": Time, "updated_at": Time},
    "tasks": {"id": str, "project": str, "story_id": str, "title": str, "agent": str, "session_id": str, "status": str,
              "version": int, "created_at": Time, "updated_at": Time},
    "insights": {"id": str, "project": str, "spec_id": str, "source": str, "category": str, "title": str, "body": str,
                 "url": str, "score": float, "created_at": Time},
    "sessions": {"id": str, "project": str, "name": str, "agent": str, "task_id": str, "status": str, "started_at": Time,
                 "updated_at": Time},
    "cujs": {"id": str, "spec_id": str, "project": str, "title": str, "persona": str, "priority": str, "entry_point": str,
             "exit_point": str, "steps": [{"order": int, "action": str, "expected": str, "alternatives": [str]}],
             "success_criteria": [str], "error_recovery": [str], "status": str, "version": int, "created_at": Time,
             "updated_at": Time},
}  # fmt: skip
"""The structs of the entities, in the order of contract.md 9."""
ALWAYS_SENT: Final = frozenset(
    {"project", "title", "status", "source", "category", "score", "name", "agent", "epic_id", "spec_id", "priority"}
)
"""Fields of entities that have no omitempty; as with times, their zero values are sent."""
LINK: Final = {"cuj_id": str, "feature_id": str, "project": str, "linked_at": Time}
AGENT: Final = {"agent_id": str, "session_id": str, "name": str, "project": str, "capabilities": [str], "metadata": {str: str},
                "status": str, "last_seen": Time, "created_at": Time}  # fmt: skip
MESSAGE: Final = {"id": str, "thread_id": str, "project": str, "from": str, "to": [str], "cc": [str], "bcc": [str],
                  "subject": str, "body": str, "importance": str, "ack_required": bool, "created_at": Time,
                  "cursor": int}  # fmt: skip
RESERVATION: Final = {"id": str, "agent_id": str, "project": str, "path_pattern": str, "exclusive": bool, "reason": str,
                      "ttl_minutes": int, "created_at": Time, "expires_at": Time, "released_at": Time,
                      "is_active": bool}  # fmt: skip
THREAD: Final = {
    "thread_id": str,
    "last_cursor": int,
    "message_count": int,
    "last_from": str,
    "last_body": str,
    "last_at": Time,
}
STALE: Final = {"id": str, "thread_id": str, "from": str, "to": [str], "body": str, "kind": str, "created_at": Time,
                "read_at": Time, "age_seconds": int}  # fmt: skip


def marshal(value: Json) -> bytes:
    """Return JSON as Go's encoding/json writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "".join(_ESCAPED.get(each, each) for each in text).encode()


def unmarshal(text: bytes, shape: Any, where: str = "$") -> Json:  # Any: a struct's fields, or the type of one.
    """Return what Go makes of an answer. Raises: SdkError, where it would refuse it."""
    return _checked(json.loads(text), shape, where)


def _checked(value: Json, shape: Any, where: str) -> Json:  # Any: as above.
    if value is None:
        return None
    match shape:
        case dict() if str in shape:
            return {name: _checked(each, shape[str], f"{where}.{name}") for name, each in value.items()}
        case dict():
            if not isinstance(value, dict):
                raise SdkError(f"cannot unmarshal {value!r} into a struct at {where}")
            return {name: _checked(value.get(name), each, f"{where}.{name}") for name, each in shape.items()}
        case [inner]:
            if not isinstance(value, list):
                raise SdkError(f"cannot unmarshal {value!r} into a slice at {where}")
            return [_checked(each, inner, f"{where}[]") for each in value]
    is_fine = (
        isinstance(value, str) and _GO_TIME.fullmatch(value) is not None if shape is Time
        else isinstance(value, (int, float)) and not isinstance(value, bool) if shape is float
        else type(value) is shape
    )  # fmt: skip
    if not is_fine:
        raise SdkError(f"cannot unmarshal {value!r} into {shape.__name__} at {where}")
    return value


def struct(shape: Mapping[str, Any], always: frozenset[str], **given: Json) -> dict[str, Json]:  # Any: as unmarshal.
    """Return an object of a Go struct: its fields in order, zero values left out unless they have no omitempty."""
    assert set(given) <= set(shape), set(given) - set(shape)
    zero = {str: "", int: 0, float: 0, bool: False, Time: ZERO_TIME}
    found = {}
    for name, kind in shape.items():
        if name in given:
            found[name] = given[name]
        elif kind is Time or name in always:
            found[name] = None if isinstance(kind, (list, dict)) else zero[kind]
    return found
