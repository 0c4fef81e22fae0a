"""Files of projects with many tasks, written before the service starts: over HTTP that would take minutes.

Beside `message_files` the one place where the load test writes what the service reads; nothing here is measured.
"""

from pathlib import Path
from typing import Final

from intermute.core.entities.kinds import TASK
from intermute.core.entities.values import made
from intermute.core.ids import Micros, ProjectName
from intermute.store import entities as rows
from intermute.store import projects
from intermute.store.chain import GENESIS
from intermute.store.connection import open_writer
from intermute.store.directory import DataDirectory
from intermute.store.migrate import migrate

LISTED: Final = 50
"""How many tasks of agent-0 are running, at least."""
FEW: Final = 100
_STATUSES: Final = ("running", "pending", "blocked", "done")
_START_US: Final = Micros(1_700_000_000_000_000)


def write_tasks(data: Path, name: str, count: int) -> None:
    """Write a project whose tasks are spread over agents and statuses, 50 at least of each."""
    project, root = ProjectName(name), DataDirectory(data)
    root.prepare()
    connection = open_writer(root.path_of(project))
    try:
        migrate(connection, _START_US)
        agents = count // (LISTED * 2) if count <= FEW else count // (LISTED * len(_STATUSES))
        with connection:
            projects.create(connection, project, _START_US)
            for number in range(1, count + 1):
                given = {
                    "title": f"task {number}",
                    "agent": f"agent-{number % agents}",
                    "status": _STATUSES[number // agents % (2 if count <= FEW else len(_STATUSES))],
                }
                task = made(TASK, given, f"task-{number}", number, 0, Micros(_START_US + number))
                connection.execute(*rows.insert(task))
            connection.execute(*projects.advance(count, 1, Micros(_START_US + count), GENESIS))
    finally:
        connection.close()
