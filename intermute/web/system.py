"""Operations that are about the service or about a project's log rather than about what a project decides."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import trio

from intermute.core import limits
from intermute.core.agents import act_as
from intermute.core.api import retention as trim_api
from intermute.core.api import system as api
from intermute.core.errors import ForeignProject, ShuttingDown
from intermute.core.events import is_for, on_the_wire, parse_topic, parse_types
from intermute.core.ids import ProjectName
from intermute.core.pages import page_size
from intermute.project.handlers.trimming import check_kinds
from intermute.project.project import Project
from intermute.project.registry import Registry
from intermute.project.retention import Trimmed, preview, trim, trimmer
from intermute.web.answer import Answer
from intermute.web.auth import Principal, reader_of
from intermute.web.health import HealthReport
from intermute.web.openapi import openapi_document

_HIDDEN_PAGES_MAX: Final = 20
"""Pages of the log that one call looks through for events that pass its filter; then it answers with the cursor reached."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the handlers of this module may look at."""

    registry: Registry
    health: HealthReport


async def list_events(
    query: api.ListEvents, project: ProjectName | None, principal: Principal | None, around: Surroundings
) -> api.EventPage:
    """Return events of the log, waiting for the next one if asked to."""
    assert project is not None
    assert principal is not None
    cursor = query.since_cursor or 0
    until_s = trio.current_time() + (query.wait_seconds or 0)
    if not around.registry.knows(project) and not await _arrives(project, principal, until_s, around.registry):
        return api.EventPage(events=[], cursor=cursor)
    opened = await around.registry.project(project)
    identity = opened.identify(principal.caller)
    if query.agent:  # As an agent's socket: whoever proves who it is sees its own part of the log.
        act_as(identity, opened.known_state().agents.canonical(query.agent))
    with opened.hub.subscription(reader_of(identity, principal.caller, None)):
        if query.since_cursor is None:  # Who names no place has missed nothing: it starts where the log does now.
            cursor = await opened.oldest_cursor(parse_types(query.type))
        page = await _look(opened, query, cursor)
        if page.events or page.cursor < opened.hub.head:
            return page
        # A server that is shutting down sends waiters home with what they have, which is nothing new.
        with trio.move_on_at(until_s), suppress(ShuttingDown):
            while not page.events:
                await opened.hub.wait_beyond(page.cursor)
                page = await _look(opened, query, page.cursor)
    return page


async def _arrives(project: ProjectName, principal: Principal, until_s: float, registry: Registry) -> bool:
    """Tell whether the project comes into being in time; whoever waits for it opens nothing and leaves no file behind."""
    registry.identify_stranger(principal.caller)
    await trio.lowlevel.checkpoint()
    if until_s > trio.current_time() and not registry.knows(project):
        with registry.arrivals.expecting(project) as arrived, trio.move_on_at(until_s):
            await arrived.wait()
    return registry.knows(project)


async def _look(project: Project, query: api.ListEvents, cursor: int) -> api.EventPage:
    """Return the next page after the cursor; a filter that hides everything is given up after some pages."""
    types, topic = parse_types(query.type), parse_topic(query.topic)
    reader = project.known_state().agents.addresses_of(query.agent) if query.agent else None
    limit = page_size(query.limit, limits.PAGE_DEFAULT)
    for _ in range(_HIDDEN_PAGES_MAX):
        head = project.hub.head
        events = await project.events_after(cursor, limit, types)
        if not events:  # Beyond the newest event there is nothing to wait for, even if the head were further.
            cursor = max(cursor, head)
            break
        cursor = events[-1].cursor
        mine = [event for event in events if is_for(event, reader, types, topic)]
        if mine:
            return api.EventPage(
                events=[on_the_wire(event, project.name, query.agent) for event in mine], cursor=cursor
            )
    return api.EventPage(events=[], cursor=cursor)


