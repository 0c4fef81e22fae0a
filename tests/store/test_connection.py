"""Files and connections: who may read them, how they are opened, and that one process has them (G2, G22, T15, T27)."""

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from faulty_vfs import faulty_disk
from pytest import raises

from intermute.core.ids import Micros, ProjectName, project_tag
from intermute.store import projects
from intermute.store.connection import SQLITE_OLDEST, close, open_reader, open_writer, sqlite_version
from intermute.store.diagnosis import examine
from intermute.store.directory import DataDirectory, DirectoryRefused
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.migrate import migrate

NOW_US = Micros(1_784_714_400_000_000)
DEMO = ProjectName("demo")


def mode(path: Path) -> str:
    """Return the permission bits in octal."""
    return oct(stat.S_IMODE(path.stat().st_mode))


def make_project(directory: DataDirectory, name: ProjectName) -> Path:
    """Create a project's file."""
    path = directory.path_of(name)
    connection = open_writer(path)
    migrate(connection, NOW_US)
    projects.create(connection, name, NOW_US)
    close(connection, checkpoint=True)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """A prepared data directory."""
    made = DataDirectory(tmp_path / "data")
    made.prepare()
    return made


def test_sqlite_is_new_enough() -> None:
    """The SQLite inside apsw has no bug that corrupts a file with two connections (hazards.md)."""
    assert sqlite_version() >= SQLITE_OLDEST


def test_files_are_for_their_owner_only(directory: DataDirectory) -> None:
    """Database, log, index and lock are readable for nobody else, and so is the directory."""
    directory.lock()
    connection = open_writer(directory.path_of(DEMO))
    migrate(connection, NOW_US)

    try:
        assert mode(directory.root) == "0o700"
        files = list(directory.root.iterdir())
        assert {path.suffix for path in files} == {"", ".db", ".db-wal", ".db-shm"}
        assert {mode(path) for path in files} == {"0o600"}
    finally:
        close(connection)
        directory.unlock()


def test_directory_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    """A data directory that was made with open permissions is corrected."""
    tmp_path.chmod(0o755)

    DataDirectory(tmp_path).prepare()

    assert mode(tmp_path) == "0o700"


def test_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """What is no directory is refused with advice, not with a traceback."""
    (tmp_path / "file").touch()

    with raises(DirectoryRefused):
        DataDirectory(tmp_path / "file").prepare()


