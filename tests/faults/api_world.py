"""What the cases of `api_cases.py` are about: one project with one of everything, and values that mean something in it."""

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import requests
from server_process import PATIENCE_S, REPOSITORY

from intermute.core.ids import normal_project_name

Case = Any
"""One of schemathesis's, which hold whatever JSON holds (Any: therefore)."""
DOCUMENT: Final = json.loads((REPOSITORY / "docs" / "openapi.json").read_text(encoding="utf-8"))
AGENTS: Final = ("anna", "ben")
_KINDS: Final = ("specs", "epics", "stories", "tasks", "insights", "sessions", "cujs")
_IDENTITY: Final = ("X-Agent-ID", "X-Agent-Token")
"""Drawn ones are no agent's, and most cases with them would be refused for nothing else."""
_SHORT_S: Final = 0.01
_PATTERNS: Final = ("src/a.py", "src/**", "src/*.py", "docs/{a,b}.md", "lib/[ab]?.c", "*")
_WORDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "path_pattern": _PATTERNS, "pattern": _PATTERNS, "path": _PATTERNS, "address": ("src/a.py::Invoice.total",),
    "since_cursor": (0, 1, 7), "cursor": (0, 1, 2), "limit": (1, 2, 1000), "version": (1, 2, 3), "if_seq": (0, 1),
    "fence": (1, 2), "ttl_seconds": (1, 60), "thread_id": ("t", "u"), "priority": ("high", "low"), "id": ("n1", "n2", "n3"),
    "mode": ("shared", "exclusive"), "status": ("open", "pending", "done", "active"), "feature_id": ("f1",),
    "idempotency_key": ("k1", "k2"), "repo": ("r",), "session_id": ("",),
}  # fmt: skip
_TARGETS: Final = {
    "path_pattern", "pattern", "patterns", "path", "paths", "glob_patterns", "address", "addresses", "targets", "shared",
    "exclusive", "mode", "operation", "agent", "wait_seconds", "ticket", "ttl_minutes", "op", "id", "to", "reservation_id",
}  # fmt: skip
"""What says for which targets, in which mode and for whom, in many ways."""
_POOL_OF: Final[Mapping[str, str]] = {
    "agent": "agents", "agent_id": "agents", "from": "agents", "to": "agents", "cc": "agents", "bcc": "agents",
    "X-Agent-ID": "agents", "message_id": "messages", "reservation_id": "reservations", "ticket": "reservations",
    "intent_id": "intents", "spec_id": "specs", "spec": "specs", "epic_id": "epics", "epic": "epics", "story_id": "stories",
    "story": "stories", "task_id": "tasks", "depends_on": "tasks", "cuj_id": "cujs", "insight_id": "insights",
}  # fmt: skip


