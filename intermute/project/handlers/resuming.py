"""What a machine that wakes up does first: nobody loses anything for having slept together with it.

Monotonic time stands still in suspension, so leases last as long as they were to. But an agent that was about to send its
heartbeat could not, and needs a moment. Source: guarantees.md G9.
"""

from intermute.core import limits
from intermute.core.events import EventType
from intermute.project.transaction import Transaction


def resume(suspended_s: float, tx: Transaction) -> None:
    """Give every agent that could still be heard, or holds something, a heartbeat's time; and tell everyone."""
    spared_s = tx.now.mono_s - (limits.AGENT_SILENCE_S - limits.HEARTBEAT_S)
    state = tx.state
    for agent in state.agents:
        # Whoever holds something and has been silent for too long fell silent since: else it would hold nothing.
        holds = state.leases.held_by(agent.id) or state.intents.held_by(agent.id)
        if agent.is_live(tx.now.mono_s) or holds or state.task_claims.held_by(state.agents.addresses_of(agent.id)):
            agent.heard_s = max(agent.heard_s, spared_s)
    state.listening_since_s = tx.now.mono_s
    tx.emit(EventType.CLOCK_RESUMED, {"suspended_s": round(suspended_s, 1)})
