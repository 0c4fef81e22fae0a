"""What entities are to do, in plain dictionaries: the model that the handlers are compared with (contract.md 9, issue 4).

Times are left out, but for the order that they give; ids and fields are those of the wire.
"""

from dataclasses import dataclass, field
from typing import Any

from intermute.core.entities.definition import Entity, FieldType, Kind
from intermute.core.entities.kinds import ENTITIES, OF_KIND

Json = dict[str, Any]  # Any: whatever JSON holds.
Key = tuple[Kind, str]
TIMES = frozenset({"created_at", "updated_at", "started_at", "claimed_at"})
BLANK = {FieldType.NUMBER: 0.0, FieldType.WORDS: [], FieldType.STEPS: []}


@dataclass(frozen=True)
class Call:
    """One command: what is done with which entity, by the fields of the wire."""

    kind: Kind
    which: str
    id: str
    fields: Json = field(default_factory=dict)
    version: int | None = None
    agent: str = ""


@dataclass
class Model:
    """The entities of one project. `apply` answers the entity as it is then, or the code of the refusal."""

    held: dict[Key, Json] = field(default_factory=dict)
    changed: dict[Key, int] = field(default_factory=dict)
    """By entity: when it last changed, as the number of the command."""
    made: dict[Key, int] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    """The tasks that could be claimed before the commit that is running."""
    is_strict: bool = False
    step: int = 0

    def apply(self, call: Call) -> Json | str:
        """Do as a command says."""
        self.step += 1
        answer: Json | str = getattr(self, f"_{call.which}")(call)
        return answer

    def _create(self, call: Call) -> Json | str:
        entity, key = OF_KIND[call.kind], (call.kind, call.id)
        if key in self.held:
            return "duplicate_id"
        fresh = {each.name: _blank(each.type) for each in entity.contents if each.name not in TIMES}
        defaults = {each.name: each.default for each in entity.contents if each.default is not None}
        new = {**fresh, **defaults, **{name: value for name, value in call.fields.items() if value}}
        if "status" in defaults and (refused := self._status(entity, None, new["status"])):
            return refused
        if refused := self._references(call, call.fields):
            return refused
        new["version"] = call.version if entity.kind is Kind.CUJ and call.version else 1
        self.made[key] = self.step
        return self._put(key, new)

    def _replace(self, call: Call) -> Json | str:
        entity, key = OF_KIND[call.kind], (call.kind, call.id)
        if key not in self.held:
            return "unknown_entity"
        old = self.held[key]
        is_locked = entity.kind not in (Kind.INSIGHT, Kind.SESSION)
        if (call.version or is_locked) and (call.version or 0) != old["version"]:
            return "stale_version"
        ours = {each.name: old[each.name] for each in entity.contents if each.is_ours and each.name not in TIMES}
        fresh = {each.name: _blank(each.type) for each in entity.contents if each.name not in TIMES}
        new = {**fresh, **ours, **call.fields}
        if "status" in new and (refused := self._status(entity, old["status"], new["status"])):
            return refused
        if refused := self._references(call, call.fields):
            return refused
        return self._put(key, {**new, "version": old["version"] + 1})

    def _change(self, call: Call) -> Json | str:
        entity, key = OF_KIND[call.kind], (call.kind, call.id)
        if key not in self.held:
            return "unknown_entity"
        old = self.held[key]
        if call.version and call.version != old["version"]:
            return "stale_version"
        if "status" in call.fields and (refused := self._status(entity, old["status"], call.fields["status"])):
            return refused
        if refused := self._references(call, call.fields):
            return refused
        return self._put(key, {**old, **call.fields, "version": old["version"] + 1})

    def _delete(self, call: Call) -> Json | str:
        key = (call.kind, call.id)
        orphans = sorted(
            (kind, entity_id, each.name)
            for (kind, entity_id), values in self.held.items()
            for each in OF_KIND[kind].references
            if each.refers_to is call.kind and call.id in _ids(values[each.name])
        )
        is_there = key in self.held
        if is_there and orphans and call.fields["cascade"] == "refuse":
            return "still_referenced"
        if is_there:
            del self.held[key]
            if call.kind is Kind.TASK:
                self.claims.discard(call.id)
            if call.kind is Kind.CUJ:
                self.links = {link for link in self.links if link[0] != call.id}
        return {"deleted": is_there, "orphaned": orphans if is_there else []}

    def _claim(self, call: Call) -> Json | str:
        task = self.held.get((Kind.TASK, call.id))
        if task is None:
            return "unknown_entity"
        if task["status"] == "done":
            return "task_not_claimable"
        if task["agent"] not in ("", call.agent):
            return "task_taken"
        if call.id in self.claims:
            return {**task, "repeated": True}
        is_assigned = task["agent"] == call.agent and task["status"] == "running"
        if task["status"] != "pending" and not is_assigned:
            return "task_not_claimable"
        if not all(self._is_done(each) for each in task["depends_on"]):
            return "task_not_claimable"
        return self._take(call.id, call.agent)

    def begin(self) -> None:
        """Begin a commit: whoever asks for the next task in it asks before others of the same moment make one free."""
        self.free = self._claimable()

    def _claimable(self) -> set[str]:
        return {
            entity_id
            for (kind, entity_id), task in self.held.items()
            if kind is Kind.TASK
            and (task["status"], task["agent"]) == ("pending", "")
            and all(self._is_done(each) for each in task["depends_on"])
        }

    def _next(self, call: Call) -> Json | str:
        fitting = [
            (self.made[Kind.TASK, each], each)
            for each in self._claimable() & self.free
            if set(self.held[Kind.TASK, each]["capabilities"]) <= set(call.fields["capabilities"])
        ]
        return self._take(min(fitting)[1], call.agent) if fitting else "no_claimable_task"

    def _release(self, call: Call) -> Json | str:
        task = self.held.get((Kind.TASK, call.id))
        if task is None:
            return "unknown_entity"
        if task["agent"] not in ("", call.agent):
            return "not_yours"
        if not task["agent"] or task["status"] not in ("pending", "running", "blocked"):
            return {**task, "released": False}
        given = {"agent": "", "status": "pending", "version": task["version"] + 1}
        return {**self._put((Kind.TASK, call.id), {**task, **given}), "released": True}

    def _assign(self, call: Call) -> Json | str:
        task = self.held.get((Kind.TASK, call.id))
        if task is None:
            return "unknown_entity"
        if refused := self._status(OF_KIND[Kind.TASK], task["status"], "running"):
            return refused
        given = {"agent": call.agent, "status": "running", "version": task["version"] + 1}
        return self._put((Kind.TASK, call.id), {**task, **given})

    def _take(self, task_id: str, agent: str) -> Json:
        task = self.held[Kind.TASK, task_id]
        given = {"agent": agent, "status": "running", "version": task["version"] + 1, "thread_id": f"task-{task_id}"}
        taken = self._put((Kind.TASK, task_id), {**task, **given})
        self.claims.add(task_id)
        return {**taken, "repeated": False}

    def _is_done(self, task_id: str) -> bool:
        task = self.held.get((Kind.TASK, task_id))
        return task is not None and task["status"] == "done"

    def _put(self, key: Key, new: Json) -> Json:
        old = self.held.get(key)
        if key[0] is Kind.TASK and old is not None:
            stands = old["agent"] == new["agent"] and new["status"] in ("running", "blocked")
            if not stands:
                self.claims.discard(key[1])
        self.held[key] = new
        self.changed[key] = self.step
        return new

    def _status(self, entity: Entity, before: str | None, wished: str) -> str | None:
        if not self.is_strict or not entity.flow or before == wished:
            return None
        allowed = entity.flow if before is None else entity.flow.get(before, entity.flow)
        return None if wished in allowed else "status_refused"

    def _references(self, call: Call, fields: Json) -> str | None:
        if call.kind is Kind.TASK and self._leads_back(call.id, fields.get("depends_on", [])):
            return "dependency_cycle"
        return "unknown_reference" if self.is_strict and self.missing(call.kind, fields) else None

    def missing(self, kind: Kind, fields: Json) -> int:
        """Count the references that lead nowhere."""
        return sum(
            (each.refers_to, entity_id) not in self.held
            for each in OF_KIND[kind].references
            for entity_id in _ids(fields.get(each.name, ""))
        )

    def _leads_back(self, start: str, to: list[str]) -> bool:
        seen: set[str] = set()
        waiting = list(to)
        while waiting:
            here = waiting.pop()
            if here == start:
                return True
            if here not in seen:
                seen.add(here)
                waiting += self.held.get((Kind.TASK, here), {}).get("depends_on", [])
        return False

    def listed(self, kind: Kind, wanted: dict[str, str]) -> list[str]:
        """Return the ids of a list, filtered by fields, in its order."""
        found = [
            key
            for key, values in self.held.items()
            if key[0] is kind and all(values[n] == v for n, v in wanted.items())
        ]
        newest = sorted(found, key=lambda key: self.made[key], reverse=True)
        match kind:
            case Kind.INSIGHT:
                newest.sort(key=lambda key: self.held[key]["score"], reverse=True)
            case Kind.SESSION:
                pass
            case _:
                newest.sort(key=lambda key: self.changed[key], reverse=True)
        if kind is Kind.CUJ:
            newest.sort(key=lambda key: self.held[key]["priority"])
        return [entity_id for _, entity_id in newest]

    def counts(self, spec_id: str) -> dict[str, dict[str, int]]:
        """Count by kind and status what is below a specification."""
        below: dict[str, dict[str, int]] = {}
        parents: dict[Kind, set[str]] = {Kind.SPEC: {spec_id}}
        for kind, parent in (
            (Kind.EPIC, Kind.SPEC),
            (Kind.STORY, Kind.EPIC),
            (Kind.TASK, Kind.STORY),
            (Kind.CUJ, Kind.SPEC),
        ):
            found = {
                key[1]: values
                for key, values in self.held.items()
                if key[0] is kind and values[f"{parent}_id"] in parents[parent]
            }
            parents[kind] = set(found)
            counted = below[OF_KIND[kind].plural] = {}
            for values in found.values():
                counted[values["status"]] = counted.get(values["status"], 0) + 1
        return below


def _blank(kind: FieldType) -> Any:  # Any: a value of that type.
    return BLANK.get(kind, "")


def _ids(value: str | list[str]) -> list[str]:
    return ([value] if value else []) if isinstance(value, str) else value


def compared(entity: Entity, values: Json) -> Json:
    """Return what an answer and the model are compared by: without times and what is empty."""
    names = {each.name for each in entity.contents if each.name not in TIMES} | {"version"}
    return {name: values[name] for name in names if values.get(name) not in (None, "", [], 0, 0.0)}


KINDS = [each.kind for each in ENTITIES]
