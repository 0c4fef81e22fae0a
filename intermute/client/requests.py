"""From an operation's input to a request, and from an answer to its view, as the operation table says.

There is no route and no field here: `intermute.core.operations` has them, for the server and for this client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import msgspec

from intermute.client.errors import NotIntermute
from intermute.core import limits
from intermute.core.api.entities import NAME_OF_CURSOR, ORPHANED_HEADER, ORPHANED_IDS_HEADER, NoContent, OrphanView
from intermute.core.api.fields import Input
from intermute.core.operations import OPERATIONS, Operation
from intermute.core.wishes import OnConflict

_IN_PATH: Final = re.compile(r"\{(\w+)(?::path)?\}")
_NO_CONTENT: Final = 204
_FIELD_OF_ORPHAN: Final = ""
"""A header does not say in which field something refers to what is gone."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call as it is sent, again and again if need be: the same bytes each time."""

    operation: Operation
    target: str
    body: bytes | None
    waits_s: float = 0.0
    """How long the server may wait before it answers, beside what an answer takes."""

    @property
    def shown(self) -> str:
        """The call as a person would write it."""
        return f"{self.operation.method} {self.target.partition('?')[0]}"

    @property
    def is_read(self) -> bool:
        """Tell whether it changes nothing, whatever happens to it."""
        return self.operation.method == "GET"


@cache
def _operations() -> Mapping[type, Operation]:
    return {operation.input: operation for operation in reversed(OPERATIONS)}  # Where there are two, the first one.


def request_of(question: Input, project: str | None) -> Request:
    """Return the request that asks this; `project` is filled in where the question leaves it open."""
    operation = _operations()[type(question)]
    fields = {name: value for name, value in msgspec.to_builtins(question).items() if value is not None}
    if project is not None and "project" in question.__struct_fields__:
        fields.setdefault("project", project)

    def put(found: re.Match[str]) -> str:
        return _segment(str(fields.pop(found[1], "")))

    path = _IN_PATH.sub(put, operation.path)
    if operation.takes_body:
        return Request(operation, path, msgspec.json.encode(fields), _waits_s(question))
    query = urlencode({name: _text(value) for name, value in fields.items()}, doseq=True)
    return Request(operation, f"{path}?{query}" if query else path, None, _waits_s(question))


def view_of(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Any:  # Any: of the operation.
    """Return what an answer shows, in the type that the operation has for its status. Raises: NotIntermute."""
    operation = request.operation
    if status == _NO_CONTENT:
        return _no_content(headers)
    view = {code: kind for kind, code in operation.others}.get(status, operation.output)
    try:
        if operation.bare is None:
            return msgspec.json.decode(body, type=Any if view is None else view)
        assert view is not None, "a bare list has a page"
        rows = {field.name: field.type for field in msgspec.structs.fields(view)}[operation.bare]
        page = {operation.bare: msgspec.json.decode(body, type=rows)}
        return view(**page, next_cursor=headers.get(NAME_OF_CURSOR.lower()))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotIntermute(request.shown, status, body) from None


def _segment(text: str) -> str:
    """Return a text as one segment of a path; a dot alone would be taken for a step in it."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else value


def _waits_s(question: Input) -> float:
    wished = getattr(question, "wait_seconds", None)
    if wished is None:
        wished = limits.WAIT_MAX_S if getattr(question, "on_conflict", None) == OnConflict.WAIT else 0
    return min(float(wished), limits.WAIT_MAX_S)


def _no_content(headers: Mapping[str, str]) -> NoContent:
    named = [each.strip().partition("/") for each in headers.get(ORPHANED_IDS_HEADER.lower(), "").split(",")]
    orphaned = tuple(
        OrphanView(kind=kind, id=unquote(text), field=_FIELD_OF_ORPHAN) for kind, slash, text in named if slash
    )
    return NoContent(orphaned=orphaned, orphaned_count=int(headers.get(ORPHANED_HEADER.lower(), "0")))
