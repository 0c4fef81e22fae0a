"""The client has no routes, fields and codes of its own: what it sends and reads is what the service's tables say."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest

from intermute.client.errors import NotIntermute, ServiceError, conflicts_in, refusal_of
from intermute.client.requests import request_of, view_of
from intermute.core import errors
from intermute.core.api.entities import TYPES
from intermute.core.api.reservations import RepeatedReservation, ReservationView, Reserve, Waiting
from intermute.core.entities.definition import Kind
from intermute.core.errors import CursorExpired, DomainError
from intermute.core.operations import OPERATIONS, Operation
from intermute.core.wishes import OnConflict
from intermute.web.decode import decode
from intermute.web.errors import STATUS, error_body

TEXT: Final = "a/b c?&=ä"
CANDIDATES: Final[tuple[Any, ...]] = (  # Any: something for every type that a field can have.
    TEXT, "0001-01-01T00:00:00Z", 1, True, 1.5, [TEXT], {"key": TEXT}, [{}], [{"path": "x"}], [{"path": "x", "name": "y"}],
    [{"step": "one", "paths": ["x"]}], ["reservations"], [{"order": 1}], "done", "wait", "same", "refuse",
)  # fmt: skip
ONE_OF_EACH: Final = {each.input: each for each in reversed(OPERATIONS)}
WITH_PROJECT: Final = [each for each in ONE_OF_EACH.values() if hasattr(each.input, "project")]
CLASSES: Final = [each for each in (getattr(errors, name) for name in errors.__all__) if each is not DomainError]


def filled(input_type: type) -> Any:  # Any: an input of this type.
    """Return an input with something in every field that one of the candidates fits."""
    fields: dict[str, Any] = {}  # Any: as above.
    for field in msgspec.structs.fields(input_type):
        for value in CANDIDATES:
            try:
                fields[field.name] = msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                continue
            break
        assert field.name in fields or not field.required, f"no candidate for {input_type.__name__}.{field.name}"
    return input_type(**fields)


def path_of(operation: Operation, target: str) -> Mapping[str, str]:
    """Return the fields that a router finds in a path."""
    found = {}
    for part, segment in zip(operation.path.split("/"), urlsplit(target).path.split("/"), strict=True):
        if part.startswith("{"):
            found[part.strip("{}").removesuffix(":path")] = unquote(segment)
        else:
            assert part == segment
    return found


@pytest.mark.parametrize("operation", ONE_OF_EACH.values(), ids=lambda each: each.name)
def test_every_operation_arrives_as_it_was_asked(operation: Operation) -> None:
    """What the client sends is decoded by the service to the very same input, whatever the fields hold."""
    question = filled(operation.input)

    request = request_of(question, None)

    query = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    arrived = decode(operation, path_of(operation, request.target), query, request.body or b"")
    assert arrived == question
    assert (request.body is not None) == operation.takes_body


@pytest.mark.parametrize("operation", WITH_PROJECT, ids=lambda each: each.name)
def test_project_is_filled_in_where_it_was_left_open(operation: Operation) -> None:
    """The client's project goes along with every operation that takes one, and never in place of what was named."""
    question = filled(operation.input)
    open_one = question if operation.has_project_in_path else msgspec.structs.replace(question, project=None)

    request = request_of(open_one, "acme")

    query = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    arrived = decode(operation, path_of(operation, request.target), query, request.body or b"")
    assert arrived.project == (TEXT if operation.has_project_in_path else "acme")


@pytest.mark.parametrize("dots", [".", ".."])
def test_dots_are_no_steps_in_a_path(dots: str) -> None:
    """An id of dots stays in its place of the path."""
    assert request_of(TYPES[Kind.TASK].get(id=dots), None).target == f"/api/tasks/{dots.replace('.', '%2E')}"


def test_waiting_is_given_its_time() -> None:
    """A call that waits in the service is waited for, by what it asks for and never beyond what one call may wait."""
    waits = [
        request_of(Reserve(agent_id="a", **more), None).waits_s
        for more in (
            {},
            {"on_conflict": "wait"},
            {"on_conflict": OnConflict.WAIT, "wait_seconds": 5},
            {"wait_seconds": 600},
        )
    ]

    assert waits == [0, 55, 5, 55]


