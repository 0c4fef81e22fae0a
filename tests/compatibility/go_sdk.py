"""The original's Go SDK as it is on the wire (contract.md appendix A): its requests, and the statuses that it wants.

Requests are written as Go's net/http writes them. An unexpected status is an error, and its body is not read.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from go_structs import (
    AGENT,
    ALWAYS_SENT,
    ENTITIES,
    LINK,
    MESSAGE,
    RESERVATION,
    STALE,
    THREAD,
    Json,
    SdkError,
    marshal,
    struct,
    unmarshal,
)

PATIENCE_S: Final = 10.0  # the SDK's own time limit.


@dataclass(frozen=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GoTransport:
    """One kept-alive connection of Go's net/http. Resources: the caller closes it."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._port, self._headers = port, dict(headers or {})
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._stream = self._socket.makefile("rb")

    def call(self, method: str, target: str, body: bytes | None = None, **more: str) -> Answer:
        """Send one request with Go's headers in Go's order, and return the answer."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", "User-Agent: Go-http-client/1.1"]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in {**self._headers, **more}.items()]
        if body is not None and "Content-Type" not in more:
            lines.append("Content-Type: application/json")
        lines += ["Accept-Encoding: gzip", "", ""]
        self._socket.sendall("\r\n".join(lines).encode() + (body or b""))
        return self._read()

    def _read(self) -> Answer:
        version, status, *_ = self._stream.readline().split(b" ", 2)
        assert version == b"HTTP/1.1"
        headers: dict[str, str] = {}
        while (line := self._stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        if int(status) == 204:
            return Answer(204, headers, b"")
        assert "transfer-encoding" not in headers, "the SDK could read it, and nothing of ours needs it"
        return Answer(int(status), headers, self._stream.read(int(headers["content-length"])))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()


class GoClient:
    """The SDK's Client: a project, perhaps a key, and never a word about which agent it is."""

    def __init__(self, transport: GoTransport, project: str) -> None:
        self._transport, self.project = transport, project

    def _do(
        self,
        operation: str,
        method: str,
        path: str,
        query: Sequence[tuple[str, Json]] = (),
        body: Json = None,
        *,
        expect: int = 200,
        shape: Any = None,  # Any: as unmarshal.
    ) -> Json:
        target = path + ("?" + urlencode(query) if query else "")
        answer = self._transport.call(method, target, None if body is None else marshal(body))
        if answer.status == 404 and operation.startswith("get "):
            raise SdkError("not found")
        if answer.status == 409 and operation.startswith(("create ", "update ")):
            raise SdkError("ErrConflict")
        if answer.status != expect:
            raise SdkError(f"{operation} failed: {answer.status}")
        return None if shape is None else unmarshal(answer.body, shape)

    @property
    def _of_project(self) -> list[tuple[str, Json]]:
        return [("project", self.project)]

    # ---- agents and messages

    def register_agent(self, **agent: Json) -> Json:
        """RegisterAgent."""
        body = struct(AGENT, frozenset(), **{"project": self.project, **agent})
        shape = {"agent_id": str, "session_id": str, "name": str}
        return self._do("register", "POST", "/api/agents", body=body, shape=shape)

    def heartbeat(self, agent: str) -> None:
        """Heartbeat."""
        self._do("heartbeat", "POST", f"/api/agents/{quote(agent)}/heartbeat", body={})

    def list_agents(self) -> Json:
        """ListAgents."""
        return self._do("list agents", "GET", "/api/agents", self._of_project, shape={"agents": [AGENT]})["agents"]

    def discover_agents(self, *capabilities: str) -> Json:
        """DiscoverAgents."""
        query = [*self._of_project, ("capability", ",".join(capabilities))]
        return self._do("discover agents", "GET", "/api/agents", query, shape={"agents": [AGENT]})["agents"]

    def send_message(self, **message: Json) -> Json:
        """SendMessage."""
        always = frozenset({"id", "thread_id", "project", "from", "to", "body"})
        body = struct(MESSAGE, always, **{"project": self.project, **message})
        return self._do("send", "POST", "/api/messages", body=body, shape={"message_id": str, "cursor": int})

    def inbox_since(self, agent: str, cursor: int = 0) -> Json:
        """InboxSince."""
        query = [("since_cursor", cursor), *self._of_project]
        shape = {"messages": [MESSAGE], "cursor": int}
        return self._do("inbox", "GET", f"/api/inbox/{quote(agent)}", query, shape=shape)

    def mark(self, message_id: str, how: str) -> None:
        """Ack and Read."""
        self._do(how, "POST", f"/api/messages/{quote(message_id)}/{how}", self._of_project, body={})

    def list_threads(self, agent: str, cursor: int = 0) -> Json:
        """ListThreads."""
        query = [("agent", agent), ("cursor", cursor), *self._of_project]
        return self._do("list threads", "GET", "/api/threads", query, shape={"threads": [THREAD], "cursor": int})

    def thread_messages(self, thread_id: str, cursor: int = 0) -> Json:
        """ThreadMessages."""
        shape = {"thread_id": str, "messages": [MESSAGE], "cursor": int}
        return self._do(
            "thread", "GET", f"/api/threads/{quote(thread_id)}", [("cursor", cursor), *self._of_project], shape=shape
        )

    def inbox_counts(self, agent: str) -> Json:
        """InboxCounts."""
        return self._do("counts", "GET", f"/api/inbox/{quote(agent)}/counts", shape={"total": int, "unread": int})

    def stale_acks(self, agent: str, ttl_seconds: int = 0, limit: int = 0) -> Json:
        """StaleAcks; a zero is not sent."""
        query = [(name, value) for name, value in (("ttl_seconds", ttl_seconds), ("limit", limit)) if value]
        shape = {"project": str, "agent": str, "ttl_seconds": int, "count": int, "messages": [STALE]}
        return self._do("stale acks", "GET", f"/api/inbox/{quote(agent)}/stale-acks", query, shape=shape)

    # ---- reservations

    def reserve(self, **reservation: Json) -> Json:
        """Reserve, which wants 200."""
        always = frozenset({"id", "agent_id", "project", "path_pattern", "exclusive", "is_active"})
        given = {"project": self.project, "released_at": None, **reservation}
        body = struct(RESERVATION, always, **given)
        return self._do("reserve", "POST", "/api/reservations", body=body, shape=RESERVATION)

    def release_reservation(self, reservation_id: str) -> None:
        """ReleaseReservation, which says not who it is."""
        self._do("release", "DELETE", f"/api/reservations/{quote(reservation_id)}")

    def active_reservations(self) -> Json:
        """ActiveReservations; `project` is sent even where it is empty."""
        shape = {"reservations": [RESERVATION]}
        return self._do("list reservations", "GET", "/api/reservations", self._of_project, shape=shape)["reservations"]

    def agent_reservations(self, agent: str) -> Json:
        """AgentReservations."""
        shape = {"reservations": [RESERVATION]}
        return self._do("agent reservations", "GET", "/api/reservations", [("agent", agent)], shape=shape)[
            "reservations"
        ]

    # ---- entities

    def create(self, plural: str, **fields: Json) -> Json:
        """Create{Spec,Epic,Story,Task,Insight,Session,CUJ}."""
        shape = ENTITIES[plural]
        body = struct(shape, ALWAYS_SENT & set(shape), **{"project": self.project, **fields})
        return self._do(f"create {plural}", "POST", f"/api/{plural}", body=body, expect=201, shape=shape)

    def get(self, plural: str, entity_id: str) -> Json:
        """Get*."""
        where = f"/api/{plural}/{quote(entity_id)}"
        return self._do(f"get {plural}", "GET", where, self._of_project, shape=ENTITIES[plural])

    def list(self, plural: str, **filters: str) -> Json:
        """List*."""
        query = [*self._of_project, *filters.items()]
        return self._do(f"list {plural}", "GET", f"/api/{plural}", query, shape=[ENTITIES[plural]])

    def update(self, plural: str, entity: Json) -> Json:
        """Update{Spec,Epic,Story,Task,CUJ,Session}: the whole object, as it was read."""
        shape = ENTITIES[plural]
        given = {name: value for name, value in entity.items() if value not in (None, "", [])}
        body = struct(shape, ALWAYS_SENT & set(shape), **given)
        where = f"/api/{plural}/{quote(entity['id'])}"
        return self._do(f"update {plural}", "PUT", where, body=body, shape=shape)

    def delete(self, plural: str, entity_id: str) -> None:
        """Delete*."""
        self._do(f"delete {plural}", "DELETE", f"/api/{plural}/{quote(entity_id)}", self._of_project, expect=204)

    def assign_task(self, task_id: str, agent: str) -> Json:
        """AssignTask."""
        where = f"/api/tasks/{quote(task_id)}/assign"
        return self._do("assign", "POST", where, self._of_project, {"agent": agent}, shape=ENTITIES["tasks"])

    def link_insight(self, insight_id: str, spec_id: str) -> None:
        """LinkInsightToSpec."""
        self._do("link", "POST", f"/api/insights/{quote(insight_id)}/link", self._of_project, {"spec_id": spec_id})

    def link_cuj(self, cuj_id: str, feature_id: str, how: str = "link") -> None:
        """LinkCUJToFeature and UnlinkCUJFromFeature."""
        self._do(how, "POST", f"/api/cujs/{quote(cuj_id)}/{how}", self._of_project, {"feature_id": feature_id})

    def cuj_links(self, cuj_id: str) -> Json:
        """GetCUJFeatureLinks."""
        return self._do("links", "GET", f"/api/cujs/{quote(cuj_id)}/links", self._of_project, shape=[LINK])
