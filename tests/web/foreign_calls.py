"""Every call by which one tenant could touch another: made from the operation table, so a new operation is covered by itself.

For each operation and each of its fields that names a thing there is a call with another tenant's thing in it, one with all
of them, and those that name the other project or claim to be the other's agent. What a field names stands in `NAMES`; a
field that names nothing stands in `PLAIN`; a field that is in neither fails the test, so that somebody has to say it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from tenants import Ids

from intermute.core.entities.kinds import ENTITIES
from intermute.core.operations import OPERATIONS, Operation, ProjectRule
from intermute.web.decode import fields_of

NAMES: Final[Mapping[str, str]] = {
    "agent": "agent", "agent_id": "agent", "from": "agent", "to": "agent", "cc": "other_agent", "bcc": "other_agent",
    "other": "other_agent", "window_uuid": "window", "target_window_uuid": "window", "registration_token": "token",
    "reservation_id": "reservation", "ticket": "ticket", "fence": "fence", "intent_id": "intent",
    "message_id": "message", "thread_id": "thread", "idempotency_key": "idempotency", "session_id": "session",
    "token": "token", "commit": "commit", "spec_id": "spec", "spec": "spec", "epic_id": "epic", "epic": "epic",
    "story_id": "story", "story": "story", "task_id": "task", "feature_id": "feature", "depends_on": "task",
    "path_pattern": "pattern", "pattern": "pattern", "path": "pattern", "name": "name",
    "cursor": "cursor", "since_cursor": "cursor", "if_seq": "cursor",
}  # fmt: skip
"""What a field names; `id` is the entity of the path, and what is said of a field's kind there goes before this."""
PLAIN: Final = frozenset(
    {
        "status", "limit", "capability", "capabilities", "metadata", "active", "repo", "active_bead_id", "focus_state",
        "body", "subject", "topic", "importance", "transport", "ack_required", "attachments",
        "ttl_seconds", "ttl_minutes", "unread", "patterns", "glob_patterns", "paths", "address", "addresses", "targets",
        "exclusive", "shared", "mode", "op", "operation", "branch", "worktree", "reason", "on_conflict", "wait_seconds",
        "partial", "if_silent_seconds", "detail", "ensure_reservation", "state", "branch_policy", "include", "plan",
        "files", "case_folding", "symbol_floor", "strict_references", "strict_status", "type", "title", "vision", "users",
        "problem", "description", "acceptance_criteria", "source", "category", "url", "score", "persona", "priority",
        "entry_point", "exit_point", "steps", "success_criteria", "error_recovery", "version", "created_at", "updated_at",
        "started_at", "claimed_at", "cascade", "archive", "archive_trimmed", "dry_run", "retention", "rules",
        "include_stale", "q",
        "policy", "live_contact_policy", "on_denied", "display_name", "tmux_target",
    }
)  # fmt: skip
"""Fields that name nothing."""
_KIND_OF_PLURAL: Final = {entity.plural: str(entity.kind) for entity in ENTITIES}
_OF_HELD: Final[Mapping[str, Mapping[str, str]]] = {
    "ApproveMessage": {"message_id": "held_message", "agent": "shy_agent"},
    "DeclineMessage": {"message_id": "declined_message", "agent": "shy_agent"},
    "ListHeld": {"agent": "shy_agent"},
    "ListPokes": {"agent": "shy_agent"},
    "AckPoke": {"message_id": "poke", "agent": "shy_agent"},
}
_PLAN: Final = {"plan": [{"step": "s1", "agent_id": "{agent}", "path_pattern": "plan/x"}]}
_REQUIRED: Final[Mapping[str, Mapping[str, Any]]] = {
    "RegisterAgent": {"name": "rover"},
    "MergeMetadata": {"metadata": {"a": "b"}},
    "SetPolicy": {"policy": "contacts_only"},
    "PutPolicy": {"policy": "auto"},
    "RegisterWindow": {"window_uuid": "{window}", "agent_id": "{agent}", "registration_token": "{token}"},
    "ListPokes": {"agent": "{shy_agent}"},
    "AckPoke": {"agent": "{shy_agent}"},
    "ApproveMessage": {"agent": "{shy_agent}"},
    "DeclineMessage": {"agent": "{shy_agent}"},
    "SendMessage": {"from": "{agent}", "to": ["{other_agent}"], "body": "hello"},
    "Broadcast": {"from": "{agent}", "topic": "news", "body": "hello"},
    "Topic": {"topic": "news"},
    "SearchMessages": {"q": "hello"},
    "Reserve": {"agent_id": "{agent}", "path_pattern": "new/x"},
    "CheckReservations": {"pattern": "new/x"},
    "CheckTargets": {"pattern": "new/x"},
    "ValidateReservation": {"reservation_id": "{reservation}", "fence": "{fence}"},
    "RenewReservation": {"agent_id": "{agent}"},
    "ReleaseReservation": {"agent_id": "{agent}"},
    "ReleaseAll": {"agent_id": "{agent}"},
    "RequestRelease": {"agent_id": "zoe"},
    "TransferReservation": {"to": "{other_agent}", "agent_id": "{agent}"},
    "ForceRelease": {"reason": "stuck", "agent_id": "{agent}"},
    "DeclareIntent": {"agent_id": "{agent}", "path_pattern": "new/y", "operation": "create"},
    "ChangeIntent": {"state": "started", "agent_id": "{agent}"},
    "ForecastPlan": _PLAN,
    "NextTask": {"agent": "{agent}"},
    "AssignTask": {"agent": "{agent}"},
    "ClaimTask": {"agent": "{agent}"},
    "ReleaseTask": {"agent": "{agent}"},
    "DropSymbols": {"agent_id": "{agent}"},
    "LinkInsight": {"spec_id": "{spec}"},
    "LinkCUJ": {"feature_id": "{feature}"},
    "UnlinkCUJ": {"feature_id": "{feature}"},
    "ChangeSettings": {"agent_id": "{agent}"},
    "TrimLog": {"agent_id": "{agent}"},
    "UploadSymbols": {
        "agent_id": "{agent}",
        "commit": "{commit}",
        "files": [{"path": "a.py", "symbols": [{"name": "g"}]}],
    },
    "Threads": {"agent": "{agent}"},
    "CreateSession": {"name": "work"},
}
"""What has to be said besides the path; an operation of which more is required fails the test until it stands here."""


