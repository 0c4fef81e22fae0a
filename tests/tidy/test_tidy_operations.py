"""The operation table, the handlers and the published document are one thing said three times: they agree."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from source_tree import ROOT

from intermute.core.api import agents as agent_api
from intermute.core.errors import InvalidRequest, UnknownAgent
from intermute.core.operations import OPERATIONS, Operation
from intermute.project.handlers.liveness import Tick
from intermute.project.handlers.table import COMMANDS, FACTS, QUERIES
from intermute.web.errors import STATUS
from intermute.web.openapi import errors_of, openapi_document
from intermute.web.system import SYSTEM

DOCUMENT = ROOT / "docs" / "openapi.json"


def differing(operations: Iterable[Operation], handled: Iterable[type]) -> list[str]:
    """Return the operations without a handler and the handlers without an operation."""
    offered, known = {operation.input for operation in operations}, set(handled)
    return [f"{each.__name__} has no handler" for each in sorted(offered - known, key=lambda c: c.__name__)] + [
        f"{each.__name__} has no operation" for each in sorted(known - offered, key=lambda c: c.__name__)
    ]


def mutating_gets(operations: Iterable[Operation], commands: Iterable[type]) -> list[str]:
    """Return the GET operations that are commands."""
    changing = set(commands)
    return [
        f"{each.method} {each.path} is a command"
        for each in operations
        if each.method == "GET" and each.input in changing
    ]


def test_operations_have_handlers_and_the_reverse() -> None:
    """Every operation is decided or answered somewhere, and nothing else is handled but what we ask ourselves."""
    handled = [*COMMANDS, *QUERIES, *SYSTEM]

    ours = ["NotePokes", "PlannedPokes", "Tick", "TrimEvents"]
    assert differing(OPERATIONS, handled) == [f"{each} has no operation" for each in ours]


def test_operation_without_handler_is_named() -> None:
    """Control: a missing handler and a missing operation are both reported."""
    operation = Operation(
        method="GET", path="/api/agents/{agent}", input=agent_api.GetAgent, output=agent_api.AgentView
    )

    assert differing([operation], [agent_api.Heartbeat]) == [
        "GetAgent has no handler",
        "Heartbeat has no operation",
    ]


def test_handlers_are_of_one_kind() -> None:
    """Nothing is both a command and a query."""
    assert not set(COMMANDS) & set(QUERIES)
    assert not (set(COMMANDS) | set(QUERIES)) & set(SYSTEM)


def test_facts_are_of_commands() -> None:
    """Rows are fetched in advance for commands alone; a query reads for itself."""
    assert set(FACTS) <= set(COMMANDS)


def test_get_changes_nothing() -> None:
    """No GET is a command; the handlers behind a GET get a desk, which cannot write."""
    assert mutating_gets(OPERATIONS, COMMANDS) == []


def test_get_that_is_a_command_is_named() -> None:
    """Control: a command behind GET is reported."""
    operation = Operation(method="GET", path="/api/x", input=agent_api.RegisterAgent, output=agent_api.Registered)

    assert mutating_gets([operation], COMMANDS) == ["GET /api/x is a command"]


def test_operations_have_routes_of_their_own() -> None:
    """No two operations share a method and a path."""
    routes = [(operation.method, operation.path) for operation in OPERATIONS]

    assert len(routes) == len(set(routes))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_operation_names_fields_that_exist(operation: Operation) -> None:
    """Path parameters and the routing field are fields of the input."""
    fields = {field.encode_name for field in msgspec.structs.fields(operation.input)}
    in_path = {part.strip("{}").removesuffix(":path") for part in operation.path.split("/") if part.startswith("{")}

    assert in_path <= fields
    assert operation.routed_by is None or operation.routed_by in fields


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_operation_errors_have_a_status(operation: Operation) -> None:
    """What an operation can answer with is in the table of statuses."""
    assert [error for error in errors_of(operation) if error not in STATUS] == []
    assert InvalidRequest in errors_of(operation)


def test_tick_is_not_an_operation() -> None:
    """Nobody outside can make time pass."""
    assert Tick not in {operation.input for operation in OPERATIONS}


def differs(committed: Path, document: bytes) -> str | None:
    """Return what to do where the committed copy is not the document."""
    if committed.exists() and committed.read_bytes() == document:
        return None
    return f"{committed.name} is out of date: run `make openapi` and commit it"


def test_openapi_copy_is_current() -> None:
    """`docs/openapi.json` is what the service serves."""
    assert differs(DOCUMENT, openapi_document()) is None


def test_openapi_copy_that_differs_is_named(tmp_path: Path) -> None:
    """Control: a changed or a missing copy is reported."""
    old = tmp_path / "openapi.json"

    assert differs(old, openapi_document())
    old.write_bytes(openapi_document() + b" ")
    assert differs(old, openapi_document())


def test_openapi_references_resolve() -> None:
    """Every $ref of the document points to a schema in it (hazards.md, Libraries)."""
    document = msgspec.json.decode(openapi_document())
    schemas = document["components"]["schemas"]

    def references(node: object) -> Iterable[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for each in node.values():
                yield from references(each)
        elif isinstance(node, list):
            for each in node:
                yield from references(each)

    dangling = {ref for ref in references(document) if ref.removeprefix("#/components/schemas/") not in schemas}
    assert dangling == set()


def test_operation_errors_are_in_the_document() -> None:
    """What an operation can refuse with is named in its responses."""
    document = msgspec.json.decode(openapi_document())

    response = document["paths"]["/api/agents/{agent}"]["get"]["responses"]["404"]

    assert UnknownAgent.code in response["description"]
