"""Archive files: events that are about to be trimmed, as gzipped JSON Lines, one project a directory.

A file has its name only when it is whole and flushed, so that there are complete lines only, and whoever trims after it
loses nothing to a power cut. The same events make the same file again; after a crash in between two files may share
events, which their cursors tell.
"""

import gzip
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from intermute.core.ids import Micros, ProjectName
from intermute.core.times import rfc3339
from intermute.store.faults import as_faults
from intermute.store.retention import EventRow

DIRECTORY: Final = "archive"
_LEVEL: Final = 6  # of gzip; its default, the usual middle between time and size.


def directory_of(file: Path) -> Path:
    """Return where the archive files of the project in this file are."""
    return file.parent / DIRECTORY / file.stem


def write(directory: Path, project: ProjectName, events: Sequence[EventRow]) -> str:
    """Write one file, 0600 and flushed, and return its name. Blocks: run it in a thread. Raises: StoreFault."""
    name = f"events-{events[0].cursor:012}-{events[-1].cursor:012}.jsonl.gz"
    part = directory / f"{name}.part"
    with as_faults():
        _make(directory)
        with suppress(FileNotFoundError):
            part.unlink()  # Left by a process that died over it.
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as raw:
                with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
                    packed.writelines(_line(project, event) for event in events)
                raw.flush()
                os.fsync(raw.fileno())
        except OSError:
            part.unlink()  # What there was room for would only take it from others.
            raise
        part.replace(directory / name)
        _flush(directory)
    return name


def _line(project: ProjectName, event: EventRow) -> bytes:
    fields = {
        "project": project,
        "cursor": event.cursor,
        "type": event.type,
        "created_at": rfc3339(Micros(event.created_at_us)),
        "audience": None if event.audience is None else msgspec.Raw(event.audience.encode()),
        "data": msgspec.Raw(event.data.encode()),
    }
    return msgspec.json.encode(fields) + b"\n"


def _make(directory: Path) -> None:
    for each in (directory.parent, directory):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            _flush(each.parent)


def _flush(directory: Path) -> None:
    """Let new names survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
