"""What the original answers, call by call, where no other test of this directory says it: contract.md 0 to 9 as one table.

A row is a call and the answer that a client of the original relies on. Where ours differs on purpose, the row says what the
original did and which rule of design.md 9 stands against it; everything else is exactly as it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
import pytest
from calls import Json, good, nothing_stored, register, reserve, send
from go_sdk import Answer, GoTransport
from known_keys import ACME_KEY
from server_process import REMOTE, ServerProcess

KEY: Final = {"Authorization": f"Bearer {ACME_KEY}", **REMOTE}


@dataclass(frozen=True)
class Row:
    """One call. `exact` is the whole answer; `has` are fields of it; `deviation` says how the original was, and why not so."""

    section: str
    call: str
    status: int
    body: str | None = None
    exact: str | None = None
    has: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    deviation: str = ""


BODIES_TELL: Final = "its refusals had empty bodies; ours tell what to do (refusals have bodies and right codes)"

READING: Final = [
    Row("0.1", "GET /nowhere", 404, has={"error": "unknown_route"}, deviation="text/plain; refusals are JSON everywhere"),
    Row("0.1", "GET //api//agents", 308, has={"error": "moved"}, deviation="301; 308 keeps the method of a POST"),
    Row("0.1", "PUT /api/agents", 405, "{}", has={"allowed": ["GET", "POST"]}, deviation=BODIES_TELL),
    Row("0.3", "GET /api/agents?project={p}-none", 200, exact='{"agents":[]}\n'),
    Row("0.3", "GET /api/agents/presence?project={p}-none", 200, exact='{"agents":[]}\n'),
    Row("0.4", "GET /api/agents", 401, headers=REMOTE, has={"error": "unauthorized"}),
    Row("0.4", "GET /api/agents", 403, headers={"X-Agent-Token": "{token}"},
        has={"error": "agent token is bound but X-Agent-ID header is missing"}),
    Row("0.4", "GET /api/agents", 403, headers={"X-Agent-Token": "{token}", "X-Agent-ID": "zed"},
        has={"error": "agent identity mismatch"}),
    Row("0.7 P2", "GET /api/agents?project=umbra", 403, headers=KEY, has={"error": "foreign_project"}),
    Row("0.7 P3", "GET /api/inbox/b1?project=umbra", 403, headers=KEY, has={"error": "foreign_project"},
        deviation="ignored the query; every project boundary is checked on every operation"),
    Row("0.7 P6", "GET /api/reservations?project=umbra", 403, headers=KEY, has={"error": "foreign_project"},
        deviation="[BUG-18] no check at all"),
    Row("1.1", "GET /health", 200, headers=REMOTE, exact='{"status":"ok"}\n'),
    Row("1.1", "GET /api/health", 200, headers=REMOTE, exact='{"status":"ok"}\n',
        deviation="no such route; the documents name it"),
    Row("1.2", "GET /api/agents/{agent}", 200, has={"agent_id": "{agent}"}, deviation="404; one agent can be read"),
    Row("1.3", "GET /api/inbox/nobody?project={p}&since_cursor=7", 200, exact='{"messages":[],"cursor":7}\n'),
    Row("1.3", "GET /api/inbox/nobody?project={p}&since_cursor=-7&limit=x", 200, exact='{"messages":[],"cursor":0}\n'),
    Row("1.3", "GET /api/inbox/nobody/counts?project={p}", 200, has={"total": 0, "unread": 0}),
    Row("1.3", "GET /api/inbox/b1/stale-acks?project={p}&ttl_seconds=-1", 200, has={"ttl_seconds": 1800, "messages": []}),
    Row("1.4", "GET /api/threads?agent=nobody&project={p}&cursor=5", 200, exact='{"threads":[],"cursor":5}\n'),
    Row("1.4", "GET /api/threads?project={p}", 400, has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("1.4", "GET /api/threads/none?project={p}", 200, exact='{"thread_id":"none","messages":[],"cursor":0}\n'),
    Row("1.7", "GET /api/reservations?project={p}-none", 200, exact='{"reservations":[]}\n'),
    Row("1.7", "GET /api/reservations/check?project={p}&pattern=free", 200, has={"conflicts": [], "conflict": False},
        deviation="[BUG-32] null; `GET …/check` answers `[]`, not `null`"),
    Row("1.7", "GET /api/reservations/check?project={p}&pattern=[", 400, has={"error": "bad_pattern"},
        deviation="[BUG-30] an empty 500; bad pattern 400"),
    Row("1.7", "GET /api/reservations/check?project={p}", 400, has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("6.4", "GET /api/reservations/check?project={p}&pattern=src/a.go&exclusive=no", 200, has={"conflict": True}),
    *(Row("1.9", f"GET /api/{kind}?project={{p}}-none", 200, exact="[]\n")
      for kind in ("specs", "epics", "stories", "tasks", "insights", "sessions", "cujs")),
    *(Row("1.9", f"GET /api/{kind}/none?project={{p}}", 404, has={"error": "unknown_entity"}, deviation=BODIES_TELL)
      for kind in ("specs", "epics", "stories", "tasks", "insights", "sessions", "cujs")),
    *(Row("1.9", f"DELETE /api/{kind}/none?project={{p}}", 204, exact="")
      for kind in ("specs", "epics", "stories", "tasks", "insights", "sessions", "cujs")),
    Row("1.9", "GET /api/cujs/none/links?project={p}", 200, exact="[]\n"),
]  # fmt: skip
"""Calls that change nothing."""

REFUSED: Final = [
    Row("0.2", "POST /api/agents", 400, "", has={"error": "malformed_json"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/agents", 400, "[]", has={"error": "malformed_json"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/agents", 400, '"x"', has={"error": "malformed_json"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/agents", 400, '{"project":"{p}","name":5}', has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/agents", 400, '{"project":"{p}","metadata":{"a":1}}', has={"error": "invalid_request"},
        deviation=BODIES_TELL),
    Row("0.2", "POST /api/reservations", 400, '{"project":"{p}","agent_id":"a","path_pattern":"x","exclusive":"yes"}',
        has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/reservations", 400, '{"project":"{p}","agent_id":"a","path_pattern":"x","ttl_minutes":1.5}',
        has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("0.2", "POST /api/agents", 400, '{"project":"{p}"} {"name":"x"}', has={"error": "malformed_json"},
        deviation="ignored what follows; a body has one meaning (guarantees.md T11)"),
    Row("0.2", "POST /api/agents", 400, '{"project":"{p}","nmae":"x"}', has={"error": "invalid_request"},
        deviation="ignored unknown keys; a field that the operation does not know is refused by name"),
    Row("0.2", "POST /api/agents", 415, '{"project":"{p}"}', headers={"Content-Type": "text/plain"},
        has={"error": "unsupported_media_type"}, deviation="[BUG-53] any type; browsers are kept out"),
    Row("0.2", "POST /api/specs", 400, '{"project":"{p}","title":"x","created_at":"2026-01-01T00:00:00"}',
        has={"error": "invalid_request"}, deviation=BODIES_TELL),
    Row("0.4", "POST /api/agents", 400, '{"project":"{p}","session_id":"a<b"}',
        has={"code": "invalid_session_id", "error": 'invalid session_id: must be a valid UUID: "a<b"'}),
    Row("0.4", "POST /api/agents", 409, '{"project":"{p}","session_id":"{session}","name":"other"}',
        has={"code": "active_session_conflict", "error": "session_id is in use by an active agent"}),
    Row("0.4", "POST /api/agents/{agent}/heartbeat", 400, '{"focus_state":"asleep"}', has={"error": "invalid focus_state"}),
    Row("0.4", "PATCH /api/agents/{agent}/metadata", 400, '{"metadata":{}}', has={"error": "metadata map required"}),
    Row("0.4", "POST /api/messages", 400, '{"project":"{p}","from":"a","to":["b"],"transport":"fax"}',
        has={"error": "invalid transport"}, deviation="text/plain; refusals are JSON"),
    Row("0.4", "POST /api/reservations", 409, '{"project":"{p}","agent_id":"zed","path_pattern":"src/a.go","exclusive":false}',
        has={"error": "reservation_conflict"}),
    Row("0.7 P1", "POST /api/agents", 400, '{"name":"x"}', headers=KEY, has={"error": "project_required"}, deviation=BODIES_TELL),
    Row("0.7 P1", "POST /api/agents", 403, '{"name":"x","project":"umbra"}', headers=KEY, has={"error": "foreign_project"},
        deviation=BODIES_TELL),
    Row("0.7 P1", "POST /api/messages", 400, '{"from":"a","to":["b"]}', headers=KEY, has={"error": "project_required"},
        deviation=BODIES_TELL),
    Row("0.7 P4", "POST /api/specs", 403, '{"title":"x","project":"umbra"}', headers=KEY, has={"error": "foreign_project"},
        deviation=BODIES_TELL),
    Row("0.7 P5", "POST /api/reservations", 403, '{"agent_id":"a","path_pattern":"x","project":"umbra"}', headers=KEY,
        has={"error": "foreign_project"}, deviation=BODIES_TELL),
    Row("1.2", "POST /api/agents/nobody/heartbeat?project={p}", 404, "{}", has={"error": "unknown_agent"}, deviation=BODIES_TELL),
    Row("1.2", "POST /api/agents/nobody/heartbeat?project={p}", 404, '{"focus_state":"thinking"}', has={"error": "unknown_agent"},
        deviation="[BUG-64] 500 with a focus state; right codes"),
    Row("1.3", "POST /api/messages", 400, '{"project":"{p}","from":" ","to":["b"]}', has={"error": "invalid_request"},
        deviation=BODIES_TELL),
    Row("1.3", "POST /api/messages", 400, '{"project":"{p}","from":"a","to":[],"cc":["b"]}', has={"error": "invalid_request"},
        deviation=BODIES_TELL),
    Row("1.3", "POST /api/messages/{message}/ack?project={p}", 403, '{"agent":"zed"}', has={"error": "not_a_recipient"},
        deviation="[BUG-57] 200 and an event; a stranger's is 403"),
    Row("1.3", "POST /api/messages/none/read?project={p}", 404, '{"agent":"b1"}', has={"error": "unknown_message"},
        deviation="[BUG-57] 200 and an event; an unknown message is 404"),
    Row("1.3", "POST /api/messages/{message}/burn?project={p}", 404, "{}", has={"error": "unknown_route"}, deviation=BODIES_TELL),
    Row("1.7", "POST /api/reservations", 400, '{"project":"{p}","path_pattern":"x"}', has={"error": "invalid_request"},
        deviation=BODIES_TELL),
    Row("1.7", "POST /api/reservations", 400, '{"project":"{p}","agent_id":"a"}', has={"error": "invalid_request"},
        deviation=BODIES_TELL),
    Row("1.7", "POST /api/reservations", 400, '{"project":"{p}","agent_id":"a","path_pattern":"a[","exclusive":true}',
        has={"error": "bad_pattern"}, deviation="[BUG-30] an empty 500; bad pattern 400"),
    Row("6.5", "DELETE /api/reservations/none?project={p}", 404, has={"error": "unknown_reservation"}, deviation=BODIES_TELL,
        headers={"X-Agent-ID": "a1"}),
    Row("6.5", "DELETE /api/reservations/{lock}", 403, headers={"X-Agent-ID": "zed"}, has={"error": "not_yours"},
        deviation=BODIES_TELL),
    Row("1.9", "PUT /api/specs/none", 404, '{"project":"{p}","title":"x","version":1}', has={"error": "unknown_entity"},
        deviation="409; update of an unknown entity is 404"),
    Row("1.9", "PUT /api/sessions/none", 404, '{"project":"{p}","name":"x","agent":"a"}', has={"error": "unknown_entity"},
        deviation="[BUG-34] 200 and a phantom; update of an unknown entity is 404"),
    Row("1.9", "POST /api/insights/none/link?project={p}", 404, '{"spec_id":"s"}', has={"error": "unknown_entity"},
        deviation="[BUG-34] 200 with an event; unknown is 404"),
    Row("1.9", "POST /api/tasks/none/assign?project={p}", 404, '{"agent":"b1"}', has={"error": "unknown_entity"},
        deviation=BODIES_TELL),
    Row("9", "PUT /api/specs/s1", 409, '{"project":"{p}","title":"x"}', has={"error": "stale_version"}, deviation=BODIES_TELL),
    Row("9", "POST /api/specs", 409, '{"project":"{p}","title":"x","id":"s1"}', has={"error": "duplicate_id"},
        deviation="[BUG-34] 500; a duplicate id is 409"),
]  # fmt: skip
"""Calls that are refused, and store nothing."""

DONE: Final = [
    Row("0.2", "POST /api/agents", 200, '{"PROJECT":"{p}","Name":null,"capabilities":null}', has={"cursor": 0}),
    Row("0.2", "POST /api/specs", 201, '{"project":"{p}","title":"x","created_at":"0001-01-01T00:00:00Z"}', has={"version": 1}),
    Row("0.7 P4", "POST /api/specs", 201, '{"title":"x"}', headers=KEY, has={"project": "acme"},
        deviation="403 without a project; a key's project is known"),
    Row("0.7 P5", "POST /api/reservations", 201, '{"agent_id":"p5","path_pattern":"p5/{p}"}', headers=KEY,
        has={"project": "acme"}),
    Row("1.2", "POST /api/agents/{agent}/heartbeat", 200, "", exact='{"agent_id":"{agent}"}\n'),
    Row("1.2", "POST /api/agents/{agent}/heartbeat", 200, '{"focus_state":""}', exact='{"agent_id":"{agent}"}\n'),
    Row("1.3", "POST /api/messages/{message}/ack?project={p}&agent=b1", 200, "{}", has={"agent": "b1"},
        deviation="200 with an empty body; no client reads it"),
    Row("1.7", "POST /api/reservations", 201, '{"project":"{p}","agent_id":"a1","path_pattern":"x"}', has={"exclusive": True},
        deviation="[BUG-28] shared; an omitted mode is exclusive"),
    Row("1.7", "POST /api/reservations", 200, '{"id":"","project":"{p}","agent_id":"a1","path_pattern":"y","exclusive":true}',
        has={"is_active": True}),
    Row("6.5", "DELETE /api/reservations/{lock}", 200, headers={"X-Agent-ID": "{agent}"}, has={"released": ["{lock}"]},
        deviation="200 with an empty body; no client reads it"),
    Row("9", "POST /api/cujs", 201, '{"project":"{p}","title":"x","version":7}',
        has={"version": 7, "priority": "medium", "status": "draft"}),
    Row("9", "POST /api/specs", 201, '{"project":"{p}","title":"x","version":7}', has={"version": 1, "status": "draft"}),
    Row("1.9", "PUT /api/insights/i1", 200, '{"project":"{p}","title":"y"}', has={"title": "y"},
        deviation="405; an insight can be updated"),
]  # fmt: skip
"""Calls that change something."""


def name_of(row: Row) -> str:
    """Return how the report names a row."""
    return f"{row.section}-{row.call}-{row.status}"


@pytest.fixture
def transport(server: ServerProcess) -> Iterator[GoTransport]:
    """A connection of Go's."""
    opened = GoTransport(server.port)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def world(client: httpx.Client) -> dict[str, str]:
    """What the rows that change nothing are about."""
    return populated(client, "expectations")


