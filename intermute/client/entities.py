"""Specs, epics, stories, tasks, insights, sessions and journeys, each with changes that overwrite nobody's.

Their types are made from the entity definitions when the program starts, so a type checker knows their fields as Any.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import msgspec

from intermute.client.calls import Calls
from intermute.core.api import entity_actions as actions
from intermute.core.api.entities import TYPES
from intermute.core.entities.definition import Kind
from intermute.core.errors import StaleVersion

UPDATE_ATTEMPTS_MAX: Final = 20  # times an update is computed anew; each lost race means that somebody else won it.
_VERSION: Final = "version"

Change = Callable[[Any], Mapping[str, Any] | None]
"""From an entity as it is to the fields to be set (Any: of its type), or None where nothing is to be changed."""


class Entities:
    """All entities of one kind. Any: fields, and types made at run time, as `TYPES[kind]` has them."""

    def __init__(self, calls: Calls, kind: Kind) -> None:
        self._calls, self.types = calls, TYPES[kind]

    async def create(self, **fields: Any) -> Any:
        """Make a new one, and return it."""
        return await self._calls.call(self.types.create(**fields), self.types.view)

    async def get(self, entity_id: str) -> Any:
        """Return one."""
        return await self._calls.call(self.types.get(id=entity_id), self.types.view)

    async def list(self, **filters: Any) -> Any:
        """Return a page: `entities`, and `next_cursor` where there is more."""
        return await self._calls.call(self.types.listing(**filters), self.types.page)

    async def every(self, **filters: Any) -> AsyncIterator[Any]:
        """Yield all that fit, page by page."""
        cursor = None
        while True:
            page = await self.list(**filters, cursor=cursor)
            for entity in page.entities:
                yield entity
            if (cursor := page.next_cursor) is None:
                return

    async def change(self, entity_id: str, **fields: Any) -> Any:
        """Set some fields and keep the others; with `version`, only if it still is at that one. Raises: StaleVersion."""
        return await self._calls.call(self.types.change(id=entity_id, **fields), self.types.view)

    async def update(self, entity_id: str, change: Change) -> Any:
        """Read it, let `change` say which fields to set, and set them unless somebody was faster; then do so anew.

        `change` gets the entity as it is, decides from that alone, and may be called several times. Returns the entity as it
        is afterwards. Insights and sessions have no version: there the last word counts.

        Raises: StaleVersion, after 20 lost races; as `call`; whatever `change` raises.
        """
        for attempt in range(1, UPDATE_ATTEMPTS_MAX + 1):
            entity = await self.get(entity_id)
            if (fields := change(entity)) is None:
                return entity
            expected = {_VERSION: entity.version} if self.has_versions else {}
            try:
                return await self.change(entity_id, **{**fields, **expected})
            except StaleVersion:
                if attempt == UPDATE_ATTEMPTS_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def replace(self, entity_id: str, **fields: Any) -> Any:
        """Replace all of one: what is left out becomes empty."""
        return await self._calls.call(self.types.replace(id=entity_id, **fields), self.types.view)

    async def delete(self, entity_id: str, **fields: Any) -> Any:
        """Delete one, and return what still refers to it."""
        return await self._calls.ask(self.types.delete(id=entity_id, **fields))

    @property
    def has_versions(self) -> bool:
        """Tell whether each change gives the entity a new version."""
        return any(field.name == _VERSION for field in msgspec.structs.fields(self.types.view))


class Specs(Entities):
    """Specifications."""

    async def tree(self, spec_id: str) -> Any:
        """Return a specification with all that is below it."""
        return await self._calls.call(actions.SpecTree(id=spec_id), actions.SpecTreeView)


class Tasks(Entities):
    """Tasks, which are claimed once. `fields` are those of the operations (Any: as they have them)."""

    async def next(self, **fields: Any) -> Any:
        """Take the oldest task that the agent can do now. Raises: NoClaimableTask."""
        return await self._calls.call(actions.NextTask(**{"agent": self._calls.agent, **fields}), actions.ClaimedTask)

    async def claim(self, task_id: str, *patterns: str, **fields: Any) -> Any:
        """Take a task, and reserve what it needs in the same step. Raises: TaskTaken, TaskNotClaimable."""
        wished = {"agent": self._calls.agent, "patterns": list(patterns) or None, **fields}
        return await self._calls.call(actions.ClaimTask(id=task_id, **wished), actions.ClaimedTask)

    async def release(self, task_id: str, reason: str | None = None) -> Any:
        """Give a task back, so that another agent can claim it."""
        question = actions.ReleaseTask(id=task_id, agent=self._calls.agent, reason=reason)
        return await self._calls.call(question, actions.ReleasedTask)

    async def assign(self, task_id: str, agent: str | None, **fields: Any) -> Any:
        """Give a task to an agent, or to nobody."""
        return await self._calls.call(actions.AssignTask(id=task_id, agent=agent, **fields), self.types.view)


class Insights(Entities):
    """Findings of research."""

    async def link(self, insight_id: str, spec_id: str) -> Any:
        """Say which specification an insight is about."""
        return await self._calls.call(actions.LinkInsight(id=insight_id, spec_id=spec_id), self.types.view)


class Journeys(Entities):
    """Critical user journeys."""

    async def link(self, cuj_id: str, feature_id: str) -> actions.CUJLinkView:
        """Link a journey to a feature."""
        return await self._calls.call(actions.LinkCUJ(id=cuj_id, feature_id=feature_id), actions.CUJLinkView)

    async def unlink(self, cuj_id: str, feature_id: str) -> actions.Unlinked:
        """Take a link out."""
        return await self._calls.call(actions.UnlinkCUJ(id=cuj_id, feature_id=feature_id), actions.Unlinked)

    async def links(self, cuj_id: str) -> actions.CUJLinkList:
        """Return the features that a journey is linked to."""
        return await self._calls.call(actions.CUJLinks(id=cuj_id), actions.CUJLinkList)
