"""One good request for every operation that changes something, and what has to be there before it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from calls import Json, good, register, reserve, send

from intermute.core.entities.kinds import ENTITIES


@dataclass(frozen=True)
class Sending:
    """A request, and another one that differs in its content."""

    method: str
    path: str
    body: Json | None
    other: tuple[str, Json | None]
    """Path and body of the other one."""
    status: int = 200
    query: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: httpx.Client, key: str | None, **headers: str) -> httpx.Response:
        """Send it."""
        return self._send(client, self.path, self.body, key, headers)

    def send_other(self, client: httpx.Client, key: str) -> httpx.Response:
        """Send the one that differs."""
        return self._send(client, *self.other, key, {})

    def _send(
        self, client: httpx.Client, path: str, body: Json | None, key: str | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        more = {} if key is None else {"Idempotency-Key": key}
        return client.request(self.method, path, json=body, params=self.query or None, headers={**headers, **more})


Scene = Callable[[httpx.Client, str], Sending]


def _agent(client: httpx.Client, project: str) -> str:
    return str(register(client, project, "anna")["agent_id"])


def _posting(path: str, body: Json, other: Json, status: int = 200) -> Scene:
    return lambda _client, project: Sending(
        "POST", path, {"project": project, **body}, (path, {"project": project, **other}), status
    )


def _broadcast(client: httpx.Client, project: str) -> Sending:
    _agent(client, project)
    body = {"project": project, "from": "zed", "topic": "news", "body": "x"}
    return Sending("POST", "/api/broadcast", body, ("/api/broadcast", {**body, "body": "y"}))


def _deregister(client: httpx.Client, project: str) -> Sending:
    ben = register(client, project, "ben")["agent_id"]
    return Sending("DELETE", f"/api/agents/{_agent(client, project)}", None, (f"/api/agents/{ben}", None))


def _metadata(client: httpx.Client, project: str) -> Sending:
    path = f"/api/agents/{_agent(client, project)}/metadata"
    return Sending("PATCH", path, {"metadata": {"a": "1"}}, (path, {"metadata": {"a": "2"}}))


def _policy(method: str) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        path = f"/api/agents/{_agent(client, project)}/policy"
        return Sending(method, path, {"policy": "auto"}, (path, {"policy": "block_all"}))

    return scene


def _contact(method: str, suffix: str) -> Scene:
    """Return a scene in which ben asked to be anna's contact, or anna asks ben."""

    def scene(client: httpx.Client, project: str) -> Sending:
        anna, ben, carl = (str(register(client, project, name)["agent_id"]) for name in ("anna", "ben", "carl"))
        if suffix != "/request" and method != "PUT":
            for other in (ben, carl):
                good(client.post(f"/api/agents/{other}/contacts/{anna}/request"))
        body: Json | None = None if method == "DELETE" else {}
        path = f"/api/agents/{anna}/contacts"
        return Sending(method, f"{path}/{ben}{suffix}", body, (f"{path}/{carl}{suffix}", body))

    return scene


def _held(how: str) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        for name in ("ben", "carl"):
            agent = register(client, project, name)["agent_id"]
            good(client.put(f"/api/agents/{agent}/policy", json={"policy": "contacts_only"}))
        body = {"project": project, "from": "anna", "to": ["ben", "carl"], "on_denied": "hold"}
        path = f"/api/messages/{good(client.post('/api/messages', json=body))['message_id']}/{how}"
        return Sending("POST", path, {"agent": "ben"}, (path, {"agent": "carl"}), query={"project": project})

    return scene


def _window(client: httpx.Client, project: str) -> Sending:
    anna = register(client, project, "anna")
    body = {"project": project, "window_uuid": "w1", "agent_id": anna["agent_id"], "registration_token": anna["token"]}
    return Sending("POST", "/api/windows", body, ("/api/windows", {**body, "tmux_target": "main"}))


def _expire(client: httpx.Client, project: str) -> Sending:
    _window(client, project).send(client, None)
    path = f"/api/windows/{{}}?project={project}"
    return Sending("DELETE", path.format("w1"), None, (path.format("w2"), None))


def _poke(client: httpx.Client, project: str) -> Sending:
    ben = register(client, project, "ben")["agent_id"]
    good(client.put(f"/api/agents/{ben}/policy", json={"live_contact_policy": "open"}))
    sent = send(client, project, "anna", ["ben"], transport="both")
    path = f"/api/inbox/pokes/{sent['message_id']}/ack"
    return Sending("POST", path, {"agent": "ben", "project": project}, (path, {"agent": "carl", "project": project}))


