"""`heartbeat` and its checker: a heartbeat that was acknowledged and not heard is found, and nothing else is."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from answers import answer, silent_site
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.engine.connection import LoadFailed
from loadtest.promises.history import History, Violation
from loadtest.promises.last_seen import LastSeen
from loadtest.scenarios.beater import Beater
from loadtest.scenarios.heartbeat import AGENTS_QUICK, Heartbeat

LISTED_AT = 1_010.0


@pytest.fixture
def seen() -> LastSeen:
    """A checker that knows an agent which sent its last heartbeat at 1,000.9."""
    made = LastSeen(History())
    made.heard(1, "anna", 1_000.9)
    made.heard(2, "anna", 940.0)
    return made


def test_heartbeat_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end and has looked at agents, each once."""
    scenario = Heartbeat()

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    assert samples.times_ms("heartbeat", "closed")
    assert sum(site.watch.checked().values()) <= AGENTS_QUICK


@pytest.mark.parametrize("shown_at", [1_000.0, 1_001.0, LISTED_AT])
def test_last_seen_in_the_second_of_the_heartbeat_is_right(seen: LastSeen, shown_at: float) -> None:
    """The time is shown in whole seconds, and may be later: the heartbeat was on its way, or there was another one."""
    seen.demand({"anna": shown_at}, LISTED_AT)

    assert seen.checked == 1


@pytest.mark.parametrize("listed", [{"anna": 999.0}, {"anna": LISTED_AT + 1}, {}])
def test_last_seen_that_cannot_be_is_found(seen: LastSeen, listed: Mapping[str, float]) -> None:
    """Control: one second too early, in the future, or not there; the history has the heartbeat."""
    with pytest.raises(Violation, match="every acknowledged heartbeat is heard") as broken:
        seen.demand(listed, LISTED_AT)

    assert any("1000.900" in line for line in broken.value.history)


def test_last_seen_may_lag_as_far_as_it_was_said() -> None:
    """After a crash so much may be missing, and no more."""
    lagging = LastSeen(History(), lag_s=30.0)
    lagging.heard(1, "anna", 1_000.9)

    lagging.demand({"anna": 970.0}, LISTED_AT)

    with pytest.raises(Violation):
        lagging.demand({"anna": 969.0}, LISTED_AT)


def test_heartbeat_of_another_agent_is_a_wrong_answer(tmp_path: Path) -> None:
    """Control: an answer that names somebody else is no heartbeat of this agent."""
    beater = Beater(silent_site(tmp_path), "p", ["anna"], LastSeen(History()))
    beater.ask()

    with pytest.raises(LoadFailed, match="anna"):
        beater.take(answer(200, {"agent_id": "ben"}), 0.0, 1.0)
