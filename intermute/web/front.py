"""The front: one call in, one answer out, whatever carries the bytes. Source: design.md 4.

gate → auth → operation → decoding → project → handler → encoding. A lane (Quart today) only turns its requests into
`Call` and sends what it gets back.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.api.messages import SendMessage
from intermute.core.errors import (
    BodyTooLarge,
    DomainError,
    ForeignProject,
    InvalidProject,
    InvalidRequest,
    ProjectParked,
    ProjectQuarantined,
    ProjectRequired,
    StorageUnavailable,
    TooManyProjects,
)
from intermute.core.fences import HeldFence
from intermute.core.ids import DEFAULT_PROJECT, ProjectName, normal_project_name
from intermute.core.live import Transport
from intermute.core.once import Once, Reply
from intermute.core.operations import Operation, ProjectRule
from intermute.core.pages import page_size
from intermute.core.times import sortable
from intermute.project.registry import Registry
from intermute.web.accept import prefers_text
from intermute.web.answer import Answer, Call
from intermute.web.auth import KeyRing, Principal, authenticate
from intermute.web.courier import Courier
from intermute.web.decode import decode
from intermute.web.errors import answered
from intermute.web.gate import Gate
from intermute.web.repeats import fences_of, once_of, sent
from intermute.web.showing import shown
from intermute.web.system import SYSTEM, Surroundings

UNREAD_HEADER: Final = "X-Unread"
"""How many messages the calling agent has not read, on every answer of its project that it gets."""
_TIMES: Final = frozenset({"last_seen", "created_at", "updated_at", "started_at"})
_LIVE: Final = frozenset({Transport.LIVE, Transport.BOTH})
_ROW_COUNT: Final = re.compile(r"[0-9]{1,9}")


class Front:
    """Everything between a lane and the projects."""

    def __init__(
        self,
        registry: Registry,
        keys: KeyRing,
        gate: Gate,
        surroundings: Surroundings,
        log: Callable[..., None],
        courier: Courier | None = None,
    ) -> None:
        """Args: courier: carries live messages; without it no terminal is reached."""
        self.registry = registry
        self._courier = courier or Courier(registry, None, log)
        self._keys, self._gate, self._surroundings, self._log = keys, gate, surroundings, log

    def judge(self, call: Call) -> DomainError | None:
        """Return why the gate does not let the call pass, or None."""
        return self._gate.judge(call)

    def authenticate(self, call: Call) -> Principal:
        """Tell who calls. Raises: Unauthorized."""
        return authenticate(call, self._keys.current())

    async def answer(self, operation: Operation, call: Call, path: Mapping[str, str]) -> Answer:
        """Answer a call whose route has been found; every error has become an answer."""

        def on_bug(bug: Exception) -> None:
            self._log("request.crashed", operation=operation.name, error=bug)

        asker = _Asker()
        answer = await answered(self._answer(operation, call, path, asker), on_bug)
        unread = asker.unread(self.registry)
        return answer if unread is None else replace(answer, headers={**answer.headers, UNREAD_HEADER: str(unread)})

    async def _answer(self, operation: Operation, call: Call, path: Mapping[str, str], asker: "_Asker") -> Answer:
        if len(call.body) > limits.BODY_BYTES_MAX:
            raise BodyTooLarge
        principal = self._principal(operation, call)
        question = decode(operation, path, call.query, call.body)
        once = None if principal is None else once_of(operation, call, question, principal)
        asker.principal = principal
        fences = fences_of(operation, call)
        view: Any = await self._dispatch(operation, question, principal, once, fences, asker)
        if isinstance(view, Answer):
            return view
        if isinstance(view, Reply):
            return sent(view)
        return shown(operation, question, view, as_text=operation.text is not None and prefers_text(call))

    def _principal(self, operation: Operation, call: Call) -> Principal | None:
        if operation.needs_auth:
            return self.authenticate(call)
        try:
            return self.authenticate(call)
        except DomainError:
            return None

    async def _dispatch(
        self,
        operation: Operation,
        question: Any,  # Any: the operation's input.
        principal: Principal | None,
        once: Once | None,
        fences: Sequence[HeldFence],
        asker: "_Asker",
    ) -> object:
        system = SYSTEM.get(operation.input)
        if operation.project is ProjectRule.NONE:
            assert system is not None
            return await system(question, None, principal, self._surroundings)
        assert principal is not None, "every operation of a project needs a caller"
        if operation.gathers is not None and await self._spans_projects(operation, question, principal):
            return await self._gather(operation, *operation.gathers, question, principal)
        project = asker.project = await self.project_for(operation, question, principal)
        if system is not None:
            return await system(question, project, principal, self._surroundings)
        reply = await self.registry.answer(project, question, principal.caller, once, fences)
        if isinstance(question, SendMessage) and question.transport in _LIVE:
            return await self._courier.deliver(project, question, reply)
        return reply

    async def project_for(
        self, operation: Operation, question: Any, principal: Principal
    ) -> ProjectName:  # Any: input.
        """Return the project of a call: what it names, the key's, that of an id in it, or the default one.

        Raises: InvalidProject, ForeignProject, ProjectRequired.
        """
        named = named_project(question.project)
        if named is None and operation.has_project_in_path:
            raise InvalidProject
        if principal.project is not None:
            if named is None and operation.project is ProjectRule.NAMED:
                raise ProjectRequired
            if named is not None and named != principal.project:
                raise ForeignProject
            return principal.project
        if named is not None:
            return named
        some_id = getattr(question, operation.routed_by) if operation.routed_by else None
        by_id = await self.registry.name_of_tag(some_id) if some_id else None
        return by_id or DEFAULT_PROJECT

    async def _spans_projects(self, operation: Operation, question: Any, principal: Principal) -> bool:  # Any: input.
        if not principal.is_local or (question.project or "").strip():
            return False
        if operation.routed_by is None:
            return True
        some_id = getattr(question, operation.routed_by)
        return some_id is not None and await self.registry.name_of_tag(some_id) is None

    async def _gather(
        self,
        operation: Operation,
        rows: str,
        order: str,
        question: Any,  # Any: the operation's input.
        principal: Principal,
    ) -> object:
        """Return one list over all projects, which the original promises to local callers (contract.md 0.7, P2 and P6).

        `limit` and `cursor` are those of the whole list; its cursor is a number of rows.
        """
        is_paged = hasattr(question, "cursor")
        start = _rows_before(question.cursor) if is_paged else 0
        wanted = start + page_size(question.limit, limits.LIST_DEFAULT) if is_paged else None
        found: list[Any] = []
        for name in await self.registry.names():
            try:
                found += await self._rows_of(name, rows, question, principal, wanted)
            except (ProjectParked, ProjectQuarantined, StorageUnavailable, TooManyProjects):
                continue  # A project that is out of order is seen in /health, and must not hide the others.
        for column, is_descending in reversed(operation.gather_order or ((order, True),)):
            found.sort(key=partial(_in_order, name=column), reverse=is_descending)
        assert operation.output is not None
        if wanted is None:
            return operation.output(**{rows: found})
        place = str(wanted) if operation.bare else wanted
        return operation.output(**{rows: found[start:wanted], "next_cursor": place if len(found) > wanted else None})

    async def _rows_of(
        self,
        name: ProjectName,
        rows: str,
        question: Any,  # Any: the operation's input.
        principal: Principal,
        wanted: int | None,
    ) -> list[Any]:
        """Return the first rows of one project's list, one more than are wanted; all of them where it has no pages."""
        if wanted is None:
            return list(getattr(await self.registry.answer(name, question, principal.caller), rows))
        found: list[Any] = []
        page = msgspec.structs.replace(question, cursor=None, limit=limits.PAGE_MAX)
        while True:
            view: Any = await self.registry.answer(name, page, principal.caller)
            found += getattr(view, rows)
            if view.next_cursor is None or len(found) > wanted:
                return found[: wanted + 1]
            page = msgspec.structs.replace(page, cursor=view.next_cursor)


