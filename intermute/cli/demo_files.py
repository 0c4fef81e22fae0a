"""What the demo's agents fight over: real paths of the directory it stands in. Reads names and sizes, never contents."""

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import trio

GIT_TIMEOUT_S: Final = 5.0  # seconds; `git ls-files` takes 0.1 s for 80,000 files. A guess, revisit.
WALKED_FILES_MAX: Final = 5_000  # files; outside git a home directory could be huge.
LISTED_FILES_MAX: Final = 100_000  # files of a repository that are looked at.
PATH_CHARS_MAX: Final = 60  # characters; a longer path would wrap the narration.

_SPECIAL: Final = frozenset("*?[]{}\\")
_SKIPPED_DIRECTORIES: Final = frozenset({"node_modules", "__pycache__", "intermute-data", "venv"})
_UNLIKELY_ENDINGS: Final = frozenset({".lock", ".json", ".svg", ".png", ".jpg", ".gif", ".pdf", ".min.js", ".map"})


@dataclass(frozen=True, slots=True)
class Stakes:
    """What the agents want: one file twice, a glob that contains it, and a place where nobody is in the way."""

    source: str
    file: str
    glob: str
    elsewhere: str


async def find_stakes(root: Path) -> Stakes:
    """Return the stakes in this directory: from git where it is a repository, else from its files, else made up."""
    listed = await _git_files(root)
    source = "files that git tracks here"
    if not listed:
        listed = await trio.to_thread.run_sync(_walked_files, root)
        source = "files of this directory, of which git tracks none"
    files = [path for path in listed[:LISTED_FILES_MAX] if _is_presentable(path)]
    if not files:
        return Stakes("no files here, so the names are made up", "src/app.py", "src/**", "docs/**")
    file, glob, elsewhere = await trio.to_thread.run_sync(choose, root, files)
    return Stakes(f"{len(listed)} {source}", file, glob, elsewhere)


def choose(root: Path, files: Sequence[str]) -> tuple[str, str, str]:
    """Return the file, the glob over its directory, and a glob apart from it; the same ones for the same files."""
    counts = Counter(str(PurePosixPath(path).parent) for path in files)
    # The fullest directory is where agents would meet; the top of the tree only counts where there is nothing below.
    home = max(counts, key=lambda directory: (directory != ".", counts[directory], directory))
    inside = [path for path in files if str(PurePosixPath(path).parent) == home]
    file = max(inside, key=lambda path: (_is_likely(path), _size(root / path), path))
    if home == ".":
        return file, f"*{PurePosixPath(file).suffix}", "docs/**"
    apart = [directory for directory in counts if _are_apart(directory, home)]
    elsewhere = max(apart, key=lambda directory: (counts[directory], directory)) if apart else "somewhere-else"
    return file, f"{home}/**", f"{elsewhere}/**"


async def _git_files(root: Path) -> list[str]:
    git = shutil.which("git")
    if git is None:
        return []
    with trio.move_on_after(GIT_TIMEOUT_S):
        done = await trio.run_process(
            [git, "ls-files", "-z"],
            cwd=root,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
        return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else []
    return []


def _walked_files(root: Path) -> list[str]:
    return sorted(path for path, _ in zip(_walk(root), range(WALKED_FILES_MAX), strict=False))


def _walk(root: Path) -> Iterator[str]:
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED_DIRECTORIES)
        relative = Path(directory).relative_to(root)
        yield from ((relative / name).as_posix() for name in names if not name.startswith("."))


def _is_presentable(path: str) -> bool:
    """Tell whether a path reads well in a line, and means itself where a pattern is expected."""
    is_hidden = any(part.startswith(".") for part in path.split("/"))
    return len(path) <= PATH_CHARS_MAX and path.isprintable() and not is_hidden and _SPECIAL.isdisjoint(path)


def _is_likely(path: str) -> bool:
    return not any(path.endswith(ending) for ending in _UNLIKELY_ENDINGS)


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0  # tracked by git and deleted since.
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _are_apart(directory: str, home: str) -> bool:
    one, other = PurePosixPath(directory), PurePosixPath(home)
    return directory != "." and one != other and one not in other.parents and other not in one.parents