def _marking(how: str) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        sent = send(client, project, "anna", ["ben", "carl"])["message_id"]
        path = f"/api/messages/{sent}/{how}"
        return Sending("POST", path, {"agent": "ben"}, (path, {"agent": "carl"}), query={"project": project})

    return scene


def _holding(method: str, suffix: str, body: Json | None, other: Json | None, **more: Json) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        for name in ("anna", "ben", "carl"):
            register(client, project, name)
        held = reserve(client, project, "anna", "src/**")["id"]
        path = f"/api/reservations/{held}{suffix}"
        elsewhere = f"/api/reservations/{reserve(client, project, 'anna', 'docs/**')['id']}{suffix}"
        return Sending(method, path, body, (path if body != other else elsewhere, other), query=more.get("query", {}))

    return scene


def _release_all(client: httpx.Client, project: str) -> Sending:
    reserve(client, project, "anna", "src/**")
    path = f"/api/reservations?project={project}&agent_id="
    return Sending("DELETE", f"{path}anna", None, (f"{path}ben", None))


def _change_intent(client: httpx.Client, project: str) -> Sending:
    body = {"project": project, "agent_id": "anna", "paths": ["a"], "operation": "modify"}
    path = f"/api/intents/{good(client.post('/api/intents', json=body), 201)['intent_id']}"
    return Sending("PATCH", path, {"state": "started"}, (path, {"state": "done"}))


def _settings(_client: httpx.Client, project: str) -> Sending:
    path = f"/api/projects/{project}/settings"
    return Sending("PATCH", path, {"strict_status": True}, (path, {"strict_status": False}))


def _upload(_client: httpx.Client, project: str) -> Sending:
    path = f"/api/projects/{project}/symbols"
    files = [{"path": "a.py", "symbols": [{"name": "f"}]}]
    return Sending("PUT", path, {"commit": "a" * 40, "files": files}, (path, {"commit": "b" * 40, "files": files}))


def _drop(client: httpx.Client, project: str) -> Sending:
    upload = _upload(client, project)
    good(upload.send(client, None))
    return Sending("DELETE", upload.path, None, (f"{upload.path}?agent_id=ben", None))


def _task(client: httpx.Client, project: str, **more: object) -> str:
    body = {"project": project, "title": "x", **more}
    return f"/api/tasks/{good(client.post('/api/tasks', json=body), 201)['id']}"


def _on_task(what: str) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        path = f"{_task(client, project)}/{what}"
        return Sending("POST", path, {"agent": "anna"}, (path, {"agent": "ben"}))

    return scene


def _give_back(client: httpx.Client, project: str) -> Sending:
    path = _task(client, project)
    good(client.post(f"{path}/claim", json={"agent": "anna"}))
    return Sending("POST", f"{path}/release", {"agent": "anna"}, (f"{path}/release", {"agent": "anna", "reason": "x"}))


def _next(client: httpx.Client, project: str) -> Sending:
    _task(client, project)
    _task(client, project)
    return _posting("/api/tasks/next", {"agent": "anna"}, {"agent": "ben"})(client, project)


def _on_one(plural: str, what: str, body: Json, other: Json) -> Scene:
    def scene(client: httpx.Client, project: str) -> Sending:
        made = good(client.post(f"/api/{plural}", json={"project": project, "title": "x"}), 201)
        path = f"/api/{plural}/{made['id']}/{what}"
        if what == "unlink":
            good(client.post(f"/api/{plural}/{made['id']}/link", json=body))
        return Sending("POST", path, body, (path, other))

    return scene


def _entity_scenes() -> Iterator[tuple[str, Scene]]:
    for entity in ENTITIES:
        names = {each.name for each in entity.fields}
        text = "title" if "title" in names else "name"
        version = {"version": 1} if "version" in names else {}

        def made(client: httpx.Client, project: str, plural: str = entity.plural, text: str = text) -> str:
            body = {"project": project, text: "x"}
            return f"/api/{plural}/{good(client.post(f'/api/{plural}', json=body), 201)['id']}"

        def create(_client: httpx.Client, project: str, plural: str = entity.plural, text: str = text) -> Sending:
            path = f"/api/{plural}"
            body, other = {"project": project, text: "x"}, {"project": project, text: "y"}
            return Sending("POST", path, body, (path, other), 201)

        def changing(method: str, text: str = text, version: Json = version, made: Callable[..., str] = made) -> Scene:
            def scene(client: httpx.Client, project: str) -> Sending:
                path = made(client, project)
                body, other = {**version, text: "y"}, {**version, text: "z"}
                return Sending(method, path, body, (path, other), query={"project": project})

            return scene

        def delete(client: httpx.Client, project: str, made: Callable[..., str] = made) -> Sending:
            path = made(client, project)
            return Sending("DELETE", path, None, (made(client, project), None), 204, {"project": project})

        yield f"POST /api/{entity.plural}", create
        yield f"PUT /api/{entity.plural}/{{id:path}}", changing("PUT")
        yield f"PATCH /api/{entity.plural}/{{id:path}}", changing("PATCH")
        yield f"DELETE /api/{entity.plural}/{{id:path}}", delete