class World:
    """One project of the cases: what it holds, by the names of the fields that tell of it."""

    def __init__(self, project: str, chance: random.Random) -> None:
        self.project, self._chance = project, chance
        self.known: dict[str, list[str]] = {kind: [f"{kind}-1"] for kind in _KINDS}
        self.known["agents"] = list(AGENTS)
        self._versions: dict[str, int] = {}
        self.known["messages"], self.known["reservations"], self.known["intents"] = ["m1"], [], []

    def furnish(self, session: requests.Session, url: str) -> None:
        """Make one of everything; nothing is checked, the cases do that."""
        for path, body in self._wanted():
            answer = session.post(f"{url}{path}", json={"project": self.project, **body}, timeout=PATIENCE_S)
            if answer.ok:
                self._note(path.split("/")[2], answer.content)

    def _wanted(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in AGENTS:
            yield "/api/agents", {"name": name}
        yield "/api/messages", {"from": "anna", "to": ["ben"], "id": "m1", "body": "hello", "thread_id": "t"}
        yield "/api/reservations", {"agent_id": "anna", "path_pattern": "held/**", "exclusive": True}
        yield "/api/intents", {"agent_id": "anna", "summary": "s", "patterns": ["held/a.py"]}
        for kind in _KINDS:
            yield f"/api/{kind}", {"id": f"{kind}-1", "title": "x", "agent": "anna", "name": "x"}
            yield f"/api/{kind}", {"id": f"{kind}-1", "title": "x"}
        yield "/api/tasks", {"id": "tasks-2", "title": "free"}

    def aim(self, case: Case, share: float) -> None:
        """Replace this share of a case's values by such as mean something here; nothing may wait for long."""
        case.freeze_metadata()
        plural = case.path.split("/")[2] if case.path.count("/") > 1 else ""
        for name in _IDENTITY:
            if name in case.headers and self._chance.random() < 0.9:
                del case.headers[name]
        for values in (case.path_parameters, case.query, case.headers, case.body):
            if not isinstance(values, (dict, requests.structures.CaseInsensitiveDict)):
                continue
            for name, value in list(values.items()):
                pool = self._pool(name, plural)
                if name == "project":
                    values[name] = self._project(value)
                elif pool and value is not None and self._chance.random() < share:
                    chosen = self._chance.choice(pool)
                    if values is case.path_parameters:
                        chosen = quote(chosen, safe="")  # As what is drawn comes; an id may begin with #.
                    values[name] = [chosen] if isinstance(value, list) else chosen
        if isinstance(case.body, dict) and case.meta.generation.mode.is_positive:
            self._thin_out(case, share)
        for values in (case.query, case.body):  # After thinning: without the field a call waits for a minute.
            if isinstance(values, dict) and (
                "on_conflict" in values or isinstance(values.get("wait_seconds"), (int, float))
            ):
                values["wait_seconds"] = _SHORT_S
        for values, place in ((case.body, {"project"}), (case.query, _in_query(case))):
            if isinstance(values, dict) and "project" in place and self._chance.random() < 0.9:
                values["project"] = self.project

    def _thin_out(self, case: Case, share: float) -> None:
        """Leave out some of what may be left out, as many fields do not go together; of targets, leave one."""
        schema = described(case)["requestBody"]["content"]["application/json"]["schema"]
        if self._chance.random() < share / 2:
            for name in [each for each in case.body if each not in schema.get("required", ())]:
                if self._chance.random() < 0.7:
                    del case.body[name]
        if case.method == "PUT" and "version" in schema["properties"] and self._chance.random() < share:
            case.body["version"] = self._versions.get(unquote(case.path_parameters.get("id", "")), 1)
        if "path_pattern" in schema["properties"] and self._chance.random() < share:
            for name in _TARGETS & set(case.body):
                del case.body[name]
            case.body["path_pattern"] = self._chance.choice((*_PATTERNS, f"work/{self._chance.getrandbits(16)}.py"))
            case.body["agent_id"] = self._chance.choice(self.known["agents"])

    def learn(self, case: Case, content: bytes) -> None:
        """Remember what an accepted case has made or changed."""
        if case.method in ("POST", "PUT", "PATCH"):
            self._note(case.path.split("/")[2], content)

    def _note(self, plural: str, content: bytes) -> None:
        try:
            found = json.loads(content)
        except ValueError:
            return  # The checks say so.
        if not isinstance(found, dict):
            return
        made = found.get("id") or found.get("intent_id") or found.get("agent_id") or found.get("ticket")
        if plural not in self.known or not isinstance(made, str):
            return
        if made not in self.known[plural]:
            self.known[plural] = [*self.known[plural][-9:], made]
        if isinstance(found.get("version"), int):
            self._versions[made] = found["version"]

    def _pool(self, name: str, plural: str) -> tuple[Any, ...]:
        if name == "Idempotency-Key":
            return ("k1", f"k{self._chance.getrandbits(32)}")
        if name == "id" and plural in self.known:
            return (*self.known[plural], "n1")
        return tuple(self.known.get(_POOL_OF.get(name, ""), ())) or _WORDS.get(name, ())

    def _project(self, drawn: Any) -> Any:
        """Return the project, or what is no name of one: each valid name would make a file."""
        is_name = isinstance(drawn, str) and normal_project_name(drawn.strip()) is not None
        return self.project if is_name or self._chance.random() < 0.8 else drawn


def described(case: Case) -> dict[str, Any]:
    """Return what the document says of a case's operation; nothing where the operation is none of it."""
    found: dict[str, Any] = DOCUMENT["paths"].get(case.operation.path, {}).get(case.method.lower(), {})
    return found


def _in_query(case: Case) -> set[str]:
    """Return the names of the parameters that a case's operation takes in its query."""
    return {each["name"] for each in described(case).get("parameters", []) if each["in"] == "query"}