def populated(client: httpx.Client, project: str) -> dict[str, str]:
    """Make an agent, a message, a lock, a spec and an insight, and return the names under which the rows know them."""
    anna = register(client, project, "anna")
    made = {"p": project, "agent": anna["agent_id"], "token": anna["token"], "session": anna["session_id"]}
    made["message"] = send(client, project, "a1", ["b1", "c1"])["message_id"]
    made["lock"] = reserve(client, project, anna["agent_id"], "src/*.go")["id"]
    good(client.post("/api/specs", json={"project": project, "title": "x", "id": "s1"}), 201)
    good(client.post("/api/insights", json={"project": project, "title": "x", "id": "i1"}), 201)
    return made


def filled(text: str, world: dict[str, str]) -> str:
    """Return a text of a row with the names of this world in it."""
    for name, value in world.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def check(row: Row, transport: GoTransport, world: dict[str, str]) -> Answer:
    """Make the call, and compare the answer with the row."""
    method, target = filled(row.call, world).split(" ", 1)
    body = None if row.body is None else filled(row.body, world).encode()
    headers = {name: filled(value, world) for name, value in row.headers.items()}

    answer = transport.call(method, target, body, **headers)

    assert answer.status == row.status, answer.body
    if row.exact is not None:
        assert answer.body.decode() == filled(row.exact, world)
    if answer.body:
        assert answer.headers["content-type"] == "application/json"
        assert answer.body.endswith(b"\n")
    for name, value in row.has.items():
        expected = filled(value, world) if isinstance(value, str) else value
        expected = [filled(each, world) for each in expected] if isinstance(expected, list) else expected
        assert httpx.Response(200, content=answer.body).json()[name] == expected
    return answer


