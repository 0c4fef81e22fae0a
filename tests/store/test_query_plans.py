"""Every question that grows with the data goes through an index (design.md 1, goal 4)."""

from collections.abc import Callable, Iterator
from itertools import combinations

import apsw
import pytest

from intermute.core.entities.definition import Entity
from intermute.core.entities.kinds import CUJ, ENTITIES, INSIGHT, STORY, TASK
from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.store import (
    audit,
    contacts,
    cuj_links,
    entities,
    entity_references,
    events,
    inboxes,
    intents,
    kept_replies,
    messages,
    projects,
    release_requests,
    reservations,
    retention,
    search,
    tasks,
    topics,
)
from intermute.store.migrate import migrate
from intermute.store.statements import Statement

ANNA = AgentId("anna")
Question = Callable[[apsw.Connection], object]

QUESTIONS: dict[str, tuple[Question, str]] = {
    "kept reply": (
        lambda c: kept_replies.of_place(c, b"x"),
        "SEARCH kept_replies USING INDEX sqlite_autoindex_kept_replies_1 (place=?)",
    ),
    "oldest kept replies": (lambda c: kept_replies.oldest(c, 10), "SCAN kept_replies"),  # In order, with a limit.
    "youngest kept reply": (kept_replies.last_number, "SEARCH kept_replies"),
    "inbox page": (
        lambda c: inboxes.inbox(c, ANNA, cursor=5, limit=10, is_unread_only=False),
        "SEARCH r USING INDEX recipients_of_agent (agent=? AND <expr>=? AND cursor>?)",
    ),
    "unread page": (
        lambda c: inboxes.inbox(c, ANNA, cursor=5, limit=10, is_unread_only=True),
        "SEARCH r USING INDEX recipients_of_agent (agent=? AND <expr>=? AND cursor>?)",
    ),
    "stale acknowledgements": (
        lambda c: inboxes.stale(c, ANNA, until_us=Micros(1), limit=10),
        "SEARCH r USING INDEX recipients_unacked (agent=?)",
    ),
    "counts": (lambda c: inboxes.counts(c, ANNA), "SEARCH recipients USING INDEX recipients_of_agent (agent=?)"),
    "threads": (
        lambda c: inboxes.threads(c, ANNA, before=9, limit=10),
        "SEARCH threads USING INDEX threads_by_agent (agent=? AND last_cursor<?)",
    ),
    "thread": (
        lambda c: inboxes.thread(c, "t", cursor=5, limit=10),
        "SEARCH m USING INDEX messages_by_thread (thread_id=? AND cursor>?)",
    ),
    "one message": (lambda c: messages.one(c, "m"), "SEARCH m USING INDEX sqlite_autoindex_messages_1 (id=?)"),
    "receipts": (lambda c: messages.receipts(c, "m"), "SEARCH recipients USING PRIMARY KEY (message_id=?)"),
    "messages of a topic": (
        lambda c: topics.page(c, "t", reader=ANNA, name="anna", cursor=5, limit=10),
        "SEARCH m USING INDEX messages_by_topic (topic=? AND cursor>?)",
    ),
    "matches": (lambda c: search.matches(c, '"x"', head=9), "SCAN message_words VIRTUAL TABLE INDEX 192:M2<"),
    "one match": (
        lambda c: search.visible(c, search.Match(1.0, 5), ANNA, "anna"),
        "SEARCH m USING INDEX messages_by_number (first_cursor=?)",
    ),
    "words around a match": (
        lambda c: search.snippet(c, search.Match(1.0, 5), '"x"'),
        "SCAN message_words VIRTUAL TABLE INDEX 0:",
    ),
    "contacts": (lambda c: contacts.of(c, ANNA), "SEARCH contacts USING PRIMARY KEY (agent=?)"),
    "held messages": (lambda c: contacts.held_for(c, ANNA), "SEARCH h USING PRIMARY KEY (agent=?)"),
    "parties of a thread": (
        lambda c: contacts.parties(c, "t"),
        "SEARCH m USING INDEX messages_by_thread (thread_id=?)",
    ),
    "active reservations": (reservations.active, "SCAN reservations USING INDEX reservations_active"),
    "active page": (
        lambda c: reservations.page(c, holder=None, is_active=True, before=9, limit=10),
        "SEARCH reservations USING INDEX reservations_active (fence<?)",
    ),
    "page of a holder": (
        lambda c: reservations.page(c, holder=ANNA, is_active=False, before=9, limit=10),
        "SEARCH reservations USING INDEX reservations_by_holder (holder=? AND fence<?)",
    ),
    "page of everything": (
        lambda c: reservations.page(c, holder=None, is_active=False, before=9, limit=10),
        "SEARCH reservations USING INDEX sqlite_autoindex_reservations_2 (fence<?)",
    ),
    "one reservation": (
        lambda c: reservations.one(c, "r"),
        "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (id=?)",
    ),
    "reservations of a key": (
        lambda c: reservations.of_key(c, "k"),
        "SEARCH reservations USING INDEX reservations_by_key (idempotency_key=?)",
    ),
    "active intents": (intents.active, "SCAN intents USING INDEX intents_active"),
    "page of active intents": (
        lambda c: intents.page(c, holder=None, reservation_id=None, is_active=True, before=9, limit=10),
        "SEARCH intents USING INDEX intents_active (declared<?)",
    ),
    "intents of a holder": (
        lambda c: intents.page(c, holder=ANNA, reservation_id=None, is_active=False, before=9, limit=10),
        "SEARCH intents USING INDEX intents_by_holder (holder=? AND declared<?)",
    ),
    "intents of a reservation": (
        lambda c: intents.page(c, holder=None, reservation_id="r", is_active=False, before=9, limit=10),
        "SEARCH intents USING INDEX intents_by_reservation (reservation_id=? AND declared<?)",
    ),
    "one intent": (lambda c: intents.one(c, "i"), "SEARCH intents USING INDEX sqlite_autoindex_intents_1 (id=?)"),
    "events after": (
        lambda c: events.after(c, 5, 10),
        "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "audit after": (
        lambda c: audit.after(c, 5, 10),
        "SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "unread requests": (
        lambda c: release_requests.unread(c, "r"),
        "SEARCH q USING PRIMARY KEY (reservation_id=?)",
    ),
    "one entity": (
        lambda c: entities.one(c, TASK, "t"),
        "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)",
    ),
    "tasks in order": (lambda c: entities.page(c, TASK, {}, None, 50), "SCAN tasks USING INDEX tasks_in_order"),
    "tasks of an agent by status": (
        lambda c: entities.page(c, TASK, {"status": "running", "agent": "anna"}, None, 50),
        "SEARCH tasks USING INDEX tasks_by_agent_and_status (agent=? AND status=?)",
    ),
    "next tasks of an agent by status": (
        lambda c: entities.page(c, TASK, {"status": "running", "agent": "anna"}, (5, 7), 50),
        "SEARCH tasks USING INDEX tasks_by_agent_and_status (agent=? AND status=? AND (updated_at_us,number)<(?,?))",
    ),
    "next journeys": (
        lambda c: entities.page(c, CUJ, {"spec_id": "s"}, ("high", 5, 7), 50),
        "SEARCH cujs USING INDEX cujs_by_spec (spec_id=? AND priority>?)",
    ),
    "next insights": (
        lambda c: entities.page(c, INSIGHT, {"spec_id": "s", "category": "tech"}, (0.5, 5, 7), 50),
        "SEARCH insights USING INDEX insights_by_spec (spec_id=? AND (score,created_at_us,number)<(?,?,?))",
    ),
    "next page of tasks by status": (
        lambda c: entities.page(c, TASK, {"status": "running"}, (5, 7), 50),
        "SEARCH tasks USING INDEX tasks_by_status (status=? AND (updated_at_us,number)<(?,?))",
    ),
    "tasks that wait for one": (
        lambda c: entity_references.referring(c, TASK, TASK.by_name["depends_on"], "t", 9),
        "SEARCH task_dependencies USING PRIMARY KEY (depends_on=?)",
    ),
    "stories of an epic": (
        lambda c: entity_references.referring(c, STORY, STORY.by_name["epic_id"], "e", 9),
        "SEARCH stories USING INDEX stories_by_epic (epic_id=?)",
    ),
    "claimed tasks": (tasks.claimed, "SCAN tasks USING INDEX tasks_claimed"),
    "links of a journey": (lambda c: cuj_links.of_journey(c, "c"), "SEARCH cuj_links USING PRIMARY KEY (cuj_id=?)"),
    "page of the log": (lambda c: events.after(c, 5, 10), "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"),
    "what of the log may go": (
        lambda c: retention.chunk(c, ["message.read"], 5, 9, 10),
        "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    ),
}

TRIM = retention.trim([1], {"message.read": 1}, {"message.read": 1})[0]

WRITES: dict[str, tuple[Statement, str]] = {
    "renewal": (
        Statement("UPDATE reservations SET expires_at_us = 1 WHERE id = :id", {"id": "r"}),
        "SEARCH reservations USING INDEX sqlite_autoindex_reservations_1 (id=?)",
    ),
    "adoption of reservations": (
        reservations.adopt(ANNA, "name"),
        "SEARCH reservations USING INDEX reservations_by_holder (holder=?)",
    ),
    "reading": (
        messages.mark_read("m", ANNA, Micros(1)),
        "SEARCH recipients USING PRIMARY KEY (message_id=? AND agent=?)",
    ),
}


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """A project's database in memory."""
    made = apsw.Connection(":memory:")
    migrate(made, Micros(1))
    projects.create(made, ProjectName("demo"), Micros(1))
    yield made
    made.close()


def statements_of(connection: apsw.Connection, question: Question) -> list[tuple[str, object]]:
    """Return what a question asks of SQLite, with its values."""
    asked: list[tuple[str, object]] = []

    def note(_cursor: apsw.Cursor, sql: str, values: object) -> bool:
        asked.append((sql, values))
        return True

    connection.exec_trace = note
    try:
        question(connection)
    finally:
        connection.exec_trace = None
    return asked


def plan(connection: apsw.Connection, sql: str, values: object) -> list[str]:
    """Return the steps of SQLite's plan."""
    found = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)  # type: ignore[arg-type] # as it was asked.
    return [str(step[3]) for step in found]


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_uses_its_index(connection: apsw.Connection, name: str) -> None:
    """The plan goes through the index that was made for the question, and sorts nothing on the side but a few receipts."""
    question, expected = QUESTIONS[name]

    asked = statements_of(connection, question)

    steps = [step for sql, values in asked for step in plan(connection, sql, values)]
    assert any(step.startswith(expected) for step in steps), steps
    # A list of values that comes with the question is scanned, of course.
    mine = [step for step in steps if not step.startswith((expected, "SCAN json_each"))]
    assert not any(step.startswith("SCAN") for step in mine), steps
    assert name == "receipts" or not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda each: each.plural)
