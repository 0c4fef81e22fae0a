"""How many messages each agent has not read: counted when a file is opened, and followed by what each commit does to it.

SQLite itself says what a commit has done, by triggers that exist on the writer's connection alone: so the count is right
whatever writes recipients, rewrites them, gives them to another agent or deletes them.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import apsw

from intermute.core.ids import AgentId

_COUNT: Final = """
SELECT agent, count(*) FROM recipients INDEXED BY recipients_of_agent
WHERE (read_at_us IS NOT NULL) = 0 AND agent IN (SELECT id FROM agents WHERE deregistered_at_us IS NULL) GROUP BY agent
"""
_WATCH: Final = """
CREATE TEMP TRIGGER unread_new AFTER INSERT ON main.recipients WHEN new.read_at_us IS NULL BEGIN
    SELECT note_unread(new.agent, 1);
END;
CREATE TEMP TRIGGER unread_gone AFTER DELETE ON main.recipients WHEN old.read_at_us IS NULL BEGIN
    SELECT note_unread(old.agent, -1);
END;
CREATE TEMP TRIGGER unread_changed AFTER UPDATE OF agent, read_at_us ON main.recipients BEGIN
    SELECT note_unread(old.agent, -1) WHERE old.read_at_us IS NULL;
    SELECT note_unread(new.agent, 1) WHERE new.read_at_us IS NULL;
END;
"""


def count(connection: apsw.Connection) -> dict[AgentId, int]:
    """Return how many messages each registered agent has not read; who has read all is not there."""
    return {AgentId(agent): unread for agent, unread in connection.execute(_COUNT)}


class UnreadWatch:
    """Follows what a connection does to the counts, from now on. Names that nobody has registered are among them."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._changes: Counter[AgentId] = Counter()
        connection.create_scalar_function("note_unread", self._note, 2)
        connection.execute(_WATCH)

    def take(self) -> Mapping[AgentId, int]:
        """Return by how much the counts have changed since this was asked last."""
        changes, self._changes = self._changes, Counter()
        return changes

    def _note(self, *change: Any) -> None:  # Any: what SQLite holds; the triggers say an agent and a number.
        agent, by = change
        self._changes[AgentId(agent)] += by
