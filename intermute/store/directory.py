"""The data directory: one file a project, named by a hash of its name, and a lock that keeps other processes out.

Source: design.md 6, guarantees.md G22, T15 and T27, hazards.md 12.
"""

import fcntl
import os
import re
from pathlib import Path
from typing import Final

import apsw

from intermute.core.ids import ProjectName, project_digest
from intermute.store import projects
from intermute.store.ballast import Ballast
from intermute.store.connection import close, open_reader
from intermute.store.faults import StoreFault
from intermute.store.quarantine import Quarantine

_FILE: Final = re.compile(r"[0-9a-f]{32}\.db")


class DirectoryRefused(Exception):
    """The data directory cannot be used; the text says what to do."""


class DataDirectory:
    """Where projects live. Resources: `lock` holds a descriptor until `unlock`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.quarantine = Quarantine(root)
        self._lock: int | None = None
        self._names: dict[str, ProjectName] = {}

    def prepare(self) -> None:
        """Create the directory, for its owner only. Raises: DirectoryRefused."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A link on the way here is the operator's; a link in place of a project's file is refused (connection.py).
            self.root = self.root.resolve()
            self.quarantine = Quarantine(self.root)
            owner = self.root.stat()
        except OSError as error:
            raise DirectoryRefused(f"cannot use {self.root} as the data directory: {error}") from error
        if not self.root.is_dir():
            raise DirectoryRefused(f"{self.root} is not a directory: choose another with --data")
        if owner.st_uid != os.getuid():
            raise DirectoryRefused(f"{self.root} belongs to another user: choose another with --data")
        if owner.st_mode & 0o077:
            self.root.chmod(0o700)

    def lock(self) -> None:
        """Keep other processes out for as long as this one lives. Raises: DirectoryRefused."""
        path = self.root / "lock"
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.unlock()
            if isinstance(error, BlockingIOError):
                raise DirectoryRefused(
                    f"another intermute already serves {self.root}: stop it, or choose another directory with --data"
                ) from None
            raise DirectoryRefused(f"cannot lock {path}: {error}") from error

    def is_locked(self) -> bool:
        """Tell whether a process serves the directory now; changes nothing there."""
        try:
            lock = os.open(self.root / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def unlock(self) -> None:
        """Let others in again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ballast(self) -> Ballast:
        """Return what keeps room free on the disk."""
        return Ballast(self.root / "ballast")

    def path_of(self, project: ProjectName) -> Path:
        """Return the project's file, whether it exists or not."""
        return self.root / f"{project_digest(project)}.db"

    def has(self, project: ProjectName) -> bool:
        """Tell whether the project has a file."""
        return self.path_of(project).exists()

    def files(self) -> list[Path]:
        """Return the files of all projects."""
        return sorted(path for path in self.root.iterdir() if _FILE.fullmatch(path.name))

    def note(self, project: ProjectName) -> None:
        """Remember the name behind a file, so that nobody has to open it to learn that."""
        self._names[self.path_of(project).name] = project

    def name_in(self, path: Path) -> ProjectName | None:
        """Return the name of the project in a file, or None where the file cannot tell. Blocks: run it in a thread."""
        if path.name not in self._names:
            try:
                connection = open_reader(path, leaves_log=True)
            except StoreFault:
                return None
            try:
                found = projects.read_outline(connection)
            except (apsw.Error, UnicodeDecodeError):
                found = None
            finally:
                close(connection)
            if found is None:
                return None
            self._names[path.name] = found.name
        return self._names[path.name]

    def names(self) -> list[ProjectName]:
        """Return the names of all projects, sorted. Blocks: run it in a thread."""
        return sorted(name for path in self.files() if (name := self.name_in(path)) is not None)

    def named_by_tag(self, tag: str) -> ProjectName | None:
        """Return the project whose ids carry this tag. Blocks: run it in a thread."""
        for path in sorted(self.root.glob(f"{tag}*.db")):
            if _FILE.fullmatch(path.name) and (name := self.name_in(path)) is not None:
                return name
        return None
