"""Applying a project's retention rules: read what goes, archive it, then have the actor delete it, slice by slice.

What is deleted is exactly what was read and archived, so a crash at any point loses nothing: what is archived and not yet
deleted is archived once more. Reading and archiving have threads of their own; only the deleting takes the writer's time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import apsw
import trio

from intermute.core import limits
from intermute.core.agents import Caller, act_as
from intermute.core.errors import DomainError, InvalidRequest, StorageFull, StorageUnavailable
from intermute.core.ids import OPERATOR, Micros
from intermute.core.retention import RetentionRule, types_by_rule
from intermute.core.times import SECOND_US
from intermute.project.handlers.trimming import TrimEvents, Trimmer
from intermute.project.mail import Request
from intermute.project.project import Project
from intermute.project.transaction import FromStore
from intermute.store import archive
from intermute.store import retention as rows
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.retention import EventRow

_SYSTEM: Final = Caller(is_local=True)
_DAY_US: Final = 24 * 60 * 60 * SECOND_US


@dataclass(slots=True)
class Trimmed:
    """What a pass has deleted, or would delete."""

    by_type: Counter[str] = field(default_factory=Counter)
    archives: list[str] = field(default_factory=list)
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class _Share:
    """What goes by one rule: events of these types up to a cursor."""

    types: list[str]
    upto: int


def trimmer(
    project: Project, caller: Caller, given: str | None, rules: Sequence[RetentionRule], reason: str | None
) -> Trimmer:
    """Return who has the log trimmed, for the audit; `given` is what the request says.

    Raises: AgentHeaderMissing, AgentIdentityMismatch; InvalidRequest, where a remote caller does not say who it is.
    """
    agents = project.known_state().agents
    identity = project.identify(caller)
    speaker = act_as(identity, agents.canonical(given) if given else None)
    if speaker is None and not caller.is_local:
        raise InvalidRequest([("agent_id", "say who trims the log: your agent id or name, here or in X-Agent-ID")])
    return Trimmer(speaker or OPERATOR, identity.is_verified, rules, reason or "")


async def preview(project: Project, rules: Sequence[RetentionRule]) -> Trimmed:
    """Return what the rules would delete now; changes nothing. Raises: DomainError."""
    found = Trimmed()
    for share in await _shares(project, rules):
        counted = await _read(project, partial(rows.counts, types=share.types, upto=share.upto))
        found.by_type.update(counted)
    return found


async def trim(
    project: Project,
    rules: Sequence[RetentionRule],
    *,
    archives: bool,
    chunks_max: int | None = None,
    by: Trimmer | None = None,
) -> Trimmed:
    """Delete what the rules say, after archiving it if asked to; at most so many chunks, then there may be more.

    Each commit that deletes something records who it is done for, if anybody asked for it: `by`.
    One pass at a time. Cancellation: what was deleted stays deleted, the rest is left for the next pass. Raises: DomainError.
    """
    done = Trimmed()
    project.calls += 1  # Not idle: it must not be closed between two slices.
    try:
        async with project.trimming:
            for share in await _shares(project, rules):
                after = 0
                while events := await _chunk(project, share, after):
                    if chunks_max == 0:
                        done.has_more = True
                        return done
                    chunks_max = None if chunks_max is None else chunks_max - 1
                    file = await _archive(project, events) if archives else None
                    if file is not None:
                        done.archives.append(file)
                    await _delete(project, events, TrimEvents([], file, by), done)
                    after = events[-1].cursor
    finally:
        project.calls -= 1
    return done


async def keep_trimming(project: Project) -> None:
    """Apply the project's own rules again and again until cancelled; what fails is logged and tried again."""
    await trio.sleep(limits.RETENTION_FIRST_S)
    while True:
        settings = project.known_state().committed_settings
        if settings.retention:
            try:
                done = await trim(project, settings.retention, archives=settings.archive_trimmed)
            except DomainError as error:
                project.log("retention.failed", project=project.name, error=str(error))
            else:
                if done.by_type:
                    project.log(
                        "retention.applied",
                        project=project.name,
                        events=done.by_type.total(),
                        archives=len(done.archives),
                    )
        await trio.sleep(limits.RETENTION_EVERY_S)


async def _shares(project: Project, rules: Sequence[RetentionRule]) -> list[_Share]:
    """Return what goes by each rule, the other projects' and readers' turns in between."""
    now_us = project.clock.now().wall_us
    found = []
    for rule, types in types_by_rule(rules):
        older_than_us = None if rule.keep_days is None else Micros(now_us - round(rule.keep_days * _DAY_US))
        upto = await _read(
            project,
            partial(rows.last_to_go, types=types, keep_events=rule.keep_events, older_than_us=older_than_us),
        )
        if upto:
            found.append(_Share(types, upto))
    return found


async def _chunk(project: Project, share: _Share, after: int) -> list[EventRow]:
    found: list[EventRow] = await _read(
        project, partial(rows.chunk, types=share.types, after=after, upto=share.upto, limit=limits.TRIM_CHUNK_MAX)
    )
    return found


async def _archive(project: Project, events: Sequence[EventRow]) -> str:
    directory = archive.directory_of(project.path)
    try:
        return await project.archiver(partial(archive.write, directory, project.name, events))
    except StoreFault as fault:
        raise (StorageFull() if fault.kind is FaultKind.FULL else StorageUnavailable()) from None


async def _delete(project: Project, events: Sequence[EventRow], how: TrimEvents, done: Trimmed) -> None:
    for start in range(0, len(events), limits.TRIM_MAX):
        slice_ = [(event.cursor, event.type) for event in events[start : start + limits.TRIM_MAX]]
        await project.ask(Request(replace(how, events=slice_), _SYSTEM))
        done.by_type.update(event_type for _, event_type in slice_)


async def _read(project: Project, work: Callable[[apsw.Connection], Any]) -> Any:  # Any: what the work reads.
    async with project.long_read():
        return await project.read(FromStore(work), is_long=True)
