"""`intermute doctor`: look into a data directory and say what is there."""

import sys
from pathlib import Path
from typing import Final

import apsw
import click

from intermute.app import ExitCode
from intermute.cli.options import data_option
from intermute.store.connection import SQLITE_OLDEST, sqlite_version
from intermute.store.diagnosis import Finding, examine
from intermute.store.directory import DataDirectory

_IN_QUARANTINE: Final = "it is refused until you restore a backup or decide otherwise: `intermute quarantine --help`"


@click.command(epilog="Example:  intermute doctor --data ./intermute-data")
@data_option("Directory to look into.")
def doctor(data: Path) -> None:
    """Check a data directory and print what it finds. Exit code 0 if all is well, 3 if not."""
    if not data.is_dir():
        raise click.ClickException(
            f"there is no directory {data}: name one with --data, or start `intermute serve` to make it"
        )
    is_new_enough = sqlite_version() >= SQLITE_OLDEST
    _line("SQLite", apsw.sqlite_lib_version(), "" if is_new_enough else "too old: upgrade apsw")
    mode = data.stat().st_mode & 0o777
    _line("directory", str(data), "" if mode == 0o700 else f"mode is {mode:o}, should be 700: chmod 700 {data}")
    directory = DataDirectory(data)
    is_running = directory.is_locked()
    _line("server", "running on this directory" if is_running else "not running", "")
    is_well = is_new_enough and mode == 0o700
    files = directory.files()
    _line("projects", str(len(files)), "")
    for path in files:
        found = examine(path, is_stopped=not is_running)
        is_well = is_well and found.is_well
        problem = "" if found.is_well else _advice(found)
        _line(
            found.project or path.name,
            f"schema {found.schema}, head {found.head}, {found.size_bytes / 1024:.0f} KiB, integrity {found.integrity}"
            + (f", head hash {found.head_hash}" if found.head_hash else ""),
            problem,
        )
    for digest, report in directory.quarantine.reports().items():
        is_well = False
        since = (
            f"in quarantine since {report.at}: {report.reason}" if report else "in quarantine, its report unreadable"
        )
        _line(report.project if report else digest, since, _IN_QUARANTINE)
    sys.exit(ExitCode.OK if is_well else ExitCode.REFUSED)


def _line(what: str, value: str, problem: str) -> None:
    click.echo(f"{'PROBLEM' if problem else 'ok':8}{what}: {value}" + (f" — {problem}" if problem else ""))


def _advice(found: Finding) -> str:
    if found.migrations_pending < 0:
        return "a newer version wrote this file: start that version"
    if found.is_unread:
        return "the file was not looked at, and nothing is known to be wrong with it"
    if found.integrity != "ok":
        return "the file is damaged: stop the server, keep the file with its -wal, and restore a backup (`intermute restore`)"
    return "the file holds no project: it can be removed"
