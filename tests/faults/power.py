"""A power-cut simulator: a disk that notes every write, and what may be left of it if the power goes at any moment.

While the recording runs, everything works and nothing is flushed. Afterwards `Recording.images` rebuilds the files as they
may be found after a cut: what was synced is there, and of what was not, nothing, everything, or any sectors of 512 bytes.
One recording serves thousands of cuts. Source: guarantees.md G2.

Names: the database is created and made durable by `store/connection.py` before SQLite sees it. SQLite flushes the directory
with the first sync of each log or journal that it opens, and a deletion that nobody flushed may be undone by the cut.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import apsw

SECTOR_BYTES: Final = 512
_REAL = "unix"


class Kind(StrEnum):
    """What reached the disk, or the outside world."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    SYNC_DIRECTORY = "sync directory"
    DELETE = "delete"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the recording; `at` is an offset, a size, or the number of what was acknowledged."""

    kind: Kind
    file: str
    at: int = 0
    data: bytes = b""


class Loss(StrEnum):
    """What becomes of writes that were not synced."""

    DROPPED = "dropped"
    KEPT = "kept"
    TORN = "torn"


@dataclass(frozen=True, slots=True)
class Image:
    """The files as they may be found after a cut, and how many answers had been given before it."""

    cut_at: int
    loss: Loss
    files: dict[str, bytes]
    acknowledged: frozenset[int]

    def write(self, root: Path) -> None:
        """Put the files into a directory."""
        root.mkdir(parents=True)
        for name, content in self.files.items():
            (root / name).write_bytes(content)


@dataclass
class Recording:
    """Everything that was written, synced and answered, in order."""

    entries: list[Entry] = field(default_factory=list)

    def acknowledge(self, number: int) -> None:
        """Note that somebody was told at this moment that something is stored."""
        self.entries.append(Entry(Kind.ACKNOWLEDGED, "", number))

    def images(self, cuts: Sequence[int], chance: random.Random) -> Iterator[Image]:
        """Yield an image for each cut, which is the number of entries before it; cuts are in order."""
        durable: dict[str, bytearray] = defaultdict(bytearray)
        pending: dict[str, list[Entry]] = defaultdict(list)
        acknowledged: set[int] = set()
        done = 0
        for cut in cuts:
            for entry in self.entries[done:cut]:
                if entry.kind is Kind.ACKNOWLEDGED:
                    acknowledged.add(entry.at)
                elif entry.kind is Kind.SYNC:
                    for each in pending.pop(entry.file, ()):
                        _apply(durable[entry.file], each)
                elif entry.kind is Kind.SYNC_DIRECTORY:
                    for name, entries in pending.items():
                        _forget_deleted(durable[name], entries)
                else:
                    pending[entry.file].append(entry)
            done = max(done, cut)
            loss = chance.choices(list(Loss), (3, 1, 6))[0]
            files = {
                name: bytes(_after_cut(durable.get(name, bytearray()), pending.get(name, ()), loss, chance))
                for name in {*durable, *pending}
            }
            yield Image(cut, loss, files, frozenset(acknowledged))


def _apply(content: bytearray, entry: Entry) -> None:
    match entry.kind:
        case Kind.WRITE:
            if len(content) < entry.at:
                content.extend(bytes(entry.at - len(content)))
            content[entry.at : entry.at + len(entry.data)] = entry.data
        case Kind.TRUNCATE:
            del content[entry.at :]
        case Kind.DELETE:
            content.clear()
        case _:
            raise AssertionError(entry.kind)


def _forget_deleted(content: bytearray, pending: list[Entry]) -> None:
    """Make deletions durable: what was in the file before, synced or not, is gone."""
    deletions = [at for at, entry in enumerate(pending) if entry.kind is Kind.DELETE]
    if deletions:
        content.clear()
        del pending[: deletions[-1] + 1]


def _after_cut(durable: bytearray, pending: Sequence[Entry], loss: Loss, chance: random.Random) -> bytearray:
    content = bytearray(durable)
    if loss is Loss.DROPPED:
        return content
    if loss is Loss.KEPT:
        for entry in pending:
            _apply(content, entry)
        return content
    share = chance.random()
    for entry in pending:
        if entry.kind is Kind.WRITE:
            for sector in _sectors(entry):
                if chance.random() < share:
                    _apply(content, sector)
        elif chance.random() < share:
            _apply(content, entry)
        elif entry.kind is Kind.DELETE:
            break  # What follows went to another file, whose name did not survive.
    return content


def _sectors(entry: Entry) -> Iterator[Entry]:
    at, end = entry.at, entry.at + len(entry.data)
    while at < end:
        to = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Entry(Kind.WRITE, entry.file, at, entry.data[at - entry.at : to - entry.at])
        at = to


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, name: str | apsw.URIFilename, flags: list[int]) -> None:
        path = name if isinstance(name, str) else name.filename()
        self._recording, self._name = recording, Path(path).name
        self._syncs_directory = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        super().__init__(_REAL, name, flags)

    def _note(self, kind: Kind, at: int = 0, data: bytes = b"") -> None:
        self._recording.entries.append(Entry(kind, self._name, at, data))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name.
        self._note(Kind.WRITE, offset, bytes(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - apsw's signature.
        self._note(Kind.SYNC)
        if self._syncs_directory:
            self._note(Kind.SYNC_DIRECTORY)
            self._syncs_directory = False

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name.
        self._note(Kind.TRUNCATE, newsize)
        super().xTruncate(newsize)


class _Vfs(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        super().__init__("recording", _REAL, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name.
        assert name is not None, "no temporary files: temp_store is MEMORY"
        return _File(self._recording, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name.
        self._recording.entries.append(Entry(Kind.DELETE, Path(filename).name))
        if syncdir:
            self._recording.entries.append(Entry(Kind.SYNC_DIRECTORY, ""))
        super().xDelete(filename, syncdir)


@contextmanager
def recording_disk() -> Iterator[Recording]:
    """Put the recording disk under every file that is opened inside the block."""
    recording = Recording()
    vfs = _Vfs(recording)
    try:
        yield recording
    finally:
        vfs.unregister()


@contextmanager
def opened_connections() -> Iterator[list[apsw.Connection]]:
    """Collect every connection that is opened inside the block, so that a control can weaken it."""
    found: list[apsw.Connection] = []
    apsw.connection_hooks.append(found.append)
    try:
        yield found
    finally:
        apsw.connection_hooks.remove(found.append)
