"""Waiting for a turn, as the handlers decide it: issue 3 point 5, claims.md 7."""

import pytest
from handler_bench import Bench

from intermute.core import limits
from intermute.core.api.reservations import Reserve
from intermute.core.wishes import OnConflict
from intermute.project.handlers.turns import Queued


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna, ben and carl."""
    made = Bench()
    for name in ("anna", "ben", "carl"):
        made.register(name)
    return made


def wait_for(bench: Bench, agent: str, *patterns: str, seconds: float = 600, mode: str = "X") -> str:
    """Ask for what is taken, and return the ticket."""
    command = Reserve(
        agent_id=agent, patterns=list(patterns), mode=mode, on_conflict=OnConflict.WAIT, wait_seconds=seconds
    )
    reply = bench.run(command)
    assert isinstance(reply, Queued)
    return reply.ticket


def test_waiter_that_fell_silent_is_not_granted(bench: Bench) -> None:
    """What a silent agent loses does not go to another silent one, who would lose it at once."""
    bench.reserve("anna", "a")
    wait_for(bench, "ben", "a")
    wait_for(bench, "carl", "a")
    bench.wait(1)
    bench.heartbeat("carl")
    bench.wait(limits.AGENT_SILENCE_S - 1)

    bench.tick()

    granted = [event.data["held_by"] for event in bench.events() if event.type == "reservation.granted"]
    assert granted == ["carl"]
