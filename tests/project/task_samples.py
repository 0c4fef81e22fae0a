"""Tasks as several tests make, read and change them."""

from typing import Any

from entity_samples import command, shown
from handler_bench import Bench

from intermute.core.entities.kinds import TASK


def create(bench: Bench, task_id: str, *depends_on: str, **fields: Any) -> None:
    """Make a task."""
    bench.run(command(TASK, "create", id=task_id, title=f"do {task_id}", depends_on=list(depends_on), **fields))


def read(bench: Bench, task_id: str) -> dict[str, Any]:
    """Read a task."""
    return shown(bench.ask(command(TASK, "get", id=task_id)))


def change(bench: Bench, task_id: str, **fields: Any) -> None:
    """Change a task."""
    bench.run(command(TASK, "change", id=task_id, **fields))
