"""Commands on a disk that fills in the middle: nothing half-made counts, what to do is said, and run again it succeeds (G19)."""

import gzip
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import events, good, refusal, send
from original_files import OriginalFile
from server_process import ServerProcess, run_command, until
from small_disk import MIB, SmallDisk, small_disk

KIB = 1024
MESSAGES = 300
SHARED_MEMORY_BYTES = 32 * KIB
FULL, REMEDY = "the disk is full", "make space, then run this again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 24 MiB at `small`."""
    with small_disk(tmp_path / "small", 24 * MIB) as made:
        yield made


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A file of the original that takes some 1.7 MiB of log and 2 MiB of file in our project `acme`."""
    return original_of(tmp_path / "old.db", MESSAGES)


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    """A data directory with that project, on a disk with plenty of room."""
    assert run_command("import-original", str(original), "--data", "data", cwd=tmp_path).returncode == 0
    return tmp_path / "data"


def original_of(path: Path, messages: int) -> Path:
    """Make a file with so many messages of a project `acme`, which gzip makes hardly any smaller."""
    chance = random.Random(1)
    made = OriginalFile(path)
    for number in range(messages):
        made.send("acme", "a", ["b"], f"{number} " + "x" * 4000, subject=chance.randbytes(400).hex())
    return made.close()


def run(disk: SmallDisk, cwd: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that sees the disk; `small` and what is below it are paths on it."""
    paths = [str(cwd / each) if each.startswith("small") else each for each in arguments]
    return run_command(*paths, cwd=cwd, wrapper=disk.wrapper)


def files_on(disk: SmallDisk) -> dict[str, int]:
    """Return the sizes of all files that hold something, but the filling's."""
    found = {str(each.relative_to(disk.path)): each.stat().st_size for each in disk.path.rglob("*") if each.is_file()}
    return {name: size for name, size in found.items() if size and name != "filling"}


def is_well(disk: SmallDisk, cwd: Path, head: int) -> bool:
    """Tell whether `doctor` finds the disk's one project whole, and this its last cursor."""
    found = run(disk, cwd, "doctor", "--data", "small")
    return found.returncode == 0 and f"head {head}," in found.stdout


def test_import_of_a_new_project_is_whole_or_not_there(disk: SmallDisk, original: Path, tmp_path: Path) -> None:
    """However far it came: no file is left, the report says to make space, and after that the same command takes all."""
    command = ("import-original", str(original), "--data", "small")
    for left_bytes in (16 * KIB, MIB, 3 * MIB):
        disk.fill(leaves_bytes=left_bytes)

        found = run(disk, tmp_path, *command)

        assert (found.returncode, FULL in found.stdout, REMEDY in found.stdout) == (3, True, True), found.stdout
        assert files_on(disk) == {}
        disk.make_space()
    assert run(disk, tmp_path, *command).returncode == 0
    assert is_well(disk, tmp_path, MESSAGES)


def test_import_into_a_project_is_whole_or_not_done(disk: SmallDisk, original: Path, tmp_path: Path) -> None:
    """What was there before is there, and nothing else; `doctor` calls nothing damaged for want of room."""
    before = str(original_of(tmp_path / "before.db", 1))
    assert run(disk, tmp_path, "import-original", before, "--data", "small").returncode == 0
    command = ("import-original", str(original), "--data", "small")
    for left_bytes in (16 * KIB, MIB):
        disk.fill(leaves_bytes=left_bytes)

        found = run(disk, tmp_path, *command)

        assert (found.returncode, REMEDY in found.stdout) == (3, True), found.stdout
        looked = run(disk, tmp_path, "doctor", "--data", "small").stdout
        assert "damaged" not in looked
        assert (REMEDY in looked) == (left_bytes < SHARED_MEMORY_BYTES)
        disk.make_space()
    assert f"messages: {MESSAGES} taken" in run(disk, tmp_path, *command).stdout
    assert is_well(disk, tmp_path, 1 + MESSAGES)


