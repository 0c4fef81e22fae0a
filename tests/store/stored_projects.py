"""Projects as they lie on the disk, made and read without an actor."""

from collections.abc import Sequence
from pathlib import Path

from intermute.core.events import Event, EventType
from intermute.core.ids import Micros, ProjectName
from intermute.store import events, projects
from intermute.store.chain import check_chain
from intermute.store.connection import close, open_reader, open_writer
from intermute.store.directory import DataDirectory
from intermute.store.migrate import migrate
from intermute.store.projects import ProjectRow

DEMO = ProjectName("demo")
START_US = Micros(1_784_714_400_000_000)


def prepared(root: Path) -> DataDirectory:
    """Return a data directory that is there."""
    directory = DataDirectory(root)
    directory.prepare()
    return directory


def tell(root: Path, texts: Sequence[str], project: ProjectName = DEMO) -> ProjectRow:
    """Store an event for each text, as the writer does, and return the project's row; the project is made if need be."""
    connection = open_writer(DataDirectory(root).path_of(project))
    try:
        migrate(connection, START_US)
        if projects.read(connection) is None:
            projects.create(connection, project, START_US)
        row = projects.read(connection)
        assert row is not None
        connection.execute("BEGIN IMMEDIATE")
        digest = row.chain_head
        for cursor, text in enumerate(texts, row.head + 1):
            event = Event(cursor, EventType.MESSAGE_CREATED, START_US, None, {"subject": text})
            digest = events.execute(connection, events.append(event), digest)
        connection.execute(*projects.advance(row.head + len(texts), row.batch + 1, START_US, digest))
        connection.execute("COMMIT")
        found = projects.read(connection)
    finally:
        close(connection, checkpoint=True)
    assert found is not None
    return found


def told(root: Path, project: ProjectName = DEMO) -> tuple[ProjectRow, list[str]]:
    """Return the project's row and the texts of its log, after checking its chain: restorations are `restored`."""
    connection = open_reader(DataDirectory(root).path_of(project), leaves_log=True)
    try:
        check_chain(connection)
        found = events.after(connection, 0, 10_000)
        row = projects.read(connection)
    finally:
        close(connection)
    assert row is not None
    return row, [event.data.get("subject", event.type.removeprefix("project.")) for event in found]


def content(root: Path) -> dict[str, bytes]:
    """Return every file below a directory, to see whether anything was changed; the lock is left out."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
