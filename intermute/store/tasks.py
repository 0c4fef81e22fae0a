"""Questions about tasks that no other kind of entity has."""

from typing import Final

import apsw

from intermute.core import limits
from intermute.core.entities.definition import Record
from intermute.core.entities.kinds import TASK
from intermute.store.entities import as_record, columns_of

_COLUMNS: Final = ", ".join(name for name, _, _ in columns_of(TASK))
_CLAIMED: Final = f"""
SELECT {_COLUMNS} FROM tasks INDEXED BY tasks_claimed WHERE claimed_at_us IS NOT NULL ORDER BY number
"""  # noqa: S608 - a definition


def claimed(connection: apsw.Connection) -> list[Record]:
    """Return the claimed tasks, the oldest first."""
    return [as_record(TASK, row) for row in connection.execute(_CLAIMED)]


_CAPABILITY_SETS: Final = """
WITH RECURSIVE found(capabilities) AS (
    SELECT min(capabilities) FROM tasks INDEXED BY tasks_claimable WHERE status = 'pending' AND agent = ''
    UNION ALL
    SELECT (SELECT min(capabilities) FROM tasks INDEXED BY tasks_claimable
            WHERE status = 'pending' AND agent = '' AND capabilities > found.capabilities)
    FROM found WHERE found.capabilities IS NOT NULL
)
SELECT capabilities FROM found WHERE capabilities IS NOT NULL LIMIT :limit
"""
_CLAIMABLE: Final = f"""
SELECT {_COLUMNS} FROM tasks AS t INDEXED BY tasks_claimable
WHERE status = 'pending' AND agent = '' AND capabilities = :capabilities AND number > :after
  AND NOT EXISTS (SELECT 1 FROM json_each(t.depends_on) AS d LEFT JOIN tasks AS o ON o.id = d.value
                  WHERE o.status IS NOT 'done')
ORDER BY number LIMIT :limit
"""  # noqa: S608 - a definition


def capability_sets(connection: apsw.Connection) -> list[str]:
    """Return what claimable tasks need, each set once, as it is stored."""
    found = connection.execute(_CAPABILITY_SETS, {"limit": limits.CAPABILITY_SETS_MAX})
    return [str(text) for (text,) in found]


def claimable(connection: apsw.Connection, capabilities: str, after: int, limit: int) -> list[Record]:
    """Return tasks that need just these capabilities and wait for nothing, the oldest first, from a number on."""
    values = {"capabilities": capabilities, "after": after, "limit": limit}
    return [as_record(TASK, row) for row in connection.execute(_CLAIMABLE, values)]
