"""Quarantine: where a damaged project's files wait for the operator, and what keeps the project from coming back empty.

`quarantine/<digest>/` below the data directory holds the project's file, its log and `report.json`. While it is there the project
is refused: nothing but an operator's command ends that (`store/installing.py`). It appears with its report, in one rename,
before any file is moved; so killed at any point the project is either as it was or refused, and never begins anew by itself.
Source: guarantees.md G18.
"""

import re
import shutil
from pathlib import Path
from typing import Final

import msgspec

from intermute.core.ids import Micros, ProjectName, project_digest
from intermute.core.times import rfc3339
from intermute.store.connection import log_of, shared_memory_of
from intermute.store.files import make_private, sync_directory, write_private
from intermute.store.seal import seal_of

FOLDER: Final = "quarantine"
ENDED: Final = "ended"
"""The folder in it for what an operator has dealt with; nobody looks there."""
_REPORT: Final = "report.json"
_NEW: Final = ".new-"
_PLACE: Final = re.compile(r"[0-9a-f]{32}")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Why a project is in quarantine, and what was known of it."""

    project: str
    at: str
    reason: str
    epoch: int
    head: int
    head_hash: str
    files: dict[str, int]
    """Name and size in bytes of each file, as they were when they were moved."""
    what_to_do: str = (
        "Stop the server, then one of: `intermute restore DIR --project NAME` (a backup); `intermute quarantine put-back NAME` "
        "(this file, once it is whole); `intermute quarantine start-anew NAME` (without what it held)."
    )


class Quarantine:
    """The quarantine of one data directory. Everything here blocks: run it in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root / FOLDER

    def place_of(self, project: ProjectName) -> Path:
        """Return where the project's files are, if it is in quarantine."""
        return self._root / project_digest(project)

    def file_of(self, project: ProjectName) -> Path:
        """Return where the project's database is, if it is in quarantine."""
        return self.place_of(project) / f"{project_digest(project)}.db"

    def reports(self) -> dict[str, Report | None]:
        """Return by digest why projects are in quarantine; None where the report itself cannot be read. Raises: OSError."""
        if not self._root.is_dir():
            return {}
        places = sorted(place for place in self._root.iterdir() if _PLACE.fullmatch(place.name))
        return {place.name: _report_in(place) for place in places}

    def holds(self, project: ProjectName) -> bool:
        """Tell whether the project is in quarantine."""
        return self.place_of(project).exists()

    def begin(
        self, project: ProjectName, path: Path, *, reason: str, at_us: Micros, epoch: int, head: int, head_hash: bytes
    ) -> Report:
        """Refuse the project from now on, and move its files. Nobody may have them open. Raises: OSError."""
        log = log_of(path)
        report = Report(
            project=project,
            at=rfc3339(at_us),
            reason=reason,
            epoch=epoch,
            head=head,
            head_hash=head_hash.hex(),
            files={each.name: each.stat().st_size for each in (path, log) if each.exists()},
        )
        place = self.place_of(project)
        if not place.exists():
            self._publish(place, report)
        self.collect(project, path)
        return report

    def collect(self, project: ProjectName, path: Path) -> None:
        """Move what is left of a project in quarantine to its place there. Raises: OSError."""
        place = self.place_of(project)
        for each in (path, log_of(path), seal_of(path)):
            if each.exists():
                each.rename(place / each.name)
        shared_memory_of(path).unlink(missing_ok=True)
        sync_directory(place)
        sync_directory(path.parent)

    def end(self, project: ProjectName, head: int) -> Path | None:
        """Let the project be used again, with this head, and return where its old files are kept. Raises: OSError."""
        place = self.place_of(project)
        if not place.exists():
            return None
        make_private(self._root / ENDED)
        kept = self._root / ENDED / f"{place.name}-{head}"
        place.rename(kept)
        sync_directory(self._root)
        return kept

    def _publish(self, place: Path, report: Report) -> None:
        make_private(self._root)
        new = place.with_name(_NEW + place.name)
        shutil.rmtree(new, ignore_errors=True)  # Of a process that was killed here.
        new.mkdir(mode=0o700)
        write_private(new / _REPORT, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        sync_directory(new)
        new.rename(place)
        sync_directory(self._root)


def _report_in(place: Path) -> Report | None:
    try:
        return msgspec.json.decode((place / _REPORT).read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None
