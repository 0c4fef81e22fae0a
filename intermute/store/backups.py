"""Backups: per project one file that is whole in itself, and a manifest that says what it must be.

A backup is a copy by SQLite's own means, in one read transaction, while the service may be writing: the state of some committed
batch. It is checked before it counts, and counts when its manifest appears, in one rename. Copying page by page was
chosen by measurement (770 MB/s; `VACUUM INTO` 420 MB/s), and since it copies what is there and makes nothing up.
Source: guarantees.md G21.
"""

import os
import re
from pathlib import Path
from typing import Final

import apsw
import msgspec

from intermute.core.ids import Micros, ProjectName, normal_project_name, project_digest
from intermute.core.times import rfc3339
from intermute.store.connection import close, create_private, log_of, open_reader, shared_memory_of
from intermute.store.diagnosis import Finding, examine
from intermute.store.faults import as_faults
from intermute.store.files import make_private, sync_directory, write_private
from intermute.store.seal import digest_of

FORMAT: Final = 1
_FILE: Final = re.compile(r"[0-9a-f]{32}-[0-9]+\.db")


class BackupRefused(Exception):
    """The backup is not made, or not used; the text says why and what to do."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup of one project holds."""

    format: int
    project: str
    made_at: str
    epoch: int
    head: int
    head_hash: str | None
    """The hash of the last event; None of a file that is older than the chain."""
    schema: int
    file: str
    bytes: int
    sha256: str


def manifest_in(target: Path, project: ProjectName) -> Path:
    """Return where a project's manifest is."""
    return target / f"{project_digest(project)}.json"


def back_up(source: Path, target: Path, at_us: Micros) -> Manifest:
    """Copy one project's file into the directory `target`, in place of the backup that is there, and return its manifest.

    Killed at any point, the directory has the old backup or the new one. Raises: StoreFault, OSError, BackupRefused.
    """
    make_private(target)
    new = target / f"{source.stem}-{at_us}.db.new"
    try:
        _copy(source, new)
        found = examine(new)
        if not found.is_well or found.project is None:
            raise BackupRefused(
                f"{source.name} is not backed up, and an older backup of it is kept: {found.integrity}; see `intermute doctor`"
            )
        file = new.with_suffix("")
        manifest = Manifest(
            format=FORMAT,
            project=found.project,
            made_at=rfc3339(at_us),
            epoch=found.epoch,
            head=found.head,
            head_hash=found.head_hash,
            schema=found.schema,
            file=file.name,
            bytes=new.stat().st_size,
            sha256=digest_of(new),
        )
        new.rename(file)
    finally:
        for each in (new, log_of(new), shared_memory_of(new)):
            each.unlink(missing_ok=True)
    _publish(target, manifest)
    for older in target.glob(f"{source.stem}-*.db*"):
        if (number := re.search(r"-([0-9]+)\.db", older.name)) and int(number[1]) < at_us:
            older.unlink(missing_ok=True)
    return manifest


def _copy(source: Path, new: Path) -> None:
    live = open_reader(source, leaves_log=True)
    try:
        with as_faults():
            create_private(new)
            copy = apsw.Connection(str(new), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW)
            try:
                with as_faults(copy):
                    copy.execute("PRAGMA journal_mode = OFF").fetchall()
                    # In one step, which is one read transaction: what is committed meanwhile is not in it.
                    with copy.backup("main", live, "main") as backup:
                        backup.step(-1)
                    # So that it is whole in one file, whoever opens it.
                    copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            finally:
                copy.close(force=True)
            with new.open("rb") as file:
                os.fsync(file.fileno())
    finally:
        close(live)


def _publish(target: Path, manifest: Manifest) -> None:
    path = manifest_in(target, ProjectName(manifest.project))
    new = path.with_suffix(".json.new")
    try:
        write_private(new, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        sync_directory(target)  # The file it names must be there before it is.
    except OSError:
        for each in (new, target / manifest.file):  # A copy that nothing tells of takes room, and helps nobody.
            each.unlink(missing_ok=True)
        raise
    new.rename(path)
    sync_directory(target)


def manifests(target: Path, project: ProjectName | None) -> list[Path]:
    """Return the manifests in a directory, or the one of a project. Raises: BackupRefused, where there is none."""
    if project is not None:
        found = [manifest_in(target, project)] if manifest_in(target, project).is_file() else []
    else:
        found = sorted(path for path in target.glob("*.json") if re.fullmatch(r"[0-9a-f]{32}", path.stem))
    if not found:
        what = "a project" if project is None else f"project {project!r}"
        raise BackupRefused(f"{target} has no backup of {what}: name the directory that `intermute backup` was given")
    return found


def check_backup(path: Path) -> Manifest:
    """Return the manifest, after holding the file against it: size, digest, structure, chain. Raises: BackupRefused."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        file = path.parent / manifest.file
        name = normal_project_name(manifest.project)
        if manifest.format != FORMAT or name is None or not _FILE.fullmatch(manifest.file):
            raise BackupRefused(
                f"{path} is not a manifest that this version knows: restore with the version that wrote it"
            )
        if path != manifest_in(path.parent, name) or not manifest.file.startswith(f"{path.stem}-"):
            raise BackupRefused(f"{path} is not where project {name!r} has its manifest: it was renamed or changed")
        if file.is_symlink() or digest_of(file) != manifest.sha256:
            raise BackupRefused(
                f"{file} is not the file that {path.name} describes (its SHA-256 differs): use another backup"
            )
    except (OSError, msgspec.DecodeError) as error:
        raise BackupRefused(f"{path} cannot be used: {error}; use another backup") from error
    found = examine(file)
    if not found.is_well:
        raise BackupRefused(f"{file} is damaged or of a newer version: {found.integrity}, schema {found.schema}")
    if _described(found) != (manifest.project, manifest.epoch, manifest.head, manifest.head_hash, manifest.schema):
        raise BackupRefused(f"{file} is not what {path.name} says of it: {_described(found)}; use another backup")
    return manifest


def _described(found: Finding) -> tuple[str | None, int, int, str | None, int]:
    return found.project, found.epoch, found.head, found.head_hash, found.schema
