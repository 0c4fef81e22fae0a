"""Two tenants in one service, on a clock that stands still: everything that is random or timed is the same in every run.

So the answers of two services can be compared byte by byte. `furnish` fills a project with one of everything that has an id.
"""

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import trio
import trio.testing
from known_keys import ACME_KEY, KEYS_FILE, UMBRA_KEY, with_key
from open_projects import Service, serving
from quart_trio import QuartTrio

from intermute.core.entities.kinds import ENTITIES
from intermute.core.ids import ProjectName
from intermute.store.connection import close, open_reader
from intermute.web.auth import KeyRing
from intermute.web.fast_lane import FastLane
from intermute.web.front import Front
from intermute.web.gate import Gate
from intermute.web.health import HealthReport
from intermute.web.keys import load_keys
from intermute.web.lane import build_app
from intermute.web.server.heads import read_plain
from intermute.web.server.listeners import Peer
from intermute.web.sockets import Sockets
from intermute.web.system import Surroundings

ACME: Final = "acme"
UMBRA: Final = "umbra"
KEY_OF: Final = {ACME: ACME_KEY, UMBRA: UMBRA_KEY}
_PARENT: Final = {"epic": "spec_id", "story": "epic_id", "task": "story_id", "insight": "spec_id", "cuj": "spec_id"}
_LISTS_WITH_TEXT_CURSORS: Final = tuple(entity.plural for entity in ENTITIES)

Ids = Mapping[str, Any]
"""One of everything in a project, by what it is. Any: text, or a number for a place in a list or a fence."""


@dataclass(frozen=True)
class Reply:
    """All that a caller sees of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def code(self) -> str:
        """The stable code of a refusal; empty where it is none."""
        found = json.loads(self.body or b"{}")
        return str(found.get("code", found["error"])) if isinstance(found, dict) and "error" in found else ""


class Town:
    """One service with its front, called as the HTTP lane calls it."""

    def __init__(
        self, service: Service, app: QuartTrio, fast: FastLane, rng: random.Random, nursery: trio.Nursery
    ) -> None:
        self.service, self.rng, self._app, self._fast, self._nursery = service, rng, app, fast, nursery
        self._client = app.test_client(use_cookies=False)

    async def call(
        self,
        headers: Mapping[str, str],
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: object = None,
    ) -> Reply:
        """Make one call and return the answer; a caller without a key comes from this machine."""
        is_local = "Authorization" not in headers
        scope = {"client": ("127.0.0.1" if is_local else "203.0.113.10", 1), "server": ("localhost", 80)}
        response = await self._client.open(  # type: ignore[call-arg] # Quart's protocol forgets that json has a default.
            path,
            method=method,
            headers={"Host": "localhost", **({} if body is None else {"Content-Type": "application/json"}), **headers},
            query_string=list(query) or None,  # type: ignore[arg-type] # Werkzeug takes pairs as well.
            data=None if body is None else json.dumps(body),
            scope_base=scope,
        )
        return Reply(
            response.status_code,
            tuple(sorted((name.lower(), value) for name, value in response.headers.items())),
            await response.get_data(as_text=False),
        )

    async def call_fast(
        self, headers: Mapping[str, str], method: str, path: str, query: Sequence[tuple[str, str]], body: object
    ) -> Reply | None:
        """Make the same call by the fast lane; None where it is left to the other one."""
        content = b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "localhost", **({} if body is None else {"Content-Type": "application/json"}), **headers}
        if body is not None:
            fields["Content-Length"] = str(len(content))
        lines = [f"{method} {path}{'?' if query else ''}{urlencode(query)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        read = read_plain("\r\n".join([*lines, "\r\n"]).encode())
        client = ("127.0.0.1" if "Authorization" not in headers else "203.0.113.10", 1)
        found = self._fast(Peer(is_unix=False), client, ("localhost", 80)).find(read) if read is not None else None
        if found is None:
            return None
        reply = await found(content)
        told = [*reply.headers]
        if reply.content_type is not None:
            told += [("content-type", reply.content_type), ("content-length", str(len(reply.body)))]
        return Reply(reply.status, tuple(sorted((name.lower(), value) for name, value in told)), reply.body)

    async def act(self, project: str, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Make a call as the holder of the project's key; return the JSON, after checking that it went well (Any: JSON)."""
        reply = await self.call({**with_key(KEY_OF[project]), **headers}, method, path, (), body)
        assert reply.status < 300, (method, path, reply)
        return json.loads(reply.body) if reply.body else {}

    async def begin(self, project: str, method: str, path: str, body: object) -> None:
        """Make a call that is not answered before the end of the town."""
        self._nursery.start_soon(self.act, project, method, path, body)
        await trio.testing.wait_all_tasks_blocked()

    async def listen(self, project: str, path: str) -> list[str]:
        """Open a WebSocket as the holder of the project's key; what it gets is added to the list that this returns."""
        heard: list[str] = []
        headers = [(b"host", b"localhost")]
        headers += [(name.lower().encode(), value.encode()) for name, value in with_key(KEY_OF[project]).items()]
        scope: Any = {  # Any: ASGI's scopes are open dictionaries.
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers, "subprotocols": [],
            "client": ("203.0.113.10", 1), "server": ("localhost", 80), "extensions": {"websocket.http.response": {}},
        }  # fmt: skip

        async def send(event: Any) -> None:  # Any: see `scope`.
            assert event["type"] in ("websocket.accept", "websocket.send"), event
            heard.extend([event["text"]] if "text" in event else [])

        async def listener() -> None:
            await self._app(scope, trio.sleep_forever, send)

        self._nursery.start_soon(listener)
        await trio.testing.wait_all_tasks_blocked()
        return heard


