"""From a view to an answer: status, body and headers as the operation's row has them."""

from typing import Any
from urllib.parse import quote

import msgspec

from intermute.core import limits
from intermute.core.api.entities import NAME_OF_CURSOR, ORPHANED_HEADER, ORPHANED_IDS_HEADER, NoContent
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
        return Answer(status, b"", _orphan_headers(view))
    if operation.bare is not None:
        more = {} if view.next_cursor is None else {NAME_OF_CURSOR: view.next_cursor}
        return Answer(status, msgspec.json.encode(getattr(view, operation.bare)) + b"\n", more)
    if operation.text is None:
        return Answer(status, msgspec.json.encode(view) + b"\n")
    if as_text:
        body = operation.text(question, view).encode()
        return Answer(status, body, {"Vary": "Accept"}, f"{PLAIN_TYPE}; charset=utf-8")
    return Answer(status, msgspec.json.encode(view) + b"\n", {"Vary": "Accept"})


def _orphan_headers(view: NoContent) -> dict[str, str]:
    """Return what a reply without a body says of those that referred to what is gone; ids are percent-encoded."""
    if not view.orphaned_count:
        return {}
    shown = (f"{each.kind}/{quote(each.id, safe='')}" for each in view.orphaned[: limits.ORPHANS_IN_HEADER_MAX])
    names = [each for each in shown if len(each) <= limits.ORPHAN_NAME_CHARS_MAX]
    return {ORPHANED_HEADER: str(view.orphaned_count), **({ORPHANED_IDS_HEADER: ", ".join(names)} if names else {})}
