"""A worker that makes specifications, epics, stories and tasks, reads and lists them, and changes them under their versions."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site
from loadtest.promises.versions import Version, Versions
from loadtest.scenarios.entity_lists import entity_rows

PAGE: Final = 50  # rows of a list.
OWN_MAX: Final = 200  # entities that one author goes on with; what it made before stays as it is.
SHARED_SHARE: Final = 0.2  # of reads and changes are of what all authors change, so that versions get stale.
_TEXT: Final = (
    "What it is about, in as many words as somebody writes into such a field without thinking of its length. " * 2
)


class Kind(NamedTuple):
    """One kind of entity, as an author makes it."""

    plural: str
    parent: str
    """The field that names what it is a part of; empty for a specification."""
    text: str
    """A field of text; empty where there is none."""
    statuses: tuple[str, ...]
    weight: int
    """How many of 20 new entities are of this kind."""


KINDS: Final = (
    Kind("specs", "", "vision", ("draft", "research", "validated"), 1),
    Kind("epics", "spec_id", "description", ("open", "in_progress", "done"), 2),
    Kind("stories", "epic_id", "", ("todo", "in_progress", "review", "done"), 5),
    Kind("tasks", "story_id", "", ("pending", "running", "blocked", "done"), 12),
)


_PARENTS: Final = {"spec_id": "specs", "epic_id": "epics", "story_id": "stories"}


@dataclass(slots=True)
class Thing:
    """One entity, as an author knows it."""

    kind: Kind
    id: str
    version: int
    parent: str


@dataclass(slots=True)
class Shelf:
    """What all authors of one project share: the checker, and some entities that each of them changes."""

    project: str
    versions: Versions
    shared: list[Thing] = field(default_factory=list)


class Author:
    """Operations: `make`, `read`, `list`, `change` (PATCH) and `replace` (PUT), both of a version: 200 or 409."""

    def __init__(self, site: Site, shelf: Shelf, number: int) -> None:
        self.name = f"author-{number}"
        self.mix: Mapping[str, int] = {"make": 1}
        """What it asks for, and how often."""
        self.own: list[Thing] = []
        self._site, self._shelf, self._versions = site, shelf, shelf.versions
        self._chance: random.Random = site.rng("author", number)
        self._newest = {kind.plural: "" for kind in KINDS}
        self._sent, self._at_least, self._replaced = 0, 0, 0
        self._doing, self._kind, self._status, self._content = "", KINDS[0], "", ""
        self._thing: Thing | None = None

    def ask(self) -> tuple[str, bytes]:
        """Do one of the things in the mix."""
        self._sent += 1
        self._doing = self._chance.choices(list(self.mix), list(self.mix.values()))[0]
        if self._doing == "make":
            self._thing, self._kind = None, self._chance.choices(KINDS, [kind.weight for kind in KINDS])[0]
        else:
            shared, draws_shared = self._shelf.shared, self._chance.random() < SHARED_SHARE
            self._thing = self._chance.choice(shared if shared and (draws_shared or not self.own) else self.own)
            self._kind = self._thing.kind
            self._at_least = self._versions.newest(self._thing.id)
        self._status = self._chance.choice(self._kind.statuses)
        return self._doing, self._request()

    def _request(self) -> bytes:
        site, kind, thing, project = self._site, self._kind, self._thing, self._shelf.project
        if self._doing == "list":
            target = f"/api/{kind.plural}?project={project}&status={self._status}&limit={PAGE}"
            return site.request("GET", target)
        if self._doing == "read":
            assert thing is not None
            return site.request("GET", f"/api/{kind.plural}/{thing.id}?project={project}")
        title = f"{self.name} {self._sent}"
        self._content = content_of({"title": title, "status": self._status})
        fields: dict[str, object] = {"project": project, "title": title, "status": self._status}
        if self._doing != "change":  # Else the parent and the text are kept.
            if kind.parent:
                fields[kind.parent] = thing.parent if thing else self._newest[_PARENTS[kind.parent]]
            if kind.text:
                fields[kind.text] = _TEXT
        if thing is None:
            return site.request("POST", f"/api/{kind.plural}", fields)
        fields["version"] = self._replaced = thing.version
        return site.request("PATCH" if self._doing == "change" else "PUT", f"/api/{kind.plural}/{thing.id}", fields)

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Hold what is told against what was told before. Raises: LoadFailed, Violation."""
        if answer.is_unknown:
            self.lose(sent_s, answered_s)
        elif self._doing == "list":
            self._look_at(answer.demand(200))
        elif self._thing is None:
            found = answer.demand(201).json()
            self._replaced = 0
            thing = self._thing = Thing(self._kind, found["id"], 0, found.get(self._kind.parent, ""))
            self._newest[self._kind.plural] = thing.id
            self.own = [*self.own[1 - OWN_MAX :], thing]
            self._acknowledged(thing, found, answered_s)
        elif self._doing == "read":
            self._read(self._thing, answer.demand(200).json(), answered_s)
        elif answer.demand(200, 409).status == 200:
            self._acknowledged(self._thing, answer.json(), answered_s)
        else:
            found = answer.json()
            if found["error"] != "stale_version" or found["version"] <= self._replaced:
                raise LoadFailed(
                    f"{self.name} replaced version {self._replaced} of {self._thing}: {answer.body[:500]!r}"
                )
            self._read(self._thing, found["current"], answered_s)

    def _acknowledged(self, thing: Thing, found: dict[str, Any], answered_s: float) -> None:  # Any: JSON.
        wanted = Version(self._replaced + 1, self._content)
        if version_of(found) != wanted:
            raise LoadFailed(f"{self.name} asked for {wanted} of {thing.id} and was answered {version_of(found)}")
        self._versions.acknowledged(answered_s, self.name, thing.id, version_of(found))
        thing.version = max(thing.version, found["version"])

    def _read(self, thing: Thing, found: dict[str, Any], answered_s: float) -> None:  # Any: JSON.
        self._versions.read(answered_s, self.name, thing.id, version_of(found), self._at_least)
        thing.version = max(thing.version, found["version"])

    def _look_at(self, answer: Answer) -> None:
        rows = answer.json()
        if len(rows) > PAGE or any(row["status"] != self._status for row in rows):
            raise LoadFailed(f"the first {PAGE} {self._kind.plural} that are {self._status}: {answer.body[:500]!r}")

    def lose(self, _sent_s: float, broke_s: float) -> None:
        """Note that the change may have been made; what is shared is read before it is changed again."""
        if self._doing in ("read", "list"):
            return
        thing = self._thing
        self._versions.unknown(broke_s, self.name, thing.id if thing else None, self._content)
        if thing is not None and thing in self.own:
            self.own.remove(thing)


def content_of(found: Mapping[str, Any]) -> str:  # Any: JSON.
    """Return what an entity is compared by; no two changes have the same title."""
    return f"{found['title']}, {found['status']}"


def version_of(found: Mapping[str, Any]) -> Version:  # Any: JSON.
    """Return the version that an entity is shown at."""
    return Version(found["version"], content_of(found))


async def demand_versions(site: Site, shelf: Shelf) -> None:
    """Demand that all entities are listed as they were last acknowledged. Raises: LoadFailed, Violation."""
    listed = [row for kind in KINDS for row in await entity_rows(site, shelf.project, kind.plural)]
    shelf.versions.demand({row["id"]: version_of(row) for row in listed})
