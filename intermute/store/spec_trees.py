"""How many entities below a specification are in which status."""

from typing import Final

import apsw

_COUNTS: Final = {
    "epics": "SELECT status, count(*) FROM epics WHERE spec_id = :id GROUP BY status",
    "stories": """
        SELECT s.status, count(*) FROM epics e CROSS JOIN stories s ON s.epic_id = e.id
        WHERE e.spec_id = :id GROUP BY s.status
    """,
    "tasks": """
        SELECT t.status, count(*) FROM epics e CROSS JOIN stories s ON s.epic_id = e.id CROSS JOIN tasks t ON t.story_id = s.id
        WHERE e.spec_id = :id GROUP BY t.status
    """,
    "cujs": "SELECT status, count(*) FROM cujs WHERE spec_id = :id GROUP BY status",
}


def counts(connection: apsw.Connection, spec_id: str) -> dict[str, dict[str, int]]:
    """Return by kind and status how many there are below a specification."""
    return {
        kind: {str(status): int(count) for status, count in connection.execute(sql, {"id": spec_id})}
        for kind, sql in _COUNTS.items()
    }
