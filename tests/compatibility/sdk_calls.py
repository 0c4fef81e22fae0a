"""Every call of the original's Go SDK: what it sends, to the byte, and what it has afterwards (contract.md, appendix A).

`$name` stands for what an earlier call answered; whole entities go with empty ids and zero times, as the SDK's types make them.
What an answer leaves out is wanted as Go's zero value. `<id>` and `<time>` are any, -1 is any cursor.
"""

import json
from dataclasses import dataclass
from string import Template
from typing import Any, Final

from go_sdk import Answer, GoSdk
from go_types import ZERO_TIME, differences, read

_UNSET: Final = f'"created_at":"{ZERO_TIME}","updated_at":"{ZERO_TIME}"'
_SET: Final = '"created_at":"<time>","updated_at":"<time>"'
_OF_PROJECT: Final = "?project=$project"


@dataclass(frozen=True)
class Call:
    """One call: its request, the status that the SDK takes, and what it decodes."""

    name: str
    method: str
    path: str
    body: str | None = None
    status: int = 200
    kind: str | None = None
    """The Go type of the answer; None where the SDK does not read it."""
    wanted: str | None = None
    """The answer, as JSON; None where other tests' rows are in it."""
    keeps: str | None = None
    """The name under which later calls find the id that was answered; whatever keeps one belongs to the furniture."""
    is_furniture: bool = False

    def sent(self, sdk: GoSdk, names: dict[str, str]) -> Answer:
        """Make the call."""
        body = None if self.body is None else Template(self.body).substitute(names)
        return sdk.call(self.method, Template(self.path).substitute(names), body)

    def taken(self, answer: Answer) -> Any:  # Any: one of the SDK's types.
        """Return what the SDK has of the answer; fail where it would report an error."""
        assert answer.status == self.status, f"{self.name} failed: {answer.status} {answer.body[:500]!r}"
        return None if self.kind is None else read(self.kind, answer.json())

    def check(self, answer: Answer, names: dict[str, str]) -> None:
        """Fail unless the SDK gets what it expects."""
        found = self.taken(answer)
        if self.kind is not None and self.wanted is not None:
            wanted = read(self.kind, json.loads(Template(self.wanted).substitute(names)), is_wanted=True)
            assert differences(wanted, found) == []


def _entity(
    kind: str, plural: str, sent: str, made: str, query: str, changed: str, shown: str, *, times: str = _UNSET
) -> tuple[Call, ...]:
    """Return the five calls of a kind: create, get, list, update, delete. Kinds without an update leave `changed` empty."""
    keeps = kind.lower()
    one, set_times = f"/api/{plural}/${keeps}", times.replace(ZERO_TIME, "<time>")
    whole = f'{{"id":"${keeps}","project":"$project",{made},{set_times}}}'
    calls = [
        Call(f"Create{kind}", "POST", f"/api/{plural}", f'{{"id":"","project":"$project",{sent},{times}}}', 201, kind,
             whole.replace(f"${keeps}", "<id>"), keeps=keeps),
        Call(f"Get{kind}", "GET", f"{one}{_OF_PROJECT}", None, 200, kind, whole),
        Call(f"List{plural.capitalize()}", "GET", f"/api/{plural}{_OF_PROJECT}{query}", None, 200, f"[]{kind}", f"[{whole}]"),
        Call(f"Delete{kind}", "DELETE", f"{one}{_OF_PROJECT}", None, 204),
    ]  # fmt: skip
    if changed:
        body = f'{{"id":"${keeps}","project":"$project",{changed},{times}}}'
        shown = f'{{"id":"${keeps}","project":"$project",{shown},{set_times}}}'
        calls.append(Call(f"Update{kind}", "PUT", one, body, 200, kind, shown))
    return tuple(calls)


_AGENT: Final = (
    '{"agent_id":"$agent","session_id":"<id>","name":"fixer","project":"$project","capabilities":["python"],'
    '"metadata":{"repo":"/src/acme"},"status":"active","last_seen":"<time>","created_at":"<time>"}'
)
_MESSAGE: Final = (
    '{"id":"$message","thread_id":"t-7","project":"$project","from":"ben","to":["$agent"],"subject":"hi",'
    '"body":"please review","ack_required":true,"created_at":"<time>","cursor":-1}'
)
_RESERVATION: Final = (
    '{"id":"$reservation","agent_id":"$agent","project":"$project","path_pattern":"src/$unique/**","exclusive":true,'
    '"reason":"refactor","created_at":"<time>","expires_at":"<time>","is_active":true}'
)
_STEPS: Final = '"steps":[{"order":1,"action":"open","expected":"form"}]'

