"""Holds what the service has at the end of a day against what its agents were told."""

from collections.abc import Sequence
from typing import Final

import trio

from loadtest.engine.site import Site
from loadtest.engine.tasks import beside, together
from loadtest.promises.claims_once import Standing
from loadtest.promises.history import Violation
from loadtest.scenarios.correspondence import MailSocket, poll_of, received
from loadtest.scenarios.entity_lists import entity_rows
from loadtest.scenarios.listing import demand_kept
from loadtest.scenarios.office import Office

HEARD_WITHIN_S: Final = 30.0  # seconds; what a socket has not heard by then, it missed.
ACKS_LOOKED_AT: Final = 100  # of those that were given, one request each.


async def demand_day(site: Site, office: Office, sockets: Sequence[MailSocket]) -> None:
    """Demand that reservations, tasks, messages and acknowledgements are there as they were acknowledged.

    Raises: LoadFailed, Violation.
    """
    await demand_kept(site, office.project, office.kept)
    tasks = await entity_rows(site, office.project, "tasks")
    office.claims.demand({row["id"]: Standing(row.get("agent", ""), row["status"] == "done") for row in tasks})
    await _empty_inboxes(site, office)
    office.mail.demand()
    async with beside(lambda: together(each.listen() for each in sockets)):
        with trio.move_on_after(HEARD_WITHIN_S):
            while office.pushed.missing():
                await office.news()
    office.pushed.demand()
    await _demand_acks(site, office)


async def _empty_inboxes(site: Site, office: Office) -> None:
    connection = await site.connect()
    try:
        for person in office.people:
            is_empty = False
            while not is_empty:
                page = await connection.ask(poll_of(office, person).request, 200)
                received(office, person, page, site.now_s())
                is_empty = not page["messages"]
    finally:
        connection.close()


async def _demand_acks(site: Site, office: Office) -> None:
    chance = site.rng("acks")
    connection = await site.connect()
    try:
        for message, agent in chance.sample(office.acked, min(ACKS_LOOKED_AT, len(office.acked))):
            target = f"/api/messages/{message}/recipients?project={office.project}"
            found = await connection.ask(site.request("GET", target), 200)
            if not any(row["agent_id"] == agent and row.get("ack_at") for row in found["recipients"]):
                raise Violation(
                    "every acknowledged write is readable",
                    f"the acknowledgement of {message} by {agent} is gone",
                    [f"shown: {row}" for row in found["recipients"]],
                )
    finally:
        connection.close()