def test_answer_has_the_type_of_its_status() -> None:
    """One operation may answer in several types; the status tells which."""
    request = request_of(Reserve(agent_id="a"), None)
    targets: list[object] = []
    held = {
        "id": "r", "agent_id": "a", "project": "p", "path_pattern": "x", "exclusive": True, "created_at": "", "expires_at": "",
        "is_active": True, "patterns": ["x"], "mode": "X", "shared": False, "fence": 1, "seq": 1, "standing": "enforced",
        "held_by": "anna", "targets": targets, "a_field_of_tomorrow": 1,
    }  # fmt: skip
    queued = {
        "waiting": True, "ticket": "t", "agent_id": "a", "held_by": "anna", "project": "p", "targets": targets, "ahead": [],
        "keeps_place_for_s": 5, "message": "m",
    }  # fmt: skip

    answers = [(201, held), (200, {**held, "repeated": True}), (202, queued)]
    kinds = [type(view_of(request, status, {}, msgspec.json.encode(body))) for status, body in answers]

    assert kinds == [ReservationView, RepeatedReservation, Waiting]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_refusal_is_of_the_services_own_class(cls: type[DomainError]) -> None:
    """Each code comes back as its class, with the server's own words; where the original has a text, the code is beside it."""
    legacy = cls.legacy_error
    body = {"error": legacy or cls.code, "message": "Do this.", "detail": 7, **({"code": cls.code} if legacy else {})}

    error = refusal_of("GET /x", STATUS[cls], {"retry-after": "3"}, msgspec.json.encode(body))

    assert isinstance(error, cls)
    assert (error.code, error.message, error.details, error.retry_after_s) == (cls.code, "Do this.", {"detail": 7}, 3.0)
    assert (error.status, error.detail, type(error).__name__) == (STATUS[cls], 7, cls.__name__)
    assert str(error) == f"{cls.code}: Do this."


def test_refusal_tells_its_details_as_attributes() -> None:
    """What a service's error says in its body is read from the told one, and what it did not say is no attribute."""
    original = errors.StaleVersion("task", "t1", 1, 5, {"title": "there"})

    told = refusal_of("PATCH /x", 409, {}, msgspec.json.encode(error_body(original)))

    assert (told.version, told.current, told.message) == (5, {"title": "there"}, original.message)
    with pytest.raises(AttributeError, match="it told version, current"):
        _ = told.conflicts
    assert conflicts_in(told) == []


def test_unknown_code_is_a_service_error() -> None:
    """A code of a later version is told with its code and status, and is none of the known classes."""
    error = refusal_of("GET /x", 418, {}, b'{"error":"of_tomorrow","message":"Wait."}')

    assert (type(error), error.code, error.status, str(error)) == (
        ServiceError,
        "of_tomorrow",
        418,
        "of_tomorrow: Wait.",
    )
    assert ServiceError.code == ""


@pytest.mark.parametrize(
    "body", [b'{"error":"cursor_expired","message":"m","oldest_cursor":4}', b'{"error":"gone","message":"m"}']
)
def test_gone_is_an_expired_cursor(body: bytes) -> None:
    """410 means that the log was trimmed, whatever its code."""
    assert isinstance(refusal_of("GET /ws/events", 410, {}, body), CursorExpired)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message":"m"}', b'{"error":{}}', b"\xff"])
def test_refusal_of_a_stranger_is_named(body: bytes) -> None:
    """What is no refusal of Intermute's is told as such."""
    with pytest.raises(NotIntermute):
        refusal_of("GET /x", 404, {}, body)


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "inf"])
def test_strange_retry_after_counts_as_none(value: str) -> None:
    """Only a number of seconds is waited for."""
    assert refusal_of("GET /x", 503, {"retry-after": value}, b'{"error":"x"}').retry_after_s is None
