"""The OpenAPI 3.1 document, made from the operation table and its types. `docs/openapi.json` is a checked copy."""

import re
from functools import cache
from typing import Any, Final

import msgspec

from intermute.core import fences
from intermute.core.api.entities import NAME_OF_CURSOR, ORPHANED_HEADER, ORPHANED_IDS_HEADER
from intermute.core.api.fields import View
from intermute.core.errors import (
    AgentHeaderMissing,
    AgentIdentityMismatch,
    BodyTooLarge,
    BrowserRefused,
    DomainError,
    ForeignProject,
    IdempotencyKeyMismatch,
    InternalError,
    InvalidProject,
    InvalidRequest,
    MalformedJson,
    MisdirectedHost,
    OutcomeUnknown,
    Overloaded,
    Poisoned,
    ProjectParked,
    ProjectQuarantined,
    ReplyNotKept,
    ServerOverloaded,
    ShuttingDown,
    StaleToken,
    StorageFull,
    StorageStalled,
    StorageUnavailable,
    TooManyIdempotencyKeys,
    TooManyProjects,
    TooSlow,
    Unauthorized,
    UnsupportedMediaType,
)
from intermute.core.limits import IDEMPOTENCY_KEY_CHARS_MAX
from intermute.core.once import HEADER, REPEATED_HEADER
from intermute.core.operations import OPERATIONS, Operation, ProjectRule
from intermute.web.answer import JSON_TYPE, NO_CONTENT, PLAIN_TYPE
from intermute.web.errors import STATUS
from intermute.web.repeats import PATTERN, takes_key

# Any in this module: fragments of a JSON document whose shape is the OpenAPI specification.
Json = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::path)?\}")
_ANYWHERE: Final = (InvalidRequest, BrowserRefused, MisdirectedHost, InternalError)
_WITH_BODY: Final = (MalformedJson, BodyTooLarge, UnsupportedMediaType)
_WITH_CALLER: Final = (Unauthorized,)
_OF_PROJECT: Final = (
    InvalidProject, ForeignProject, AgentHeaderMissing, AgentIdentityMismatch, TooManyProjects, ProjectParked,
    ProjectQuarantined, StorageFull, StorageStalled,
    StorageUnavailable, ShuttingDown,
)  # fmt: skip
_OF_COMMANDS: Final = (Overloaded, ServerOverloaded, OutcomeUnknown, TooSlow, Poisoned)
_WITH_KEY: Final = (IdempotencyKeyMismatch, ReplyNotKept, TooManyIdempotencyKeys, StaleToken)
_OF_SERVER: Final = {408: ("head_timeout", "body_timeout"), 431: ("headers_too_large",)}
"""What the server answers by itself, before any operation is known (web/server/guard.py)."""
_KEY: Final[Json] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Your own name for this request, new and random for each: sent again within 24 hours, with the same key "
    "and the same content, it is applied once and answered as before.",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX, "pattern": PATTERN},
}
_FENCES: Final[Json] = {
    "name": fences.HEADER,
    "in": "header",
    "required": False,
    "description": "Reservations that have to hold for this to be applied: the id, a colon and the fence; several with commas.",
    "schema": {"type": "string", "pattern": fences.PATTERN},
}
_REPEATED: Final[Json] = {
    REPEATED_HEADER: {
        "description": "Where this is the answer to an earlier sending of the request.",
        "schema": {"const": "true"},
    }
}


class ErrorBody(View, kw_only=True, frozen=True):
    """Every refusal and fault: a stable code, and a sentence that says what to do. Further fields depend on the code."""

    error: str
    message: str
    code: str | None = None


@cache
def openapi_document() -> bytes:
    """Return the document as JSON, indented and with a newline at its end."""
    outputs = [operation.output for operation in OPERATIONS if operation.output is not None and operation.bare is None]
    outputs += [output for operation in OPERATIONS for output, _ in operation.others]
    _, components = msgspec.json.schema_components([*outputs, ErrorBody], ref_template=_REF)
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        described, more = _describe(operation)
        components.update(more)
        paths.setdefault(template(operation.path), {})[operation.method.lower()] = described
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Intermute",
            "version": "1",
            "description": "Coordination for coding agents on one code base. `/api/v1/…` is the same as `/api/…`. "
            "Events come over the WebSockets /ws/agents/{agent} and /ws/events (docs/api.md).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def template(path: str) -> str:
    """Return an operation's path as OpenAPI writes it."""
    return _PARAMETER.sub(r"{\1}", path)


def errors_of(operation: Operation) -> tuple[type[DomainError], ...]:
    """Return every error that the operation can answer with."""
    found = [*_ANYWHERE, *operation.errors]
    if operation.takes_body:
        found += _WITH_BODY
    if operation.needs_auth:
        found += _WITH_CALLER
    if operation.project is not ProjectRule.NONE:
        found += _OF_PROJECT
        if operation.method != "GET":
            found += _OF_COMMANDS
    if takes_key(operation):
        found += _WITH_KEY
    return tuple(dict.fromkeys(found))


