"""`intermute retention`: trim a project's event log, while a server runs through it, else on the files themselves."""

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click
import msgspec
import trio

from intermute.cli.check_call import NoVerdict, service_at
from intermute.cli.options import data_option
from intermute.config import DEFAULT_HOST, DEFAULT_PORT
from intermute.core.agents import Caller
from intermute.core.api.retention import LogTrimmed, TrimLog
from intermute.core.errors import DomainError, StorageFull
from intermute.core.ids import ProjectName, normal_project_name
from intermute.core.retention import EVERY_KIND, unknown_kinds
from intermute.project.clock import SystemClock
from intermute.project.registry import Registry
from intermute.project.retention import Trimmed, preview, trim, trimmer
from intermute.project.room import Room
from intermute.store.compaction import compact
from intermute.store.directory import DataDirectory, DirectoryRefused
from intermute.store.faults import StoreFault, told
from intermute.store.hop import thread_hop
from supervisor import ChildState, open_supervisor

_TIMEOUT_S: Final = 60.0  # seconds without a byte; one call trims for some 3 s, on a busy disk for longer.
_EPILOG: Final = """Examples:

\b
  intermute retention --project acme --keep-days 30 --dry-run
  intermute retention --project acme --keep-days 30 --keep-events 100000
  intermute retention --project acme --kind 'agent.*' --kind message.read --keep-days 1
  intermute retention --project acme                 by the project's settings
  intermute retention --project acme --keep-days 30 --compact   while no server runs

Messages, tasks, reservations and the audit are never touched. Archive files are in DATA/archive. If a server runs on
the data directory it does the work; it is asked at --url, with the key in INTERMUTE_API_KEY.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server cannot be asked, or the data directory cannot be used.
"""
Step = Callable[[], LogTrimmed]


@click.command(epilog=_EPILOG)
@click.option("--project", required=True, help="The project whose log is trimmed.")
@click.option("--keep-days", type=click.FloatRange(0), help="Events that are older go.")
@click.option("--keep-events", type=click.IntRange(0), help="Events that are not among the newest so many go.")
@click.option("--kind", "kinds", multiple=True, help="Only these events, each kind for itself; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--archive/--no-archive", default=True, show_default=True, help="Write what goes to an archive file.")
@click.option(
    "--agent",
    envvar=["INTERMUTE_AGENT_NAME", "INTERMUTE_AGENT"],
    help="Who trims, for the audit; else INTERMUTE_AGENT_NAME, else INTERMUTE_AGENT, else the operator.",
)
@click.option("--reason", help="Why, for the audit.")
@click.option("--compact", "compacts", is_flag=True, help="Then make the file smaller; not while a server runs.")
@click.option(
    "--url",
    envvar="INTERMUTE_URL",
    default=f"http://{DEFAULT_HOST}:{DEFAULT_PORT}",
    show_default=True,
    help="Where the server is, if one runs.",
)
@data_option("Directory of the projects' files.")
def retention(
    project: str, keep_days: float | None, keep_events: int | None, kinds: tuple[str, ...], dry_run: bool, archive: bool,
    agent: str | None, reason: str | None, compacts: bool, url: str, data: Path,
) -> None:  # fmt: skip
    """Trim a project's event log by age or number of events; without a limit, by the rules in its settings."""
    name = normal_project_name(project)
    if name is None:
        raise click.BadParameter("use 1 to 128 printable characters", param_hint="--project")
    rules = _rules(keep_days, keep_events, kinds)
    wish = _wish(project=name, rules=rules, dry_run=dry_run, archive=archive, agent=agent or None, reason=reason)
    directory = DataDirectory(data)
    if not data.is_dir():
        raise click.ClickException(f"there is no directory {data}: name one with --data")
    if directory.is_locked():
        if compacts:
            raise NoVerdict(f"a server runs on {data}: stop it to make files smaller, or leave --compact out")
        _told(partial(_ask_server, url, wish))
        return
    try:
        directory.prepare()
        directory.lock()
    except DirectoryRefused as refused:
        raise NoVerdict(str(refused)) from None
    try:
        if not directory.has(name):
            raise click.ClickException(f"there is no project {name} in {data}")
        _told(partial(trio.run, partial(_trim_here, directory, name, wish)))
        if compacts and not dry_run:
            before, after = compact(directory.path_of(name))
            click.echo(f"file: {before} bytes before, {after} bytes now")
    except StorageFull:
        raise click.ClickException(
            "the disk is full: make space, then run this again; what is trimmed already is in its archive file"
        ) from None
    except (DomainError, StoreFault) as error:
        raise click.ClickException(told(error)) from None
    finally:
        directory.unlock()


