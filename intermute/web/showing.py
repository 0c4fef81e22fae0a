"""From a view to an answer: status, body and headers as the operation's row has them."""

from typing import Any

import msgspec

from intermute.core.api.entities import NAME_OF_CURSOR, ORPHANED_HEADER
from intermute.core.operations import Operation
from intermute.web.answer import NO_CONTENT, PLAIN_TYPE, Answer


def shown(
    operation: Operation, question: Any, view: Any, *, as_text: bool = False
) -> Answer:  # Any: the operation's input and its view.
    """Return the answer that tells of a view; `as_text` means something where the operation has a second form."""
    is_sdk = operation.sdk_status is not None and question.id == ""
    status = (
        operation.sdk_status
        if is_sdk and operation.sdk_status
        else dict(operation.others).get(type(view), operation.status)
    )
    if status == NO_CONTENT:
        return Answer(status, b"", {ORPHANED_HEADER: str(view.orphaned)} if view.orphaned else {})
    if operation.bare is not None:
        more = {} if view.next_cursor is None else {NAME_OF_CURSOR: view.next_cursor}
        return Answer(status, msgspec.json.encode(getattr(view, operation.bare)) + b"\n", more)
    if operation.text is None:
        return Answer(status, msgspec.json.encode(view) + b"\n")
    if as_text:
        body = operation.text(question, view).encode()
        return Answer(status, body, {"Vary": "Accept"}, f"{PLAIN_TYPE}; charset=utf-8")
    return Answer(status, msgspec.json.encode(view) + b"\n", {"Vary": "Accept"})