@dataclass(slots=True)
class _Asker:
    """Who asks in which project, as far as a call has come."""

    principal: Principal | None = None
    project: ProjectName | None = None

    def unread(self, registry: Registry) -> int | None:
        """Return how many messages the asker has not read, from memory; None where it is no agent, or not surely."""
        if self.principal is None or self.project is None:
            return None
        project = registry.find_open(self.project)
        return None if project is None or project.state is None else project.state.unread_of(self.principal.caller)


def _in_order(row: object, name: str) -> Any:  # Any: text or a number, whatever the list is ordered by.
    value = getattr(row, name)
    return sortable(value) if name in _TIMES else value


def _rows_before(cursor: int | str | None) -> int:
    """Return how many rows of a gathered list come before a page of it. Raises: InvalidRequest."""
    if isinstance(cursor, str) and not _ROW_COUNT.fullmatch(cursor):
        raise InvalidRequest([("cursor", "is not one that this list has given; leave it out for the first page")])
    return int(cursor or 0)


def named_project(text: str | None) -> ProjectName | None:
    """Return the project that a field names, None for none. Raises: InvalidProject."""
    stripped = (text or "").strip()
    if not stripped:
        return None
    name = normal_project_name(stripped)
    if name is None:
        raise InvalidProject
    return name
