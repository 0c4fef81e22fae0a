"""How a claim ends: given back, done, reassigned, or its agent is silent or gone (issue 4, point 5)."""

import pytest
from entity_samples import command, shown
from handler_bench import Bench
from task_samples import change, create, read

from intermute.core import limits
from intermute.core.api.agents import DeregisterAgent
from intermute.core.api.entity_actions import ClaimTask, ReleaseTask
from intermute.core.entities.kinds import TASK
from intermute.core.errors import (
    NotYours,
    TaskNotClaimable,
)
from intermute.project.handlers.liveness import next_deadline_s


@pytest.fixture
def bench() -> Bench:
    """A project of its own."""
    return Bench()


@pytest.mark.parametrize("status", ["pending", "running", "blocked"])
def test_released_task_is_free_for_another_agent(bench: Bench, status: str) -> None:
    """Whatever its agent had made of it, it is pending and nobody's again."""
    create(bench, "t")
    bench.run(ClaimTask(id="t", agent="anna"))
    change(bench, "t", status=status)

    released = shown(bench.run(ReleaseTask(id="t", agent="anna")))

    assert (released["released"], released["status"], "claimed_at" in released) == (True, "pending", False)
    assert (bench.events()[-1].type, bench.events()[-1].data["reason"]) == ("task.released", "released")
    assert len(bench.state.task_claims) == 0
    assert shown(bench.run(ClaimTask(id="t", agent="ben")))["agent"] == "ben"


def test_release_of_what_is_not_held_changes_nothing(bench: Bench) -> None:
    """Nobody's or done already: the answer says so; another agent's is refused."""
    create(bench, "t")
    create(bench, "over", agent="anna", status="done")
    count = len(bench.events())

    for task_id in ("t", "over"):
        assert shown(bench.run(ReleaseTask(id=task_id, agent="anna")))["released"] is False
    with pytest.raises(NotYours):
        bench.run(ReleaseTask(id="over", agent="ben"))
    assert len(bench.events()) == count
    with pytest.raises(TaskNotClaimable, match="'done'"):
        bench.run(ClaimTask(id="over", agent="ben"))


def test_silent_agent_loses_its_claims(bench: Bench) -> None:
    """After five silent minutes the task is pending again, everyone hears, and another agent may take it."""
    anna = bench.register("anna").agent_id
    for name in ("running", "blocked", "done"):
        create(bench, name)
        bench.run(ClaimTask(id=name, agent=anna))
        change(bench, name, status=name)

    bench.wait(limits.AGENT_SILENCE_S - 1)
    bench.tick()
    assert read(bench, "running")["agent"] == anna
    assert next_deadline_s(bench.state, bench.mono_s) is not None
    bench.wait(2)
    bench.tick()

    assert [read(bench, name)["status"] for name in ("running", "blocked", "done")] == ["pending", "pending", "done"]
    assert "agent" not in read(bench, "running")
    assert read(bench, "done")["agent"] == anna
    released = [event for event in bench.events() if event.type == "task.released"]
    assert [(each.data["entity_id"], each.data["held_by"], each.data["reason"]) for each in released] == [
        ("running", "anna", "owner_stale"), ("blocked", "anna", "owner_stale"),
    ]  # fmt: skip
    assert released[0].data["data"] == read(bench, "running")
    assert shown(bench.run(ClaimTask(id="running", agent="ben")))["agent"] == "ben"


def test_live_agent_keeps_its_claims(bench: Bench) -> None:
    """Control: heartbeats keep a claim for as long as it takes; so does a restart while the agent is live."""
    anna = bench.register("anna").agent_id
    create(bench, "t")
    bench.run(ClaimTask(id="t", agent=anna))

    for turn in range(4):
        bench.wait(limits.AGENT_SILENCE_S - 1)
        bench.heartbeat(anna)
        bench.tick()
        if turn == 1:
            bench.crash()
    assert read(bench, "t")["agent"] == anna
    bench.wait(3600)
    bench.restart()
    bench.tick()
    assert read(bench, "t")["agent"] == anna, "nobody could hear the agent while the server was down"
    bench.wait(limits.AGENT_SILENCE_S)
    bench.tick()
    assert read(bench, "t")["status"] == "pending"


def test_leaving_agent_gives_its_claims_back(bench: Bench) -> None:
    """De-registering releases at once, also what was claimed under the name before it was registered."""
    create(bench, "early")
    create(bench, "late")
    bench.run(ClaimTask(id="early", agent="anna"))
    anna = bench.register("anna").agent_id
    bench.run(ClaimTask(id="late", agent=anna))

    bench.run(DeregisterAgent(agent="anna"))

    assert [read(bench, name)["status"] for name in ("early", "late")] == ["pending", "pending"]
    assert len(bench.state.task_claims) == 0


@pytest.mark.parametrize("how", [{"status": "done"}, {"status": "pending"}, {"agent": "ben"}, {"agent": ""}])
def test_change_of_status_or_agent_ends_the_claim(bench: Bench, how: dict[str, str]) -> None:
    """What is done, given back or given to another is no longer claimed, also after a restart."""
    anna = bench.register("anna").agent_id
    create(bench, "t")
    bench.run(ClaimTask(id="t", agent=anna))

    change(bench, "t", **how)

    assert "claimed_at" not in read(bench, "t")
    assert len(bench.state.task_claims) == 0
    bench.restart()
    assert len(bench.state.task_claims) == 0


def test_deleted_task_is_no_claim(bench: Bench) -> None:
    """What is gone cannot be released."""
    anna = bench.register("anna").agent_id
    create(bench, "t")
    bench.run(ClaimTask(id="t", agent=anna))
    bench.run(command(TASK, "delete", id="t"))

    bench.wait(limits.AGENT_SILENCE_S + 1)
    bench.tick()

    assert [event.type for event in bench.events()][-1] == "task.deleted"
