"""How an intent goes on and ends: the one place where its state changes, the disk hears of it, and everyone else too."""

from collections.abc import Iterable, Mapping
from typing import Final

from intermute.core.claim_records import asked_for
from intermute.core.events import EventType
from intermute.core.ids import ReservationId
from intermute.core.intents import Intent, IntentState
from intermute.project.handlers.granting import target_fields
from intermute.project.transaction import Transaction
from intermute.store import intents as rows

EVENT_OF_STATE: Final[Mapping[IntentState, EventType]] = {
    IntentState.DECLARED: EventType.INTENT_DECLARED,
    IntentState.STARTED: EventType.INTENT_STARTED,
    IntentState.DONE: EventType.INTENT_DONE,
    IntentState.ABANDONED: EventType.INTENT_ABANDONED,
}
BY_AGENT: Final = "agent"
"""What ended an intent that its agent has set to done or abandoned."""


def change_state(
    intent: Intent, state: IntentState, tx: Transaction, *, commit: str | None = None, how: str = BY_AGENT
) -> Intent:
    """Move an intent to a state that may follow, and return it with that."""
    later = tx.state.intents.change(intent, state, tx.next_cursor(), commit)
    tx.write(rows.change(later, how, tx.now.wall_us))
    tx.facts.change_intent(later, how, tx.now.wall_us)
    changed = tx.emit(EVENT_OF_STATE[state], {**intent_event_fields(later, tx), "reason": how})
    assert changed == later.changed
    return later


def abandon(intents: Iterable[Intent], how: str, tx: Transaction) -> None:
    """End intents that nobody ended; `how` tells what did."""
    for intent in intents:
        change_state(intent, IntentState.ABANDONED, tx, how=how)


def end_intents_of(reservation_id: ReservationId, how: str, tx: Transaction) -> None:
    """End what rides on a reservation that ends or changes hands (claims.md S17)."""
    abandon(tx.state.intents.of_reservation(reservation_id), f"reservation_{how}", tx)


def intent_event_fields(intent: Intent, tx: Transaction) -> dict[str, object]:
    """Return what every event about an intent says."""
    asked = asked_for(intent.claim.targets)
    fields: dict[str, object] = {
        "agent_id": intent.holder,
        "intent_id": intent.id,
        "held_by": tx.state.agents.name_of(intent.holder),
        "state": intent.state,
        "operation": intent.operation,
        "targets": [target_fields(each) for each in asked],
        "detail": intent.detail,
    }
    more = {
        "reservation_id": intent.reservation_id,
        "branch": intent.claim.branch,
        "worktree": intent.claim.worktree,
        "commit": intent.commit,
    }
    return {**fields, **{name: value for name, value in more.items() if value}}
