"""A program that runs one operation on a copy of a directory again and again, each time killed one step later.

A step is whatever touches a file from outside SQLite (opening, renaming, linking, deleting, making a directory), or a row of
an import. The kill is
`_exit` in a child, so that no `finally` runs. A process of its own, since it forks. It prints what became of each run.

    kill_points.py (backup|restore|restore-quarantined|put-back|import) ROOT
"""

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from stored_projects import DEMO, START_US, told

from intermute.core.ids import Micros
from intermute.project.importing import import_project
from intermute.store.backups import back_up, check_backup, manifest_in
from intermute.store.directory import DataDirectory
from intermute.store.installing import put_back, restore
from intermute.store.original import opened

STEPS: Final = frozenset({"import.row", "open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"})
LATER_US: Final = Micros(START_US + 5_000_000)
KILLED: Final = 9


def _back_up(root: Path) -> None:
    back_up(DataDirectory(root / "data").path_of(DEMO), root / "backup", LATER_US)


def _restore(root: Path) -> None:
    restore(DataDirectory(root / "data"), check_backup(manifest_in(root / "backup", DEMO)), root / "backup", LATER_US)


def _put_back(root: Path) -> None:
    put_back(DataDirectory(root / "data"), DEMO, LATER_US)


def _import(root: Path) -> None:
    with opened(root / "old.db") as original:
        import_project(
            original, DataDirectory(root / "data"), DEMO, [DEMO.encode()], LATER_US, Random(7).getrandbits,
            is_trial=False, on_row=lambda: sys.audit("import.row"),
        )  # fmt: skip


def _backed_up(root: Path) -> str:
    return f"head {check_backup(manifest_in(root / 'backup', DEMO)).head}"


def _in_place(root: Path) -> str:
    if DataDirectory(root / "data").quarantine.holds(DEMO):
        return "quarantined"
    if not DataDirectory(root / "data").has(DEMO):
        return "EMPTY"
    row, texts = told(root / "data")
    return f"epoch {row.epoch}: {' '.join(texts)}"


OPERATIONS: Final[dict[str, tuple[Callable[[Path], None], Callable[[Path], str]]]] = {
    "backup": (_back_up, _backed_up),
    "restore": (_restore, _in_place),
    "restore-quarantined": (_restore, _in_place),
    "put-back": (_put_back, _in_place),
    "import": (_import, _in_place),
}


def killed_at(step: int, operation: Callable[[Path], None], root: Path) -> bool:
    """Run the operation in a child that dies before that step; tell whether it died, and did not come to its end."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, KILLED), f"the operation failed with {code}"
        return code == KILLED
    steps = itertools.count(1)

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:  # Any: whatever the interpreter reports.
        if event in STEPS and next(steps) == step:
            os._exit(KILLED)

    sys.addaudithook(hook)
    operation(root)
    os._exit(0)


def main(name: str, root: Path) -> None:
    """Print, for each step: what is there after the kill, and after the operation was run once more."""
    operation, look = OPERATIONS[name]
    original = root / "original"
    for step in itertools.count(1):
        copy = root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(original, copy)
        was_killed = killed_at(step, operation, copy)
        after = look(copy)
        if was_killed and not (name == "put-back" and after != "quarantined"):
            operation(copy)
        print(f"{after} | {look(copy)}")
        if not was_killed:
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