def _describe(operation: Operation) -> tuple[Json, dict[str, Any]]:
    in_path = set(_PARAMETER.findall(operation.path))
    parameters: list[Json] = []
    properties: Json = {}
    required: list[str] = []
    components: dict[str, Any] = {}
    for field in msgspec.structs.fields(operation.input):
        (schema,), more = msgspec.json.schema_components([field.type], ref_template=_REF)
        components.update(more)
        if field.encode_name in in_path:
            parameters.append({"name": field.encode_name, "in": "path", "required": True, "schema": schema})
        elif operation.takes_body:
            properties[field.encode_name] = schema
            required += [field.encode_name] if field.required else []
        else:
            parameters.append(
                {"name": field.encode_name, "in": "query", "required": field.required, "schema": _in_query(schema)}
            )
    if operation.project is not ProjectRule.NONE:
        parameters.append({"name": "X-Agent-ID", "in": "header", "required": False, "schema": {"type": "string"}})
        parameters.append({"name": "X-Agent-Token", "in": "header", "required": False, "schema": {"type": "string"}})
    if takes_key(operation):
        parameters += [_KEY, _FENCES]
    described: Json = {
        "operationId": _operation_id(operation),
        "summary": (operation.input.__doc__ or "").strip().splitlines()[0],
        "parameters": parameters,
        "responses": {str(operation.status): _success(operation), **_refusals(operation)},
        "security": [{}, {"key": []}] if operation.needs_auth else [],
    }
    if operation.sdk_status is not None:
        described["responses"][str(operation.sdk_status)] = {
            **_success(operation),
            "description": "The same, to the original's SDK, which sends an empty `id`.",
        }
    for output, status in operation.others:
        described["responses"][str(status)] = _also(_view_answer(output), described["responses"].get(str(status)))
    if takes_key(operation):
        for status, answer in described["responses"].items():
            if status.startswith("2"):
                answer["headers"] = {**answer.get("headers", {}), **_REPEATED}
    if operation.takes_body:
        # What the original's clients send besides (`LEGACY_FIELDS`) is taken, but nobody is to begin with it.
        body: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            body["required"] = required
        described["requestBody"] = {
            "required": not operation.may_lack_body,
            "content": {"application/json": {"schema": body}},
        }
    return described, components


def _operation_id(operation: Operation) -> str:
    return operation.name if operation.path != "/api/health" else f"{operation.name}Api"


def _in_query(schema: Json) -> Json:
    """Return a parameter's schema without `null`, which a query cannot say."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if not choices:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _success(operation: Operation) -> Json:
    if operation.output is None:
        return {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    if operation.status == NO_CONTENT:
        return {
            "description": (operation.output.__doc__ or "").strip(),
            "headers": {
                ORPHANED_HEADER: {"description": "How many refer to what is gone.", "schema": {"type": "integer"}},
                ORPHANED_IDS_HEADER: {
                    "description": "The first of them as kind/id, percent-encoded, separated by commas.",
                    "schema": {"type": "string"},
                },
            },
        }
    answer = _view_answer(operation.output)
    if operation.bare is not None:
        [rows] = [each for each in msgspec.structs.fields(operation.output) if each.name == operation.bare]
        (schema,), _ = msgspec.json.schema_components([rows.type], ref_template=_REF)
        answer["content"][JSON_TYPE]["schema"] = schema
        answer["headers"] = {
            NAME_OF_CURSOR: {
                "description": "`cursor` of the next page; absent on the last.",
                "schema": {"type": "string"},
            }
        }
    if operation.text is not None:
        answer["content"][PLAIN_TYPE] = {"schema": {"type": "string"}}
    return answer


def _view_answer(output: type) -> Json:
    text = (output.__doc__ or "").strip().splitlines()[0]
    return {"description": text, "content": {JSON_TYPE: {"schema": {"$ref": _REF.format(name=output.__name__)}}}}


def _also(answer: Json, other: Json | None) -> Json:
    """Return one description of two answers with the same status."""
    if other is None:
        return answer
    schemas = [each["content"][JSON_TYPE]["schema"] for each in (other, answer)]
    return {
        "description": f"{other['description']} Or: {answer['description']}",
        "content": {JSON_TYPE: {"schema": {"anyOf": schemas}}},
    }


def _refusals(operation: Operation) -> dict[str, Json]:
    codes: dict[int, list[str]] = {status: list(names) for status, names in _OF_SERVER.items()}
    for error in errors_of(operation):
        codes.setdefault(STATUS[error], []).append(error.code)
    if operation.name == "Ready":
        codes.setdefault(503, []).append("degraded")
    return {
        str(status): {
            "description": ", ".join(names),
            "content": {"application/json": {"schema": {"$ref": _REF.format(name="ErrorBody")}}},
        }
        for status, names in sorted(codes.items())
    }