def _wish(**fields: object) -> TrimLog:
    """Return what is asked for, checked as over HTTP. Raises: click.UsageError."""
    try:
        wish = msgspec.convert(fields, TrimLog)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    if unknown := unknown_kinds(wish.rules or ()):
        raise click.UsageError(
            f"no event is of kind {unknown[0]}: docs/api.md lists them; message.* is all of a family"
        )
    return wish


def _rules(keep_days: float | None, keep_events: int | None, kinds: tuple[str, ...]) -> list[dict[str, object]] | None:
    """Return the rules that the flags say, or None for those of the project. Raises: click.UsageError."""
    if keep_days is None and keep_events is None:
        if kinds:
            raise click.UsageError("say with --keep-days or --keep-events what of these kinds is kept")
        return None
    return [{"kind": kind, "keep_days": keep_days, "keep_events": keep_events} for kind in kinds or (EVERY_KIND,)]


def _told(step: Step) -> None:
    """Trim call by call until nothing is left to do, and say what was done."""
    total, archives = 0, 0
    while True:
        done = step()
        total += done.trimmed
        archives += len(done.archives)
        for kind, count in done.by_type.items():
            click.echo(f"{kind}: {count}")
        if not done.has_more:
            break
    how = "would be trimmed" if done.dry_run else f"trimmed, {archives} archive file(s) written"
    click.echo(f"{total} event(s) {how}; the oldest since_cursor is {done.oldest_cursor}")


def _ask_server(url: str, wish: TrimLog) -> LogTrimmed:
    fields = {name: value for name, value in msgspec.structs.asdict(wish).items() if value is not None}
    service = replace(service_at(url, os.environ.get("INTERMUTE_API_KEY")), timeout_s=_TIMEOUT_S)
    content = service.post(f"/api/projects/{quote(fields.pop('project'))}/retention", fields)
    try:
        return msgspec.json.decode(content, type=LogTrimmed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoVerdict(f"{url} is not an Intermute that trims: say with --url where it runs") from None


async def _trim_here(directory: DataDirectory, name: ProjectName, wish: TrimLog) -> LogTrimmed:
    """Do it as a server does, without one: the same actor, for this project alone."""
    failure: DomainError | None = None
    found, oldest = Trimmed(), 0
    async with open_supervisor(_ignore_state) as supervisor:
        room = Room(directory.ballast(), thread_hop(), _ignore_line)
        registry = Registry(directory, supervisor, SystemClock(), secrets.randbits, _ignore_line, room=room)
        try:
            project = await registry.project(name)
            rules = project.known_state().committed_settings.retention if wish.rules is None else wish.rules
            if wish.dry_run:
                found = await preview(project, rules)
            else:
                by = trimmer(project, Caller(is_local=True), wish.agent, rules, wish.reason)
                found = await trim(project, rules, archives=wish.archive, by=by)
            oldest = await project.oldest_cursor(None)
        except DomainError as error:  # Not through the supervisor, which would wrap it (hazards.md 23).
            failure = error
        finally:
            registry.stop()
            await supervisor.stop_all()
            await registry.close_readers()
    if failure is not None:
        raise failure
    return LogTrimmed(
        project=name,
        dry_run=wish.dry_run,
        trimmed=found.by_type.total(),
        by_type=dict(sorted(found.by_type.items())),
        archives=found.archives,
        oldest_cursor=oldest,
        has_more=False,
    )


def _ignore_state(_name: str, _old: ChildState, _new: ChildState, _error: BaseException | None) -> None:
    """Whatever goes wrong comes back as the answer."""


def _ignore_line(_event: str, **_fields: object) -> None:
    """As above."""
