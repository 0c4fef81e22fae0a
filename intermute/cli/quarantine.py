"""`intermute quarantine`: what is there, and how an operator ends it."""

import time
from collections.abc import Callable
from pathlib import Path

import apsw
import click

from intermute.cli.options import Refused, data_option, in_service_of, locked, project_named
from intermute.core.ids import Micros, ProjectName
from intermute.store.backups import BackupRefused
from intermute.store.directory import DataDirectory
from intermute.store.faults import StoreFault, told
from intermute.store.installing import Installed, put_back, start_anew

_EXAMPLES = """Examples:

\b
  intermute quarantine list                  what is in quarantine, since when and why
  intermute restore DIR --project acme       end it with a backup
  intermute quarantine put-back acme         end it with its own file, if that is whole
  intermute quarantine start-anew acme       end it with an empty project

A project stays refused until one of the last three; it never comes back by itself. Stop the server for these.
"""


@click.group(epilog=_EXAMPLES)
def quarantine() -> None:
    """Damaged projects that were set aside: list them, and end that."""


@quarantine.command("list", epilog="Example:  intermute quarantine list --data ./intermute-data")
@data_option("Directory to look into.")
def list_quarantine(data: Path) -> None:
    """List the projects in quarantine. Exit code 0 if there are none, 3 if there are."""
    found = in_service_of(data).quarantine.reports()
    for digest, report in found.items():
        if report is None:
            click.echo(f"{digest}: the report cannot be read")
        else:
            click.echo(
                f"{report.project}: since {report.at}, {report.reason}; epoch {report.epoch}, head {report.head}"
            )
    if found:
        raise Refused("these projects are refused until you end that: `intermute quarantine --help`")


@quarantine.command("put-back", epilog="Example:  intermute quarantine put-back acme")
@click.argument("project")
@data_option("Directory of the project.")
def put_back_project(project: str, data: Path) -> None:
    """Put the project's own file back, after it was checked or repaired. It must be whole."""
    _end(put_back, project, data)


@quarantine.command("start-anew", epilog="Example:  intermute quarantine start-anew acme")
@click.argument("project")
@data_option("Directory of the project.")
def start_project_anew(project: str, data: Path) -> None:
    """Let the project begin empty. What it held stays below the data directory."""
    _end(start_anew, project, data)


def _end(how: Callable[[DataDirectory, ProjectName, Micros], Installed], project: str, data: Path) -> None:
    with locked(data) as directory:
        try:
            done = how(directory, project_named(project), Micros(time.time_ns() // 1000))
        except (BackupRefused, StoreFault, OSError, apsw.Error) as problem:
            raise Refused(f"{told(problem)}. The project is still in quarantine.") from problem
    click.echo(f"{project}: epoch {done.epoch}, the log goes on at {done.head}")
    for kept in done.kept:
        click.echo(f"  what was in quarantine is kept in {kept}")