def test_import_that_is_committed_is_not_said_to_have_failed(disk: SmallDisk, original: Path, tmp_path: Path) -> None:
    """Where there is room for the log and none to move it into the file, all of it is there and stays there."""
    before = str(original_of(tmp_path / "before.db", 1))
    assert run(disk, tmp_path, "import-original", before, "--data", "small").returncode == 0
    disk.fill(leaves_bytes=5 * MIB // 2)

    found = run(disk, tmp_path, "import-original", str(original), "--data", "small")

    assert any(name.endswith("-wal") for name in files_on(disk)), "Control: the log could not be moved"
    assert (found.returncode, f"messages: {MESSAGES} taken" in found.stdout) == (0, True), found.stdout
    disk.make_space()
    assert is_well(disk, tmp_path, 1 + MESSAGES)


def test_backup_is_whole_or_the_one_before(disk: SmallDisk, data: Path, tmp_path: Path) -> None:
    """Nothing of the new one is left, the one before is accepted, it says what to do, and then it succeeds."""
    for is_first in (True, False):
        before = files_on(disk)
        disk.fill(leaves_bytes=MIB)

        found = run(disk, tmp_path, "backup", "small/backup", "--data", str(data))

        assert (found.returncode, FULL in found.stderr, REMEDY in found.stderr) == (3, True, True), found.stderr
        assert files_on(disk) == before
        assert (run(disk, tmp_path, "restore", "small/backup", "--check").returncode == 0) == (not is_first)
        disk.make_space()
        assert run(disk, tmp_path, "backup", "small/backup", "--data", str(data)).returncode == 0
        assert len(files_on(disk)) == 2
    assert run(disk, tmp_path, "restore", "small/backup", "--check").returncode == 0


def test_backup_without_room_for_its_check_leaves_nothing(disk: SmallDisk, data: Path, tmp_path: Path) -> None:
    """The copy fits and what SQLite needs beside it does not: none of that stays behind to take the room of the next."""
    [size] = [each.stat().st_size for each in data.glob("*.db")]
    disk.fill(leaves_bytes=size + 8 * KIB)

    found = run(disk, tmp_path, "backup", "small/backup", "--data", str(data))

    assert (found.returncode, REMEDY in found.stderr) == (3, True), found.stderr
    assert [each.name for each in disk.path.rglob("*") if each.name not in ("filling", "backup")] == []


def archived(disk: SmallDisk) -> list[int]:
    """Return the cursors in all archive files, after checking that there is nothing else."""
    found: list[int] = []
    for path in disk.path.glob("archive/*/*"):
        assert path.name.endswith(".jsonl.gz")
        found += [json.loads(line)["cursor"] for line in gzip.decompress(path.read_bytes()).splitlines()]
    return sorted(found)


def test_log_is_trimmed_only_after_its_archive(disk: SmallDisk, original: Path, tmp_path: Path) -> None:
    """No event goes before the file with it is whole; the command says what to do, and then finishes."""
    command = ("retention", "--project", "acme", "--keep-events", "0", "--data", "small")
    assert run(disk, tmp_path, "import-original", str(original), "--data", "small").returncode == 0
    for left_bytes in (16 * KIB, 64 * KIB, 200 * KIB):
        disk.fill(leaves_bytes=left_bytes)

        found = run(disk, tmp_path, *command)

        assert (found.returncode, REMEDY in found.stderr) == (1, True), found.stderr
        assert archived(disk) in ([], list(range(1, MESSAGES + 1)))
        disk.make_space()
    assert f"{MESSAGES} event(s) would be" in run(disk, tmp_path, *command, "--dry-run").stdout
    assert run(disk, tmp_path, *command).returncode == 0
    assert archived(disk) == list(range(1, MESSAGES + 1))


def test_server_trims_nothing_without_its_archive(tmp_path: Path) -> None:
    """507, every event is still there, others are served; once there is space the same request archives and trims."""
    where, wish = "/api/projects/acme/retention", {"rules": [{"keep_events": 0}]}
    with (
        small_disk(tmp_path / "data", 40 * MIB) as disk,
        ServerProcess(tmp_path, wrapper=disk.wrapper) as running,
        running.client() as local,
    ):
        until(lambda: running.events("storage.ballast_missing") or disk.used_by("ballast"), "the ballast")
        sent = [send(local, "acme", "a", ["b"], subject=f"{n}" + "y" * 900)["cursor"] for n in range(100)]
        disk.fill()

        refusal(local.post(where, json=wish), 507, "storage_full")

        assert [each["cursor"] for each in events(local, "acme")] == sent
        assert archived(disk) == []
        disk.make_space()
        until(lambda: local.post(where, json=wish).status_code == 200, "the trim")
        assert archived(disk) == sent
        assert good(local.get("/api/audit?project=acme"))["records"][0]["subject"]["archive"]