@asynccontextmanager
async def town(root: Path) -> AsyncIterator[Town]:
    """Serve a data directory to the holders of two keys, and to local callers."""
    rng = random.Random(1)
    keys_file = root / "keys.yaml"
    keys_file.write_text(KEYS_FILE)
    async with serving(root / "data", random_bits=rng.getrandbits) as service:

        def log(event: str, **fields: object) -> None:
            service.log.append((event, fields))

        keys = KeyRing(keys_file, load_keys(keys_file), trio.current_time, log)
        around = Surroundings(service.registry, HealthReport(service.registry, service.supervisor))
        front = Front(service.registry, keys, Gate(frozenset({"localhost"})), around, log)
        async with trio.open_nursery() as nursery:
            yield Town(service, build_app(front, Sockets(front), log), FastLane(front), rng, nursery)
            nursery.cancel_scope.cancel()


async def furnish(place: Town, project: str, seed: int) -> Ids:
    """Fill a project with one of everything; ids that clients choose carry the seed, so that no two projects share one."""
    place.rng.seed(seed)
    act = place.act
    session = str(UUID(int=seed))
    names = [f"una-{seed}", f"ulf-{seed}"]
    agent = await act(project, "POST", "/api/agents", {"project": project, "name": names[0], "session_id": session})
    other = await act(project, "POST", "/api/agents", {"project": project, "name": names[1]})
    una, ulf = agent["agent_id"], other["agent_id"]
    found: dict[str, Any] = {
        "project": project, "agent": una, "other_agent": ulf, "name": names[0], "agent_session": session,
        "token": agent["token"], "message": f"message-{seed}", "thread": f"thread-{seed}", "idempotency": f"once-{seed}",
        "commit": f"commit-{seed}", "secret": f"secret-{seed}",
    }  # fmt: skip
    letter = {"project": project, "from": ulf, "to": [una], "id": found["message"], "thread_id": found["thread"]}
    await act(project, "POST", "/api/messages", {**letter, "body": found["secret"], "ack_required": True})
    shy = await act(project, "POST", "/api/agents", {"project": project, "name": f"uno-{seed}"})
    found |= {"shy_agent": shy["agent_id"], "held_message": f"held-{seed}", "declined_message": f"held-{seed}-declined"}
    await act(project, "PUT", f"/api/agents/{shy['agent_id']}/policy", {"policy": "contacts_only"})
    await act(project, "POST", f"/api/agents/{ulf}/contacts/{una}/request")
    await act(project, "PUT", f"/api/agents/{una}/policy", {"live_contact_policy": "block_all"})
    kept = {"project": project, "from": ulf, "to": [shy["agent_id"]], "on_denied": "hold", "body": found["secret"]}
    for held in ("", "-declined", "-kept"):
        await act(project, "POST", "/api/messages", {**kept, "id": f"held-{seed}{held}"})
    window = {
        "project": project,
        "window_uuid": f"window-{seed}",
        "agent_id": una,
        "registration_token": agent["token"],
    }
    await act(project, "POST", "/api/windows", {**window, "tmux_target": f"secret-{seed}:0.1"})
    live = {"live_contact_policy": "open"}
    await act(project, "PUT", f"/api/agents/{shy['agent_id']}/policy", live)
    for poke in ("", "-kept"):
        deferred = {**kept, "transport": "both", "id": f"poke-{seed}{poke}"}
        await act(project, "POST", "/api/messages", deferred)
    found |= {"window": window["window_uuid"], "poke": f"poke-{seed}"}
    pattern = f"{found['secret']}/**"
    wish = {"agent_id": una, "path_pattern": pattern, "exclusive": True, "idempotency_key": found["idempotency"]}
    held = await act(project, "POST", "/api/reservations", wish)
    waiting = {"agent_id": ulf, "path_pattern": pattern, "exclusive": True, "on_conflict": "wait"}
    await place.begin(project, "POST", "/api/reservations", waiting)
    [wait] = (await act(project, "GET", "/api/reservations/waiting"))["waiting"]
    intent = {"agent_id": una, "path_pattern": f"intent-{seed}/x", "operation": "modify"}
    declared = await act(project, "POST", "/api/intents", intent)
    found |= {"reservation": held["id"], "fence": held["fence"], "ticket": wait["ticket"]}
    found |= {"intent": declared["intent_id"]}
    for entity in ENTITIES:
        for number in (1, 2):
            named = {"name" if entity.kind == "session" else "title": f"{found['secret']} {number}"}
            parent = _PARENT.get(entity.kind)
            up = {parent: found[parent.removesuffix("_id")]} if parent else {}
            made = await act(project, "POST", f"/api/{entity.plural}", {**named, **up})
            found.setdefault(str(entity.kind), made["id"])
    feature = {"feature_id": f"feature-{seed}"}
    await act(project, "POST", f"/api/cujs/{found['cuj']}/link", feature)
    found |= {"feature": feature["feature_id"]}
    upload = {
        "agent_id": una,
        "commit": found["commit"],
        "files": [{"path": f"{found['secret']}.py", "symbols": [{"name": "f"}]}],
    }
    await act(project, "PUT", f"/api/projects/{project}/symbols", upload)
    found["cursor"] = (await act(project, "GET", "/api/events"))["cursor"]
    found["cursor of messages"] = f"{found['cursor']}-0"
    for plural in _LISTS_WITH_TEXT_CURSORS:
        page = await place.call(with_key(KEY_OF[project]), "GET", f"/api/{plural}", [("limit", "1")])
        found[f"cursor of {plural}"] = dict(page.headers)["x-next-cursor"]
    return found


def tables(place: Town, project: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a project's file (Any: what SQLite holds)."""
    reader = open_reader(place.service.registry.directory.path_of(ProjectName(project)))
    try:
        names = [
            str(row[0]) for row in reader.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
        ]
        return {name: sorted(reader.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}
    finally:
        close(reader)
