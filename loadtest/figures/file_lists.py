"""Real lists of files: what a table of claims is drawn from.

The standard library and the installed packages of the running interpreter, and this repository as git lists it. They
have some 7,000 files together, so a large table holds several copies of them, each below a prefix of its own.
"""

import os
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_SKIPPED = frozenset({"__pycache__", "site-packages"})  # what no agent edits; the second is a list of its own.
_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that has files of its own, by its path below the list's root."""

    path: str
    files: tuple[str, ...]
    is_leaf: bool
    """It has no directories in it."""


def real_directories() -> dict[str, list[Directory]]:
    """Return the directories of each list by the list's name, in the order of their paths; an empty list is left out."""
    lists = {
        "stdlib": _walked(Path(sysconfig.get_path("stdlib"))),
        "site-packages": _walked(Path(sysconfig.get_path("purelib"))),
        "repository": _tracked(_REPOSITORY),
    }
    return {name: found for name, files in lists.items() if (found := _by_directory(files))}


def _walked(root: Path) -> list[str]:
    found = []
    for directory, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in _SKIPPED)
        found += [(Path(directory) / name).relative_to(root).as_posix() for name in files]
    return found


def _tracked(root: Path) -> list[str]:
    """Return what git lists; where that is not a checkout, what lies there without hidden directories."""
    words = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        done = subprocess.run(words, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [path for path in _walked(root) if not path.startswith(".")]
    return [path for path in os.fsdecode(done.stdout).split("\0") if path]


def _by_directory(paths: Iterable[str]) -> list[Directory]:
    files: dict[str, list[str]] = {}
    parents: set[str] = set()
    for path in paths:
        if not path.isprintable():
            continue  # The dialect refuses control characters; no list in use has any.
        home = PurePosixPath(path).parent
        files.setdefault(str(home), []).append(path)
        parents.update(str(each) for each in home.parents)
    return [Directory(path, tuple(sorted(files[path])), path not in parents) for path in sorted(files)]
