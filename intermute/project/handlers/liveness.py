"""What time does: leases and waits that are due end, silent agents lose theirs, and heartbeats reach the disk.

The ticker sends `Tick`; nobody else can. Source: design.md 8, guarantees.md G8 and G10.
"""

from dataclasses import dataclass
from typing import Final

import apsw

from intermute.core import limits
from intermute.core.ids import AgentId
from intermute.project.handlers.assigning import release_claims
from intermute.project.handlers.endings import end_reservations
from intermute.project.handlers.forgetting import facts_for_forgetting, forget_replies
from intermute.project.handlers.intent_changes import abandon
from intermute.project.handlers.turns import end_waits
from intermute.project.state import ProjectState
from intermute.project.transaction import Facts, Transaction
from intermute.store import agents as rows

_STATEMENTS_OF_AN_END: Final = 2  # its row and its event.


@dataclass(frozen=True, slots=True)
class Tick:
    """Some deadline has come. `flushes_heartbeats` says that it is also time to write what agents said of themselves, and
    `forgets_replies`, to forget replies that have been kept for long enough."""

    flushes_heartbeats: bool = False
    forgets_replies: bool = False


def facts_for_tick(connection: apsw.Connection, command: Tick, facts: Facts) -> None:
    """Fetch what may be forgotten."""
    if command.forgets_replies:
        facts_for_forgetting(connection, facts)


def tick(command: Tick, tx: Transaction) -> None:
    """Do what is due now."""
    expire_due(tx)
    end_waits(tx)  # Before the silent lose theirs: what one of them loses must not go to another one that waits.
    for holder in silent_holders(tx.state, tx.now.mono_s):
        if len(tx.statements) >= limits.BATCH_STATEMENTS_MAX:
            break  # The others stay due, so the next tick follows at once.
        end_reservations(tx.state.leases.held_by(holder), "owner_stale", tx)
        abandon(tx.state.intents.held_by(holder), "owner_stale", tx)
        release_claims(tx.state.agents.addresses_of(holder), "owner_stale", tx)
    if command.forgets_replies:
        forget_replies(tx)
    if command.flushes_heartbeats:
        unflushed, tx.state.unflushed_heartbeats = tx.state.unflushed_heartbeats, set()
        tx.write(*rows.seen(agent for agent in map(tx.state.agents.find, sorted(unflushed)) if agent))


def expire_due(tx: Transaction) -> None:
    """End the leases and intents whose deadline has come; exactly at the deadline it is over (claims.md S01).

    Those that do not fit into one commit stay due; the actor decides nothing else before the leases have ended too.
    """
    most = limits.BATCH_STATEMENTS_MAX // _STATEMENTS_OF_AN_END
    end_reservations(tx.state.leases.due(tx.now.mono_s, most), "expired", tx)
    abandon(tx.state.intents.due(tx.now.mono_s)[:most], "expired", tx)


def silent_holders(state: ProjectState, mono_s: float) -> list[AgentId]:
    """Return the registered agents that hold, have declared or have claimed something and have been silent for too long.

    A holder that never registered cannot send a heartbeat, so its silence says nothing; its lease runs to its end.
    """
    return [
        holder
        for holder in sorted(_holders(state))
        if (agent := state.agents.find(holder)) is not None and not agent.is_live(mono_s)
    ]


def _holders(state: ProjectState) -> set[AgentId]:
    claimants = map(state.agents.canonical, state.task_claims.agents())
    return {*state.leases.holders(), *state.intents.holders(), *claimants}


def next_deadline_s(state: ProjectState, flushed_s: float) -> float | None:
    """Return the monotonic time of the next thing to do, or None while there is nothing to wait for."""
    deadlines = [
        agent.heard_s + limits.AGENT_SILENCE_S
        for holder in _holders(state)
        if (agent := state.agents.find(holder)) is not None
    ]
    deadlines += [
        agent.heard_s + limits.AGENT_SILENCE_S
        for wait in state.waiting
        if (agent := state.agents.find(wait.wish.claim.holder)) is not None
    ]
    ends = (state.leases.next_deadline_s(), state.waiting.next_end_s(), state.intents.next_deadline_s())
    deadlines += [end_s for end_s in ends if end_s is not None]
    if len(state.kept):
        deadlines.append(state.kept.due_s)
    if state.unflushed_heartbeats:
        deadlines.append(flushed_s + limits.LIVENESS_FLUSH_S)
    return min(deadlines, default=None)
