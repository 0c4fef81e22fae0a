"""The headers Idempotency-Key and If-Reservation-Token: which operations take them, and how they are read."""

import re
from collections.abc import Mapping
from typing import Any, Final

from intermute.core import fences, limits
from intermute.core.errors import InvalidRequest
from intermute.core.fences import HeldFence, read_fences
from intermute.core.once import HEADER, REPEATED_HEADER, Once, Reply
from intermute.core.operations import Operation
from intermute.project.handlers.table import COMMANDS
from intermute.web.answer import Answer, Call
from intermute.web.auth import Principal
from intermute.web.showing import shown

PATTERN: Final = "^[!-~]+$"
_VISIBLE: Final = re.compile("[!-~]+")
_HEADER: Final = HEADER.lower()
_FENCES: Final = fences.HEADER.lower()
_REPEATED: Final[Mapping[str, str]] = {REPEATED_HEADER: "true"}


def takes_key(operation: Operation) -> bool:
    """Tell whether the headers mean something to an operation: to whatever changes the project."""
    return operation.input in COMMANDS


def once_of(operation: Operation, call: Call, question: Any, principal: Principal) -> Once | None:
    """Return how a call is applied once, or None where it has no key, or nothing to apply. Any: the operation's input.

    Raises: InvalidRequest.
    """
    keys = [value.strip() for name, value in call.headers if name == _HEADER]
    if not keys or not takes_key(operation):
        return None
    if len(keys) > 1:
        raise InvalidRequest([(HEADER, "came twice: send one key")])
    key = keys[0]
    if len(key) > limits.IDEMPOTENCY_KEY_CHARS_MAX or not _VISIBLE.fullmatch(key):
        most = limits.IDEMPOTENCY_KEY_CHARS_MAX
        raise InvalidRequest([(HEADER, f"has 1 to {most} visible ASCII characters, a random UUID for example")])

    def render(view: Any) -> Reply:  # Any: the operation's view.
        answer = shown(operation, question, view)
        return Reply(answer.status, answer.body, answer.headers)

    return Once.of(key, principal.caller, question, render)


def fences_of(operation: Operation, call: Call) -> tuple[HeldFence, ...]:
    """Return the fences that have to hold for a call to be applied. Raises: InvalidRequest."""
    values = [value for name, value in call.headers if name == _FENCES] if takes_key(operation) else []
    return read_fences(values) if values else ()


def sent(reply: Reply) -> Answer:
    """Return a reply as it goes out."""
    return Answer(reply.status, reply.body, {**reply.headers, **(_REPEATED if reply.is_repeat else {})})
