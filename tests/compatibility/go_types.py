"""What the original's Go SDK makes of an answer: its types, and the rules by which Go reads JSON into them.

A field is found by its exact name, else in any case; fields that a type does not have are dropped; `null` leaves the zero value;
a value of another type is an error, and the call fails. Source: contract.md 0.3 and appendix A.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from calls import Json

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
UINT64_MAX: Final = 2**64 - 1
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_TIMES: Final = "created_at time, updated_at time"

TYPES: Final = {
    name: dict(field.split(" ") for field in fields.split(", "))
    for name, fields in {
        "Agent": (
            "agent_id string, session_id string, name string, project string, capabilities []string, metadata map, "
            "status string, last_seen string, created_at string"
        ),
        "Agents": "agents []Agent",
        "Sent": "message_id string, cursor uint",
        "Message": (
            "id string, thread_id string, project string, from string, to []string, cc []string, bcc []string, "
            "subject string, body string, importance string, ack_required bool, created_at string, cursor uint"
        ),
        "Inbox": "messages []Message, cursor uint",
        "ThreadSummary": (
            "thread_id string, last_cursor uint, message_count int, last_from string, last_body string, last_at string"
        ),
        "Threads": "threads []ThreadSummary, cursor uint",
        "Thread": "thread_id string, messages []Message, cursor uint",
        "Counts": "total int, unread int",
        "StaleAck": (
            "id string, thread_id string, project string, from string, to []string, subject string, body string, "
            "created_at string, kind string, read_at *string, age_seconds int"
        ),
        "StaleAcks": "project string, agent string, ttl_seconds int, count int, messages []StaleAck",
        "Reservation": (
            "id string, agent_id string, project string, path_pattern string, exclusive bool, reason string, "
            "ttl_minutes int, created_at string, expires_at string, released_at *string, is_active bool"
        ),
        "Reservations": "reservations []Reservation",
        "Spec": (
            "id string, project string, title string, vision string, users string, problem string, status string, "
            f"version int, {_TIMES}"
        ),
        "Epic": (
            "id string, project string, spec_id string, title string, description string, status string, "
            f"version int, {_TIMES}"
        ),
        "Story": (
            "id string, project string, epic_id string, title string, acceptance_criteria []string, status string, "
            f"version int, {_TIMES}"
        ),
        "Task": (
            "id string, project string, story_id string, title string, agent string, session_id string, status string, "
            f"version int, {_TIMES}"
        ),
        "Insight": (
            "id string, project string, spec_id string, source string, category string, title string, body string, "
            "url string, score float, created_at time"
        ),
        "Session": (
            "id string, project string, name string, agent string, task_id string, status string, started_at time, "
            "updated_at time"
        ),
        "Step": "order int, action string, expected string, alternatives []string",
        "CUJ": (
            "id string, spec_id string, project string, title string, persona string, priority string, "
            "entry_point string, exit_point string, steps []Step, success_criteria []string, error_recovery []string, "
            f"status string, version int, {_TIMES}"
        ),
        "Link": "cuj_id string, feature_id string, project string, linked_at time",
        "Event": "type string, project string, entity_id string, data any, created_at time",
    }.items()
}  # fmt: skip
"""The SDK's types: each field with its Go type."""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_PLAIN: Final[dict[str, tuple[object, Callable[[Any], bool]]]] = {  # Any: whatever JSON holds.
    "string": ("", lambda value: isinstance(value, str)),
    "*string": (None, lambda value: isinstance(value, str)),
    "bool": (False, lambda value: isinstance(value, bool)),
    "int": (0, _is_whole),
    "uint": (0, lambda value: _is_whole(value) and 0 <= value <= UINT64_MAX),
    "float": (0.0, lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)),
    "time": (ZERO_TIME, lambda value: isinstance(value, str) and _RFC3339.fullmatch(value) is not None),
    "map": (None, lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values())),
    "any": (None, lambda _: True),
}
"""Go's plain types: the zero value, and what may be read into it."""


WILDCARDS: Final = ("<id>", "<time>", -1)
"""What stands in a wanted answer for any id, any time that is set, and any cursor."""


def read(kind: str, value: Any, *, is_wanted: bool = False) -> Any:  # Any: whatever JSON holds.
    """Return what the SDK has after decoding a value into one of its types; fail where Go would.

    Where it is not an answer but what is wanted as one, it may have wildcards.
    """
    if kind in _PLAIN:
        zero, may_be_read = _PLAIN[kind]
        may_pass = value is None or may_be_read(value) or (is_wanted and value in WILDCARDS)
        assert may_pass, f"Go cannot read {value!r} into {kind}"
        return zero if value is None else value
    if kind.startswith("[]"):
        assert value is None or isinstance(value, list), f"Go cannot read {value!r} into {kind}"
        return None if value is None else [read(kind[2:], each, is_wanted=is_wanted) for each in value]
    assert value is None or isinstance(value, dict), f"Go cannot read {value!r} into {kind}"
    fields = TYPES[kind]
    named: Json = {}
    for name, each in (value or {}).items():
        field = name if name in fields else next((known for known in fields if known == name.lower()), None)
        if field is not None:
            named[field] = each
    return {field: read(of, named.get(field), is_wanted=is_wanted) for field, of in fields.items()}


def differences(wanted: Any, found: Any, where: str = "") -> list[str]:  # Any: whatever `read` returns.
    """Return where an answer is not what is wanted, which may have wildcards."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        both = sorted({*wanted, *found})
        return [each for name in both for each in differences(wanted.get(name), found.get(name), f"{where}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [each for number, (one, other) in pairs for each in differences(one, other, f"{where}[{number}]")]
    match wanted:
        case "<id>":
            is_good = isinstance(found, str) and found != ""
        case "<time>":
            is_good = isinstance(found, str) and found != ZERO_TIME and _RFC3339.fullmatch(found) is not None
        case -1:
            is_good = _is_whole(found) and found > 0
        case _:
            is_good = type(wanted) is type(found) and wanted == found
    return [] if is_good else [f"{where}: {found!r} and not {wanted!r}"]