_RESERVE: Final[Json] = {"agent_id": "anna", "path_pattern": "src/**"}
_INTENT: Final[Json] = {"agent_id": "anna", "paths": ["a"], "operation": "modify"}

MUTATIONS: Final[Mapping[str, Scene]] = {
    "POST /api/agents": _posting("/api/agents", {"name": "anna"}, {"name": "ben"}),
    "DELETE /api/agents/{agent}": _deregister,
    "PATCH /api/agents/{agent}/metadata": _metadata,
    "POST /api/agents/{agent}/policy": _policy("POST"),
    "PUT /api/agents/{agent}/policy": _policy("PUT"),
    "PUT /api/agents/{agent}/contacts/{other}": _contact("PUT", ""),
    "DELETE /api/agents/{agent}/contacts/{other}": _contact("DELETE", ""),
    "POST /api/agents/{agent}/contacts/{other}/request": _contact("POST", "/request"),
    "POST /api/agents/{agent}/contacts/{other}/approve": _contact("POST", "/approve"),
    "POST /api/agents/{agent}/contacts/{other}/decline": _contact("POST", "/decline"),
    "POST /api/messages/{message_id}/approve": _held("approve"),
    "POST /api/messages/{message_id}/decline": _held("decline"),
    "POST /api/windows": _window,
    "DELETE /api/windows/{window_uuid}": _expire,
    "POST /api/inbox/pokes/{message_id}/ack": _poke,
    "POST /api/messages": _posting(
        "/api/messages", {"from": "anna", "to": ["ben"]}, {"from": "anna", "to": ["ben"], "body": "x"}
    ),
    "POST /api/broadcast": _broadcast,
    "POST /api/messages/{message_id}/ack": _marking("ack"),
    "POST /api/messages/{message_id}/read": _marking("read"),
    "POST /api/reservations": _posting("/api/reservations", _RESERVE, {**_RESERVE, "reason": "x"}, 201),
    "DELETE /api/reservations": _release_all,
    "PATCH /api/reservations/{reservation_id}": _holding("PATCH", "", {"ttl_minutes": 5}, {"ttl_minutes": 6}),
    "DELETE /api/reservations/{reservation_id}": _holding("DELETE", "", None, None),
    "POST /api/reservations/{reservation_id}/transfer": _holding("POST", "/transfer", {"to": "ben"}, {"to": "carl"}),
    "POST /api/reservations/{reservation_id}/request": _holding(
        "POST", "/request", {"agent_id": "ben"}, {"agent_id": "carl"}
    ),
    "POST /api/reservations/{reservation_id}/force-release": _holding(
        "POST", "/force-release", {"reason": "x"}, {"reason": "y"}
    ),
    "POST /api/intents": _posting("/api/intents", _INTENT, {**_INTENT, "paths": ["b"]}, 201),
    "PATCH /api/intents/{intent_id}": _change_intent,
    "PATCH /api/projects/{project:path}/settings": _settings,
    "PUT /api/projects/{project:path}/symbols": _upload,
    "DELETE /api/projects/{project:path}/symbols": _drop,
    "POST /api/tasks/next": _next,
    "POST /api/tasks/{id:path}/assign": _on_task("assign"),
    "POST /api/tasks/{id:path}/claim": _on_task("claim"),
    "POST /api/tasks/{id:path}/release": _give_back,
    "POST /api/insights/{id:path}/link": _on_one("insights", "link", {"spec_id": "s"}, {"spec_id": "t"}),
    "POST /api/cujs/{id:path}/link": _on_one("cujs", "link", {"feature_id": "f"}, {"feature_id": "g"}),
    "POST /api/cujs/{id:path}/unlink": _on_one("cujs", "unlink", {"feature_id": "f"}, {"feature_id": "g"}),
    **dict(_entity_scenes()),
}
"""By method and path as the operation table has them."""