@pytest.mark.parametrize("row", READING, ids=name_of)
def test_reading(row: Row, transport: GoTransport, world: dict[str, str]) -> None:
    """Reads answer what the original's clients expect."""
    check(row, transport, world)


@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_refusals(row: Row, transport: GoTransport, world: dict[str, str], client: httpx.Client) -> None:
    """Refusals have the original's status where it had the right one, and store nothing."""
    with nothing_stored(client, world["p"]):
        answer = check(row, transport, world)

    assert len(httpx.Response(200, content=answer.body).json()["message"]) > 10, "a sentence that says what to do"


@pytest.mark.parametrize("row", DONE, ids=name_of)
def test_changes(row: Row, transport: GoTransport, client: httpx.Client, project: str) -> None:
    """What the original does is done, with its status and its fields."""
    check(row, transport, populated(client, project))


def test_rows_are_told_apart() -> None:
    """Control: no row stands twice, and none is without an expectation beyond its status."""
    rows = [*READING, *REFUSED, *DONE]

    assert len({(row.call, row.body, str(row.headers)) for row in rows}) == len(rows)
    assert all(row.exact is not None or row.has for row in rows)


def test_wrong_expectation_fails(transport: GoTransport, world: dict[str, str]) -> None:
    """Control: a row that expects something else than is so is found out, in status, bytes and fields."""
    path = "GET /api/agents?project={p}-none"
    for wrong in (
        Row("0", path, 201),
        Row("0", path, 200, exact='{"agents":null}\n'),
        Row("0", path, 200, has={"agents": ["one"]}),
    ):
        with pytest.raises(AssertionError):
            check(wrong, transport, world)