def test_directory_behind_a_symbolic_link_can_be_used(tmp_path: Path) -> None:
    """A data directory that is reached through a link, as /tmp is on some systems, works."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    directory = DataDirectory(tmp_path / "link" / "data")
    directory.prepare()

    make_project(directory, DEMO)

    assert directory.names() == [DEMO]


def test_project_file_that_is_a_symbolic_link_is_refused(directory: DataDirectory, tmp_path: Path) -> None:
    """Nobody leads the server to another file through a link (T27)."""
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.touch()
    directory.path_of(DEMO).symlink_to(elsewhere)

    with raises(StoreFault):
        open_writer(directory.path_of(DEMO))
    with raises(StoreFault):
        open_reader(directory.path_of(DEMO))


def test_lock_keeps_a_second_server_out(directory: DataDirectory) -> None:
    """A second holder is refused while the first one lives, and let in after it (G22)."""
    directory.lock()
    second = DataDirectory(directory.root)
    with raises(DirectoryRefused, match="another intermute"):
        second.lock()

    directory.unlock()

    second.lock()
    second.unlock()


def test_lock_keeps_another_process_out(directory: DataDirectory) -> None:
    """The lock holds between processes."""
    directory.lock()
    program = (
        "import sys; from pathlib import Path; from intermute.store.directory import DataDirectory\n"
        "DataDirectory(Path(sys.argv[1])).lock()"
    )

    try:
        ended = subprocess.run([sys.executable, "-c", program, str(directory.root)], capture_output=True, text=True)
    finally:
        directory.unlock()

    assert "another intermute already serves" in ended.stderr


def test_lock_that_is_a_symbolic_link_is_refused(directory: DataDirectory, tmp_path: Path) -> None:
    """The lock file is not followed elsewhere."""
    (directory.root / "lock").symlink_to(tmp_path / "target")

    with raises(DirectoryRefused):
        directory.lock()


@pytest.mark.parametrize("name", ["../escape", "a/b", "CON", "x" * 128, "naïve", "日本語", "."])
def test_project_file_name_is_a_hash(directory: DataDirectory, name: str) -> None:
    """Whatever a project is called, its file is 32 hex digits in the data directory (T15)."""
    path = make_project(directory, ProjectName(name))

    assert path.parent == directory.root
    assert path.stem.startswith(project_tag(ProjectName(name)))
    assert len(path.name) == 35
    assert directory.names() == [name]


def test_directory_finds_projects_by_tag(directory: DataDirectory) -> None:
    """The tag inside an id leads to the project, and any other tag nowhere."""
    for name in ("acme", "umbra"):
        make_project(directory, ProjectName(name))

    assert directory.named_by_tag(project_tag(ProjectName("umbra"))) == "umbra"
    assert directory.named_by_tag("0" * 12) is None


def test_directory_passes_over_files_that_tell_nothing(directory: DataDirectory) -> None:
    """A file that is broken, empty or foreign hides no other project."""
    make_project(directory, DEMO)
    (directory.root / ("0" * 32 + ".db")).write_bytes(b"not a database at all" * 100)
    (directory.root / ("1" * 32 + ".db")).touch()
    (directory.root / "notes.txt").touch()

    assert directory.names() == [DEMO]
    assert len(directory.files()) == 3


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("temp_store", 2),
        ("trusted_schema", 0),
        ("journal_size_limit", 16 * 1024 * 1024),
        ("busy_timeout", 2000),
    ],
)
def test_writer_is_opened_with_care(directory: DataDirectory, pragma: str, value: object) -> None:
    """Flushed commits, a write-ahead log with a bound, enforced references (G2, G15)."""
    connection = open_writer(directory.path_of(DEMO))

    found = connection.pragma(pragma)
    close(connection)

    assert found == value


def test_reader_cannot_write(directory: DataDirectory) -> None:
    """The read connection refuses to change anything."""
    make_project(directory, DEMO)
    connection = open_reader(directory.path_of(DEMO))

    with raises(apsw.ReadOnlyError):
        connection.execute("DELETE FROM project")

    close(connection)


def test_reader_makes_no_file(directory: DataDirectory) -> None:
    """Looking for a project that does not exist does not bring it into being."""
    with raises(StoreFault) as refused:
        open_reader(directory.path_of(DEMO))

    assert refused.value.kind is FaultKind.IO
    assert directory.files() == []


def test_connections_cannot_change_the_schema_behind_sqlites_back(directory: DataDirectory) -> None:
    """Defensive mode: no statement can write the schema table or load an extension (T16)."""
    connection = open_writer(directory.path_of(DEMO))
    migrate(connection, NOW_US)

    connection.execute("PRAGMA writable_schema = ON")
    with raises(apsw.SQLError):
        connection.execute("UPDATE sqlite_schema SET sql = ''")
    with raises(apsw.SQLError):
        connection.execute("SELECT load_extension('x')")

    close(connection)


def test_closing_moves_the_log_into_the_file(directory: DataDirectory) -> None:
    """After closing one file is left, which can be copied alone."""
    path = make_project(directory, DEMO)

    assert [each.name for each in directory.root.iterdir()] == [path.name]


def test_examine_finds_a_whole_file_well(directory: DataDirectory) -> None:
    """The doctor says what a sound file is."""
    finding = examine(make_project(directory, DEMO))

    assert finding.is_well
    assert (finding.project, finding.migrations_pending, finding.integrity) == ("demo", 0, "ok")


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "empty"])
def test_examine_finds_a_damaged_file_unwell(directory: DataDirectory, damage: str) -> None:
    """Damage becomes a finding, never an exception."""
    path = make_project(directory, DEMO)
    content = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "overwritten":
            path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        case _:
            path.write_bytes(b"")

    assert not examine(path).is_well


@pytest.mark.parametrize("opener", [open_writer, open_reader])
def test_connection_that_cannot_be_prepared_is_closed(
    directory: DataDirectory, opener: Callable[[Path], apsw.Connection]
) -> None:
    """Where opening fails half way nothing stays open, however long the error is kept: a late end would write (G17)."""
    path = make_project(directory, DEMO)
    with faulty_disk() as disk:
        disk.fail(2, is_sticky=True, only="read")  # The first one belongs to opening it.

        with raises(StoreFault) as kept:
            opener(path)

        assert kept.value.kind is FaultKind.IO
        assert [each for each in apsw.connections() if each.filename == str(path)] == []