@dataclass(frozen=True)
class Case:
    """One call: its operation, what is foreign in it, and the call itself."""

    operation: Operation
    about: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None  # Any: JSON.
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name for a test's report."""
        return f"{self.operation.method} {self.operation.path} {self.about}"


def unclassified() -> list[str]:
    """Return the fields of all operations of which nobody has said whether they name something."""
    fields = {each.encode_name for operation in OPERATIONS for each in msgspec.structs.fields(operation.input)}
    return sorted(fields - set(NAMES) - PLAIN - {"project", "id"})


def cases(own: Ids, foreign: Ids) -> Iterator[Case]:
    """Yield all calls, those that delete last, so that what is one's own stays for the others."""
    for operation in sorted(
        OPERATIONS,
        key=lambda each: (
            each.name == "DeregisterAgent",
            each.method == "DELETE",
            "force" in each.path,
            "unlink" in each.path,
        ),
    ):
        yield from _cases_of(operation, own, foreign)


def _cases_of(operation: Operation, own: Ids, foreign: Ids) -> Iterator[Case]:
    base = _base(operation, own)
    names = [each.encode_name for each in msgspec.structs.fields(operation.input)]
    named = {name: kind for name in names if (kind := _kind(operation, name)) is not None}
    takes_list = {name: field_of.is_list for name, field_of in fields_of(operation.input).items()}
    changed = {name: _value(kind, foreign, is_list=takes_list[name]) for name, kind in named.items()}
    for name, value in changed.items():
        yield _case(operation, f"foreign {name}", {**base, name: value})
    yield _case(operation, "everything foreign", {**base, **changed})
    if "project" in names:
        yield _case(operation, "foreign project", {**base, "project": foreign["project"]})
        yield _case(operation, "foreign project and things", {**base, **changed, "project": foreign["project"]})
        if operation.takes_body and "project" not in base:
            more = (("project", str(foreign["project"])),)
            yield _case(operation, "foreign project in the query", base, query=more)
    claims = {"X-Agent-ID": str(foreign["agent"])}
    yield _case(operation, "claims to be a foreign agent", base, headers=claims)
    yield _case(operation, "proves to be a foreign agent", base, headers={**claims, "X-Agent-Token": foreign["token"]})
    yield _case(operation, "own", base)


def _base(operation: Operation, own: Ids) -> dict[str, Any]:
    found = dict(_REQUIRED.get(operation.name, {}))
    if operation.name.startswith("Create") and not found:
        found["title"] = "new"
    if operation.project is ProjectRule.NAMED or operation.has_project_in_path:
        found["project"] = "{project}"
    for each in msgspec.structs.fields(operation.input):
        if "{" + each.encode_name in operation.path and each.encode_name not in {"project", *found}:
            found[each.encode_name] = "{" + str(_kind(operation, each.encode_name)) + "}"
    return {name: _filled(value, own) for name, value in found.items()}


def _filled(value: Any, own: Ids) -> Any:  # Any: JSON.
    if isinstance(value, str) and value.startswith("{"):
        return own[value.strip("{}")]
    if isinstance(value, dict):
        return {name: _filled(each, own) for name, each in value.items()}
    return [_filled(each, own) for each in value] if isinstance(value, list) else value


def _kind(operation: Operation, name: str) -> str | None:
    """Return what a field of an operation names."""
    plural = operation.path.removeprefix("/api/").split("/")[0]
    if name == "id":
        return _KIND_OF_PLURAL.get(plural)
    if name == "session_id" and operation.name == "RegisterAgent":
        return "agent_session"
    if operation.name in _OF_HELD and name in _OF_HELD[operation.name]:
        return _OF_HELD[operation.name][name]
    if name == "cursor" and plural in _KIND_OF_PLURAL:
        return f"cursor of {plural}"
    if name == "cursor" and operation.name == "SearchMessages":
        return "cursor of messages"
    return NAMES.get(name)


def _value(kind: str, ids: Ids, *, is_list: bool) -> Any:  # Any: text, a number, or a list.
    value = f"{ids['secret']}/x" if kind == "pattern" else ids[kind]
    return [value] if is_list else value


def _case(
    operation: Operation,
    about: str,
    values: dict[str, Any],
    query: tuple[tuple[str, str], ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Case:
    path, rest = operation.path, dict(values)
    for each in list(rest):
        for slot in ("{" + each + "}", "{" + each + ":path}"):
            if slot in path:
                path = path.replace(slot, str(rest.pop(each)))
                break
    if operation.takes_body:
        return Case(operation, about, operation.method, path, query, rest, headers or {})
    pairs = tuple((name, str(each)) for name, value in rest.items() for each in _many(value))
    return Case(operation, about, operation.method, path, pairs + query, None, headers or {})


def _many(value: Any) -> list[Any]:  # Any: JSON.
    return value if isinstance(value, list) else [value]
