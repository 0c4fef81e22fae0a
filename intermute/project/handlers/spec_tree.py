"""One view of all that a specification has come to. Source: issue 4, point 6."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from intermute.core import limits
from intermute.core.api.entity_actions import EpicBranch, SpecTree, SpecTreeView, StoryBranch
from intermute.core.entities.definition import Entity
from intermute.core.entities.kinds import CUJ, EPIC, SPEC, STORY, TASK
from intermute.core.errors import UnknownEntity
from intermute.core.ids import ProjectName
from intermute.project.handlers.entity_views import entity_view
from intermute.project.transaction import Desk, FromStore
from intermute.store import entities as rows
from intermute.store import spec_trees

# Any in this module: the types of views are made from the definitions at run time.


@dataclass(slots=True)
class _Shelf:
    """Reads what is below an entity, until there is as much as one answer may hold."""

    connection: apsw.Connection
    project: ProjectName
    rows_left: int = limits.TREE_ROWS_MAX
    chars_left: int = limits.PAGE_CHARS_MAX
    is_cut: bool = False

    def below(self, entity: Entity, field: str, parent_id: str) -> list[Any]:
        """Return the views of all entities of a kind whose field has this id."""
        limit = max(min(self.rows_left, limits.PAGE_MAX), 0)
        found, has_more = rows.page(self.connection, entity, {field: parent_id}, None, limit)
        views = []
        for record in found:
            if self.chars_left <= 0:
                has_more = True
                break
            self.chars_left -= sum(len(str(value)) for value in record.values.values())
            views.append(entity_view(record, self.project))
        self.rows_left -= len(views)
        self.is_cut = self.is_cut or has_more
        return views


def spec_tree(query: SpecTree, desk: Desk) -> FromStore[Any]:
    """Return a specification with all below it, and how many of what are in which status."""

    def work(connection: apsw.Connection) -> Any:
        spec = rows.one(connection, SPEC, query.id)
        if spec is None:
            raise UnknownEntity(SPEC.kind, SPEC.plural, query.id)
        shelf = _Shelf(connection, desk.project)
        epics = []
        for epic in shelf.below(EPIC, "spec_id", spec.id):
            stories = [
                StoryBranch(**_fields(story), tasks=shelf.below(TASK, "story_id", story.id))
                for story in shelf.below(STORY, "epic_id", epic.id)
            ]
            epics.append(EpicBranch(**_fields(epic), stories=stories))
        return SpecTreeView(
            spec=entity_view(spec, desk.project),
            epics=epics,
            cujs=shelf.below(CUJ, "spec_id", spec.id),
            counts=spec_trees.counts(connection, spec.id),
            is_cut=shelf.is_cut,
        )

    return FromStore(work)


def _fields(view: Any) -> Mapping[str, Any]:
    return msgspec.structs.asdict(view)
