"""Backups and what comes back from them: whole, as the manifest says, or refused; and no number is ever given twice (G21)."""

import json
import random
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest
from pytest import raises
from stored_projects import DEMO, START_US, content, prepared, tell, told

from intermute.core.ids import Micros, ProjectName
from intermute.store.backups import BackupRefused, back_up, check_backup, manifest_in, manifests
from intermute.store.chain import CHAIN_SCHEMA, check_chain
from intermute.store.connection import abandon, open_writer
from intermute.store.directory import DataDirectory
from intermute.store.hop import inline_hop
from intermute.store.installing import REPLACED, put_back, restore, start_anew
from intermute.store.migrate import known_migrations, migrate
from intermute.store.writer import Writer

LATER_US = Micros(START_US + 1_000_000)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with the project `demo`, of three events."""
    root = tmp_path / "data"
    prepared(root)
    tell(root, ["one", "two", "three"])
    return root


@pytest.fixture
def target(tmp_path: Path, data: Path) -> Path:
    """A backup of that."""
    target = tmp_path / "backup"
    back_up(DataDirectory(data).path_of(DEMO), target, START_US)
    return target


def test_backup_is_one_private_file_and_a_manifest(target: Path, data: Path) -> None:
    """Two files of mode 0600 in a directory of mode 0700; the manifest names head, hash, epoch, schema and digest."""
    row, _ = told(data)

    manifest = check_backup(manifest_in(target, DEMO))

    assert {path.name for path in target.iterdir()} == {manifest.file, manifest_in(target, DEMO).name}
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    assert target.stat().st_mode & 0o777 == 0o700
    assert (manifest.project, manifest.epoch, manifest.head, manifest.head_hash) == (DEMO, 1, 3, row.chain_head.hex())
    assert manifest.schema == len(known_migrations())


def test_backup_again_takes_the_place_of_the_older_one(target: Path, data: Path) -> None:
    """A directory holds one backup of a project: the last one that was made whole."""
    tell(data, ["four"])

    back_up(DataDirectory(data).path_of(DEMO), target, LATER_US)

    assert check_backup(manifest_in(target, DEMO)).head == 4
    assert len(list(target.iterdir())) == 2


def test_backup_that_cannot_be_told_of_leaves_no_copy(target: Path, data: Path) -> None:
    """Where the copy has room and the manifest cannot be written, the older backup stays alone."""
    before = content(target)
    in_the_way = manifest_in(target, DEMO).with_suffix(".json.new")
    in_the_way.symlink_to("nowhere")

    with raises(OSError, match="symbolic links"):
        back_up(DataDirectory(data).path_of(DEMO), target, LATER_US)

    assert content(target) == before
    assert check_backup(manifest_in(target, DEMO)).head == 3


def test_backup_of_a_damaged_file_is_refused_and_the_older_one_kept(target: Path, data: Path) -> None:
    """What is damaged never takes the place of what is whole."""
    path = DataDirectory(data).path_of(DEMO)
    tampering = apsw.Connection(str(path))
    tampering.execute("UPDATE events SET data = '{}' WHERE cursor = 2")
    tampering.close()
    before = content(target)

    with raises(BackupRefused, match="chain is broken at event 2"):
        back_up(path, target, LATER_US)

    assert content(target) == before


def test_backup_holds_what_was_committed_and_not_more(tmp_path: Path, data: Path) -> None:
    """A transaction that is open while the copy is made is not in it; what is in the log of a killed server is."""
    path = DataDirectory(data).path_of(DEMO)
    writing = open_writer(path)
    writing.execute("UPDATE project SET batch = batch + 1")
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("DELETE FROM events")

    manifest = back_up(path, tmp_path / "backup", START_US)

    writing.execute("ROLLBACK")
    abandon(writing, leaves_log=True)
    assert manifest.head == 3
    assert check_backup(manifest_in(tmp_path / "backup", DEMO)) == manifest


def change(manifest: Path, **fields: object) -> None:
    """Change a manifest."""
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **fields}))


def file_in(target: Path) -> Path:
    """Return the file of the only backup."""
    [file] = target.glob("*.db")
    return file


def flip_one_bit(target: Path) -> None:
    """Change a bit of the file."""
    content = bytearray(file_in(target).read_bytes())
    content[random.Random(5).randrange(len(content))] ^= 4
    file_in(target).write_bytes(content)


def change_an_event(target: Path) -> None:
    """Change an event, and the manifest's digest with it: a lie that only the chain tells."""
    tampering = apsw.Connection(str(file_in(target)))
    tampering.execute("UPDATE events SET data = replace(data, 'two', 'owt')")
    tampering.close()
    resign(target)


def resign(target: Path) -> None:
    """Let the manifest have the digest that the file has now."""
    change(manifest_in(target, DEMO), sha256=sha256(file_in(target).read_bytes()).hexdigest())


