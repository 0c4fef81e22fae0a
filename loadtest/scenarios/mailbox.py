"""Reads what is in inboxes and threads, whole, for checkers: page by page, and of each message what they look at."""

from collections.abc import Sequence
from typing import Final

import msgspec

from loadtest.engine.connection import Connection
from loadtest.engine.site import PAGE_ROWS, Site, spread
from loadtest.engine.tasks import together
from loadtest.promises.inboxes import Row

READERS: Final = 8  # inboxes read at once.


class Shown(msgspec.Struct):
    """What a page shows of a message; of a thread there is no kind."""

    id: str
    cursor: int
    kind: str = ""
    bcc: list[str] = []


class Page(msgspec.Struct):
    """A page of an inbox or of a thread."""

    messages: list[Shown]
    cursor: int


read_page: Final = msgspec.json.Decoder(Page).decode


async def inboxes(site: Site, project: str, readers: Sequence[str]) -> dict[str, list[Row]]:
    """Return all that is in the inboxes of these agents. Raises: LoadFailed."""
    found: dict[str, list[Row]] = {}

    async def some(part: range) -> None:
        connection = await site.connect()
        try:
            for reader in readers[part.start : part.stop]:
                shown = await _pages(site, connection, f"/api/inbox/{reader}?project={project}", "since_cursor")
                found[reader] = [Row(each.id, each.cursor, each.kind, tuple(each.bcc)) for each in shown]
        finally:
            connection.close()

    await together(some(part) for part in spread(len(readers), min(READERS, len(readers))))
    return found


async def threads(site: Site, project: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the messages of these threads, in the order in which they are shown. Raises: LoadFailed."""
    connection = await site.connect()
    try:
        return {
            name: [
                each.id for each in await _pages(site, connection, f"/api/threads/{name}?project={project}", "cursor")
            ]
            for name in names
        }
    finally:
        connection.close()


async def _pages(site: Site, connection: Connection, target: str, after: str) -> list[Shown]:
    found: list[Shown] = []
    while True:
        since = found[-1].cursor if found else 0
        wanted = site.request("GET", f"{target}&limit={PAGE_ROWS}&{after}={since}")
        page = read_page((await connection.call(wanted)).demand(200).body)
        if not page.messages:
            return found
        found += page.messages
