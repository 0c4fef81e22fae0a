"""`intermute import-original`: take over what the original service has stored."""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from intermute.cli.import_report import as_json, as_text
from intermute.cli.options import Refused, data_option, locked
from intermute.core.ids import Micros
from intermute.core.original.report import ProjectReport
from intermute.project.importing import import_project, targets_of
from intermute.store.directory import DataDirectory
from intermute.store.original import NotTheOriginals, Original, opened

_EXAMPLES = """Examples:

\b
  intermute import-original ~/intermute.db --dry-run      what would be taken? Changes nothing
  intermute import-original ~/intermute.db                take it; stop both services first
  intermute import-original old.db --data /srv/im --json  another directory, the report for a program

FILE is only read. Each of its projects comes in as a whole or not at all; what is here already stays as it is, so the
command can be repeated. Rows that no request could have made are left out, and the report says which and why.
Exit codes: 0 done, 3 refused, or some project was not taken; the message or the report says why.
"""


@click.command("import-original", epilog=_EXAMPLES)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and change nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON.")
@data_option("Directory to import into; made if it is not there.")
def import_original(file: Path, data: Path, *, dry_run: bool, is_json: bool) -> None:
    """Take over agents, messages, reservations and entities from the SQLite file of the original service.

    Stop both services first.
    """
    try:
        with opened(file) as original, _directory(data, dry_run=dry_run) as directory:
            reports = _import_all(original, directory, dry_run=dry_run)
            others = original.not_taken()
    except NotTheOriginals as problem:
        raise Refused(f"{problem}. Nothing was changed.") from problem
    shown = (as_json if is_json else as_text)(file, reports, others, is_trial=dry_run)
    click.echo(shown)
    failed = [report.project for report in reports if report.problem]
    if failed:
        raise Refused(f"not taken: {', '.join(failed)}; the report says why. This command can be repeated")


@contextmanager
def _directory(data: Path, *, dry_run: bool) -> Iterator[DataDirectory | None]:
    if dry_run and not data.exists():
        yield None
        return
    with locked(data) as directory:
        yield directory


def _import_all(original: Original, directory: DataDirectory | None, *, dry_run: bool) -> list[ProjectReport]:
    targets, reports = targets_of(original)
    with click.progressbar(
        range(original.count()), label="rows", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        waiting = 0

        def on_row() -> None:
            nonlocal waiting
            waiting += 1
            if waiting == _ROWS_A_STEP:
                bar.update(waiting)
                waiting = 0

        for project, called in sorted(targets.items()):
            wall_us = Micros(time.time_ns() // 1000)
            reports.append(
                import_project(
                    original, directory, project, called, wall_us, secrets.randbits, is_trial=dry_run, on_row=on_row
                )
            )
        bar.update(waiting)
    return reports


_ROWS_A_STEP = 200  # rows between two looks of the progress bar at its clock; a tenth of a second at the slowest.