CALLS: Final[tuple[Call, ...]] = (
    Call("RegisterAgent", "POST", "/api/agents",
         '{"name":"fixer","project":"$project","capabilities":["python"],"metadata":{"repo":"/src/acme"},"status":"active"}',
         200, "Agent", '{"agent_id":"<id>","session_id":"<id>","name":"fixer","project":"$project"}', keeps="agent"),
    Call("Heartbeat", "POST", "/api/agents/$agent/heartbeat", "{}"),
    Call("ListAgents", "GET", f"/api/agents{_OF_PROJECT}", None, 200, "Agents", f'{{"agents":[{_AGENT}]}}'),
    Call("DiscoverAgents", "GET", "/api/agents?capability=go%2Cpython&project=$project", None, 200, "Agents",
         f'{{"agents":[{_AGENT}]}}'),
    Call("DiscoverAgents-nobody", "GET", "/api/agents?capability=cobol&project=$project", None, 200, "Agents",
         '{"agents":[]}'),
    Call("SendMessage", "POST", "/api/messages",
         '{"thread_id":"t-7","project":"$project","from":"ben","to":["$agent"],"subject":"hi","body":"please review",'
         '"ack_required":true}', 200, "Sent", '{"message_id":"<id>","cursor":-1}', keeps="message"),
    Call("InboxSince", "GET", "/api/inbox/$agent?project=$project&since_cursor=0", None, 200, "Inbox",
         f'{{"messages":[{_MESSAGE}],"cursor":-1}}'),
    Call("Ack", "POST", f"/api/messages/$message/ack{_OF_PROJECT}", "{}"),
    Call("Read", "POST", f"/api/messages/$message/read{_OF_PROJECT}", "{}"),
    Call("ListThreads", "GET", "/api/threads?agent=$agent&cursor=0&project=$project", None, 200, "Threads",
         '{"threads":[{"thread_id":"t-7","last_cursor":-1,"message_count":1,"last_from":"ben","last_body":"please review",'
         '"last_at":"<time>"}],"cursor":-1}'),
    Call("ThreadMessages", "GET", "/api/threads/t-7?cursor=0&project=$project", None, 200, "Thread",
         f'{{"thread_id":"t-7","messages":[{_MESSAGE}],"cursor":-1}}'),
    Call("InboxCounts", "GET", f"/api/inbox/$agent/counts{_OF_PROJECT}", None, 200, "Counts", '{"total":1,"unread":1}'),
    Call("StaleAcks", "GET", "/api/inbox/$agent/stale-acks?limit=5&project=$project&ttl_seconds=60", None, 200, "StaleAcks",
         '{"project":"$project","agent":"$agent","ttl_seconds":60,"count":0,"messages":[]}'),
    Call("Reserve", "POST", "/api/reservations",
         '{"id":"","agent_id":"$agent","project":"$project","path_pattern":"src/$unique/**","exclusive":true,'
         '"reason":"refactor","ttl_minutes":10}',
         200, "Reservation", _RESERVATION.replace("$reservation", "<id>"), keeps="reservation"),
    Call("ReleaseReservation", "DELETE", "/api/reservations/$reservation"),
    Call("ActiveReservations", "GET", f"/api/reservations{_OF_PROJECT}", None, 200, "Reservations",
         f'{{"reservations":[{_RESERVATION}]}}'),
    Call("ActiveReservations-no-project", "GET", "/api/reservations?project=", None, 200, "Reservations"),
    Call("AgentReservations", "GET", "/api/reservations?agent=$agent", None, 200, "Reservations",
         f'{{"reservations":[{_RESERVATION}]}}'),
    *_entity("Spec", "specs", '"title":"V2","vision":"fast","status":""',
             '"title":"V2","vision":"fast","status":"draft","version":1', "&status=draft",
             '"title":"V2b","status":"research","version":1', '"title":"V2b","status":"research","version":2'),
    *_entity("Epic", "epics", '"spec_id":"$spec","title":"Core","description":"d","status":""',
             '"spec_id":"$spec","title":"Core","description":"d","status":"open","version":1', "&spec=$spec",
             '"title":"Core2","status":"in_progress","version":1', '"title":"Core2","status":"in_progress","version":2'),
    *_entity("Story", "stories", '"epic_id":"$epic","title":"Login","acceptance_criteria":["a"],"status":""',
             '"epic_id":"$epic","title":"Login","acceptance_criteria":["a"],"status":"todo","version":1', "&epic=$epic",
             '"epic_id":"$epic","title":"Login","status":"review","version":1',
             '"epic_id":"$epic","title":"Login","status":"review","version":2'),
    *_entity("Task", "tasks", '"story_id":"$story","title":"Do it","agent":"b1","status":""',
             '"story_id":"$story","title":"Do it","agent":"b1","status":"pending","version":1', "&status=pending&agent=b1",
             '"title":"Do it","status":"done","version":1', '"title":"Do it","status":"done","version":2'),
    *_entity("Insight", "insights", '"source":"scout","category":"tech","title":"X","score":0.85',
             '"source":"scout","category":"tech","title":"X","score":0.85', "&category=tech", "", "",
             times=f'"created_at":"{ZERO_TIME}"'),
    *_entity("Session", "sessions", '"name":"main","agent":"b1","status":""',
             '"name":"main","agent":"b1","status":"running"', "&status=running",
             '"name":"n","agent":"b1","status":"idle"', '"name":"n","agent":"b1","status":"idle"',
             times=f'"started_at":"{ZERO_TIME}","updated_at":"{ZERO_TIME}"'),
    *_entity("CUJ", "cujs", f'"spec_id":"$spec","title":"Onboard","priority":"high",{_STEPS},"status":""',
             f'"spec_id":"$spec","title":"Onboard","priority":"high",{_STEPS},"status":"draft","version":1', "&spec=$spec",
             '"spec_id":"$spec","title":"Onboard","priority":"medium","status":"validated","version":1',
             '"spec_id":"$spec","title":"Onboard","priority":"medium","status":"validated","version":2'),
    Call("AssignTask", "POST", f"/api/tasks/$task/assign{_OF_PROJECT}", '{"agent":"b2"}', 200, "Task",
         '{"id":"$task","project":"$project","story_id":"$story","title":"Do it","agent":"b2","status":"running","version":2,'
         f"{_SET}}}"),
    Call("LinkInsightToSpec", "POST", f"/api/insights/$insight/link{_OF_PROJECT}", '{"spec_id":"$spec"}'),
    Call("LinkCUJToFeature", "POST", f"/api/cujs/$cuj/link{_OF_PROJECT}", '{"feature_id":"f1"}', is_furniture=True),
    Call("UnlinkCUJFromFeature", "POST", f"/api/cujs/$cuj/unlink{_OF_PROJECT}", '{"feature_id":"f1"}'),
    Call("GetCUJFeatureLinks", "GET", f"/api/cujs/$cuj/links{_OF_PROJECT}", None, 200, "[]Link",
         '[{"cuj_id":"$cuj","feature_id":"f1","project":"$project","linked_at":"<time>"}]'),
)  # fmt: skip
"""The table. `ListEpics` and the others that take a filter come with it."""

BY_NAME: Final = {call.name: call for call in CALLS}
FURNITURE: Final = tuple(call for call in CALLS if call.keeps or call.is_furniture)


@dataclass(frozen=True)
class World:
    """A project in which there is one of everything, made by the SDK's own calls."""

    sdk: GoSdk
    names: dict[str, str]
    answers: dict[str, Answer]

    def call(self, name: str) -> Answer:
        """Make a call of the table."""
        return BY_NAME[name].sent(self.sdk, self.names)


def furnished(sdk: GoSdk, project: str, unique: str) -> World:
    """Make one of everything; `unique` is a path that nobody else of the project reserves."""
    names, answers = {"project": project, "unique": unique}, {}
    for call in FURNITURE:
        answers[call.name] = answer = call.sent(sdk, names)
        found = call.taken(answer)
        if call.keeps:
            names[call.keeps] = next(found[field] for field in ("id", "message_id", "agent_id") if found.get(field))
    return World(sdk, names, answers)
