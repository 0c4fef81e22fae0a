"""Importing the original's file: which of its projects becomes which of ours, each as a whole or not at all.

Source: contract.md 5, docs/decisions/0021-import.md.
"""

from collections.abc import Callable, Sequence

from intermute.core.ids import DEFAULT_PROJECT, Micros, ProjectName, RandomBits, normal_project_name
from intermute.core.original.report import ProjectReport
from intermute.core.original.rows import shown
from intermute.project.importing_rows import RowsImport
from intermute.store.directory import DataDirectory
from intermute.store.faults import StoreFault, told
from intermute.store.intake import IntakeRefused, intake
from intermute.store.original import NotTheOriginals, Original


def targets_of(original: Original) -> tuple[dict[ProjectName, list[bytes]], list[ProjectReport]]:
    """Return which projects of the file go into which of ours, and those that cannot be taken, with the reason.

    Rows of no project are of the project `default`, as calls without one are (design.md 6). Raises: NotTheOriginals.
    """
    targets: dict[ProjectName, list[bytes]] = {}
    refused = []
    for raw in original.projects():
        try:
            text = raw.decode().strip()
            name = normal_project_name(text) if text else DEFAULT_PROJECT
        except UnicodeDecodeError:
            text, name = raw.decode(errors="replace"), None
        if name is None:
            problem = "a project's name has 1 to 128 printable characters"
            refused.append(ProjectReport(shown(text), [shown(text)], problem))
        else:
            targets.setdefault(name, []).append(raw)
    return targets, refused


def import_project(
    original: Original,
    directory: DataDirectory | None,
    project: ProjectName,
    called: Sequence[bytes],
    wall_us: Micros,
    random_bits: RandomBits,
    *,
    is_trial: bool,
    on_row: Callable[[], None],
) -> ProjectReport:
    """Take one project over, or look what would become of it: its problems are in the report, and then nothing is stored.

    Args: directory is None where there is none yet, for a trial; on_row is called after each row.
    """
    report = ProjectReport(project, [raw.decode() for raw in called])
    try:
        with intake(directory, project, wall_us, is_trial=is_trial) as taking:
            rows = RowsImport(original, project, taking, report, random_bits)
            rows.run(called, on_row)
            original.check_unchanged()
            if report.taken and not is_trial:
                taking.commit(rows.head)
    except (IntakeRefused, StoreFault, NotTheOriginals) as problem:
        return ProjectReport(project, report.called, told(problem))
    return report
