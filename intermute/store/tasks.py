"""Questions about tasks that no other kind of entity has."""

from typing import Final

import apsw

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
