"""A query changes nothing: neither what is stored nor what is remembered (design.md 4, GET never mutates)."""

from dataclasses import replace

import msgspec
import pytest
from entity_samples import command, smallest
from handler_bench import Bench, claiming

from intermute.core.api.agents import Heartbeat
from intermute.core.api.contacts import PutContact
from intermute.core.api.entities import TYPES
from intermute.core.api.forecasts import PlanStep
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import ReleaseReservation
from intermute.core.errors import DomainError
from intermute.core.operations import OPERATIONS
from intermute.project.handlers.table import QUERIES

READS = sorted(({each.input for each in OPERATIONS} & set(QUERIES)) - {Heartbeat}, key=lambda cls: cls.__name__)
PLAN = [PlanStep(step="s", agent_id="ben", pattern="a")]
ANSWERS = {
    "project": "demo", "agent": "anna", "message_id": "m1", "thread_id": "t", "pattern": "a", "fence": 1, "plan": PLAN,
    "id": "e1", "topic": "t", "q": "x", "other": "ben",
}  # fmt: skip
"""What the queries are asked for, by field; the rest is left out."""


@pytest.fixture
def bench() -> Bench:
    """A project with an agent, a message, a reservation, an ended one, and a batch on its way to the disk."""
    made = Bench()
    made.register("anna")
    made.run(SendMessage(sender="ben", to=["anna"], bcc=["carl"], id="m1", thread_id="t", ack_required=True))
    made.run(PutContact(agent="anna", other="ben"))
    made.reserve("anna", "a")
    made.run(DeclareIntent(agent_id="anna", paths=["c"], operation="delete"))
    made.run(ReleaseReservation(reservation_id=made.reserve("anna", "b").id))
    for types in TYPES.values():
        made.run(command(types.entity, "create", id="e1", **smallest(types.entity)))
    return made


def remembered(bench: Bench) -> object:
    """Return a copy of the memory that can be compared."""
    state = bench.state
    return (
        [replace(agent) for agent in state.agents],
        list(state.leases),
        list(state.intents),
        state.head,
        state.batch,
        set(state.unflushed_heartbeats),
        dict(state.agents_before_batch),
    )


def query_of(kind: type, bench: Bench) -> object:
    """Return a query that finds something."""
    fields = {field.name for field in msgspec.structs.fields(kind)}
    values = {name: value for name, value in ANSWERS.items() if name in fields}
    if "reservation_id" in fields:
        values["reservation_id"] = next(iter(bench.state.leases)).id
    if "intent_id" in fields:
        values["intent_id"] = next(iter(bench.state.intents)).id
    return kind(**values)


@pytest.mark.parametrize("kind", READS, ids=lambda cls: cls.__name__)
def test_query_changes_nothing(bench: Bench, kind: type) -> None:
    """Asked as a stranger and as an agent, with the database closed to writing."""
    before, changes = remembered(bench), bench.connection.total_changes()
    bench.connection.execute("PRAGMA query_only = ON")

    for caller in (claiming("anna"), claiming("nobody")):
        bench.ask(query_of(kind, bench), caller)

    assert remembered(bench) == before
    assert bench.connection.total_changes() == changes


def test_query_that_changes_memory_is_found(bench: Bench) -> None:
    """Control: the heartbeat, which goes the way of the queries and is a POST, does change memory."""
    before = remembered(bench)
    bench.wait(1)

    bench.ask(Heartbeat(agent="anna"))

    assert remembered(bench) != before


@pytest.mark.parametrize("kind", READS, ids=lambda cls: cls.__name__)
def test_query_of_an_empty_project_is_answered(kind: type) -> None:
    """Nothing there is an empty answer or a refusal that says what is missing, never a bug."""
    fields = {field.name for field in msgspec.structs.fields(kind)}
    values = {
        name: value for name, value in {**ANSWERS, "reservation_id": "r", "intent_id": "i"}.items() if name in fields
    }

    try:
        answer = Bench().ask(kind(**values))
    except DomainError as refused:
        assert refused.code.startswith("unknown_")
    else:
        assert answer is not None
