"""Reads whole lists of entities: they are bare arrays, and the next page is named in a header."""

from typing import Any, Final

from loadtest.engine.site import PAGE_ROWS, Site

NEXT_CURSOR: Final = "X-Next-Cursor"


async def entity_rows(site: Site, project: str, plural: str) -> list[dict[str, Any]]:  # Any: JSON.
    """Return all entities of a kind over a connection of its own; while they change, some may be missing. Raises: LoadFailed."""
    connection = await site.connect()
    found: list[dict[str, Any]] = []  # Any: as above.
    try:
        cursor: str | None = ""
        while cursor is not None:
            target = f"/api/{plural}?project={project}&limit={PAGE_ROWS}"
            answer = await connection.call(site.request("GET", f"{target}&cursor={cursor}" if cursor else target))
            found += answer.demand(200).json()
            cursor = answer.header(NEXT_CURSOR)
        return found
    finally:
        connection.close()
