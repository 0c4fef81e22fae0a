"""Which tasks are claimed, by whom: what the actor remembers of the tasks, so that a silent agent's can be given back.

A claim stands while its task is running or blocked with the agent that claimed it. Everything else about entities is on
the disk. Source: issue 4, point 5.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from intermute.core.entities.definition import Record

CLAIMABLE_STATUS = "pending"
CLAIMED_STATUS = "running"
DONE_STATUS = "done"
HELD_IN = frozenset({CLAIMED_STATUS, "blocked"})


@dataclass(slots=True)
class TaskClaims:
    """The claimed tasks of one project, by the address that the task has as its agent."""

    _by_agent: dict[str, dict[str, Record]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many agents have claimed something."""
        return len(self._by_agent)

    def note(self, before: Record | None, after: Record | None) -> None:
        """Take in how a task is now, and how it was."""
        if before is not None and is_claimed(before):
            held = self._by_agent[before["agent"]]
            del held[before.id]
            if not held:
                del self._by_agent[before["agent"]]
        if after is not None and is_claimed(after):
            self._by_agent.setdefault(after["agent"], {})[after.id] = after

    def held_by(self, addresses: Iterable[str]) -> list[Record]:
        """Return what an agent has claimed, whichever of its addresses it is under; the oldest first."""
        found = [record for each in addresses for record in self._by_agent.get(each, {}).values()]
        return sorted(found, key=lambda record: record.number)

    def agents(self) -> Iterable[str]:
        """Return the address of everyone who has claimed something."""
        return self._by_agent.keys()


def is_claimed(task: Record) -> bool:
    """Tell whether the task is claimed."""
    return task["claimed_at"] is not None


def settled(before: Record, after: Record) -> Record:
    """Return a changed task, without its claim where the change has ended that."""
    stands = is_claimed(before) and before["agent"] == after["agent"] and after["status"] in HELD_IN
    if not is_claimed(after) or stands:
        return after
    return replace(after, values={**after.values, "claimed_at": None})
