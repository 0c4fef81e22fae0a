"""The operation table read by hand: the rows that clients in the field rely on (contract.md 1.0)."""

import pytest

from intermute.core.errors import ReservationConflict
from intermute.core.operations import LEGACY_FIELDS, OPERATIONS, Operation, ProjectRule


def row(method: str, path: str) -> Operation:
    """Return the row of one route."""
    [found] = [each for each in OPERATIONS if (each.method, each.path) == (method, path)]
    return found


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/api/agents", "RegisterAgent"),
        ("GET", "/api/agents", "ListAgents"),
        ("POST", "/api/agents/{agent}/heartbeat", "Heartbeat"),
        ("PATCH", "/api/agents/{agent}/metadata", "MergeMetadata"),
        ("POST", "/api/messages", "SendMessage"),
        ("POST", "/api/messages/{message_id}/ack", "AckMessage"),
        ("POST", "/api/messages/{message_id}/read", "ReadMessage"),
        ("GET", "/api/inbox/{agent:path}", "Inbox"),
        ("GET", "/api/threads", "Threads"),
        ("POST", "/api/reservations", "Reserve"),
        ("GET", "/api/reservations/check", "CheckReservations"),
        ("DELETE", "/api/reservations/{reservation_id}", "ReleaseReservation"),
        ("GET", "/health", "Health"),
        ("GET", "/api/health", "Health"),
    ],
)
def test_operation_keeps_the_originals_route(method: str, path: str, name: str) -> None:
    """Routes of the original are where its clients look for them."""
    assert row(method, path).name == name


def test_operation_bodies_belong_to_writing_methods() -> None:
    """POST, PUT and PATCH take a body, GET and DELETE do not."""
    assert {each.method: each.takes_body for each in OPERATIONS} == {
        "GET": False,
        "DELETE": False,
        "POST": True,
        "PUT": True,
        "PATCH": True,
    }


def test_reserve_answers_201_and_200_to_the_originals_sdk() -> None:
    """Created, but the SDK takes nothing else than 200 (design.md 9)."""
    reserve = row("POST", "/api/reservations")

    assert (reserve.status, reserve.sdk_status) == (201, 200)
    assert ReservationConflict in reserve.errors


def test_operations_that_demand_the_project_are_the_originals() -> None:
    """Registering, sending and broadcasting name the project in key mode (contract.md 0.7, P1)."""
    assert {each.name for each in OPERATIONS if each.project is ProjectRule.NAMED} == {
        "RegisterAgent",
        "SendMessage",
        "Broadcast",
    }


def test_operations_without_a_key_tell_nothing_of_a_project() -> None:
    """Only health and the interface's own description are open to everyone."""
    assert {each.name for each in OPERATIONS if not each.needs_auth} == {"OpenApi", "Health", "Ready"}
    assert all(each.project is ProjectRule.NONE for each in OPERATIONS if not each.needs_auth)


def test_get_is_idempotent() -> None:
    """A client may repeat any GET."""
    assert all(each.is_idempotent for each in OPERATIONS if each.method == "GET")


def test_legacy_fields_include_what_the_sdk_sends() -> None:
    """Whole objects of the original's client pass (appendix A of contract.md)."""
    assert {"id", "is_active", "released_at", "cursor", "created_at", "from"} <= LEGACY_FIELDS