async def trim_log(
    query: trim_api.TrimLog, name: ProjectName | None, principal: Principal | None, around: Surroundings
) -> trim_api.LogTrimmed:
    """Apply retention rules now, a few chunks of the log at most, or tell what they would do."""
    assert name is not None
    assert principal is not None
    check_kinds("rules", query.rules or ())
    if not around.registry.knows(name):  # What does not exist has no log, and gets no file by this.
        around.registry.identify_stranger(principal.caller)
        await trio.lowlevel.checkpoint()
        return _trimmed_view(query, name, Trimmed(), 0)
    project = await around.registry.project(name)
    project.identify(principal.caller)
    rules = project.known_state().committed_settings.retention if query.rules is None else query.rules
    if query.dry_run:
        found = await preview(project, rules)
    else:
        by = trimmer(project, principal.caller, query.agent_id or query.agent, rules, query.reason)
        found = await trim(project, rules, archives=query.archive, chunks_max=limits.TRIM_CHUNKS_PER_CALL, by=by)
    return _trimmed_view(query, name, found, await project.oldest_cursor(None))


def _trimmed_view(query: trim_api.TrimLog, name: ProjectName, found: Trimmed, oldest: int) -> trim_api.LogTrimmed:
    return trim_api.LogTrimmed(
        project=name,
        dry_run=query.dry_run,
        trimmed=found.by_type.total(),
        by_type=dict(sorted(found.by_type.items())),
        archives=found.archives,
        oldest_cursor=oldest,
        has_more=found.has_more,
    )


async def list_projects(
    _query: api.ListProjects, _project: ProjectName | None, principal: Principal | None, around: Surroundings
) -> api.ProjectList:
    """Return every project to a local caller, and its own to the holder of a key."""
    assert principal is not None
    names = await around.registry.names() if principal.project is None else [principal.project]
    return api.ProjectList(
        projects=[api.ProjectView(project=name, open=around.registry.find_open(name) is not None) for name in names]
    )


async def health(
    query: api.Health, _project: ProjectName | None, principal: Principal | None, around: Surroundings
) -> api.HealthView:
    """Return ok, and to those who may know, how every part is."""
    await trio.lowlevel.checkpoint()
    return around.health.view(_visible_project(query.project, principal), has_details=principal is not None)


def _visible_project(asked: str | None, principal: Principal | None) -> str | None:
    wished = (asked or "").strip() or None
    if principal is None or principal.project is None:
        return wished
    if wished not in (None, principal.project):
        raise ForeignProject
    return principal.project


async def ready(
    _query: api.Ready, _project: ProjectName | None, principal: Principal | None, around: Surroundings
) -> Answer:
    """Return 200 while everything is in order, else 503; how many parts are not is for local callers (guarantees.md G23)."""
    await trio.lowlevel.checkpoint()
    ailing = around.health.ailing()
    if not ailing:
        return Answer(200, b'{"status":"ok"}\n')
    body = {
        "error": "degraded",
        "message": "Some part is out of order: call GET /health on the server itself for the details.",
        "status": "degraded",
        **({"count": len(ailing)} if principal is not None and principal.is_local else {}),
    }
    return Answer(503, msgspec.json.encode(body) + b"\n", {"Retry-After": "5"})


async def openapi(
    _query: api.OpenApi, _project: ProjectName | None, _principal: Principal | None, _around: Surroundings
) -> Answer:
    """Return the description of the interface."""
    await trio.lowlevel.checkpoint()
    return Answer(200, openapi_document())


# Any: each takes its own query and returns its own view, or a whole answer.
SystemHandler = Callable[[Any, ProjectName | None, Principal | None, Surroundings], Awaitable[object]]

SYSTEM: Final[Mapping[type, SystemHandler]] = {
    api.ListEvents: list_events,
    trim_api.TrimLog: trim_log,
    api.ListProjects: list_projects,
    api.Health: health,
    api.Ready: ready,
    api.OpenApi: openapi,
}