def test_every_list_of_entities_uses_an_index(connection: apsw.Connection, entity: Entity) -> None:
    """Whatever a list is filtered by, and on every page, nothing is sorted and no table is scanned."""
    names = [each.field for each in entity.filters]
    for count in range(len(names) + 1):
        for fields in combinations(names, count):
            for is_first in (True, False):
                sql = entities.page_sql(entity, fields, is_first=is_first)
                values = dict.fromkeys([*fields, *(f"after_{n}" for n in range(4)), "limit"], 1)
                steps = plan(connection, sql, {name: value for name, value in values.items() if f":{name}" in sql})
                assert len(steps) == 1, (fields, steps)
                assert steps[0].startswith(f"SEARCH {entity.plural} USING INDEX" if fields else ("SCAN", "SEARCH"))


@pytest.mark.parametrize("name", WRITES)
def test_write_uses_an_index(connection: apsw.Connection, name: str) -> None:
    """An update finds its rows through an index."""
    statement, expected = WRITES[name]

    assert plan(connection, statement.sql, statement.values) == [expected]


def test_plan_without_an_index_is_a_scan(connection: apsw.Connection) -> None:
    """Control: what no index answers shows up as a scan."""
    assert plan(connection, "SELECT * FROM messages WHERE body = :body", {"body": "x"}) == ["SCAN messages"]
