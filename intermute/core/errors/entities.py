"""Refusals about specs, epics, stories, tasks, insights, sessions and critical user journeys."""

from collections.abc import Mapping, Sequence

from intermute.core.errors.domain_error import DomainError


class UnknownEntity(DomainError):
    """No entity of this kind has this id in the project."""

    code = "unknown_entity"

    def __init__(self, kind: str, plural: str, entity_id: str) -> None:
        super().__init__()
        self.kind, self.plural, self.entity_id = kind, plural, entity_id

    @property
    def message(self) -> str:
        return f"No {self.kind} {self.entity_id!r} in this project; GET /api/{self.plural}?project=… lists them."

    @property
    def details(self) -> Mapping[str, object]:
        return {"kind": self.kind, "id": self.entity_id}


class DuplicateId(DomainError):
    """An entity of this kind with this id is there already."""

    code = "duplicate_id"

    def __init__(self, kind: str, plural: str, entity_id: str) -> None:
        super().__init__()
        self.kind, self.plural, self.entity_id = kind, plural, entity_id

    @property
    def message(self) -> str:
        return f"There is a {self.kind} {self.entity_id!r} already: PATCH /api/{self.plural}/{{id}} changes it, or leave the id out to get a new one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"kind": self.kind, "id": self.entity_id}


class StaleVersion(DomainError):
    """The entity has changed since the caller read it, or the caller does not say which version it replaces."""

    code = "stale_version"

    def __init__(self, kind: str, entity_id: str, given: int, version: int, current: object) -> None:
        super().__init__()
        self.kind, self.entity_id, self.given, self.version, self.current = kind, entity_id, given, version, current

    @property
    def message(self) -> str:
        was = f"version {self.given}" if self.given else "no version"
        return f"The {self.kind} {self.entity_id!r} is at version {self.version} and the request came with {was}: look at `current`, and send your change again with its version."

    @property
    def details(self) -> Mapping[str, object]:
        return {"version": self.version, "current": self.current}


class StatusRefused(DomainError):
    """The project enforces status flows, and the wished status does not follow from the present one."""

    code = "status_refused"

    def __init__(self, kind: str, status: str | None, wished: str, allowed: Sequence[str]) -> None:
        super().__init__()
        self.kind, self.status, self.wished, self.allowed = kind, status, wished, tuple(allowed)

    @property
    def message(self) -> str:
        where = f"A {self.kind} that is {self.status!r}" if self.status is not None else f"A new {self.kind}"
        choices = ", ".join(self.allowed) or "nothing else"
        return f"{where} cannot become {self.wished!r} in this project; it can become: {choices}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"field": "status", "status": self.status, "allowed": list(self.allowed)}


class UnknownReference(DomainError):
    """The project enforces references, and the entity refers to something that is not there."""

    code = "unknown_reference"

    def __init__(self, missing: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self.missing = tuple(missing)

    @property
    def message(self) -> str:
        field, kind, entity_id = self.missing[0]
        return f"The field {field} names the {kind} {entity_id!r}, which this project does not have: create it first, or leave the field out."

    @property
    def details(self) -> Mapping[str, object]:
        return {"missing": [{"field": field, "kind": kind, "id": each} for field, kind, each in self.missing]}


class StillReferenced(DomainError):
    """Others refer to the entity, and the caller asked not to orphan them."""

    code = "still_referenced"

    def __init__(self, kind: str, entity_id: str, orphaned: Sequence[Mapping[str, str]], count: int) -> None:
        super().__init__()
        self.kind, self.entity_id, self.orphaned, self.count = kind, entity_id, list(orphaned), count

    @property
    def message(self) -> str:
        return f"The {self.kind} {self.entity_id!r} is referred to by {self.count} other{'s' * (self.count != 1)}: move or delete what `references` names first, or delete it with cascade=orphan."

    @property
    def details(self) -> Mapping[str, object]:
        return {"references": self.orphaned, "count": self.count}


class TaskTaken(DomainError):
    """Another agent has the task."""

    code = "task_taken"

    def __init__(self, task_id: str, agent: str, name: str) -> None:
        super().__init__()
        self.task_id, self.agent, self.name = task_id, agent, name

    @property
    def message(self) -> str:
        return f"The task {self.task_id!r} is with {self.name!r}: POST /api/tasks/next gives you another one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"agent": self.agent, "held_by": self.name}


class TaskNotClaimable(DomainError):
    """The task is not pending, or waits for other tasks."""

    code = "task_not_claimable"

    def __init__(self, task_id: str, status: str, waits_for: Sequence[str] = ()) -> None:
        super().__init__()
        self.task_id, self.status, self.waits_for = task_id, status, list(waits_for)

    @property
    def message(self) -> str:
        why = f"waits for {', '.join(map(repr, self.waits_for))}" if self.waits_for else f"is {self.status!r}"
        return f"The task {self.task_id!r} {why}, so it cannot be claimed now: POST /api/tasks/next gives you one that can."

    @property
    def details(self) -> Mapping[str, object]:
        return {"status": self.status, "waits_for": self.waits_for}


class NoClaimableTask(DomainError):
    """There is no task that the agent could do now."""

    code = "no_claimable_task"

    @property
    def message(self) -> str:
        return "No task can be claimed now that fits these capabilities; ask again when task.created, task.completed or task.released is in the log."


class ClaimLimit(DomainError):
    """The agent has claimed as many tasks as one may."""

    code = "claim_limit"

    def __init__(self, agent: str, claimed: int, limit: int) -> None:
        super().__init__()
        self.agent, self.claimed, self.limit = agent, claimed, limit

    @property
    def message(self) -> str:
        return f"{self.agent!r} has claimed {self.claimed} tasks and the limit is {self.limit}: set those that are done to done, and the others to pending."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": self.limit, "claimed": self.claimed}


class DependencyCycle(DomainError):
    """The task would wait for itself."""

    code = "dependency_cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__()
        self.cycle = list(cycle)

    @property
    def message(self) -> str:
        return f"These tasks would wait for each other, each for the next: {' → '.join(self.cycle)}. Take one of the dependencies out."

    @property
    def details(self) -> Mapping[str, object]:
        return {"cycle": self.cycle}
