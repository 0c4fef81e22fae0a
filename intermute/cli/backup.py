"""`intermute backup` and `intermute restore`: copies of projects that are checked, and how they come back."""

import time
from pathlib import Path

import apsw
import click

from intermute.cli.options import Refused, data_option, in_service_of, locked, project_named
from intermute.core.ids import Micros, ProjectName
from intermute.store.backups import BackupRefused, back_up, check_backup, manifest_in, manifests
from intermute.store.directory import DataDirectory
from intermute.store.faults import StoreFault, told
from intermute.store.installing import restore as put_in_place

_PROBLEMS = (BackupRefused, StoreFault, OSError, apsw.Error)

_BACKUP_EXAMPLES = """Examples:

\b
  intermute backup /var/backups/intermute                 all projects, while the server runs
  intermute backup ./backup --project acme --data /srv/im one project of another directory

Each run replaces the backup of each project in DIR; for several generations use several directories.
Exit codes: 0 all backed up, 1 nothing to do, 3 some project was not; its older backup is kept.
"""

_RESTORE_EXAMPLES = """Examples:

\b
  intermute restore /var/backups/intermute --check        would it be accepted? Changes nothing
  intermute restore /var/backups/intermute --project acme one project; stop the server first
  intermute restore ./backup --data ./new                 all projects, onto a new machine

Exit codes: 0 all restored, 3 refused; then nothing was changed unless the message says so.
"""


@click.command(epilog=_BACKUP_EXAMPLES)
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--project", help="Only this project.")
@data_option("Directory to back up.")
def backup(target: Path, project: str | None, data: Path) -> None:
    """Copy every project into DIR, each as one checked file with a manifest; the server may run."""
    directory = in_service_of(data)
    if target.resolve() == directory.root.resolve():
        raise Refused("DIR is the data directory itself: name another one, best on another disk")
    files = directory.files() if project is None else [directory.path_of(project_named(project))]
    if not files or not files[0].exists():
        raise click.ClickException(f"{data} has no {'projects' if project is None else f'project {project!r}'}")
    is_well = True
    for path in files:
        try:
            made = back_up(path, target, _now_us())
        except _PROBLEMS as problem:
            is_well = False
            click.echo(f"PROBLEM {path.name}: {told(problem)}", err=True)
        else:
            click.echo(
                f"ok      {made.project}: head {made.head}, hash {made.head_hash}, {made.bytes} bytes in {made.file}"
            )
    for digest, report in directory.quarantine.reports().items():
        is_well = False
        click.echo(f"PROBLEM {report.project if report else digest}: in quarantine, not backed up", err=True)
    if not is_well:
        raise Refused(
            "not everything was backed up: see above, and `intermute doctor` for more; older backups are kept"
        )


@click.command(epilog=_RESTORE_EXAMPLES)
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--project", help="Only this project.")
@click.option("--check", "only_checks", is_flag=True, help="Check the backup and stop.")
@data_option("Directory to restore into; made if it is not there.")
def restore(source: Path, project: str | None, data: Path, *, only_checks: bool) -> None:
    """Put the backup in DIR in the place of what the projects are now. Stop the server first.

    All of it is checked before anything is changed. What was there is kept below the data directory.
    """
    try:
        found = [check_backup(path) for path in manifests(source, project_named(project) if project else None)]
    except BackupRefused as refused:
        raise Refused(f"{refused}. Nothing was changed.") from refused
    for manifest in found:
        click.echo(
            f"ok      {manifest.project}: made {manifest.made_at}, head {manifest.head}, hash {manifest.head_hash}"
        )
    if only_checks:
        return
    with locked(data) as directory:
        for manifest in found:
            _restore_one(directory, source, manifest_in(source, ProjectName(manifest.project)))


def _restore_one(directory: DataDirectory, source: Path, path: Path) -> None:
    manifest = check_backup(path)
    try:
        done = put_in_place(directory, manifest, source, _now_us())
    except _PROBLEMS as problem:
        raise Refused(
            f"{manifest.project} was not restored: {told(problem)}. Those named above were; this command can be repeated."
        ) from problem
    click.echo(f"restored {manifest.project}: epoch {done.epoch}, the log goes on at {done.head}")
    for kept in done.kept:
        click.echo(f"        what was there before is kept in {kept}")


def _now_us() -> Micros:
    return Micros(time.time_ns() // 1000)