def swap_projects(target: Path) -> None:
    """Let another project's manifest stand in the place of this one's."""
    manifest_in(target, DEMO).rename(manifest_in(target, ProjectName("other")))


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "bit flipped": flip_one_bit,
    "file cut short": lambda target: file_in(target).write_bytes(file_in(target).read_bytes()[:-4096]),
    "file missing": lambda target: file_in(target).unlink(),
    "event changed": change_an_event,
    "manifest with another hash": lambda target: change(manifest_in(target, DEMO), head_hash="00" * 32),
    "manifest with another head": lambda target: change(manifest_in(target, DEMO), head=2),
    "manifest with another epoch": lambda target: change(manifest_in(target, DEMO), epoch=7),
    "manifest of another project": swap_projects,
    "manifest that leads elsewhere": lambda target: change(manifest_in(target, DEMO), file="../../etc/passwd"),
    "manifest of another format": lambda target: change(manifest_in(target, DEMO), format=2),
    "no manifest at all": lambda target: manifest_in(target, DEMO).write_text("{}"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_backup_that_was_changed_is_refused(target: Path, name: str) -> None:
    """Whatever does not fit together is refused, with what is wrong. Control: unchanged it is accepted."""
    check_backup(manifests(target, None)[0])
    TAMPERINGS[name](target)

    with raises(BackupRefused):
        check_backup(manifests(target, None)[0])


def test_restore_goes_on_beyond_everything_that_was_told(target: Path, data: Path, tmp_path: Path) -> None:
    """The log is the backup's and one event more; epoch and cursor are beyond those of the file it replaces, which is kept."""
    before = tell(data, ["four", "five"])
    kept_content = DataDirectory(data).path_of(DEMO).read_bytes()
    manifest = check_backup(manifest_in(target, DEMO))

    done = restore(DataDirectory(data), manifest, target, LATER_US)

    row, texts = told(data)
    assert texts == ["one", "two", "three", "restored"]
    assert (row.epoch, row.head) == (done.epoch, done.head)
    assert row.epoch > before.epoch
    assert row.head > before.head
    [kept] = done.kept
    assert kept.parent.name == REPLACED
    assert kept.read_bytes() == kept_content
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("clock_us", [LATER_US, 5])
def test_restore_again_repeats_no_number(target: Path, data: Path, clock_us: int) -> None:
    """The same backup restored twice, with events in between, never gives a cursor or an epoch again, whatever the clock says."""
    manifest = check_backup(manifest_in(target, DEMO))
    first = restore(DataDirectory(data), manifest, target, Micros(clock_us))
    between = tell(data, ["after"])

    second = restore(DataDirectory(data), manifest, target, Micros(clock_us + 1))

    assert first.epoch < second.epoch
    assert first.head < between.head < second.head
    assert told(data)[1] == ["one", "two", "three", "restored"]


def test_restore_believes_no_head_that_cannot_be(target: Path, data: Path) -> None:
    """A damaged file that claims an impossible head does not use up the numbers of the restored project."""
    tampering = apsw.Connection(str(DataDirectory(data).path_of(DEMO)))
    tampering.execute("UPDATE project SET head = 1 << 62, epoch = 1 << 62")
    tampering.close()

    done = restore(DataDirectory(data), check_backup(manifest_in(target, DEMO)), target, LATER_US)

    assert (done.epoch, done.head) == (2, LATER_US)


def test_restore_breaks_a_seal_that_was_left_behind(target: Path, data: Path) -> None:
    """A seal whose file somebody removed does not condemn the file that is restored."""
    path = DataDirectory(data).path_of(DEMO)
    path.with_suffix(".seal").write_text("of a file that is gone")
    path.unlink()

    restore(DataDirectory(data), check_backup(manifest_in(target, DEMO)), target, LATER_US)

    assert not path.with_suffix(".seal").exists()


def test_restore_onto_a_new_machine_repeats_no_number(target: Path, data: Path, tmp_path: Path) -> None:
    """Where the file that knew the last numbers is lost, the clock keeps the new ones beyond them."""
    lost = tell(data, ["four", "five", "six"])
    new = prepared(tmp_path / "new")

    done = restore(new, check_backup(manifest_in(target, DEMO)), target, LATER_US)

    assert (done.epoch, done.kept) == (2, ())
    assert done.head > lost.head


async def test_restored_project_is_served(target: Path, data: Path) -> None:
    """The writer opens it, its chain goes on, and its seal is not taken for that of the old file."""
    writer = Writer(DataDirectory(data).path_of(DEMO), inline_hop())
    await writer.open(DEMO, START_US)
    await writer.close()
    done = restore(DataDirectory(data), check_backup(manifest_in(target, DEMO)), target, LATER_US)

    await writer.open(DEMO, START_US)

    assert writer.chain_end == await writer.read(check_chain)
    assert writer.chain_end.cursor == done.head
    await writer.close()


def test_restore_takes_no_log_of_before(target: Path, data: Path) -> None:
    """The log of a killed server is moved into the file that is kept, never into the one that takes its place."""
    path = DataDirectory(data).path_of(DEMO)
    killed = open_writer(path)
    killed.execute("UPDATE project SET batch = 77")
    abandon(killed, leaves_log=True)
    assert path.with_name(path.name + "-wal").stat().st_size > 0

    [kept] = restore(DataDirectory(data), check_backup(manifest_in(target, DEMO)), target, LATER_US).kept

    row, texts = told(data)
    assert (row.batch, texts[-1]) == (2, "restored")
    assert apsw.Connection(str(kept)).execute("SELECT batch FROM project").get == 77


def test_restore_of_a_file_of_before_the_chain(tmp_path: Path) -> None:
    """A backup of an older version is brought up to date; its chain begins with the restoration."""
    old = prepared(tmp_path / "old")
    connection = open_writer(old.path_of(DEMO))
    migrate(connection, START_US, known_migrations()[: CHAIN_SCHEMA - 1])
    connection.execute(f"INSERT INTO project VALUES (1, 'demo', 3, 2, 1, {START_US}, {START_US})")
    connection.execute("INSERT INTO events VALUES (2, 'message.created', 1, NULL, '{\"subject\": \"old\"}')")
    abandon(connection)
    manifest = back_up(old.path_of(DEMO), tmp_path / "backup", START_US)

    done = restore(
        prepared(tmp_path / "new"), check_backup(manifest_in(tmp_path / "backup", DEMO)), tmp_path / "backup", LATER_US
    )

    assert (manifest.head_hash, manifest.epoch, done.epoch) == (None, 3, 4)
    assert told(tmp_path / "new")[1] == ["old", "restored"]


def set_aside(data: Path) -> DataDirectory:
    """Put the project into quarantine, as the service does."""
    directory = DataDirectory(data)
    row, _ = told(data)
    directory.quarantine.begin(
        DEMO,
        directory.path_of(DEMO),
        reason="test",
        at_us=START_US,
        epoch=row.epoch,
        head=row.head,
        head_hash=row.chain_head,
    )
    return directory


WAYS_OUT: dict[str, tuple[Callable[[DataDirectory, Path], Any], list[str]]] = {
    "restore": (
        lambda directory, target: restore(directory, check_backup(manifest_in(target, DEMO)), target, LATER_US),
        ["one", "two", "three", "restored"],
    ),
    "put back": (lambda directory, _: put_back(directory, DEMO, LATER_US), ["one", "two", "three", "four", "restored"]),
    "start anew": (lambda directory, _: start_anew(directory, DEMO, LATER_US), ["restored"]),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_quarantine_ends_by_a_command(target: Path, data: Path, way: str) -> None:
    """Each way out leaves a project with greater numbers, and what was in quarantine is kept."""
    before = tell(data, ["four"])
    found = DataDirectory(data).path_of(DEMO).read_bytes()
    directory = set_aside(data)
    end, texts = WAYS_OUT[way]

    done = end(directory, target)

    row, after = told(data)
    assert after == texts
    assert not directory.quarantine.holds(DEMO)
    assert row.epoch > before.epoch
    assert row.head > before.head
    [kept] = done.kept
    assert (kept / directory.path_of(DEMO).name).read_bytes() == found


def test_damaged_file_is_not_put_back(data: Path) -> None:
    """Put back only what is whole; otherwise the project stays in quarantine, unchanged."""
    directory = set_aside(data)
    file = directory.quarantine.file_of(DEMO)
    file.write_bytes(file.read_bytes()[:8192])
    before = content(data)

    with raises(BackupRefused, match="not whole"):
        put_back(directory, DEMO, LATER_US)

    assert content(data) == before


@pytest.mark.parametrize("end", [put_back, start_anew])
def test_project_that_is_not_in_quarantine_is_left_alone(data: Path, end: Callable[..., object]) -> None:
    """A project that is served cannot be emptied or replaced by mistake."""
    before = content(data)

    with raises(BackupRefused, match="not in quarantine"):
        end(DataDirectory(data), DEMO, LATER_US)

    assert content(data) == before


def test_manifests_of_nothing_is_refused(target: Path, tmp_path: Path) -> None:
    """A directory without a backup, or without one of the project, is named."""
    shutil.rmtree(tmp_path / "empty", ignore_errors=True)
    (tmp_path / "empty").mkdir()

    with raises(BackupRefused, match="no backup of a project"):
        manifests(tmp_path / "empty", None)
    with raises(BackupRefused, match="other"):
        manifests(target, ProjectName("other"))
