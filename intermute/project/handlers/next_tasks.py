"""Handing out the next task that can be done. Source: issue 4, point 5."""

from collections.abc import Iterable
from typing import Any

import apsw

from intermute.core.api.entity_actions import NextTask
from intermute.core.entities.definition import Kind, Record
from intermute.core.errors import NoClaimableTask, Overloaded
from intermute.core.task_claims import CLAIMABLE_STATUS
from intermute.project.handlers.entity_facts import fetch_candidates
from intermute.project.handlers.task_taking import claimant_named, claimed_view, is_done, refuse_over_limit, take
from intermute.project.transaction import Facts, Transaction


def facts_for_next(connection: apsw.Connection, _command: NextTask, facts: Facts) -> None:
    """Fetch the first tasks that can be claimed, enough for all that may take one before this command."""
    facts.takers += 1
    fetch_candidates(connection, facts)


def next_task(command: NextTask, tx: Transaction) -> Any:  # Any: the view is made at run time.
    """Give the caller the oldest task that can be done now with its capabilities.

    What others of the same commit make free does not count: they have no answer yet, so the caller may have come first.
    """
    claimant = claimant_named(command.agent_id or command.agent, tx)
    agent = tx.state.agents.find(claimant)
    able = command.capabilities if command.capabilities is not None else (agent.capabilities if agent else None)
    refuse_over_limit(claimant, tx)
    fitting = [each for each in tx.facts.candidates.values() if set(each.capabilities).issubset(able or ())]
    found = [task for each in fitting if (task := _first_claimable(each.ids, tx)) is not None]
    if found:
        task = take(min(found, key=lambda task: task.number), claimant, tx)
        return claimed_view(task, claimant, tx, is_repeated=False)
    if any(each.has_more for each in fitting):
        raise Overloaded  # Whatever was fetched is taken, and there is more: the next batch looks further.
    raise NoClaimableTask


def _first_claimable(ids: Iterable[str], tx: Transaction) -> Record | None:
    """Return the first of the fetched tasks that nothing in this batch has taken or blocked."""
    for each in ids:
        task = tx.facts.entities[Kind.TASK, each]
        if task is None or task["status"] != CLAIMABLE_STATUS or task["agent"]:
            continue
        # What a candidate waits for was done when it was fetched; what has changed since then is in the facts.
        if all((Kind.TASK, other) not in tx.facts.entities or is_done(other, tx) for other in task["depends_on"]):
            return task
    return None
