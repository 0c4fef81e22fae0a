"""Agents are shown as they are stored: what a running batch does to them could still be lost (design.md 3.2, 3.5)."""

import pytest
from handler_bench import LOCAL, Bench
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import (
    DeregisterAgent,
    GetAgent,
    ListAgents,
    MergeMetadata,
    Presence,
    RegisterAgent,
)
from intermute.core.errors import UnknownAgent

SESSION = "0d6a3c5e-1a8b-4a0e-8a55-0a4f8a1b2c3d"
CHANGES = {
    "metadata": (MergeMetadata(agent="anna", metadata={"repo": "new"}),),
    "rename": (RegisterAgent(name="zoe", session_id=SESSION, metadata={"repo": "new"}, status="new"),),
    "leaving": (DeregisterAgent(agent="anna"),),
    "all of them": (
        MergeMetadata(agent="anna", metadata={"repo": "new"}),
        RegisterAgent(name="zoe", session_id=SESSION, status="new"),
        DeregisterAgent(agent="zoe"),
        RegisterAgent(name="anna", status="another"),
    ),
}


@pytest.fixture
def bench() -> Bench:
    """A project with one agent that is silent, so that its session may be taken over under another name."""
    made = Bench()
    made.run(RegisterAgent(name="anna", session_id=SESSION, metadata={"repo": "old"}, status="old"))
    made.wait(limits.AGENT_SILENCE_S)
    return made


def shown(bench: Bench) -> object:
    """Return what every reading of the agents says of them, but for signs of life."""
    listed = bench.ask(ListAgents()).agents
    by_address: list[object] = []
    for address in ("anna", "zoe", listed[0].agent_id if listed else "anna"):
        try:
            found = bench.ask(GetAgent(agent=address))
            by_address.append((found.agent_id, found.name, found.status, found.metadata))
        except UnknownAgent:
            by_address.append(None)
    return (
        [(each.agent_id, each.name, each.status, each.metadata) for each in listed],
        [(each.agent_id, each.name, each.repo) for each in bench.ask(Presence()).agents],
        by_address,
    )


@pytest.mark.parametrize("change", CHANGES)
def test_agents_are_shown_as_they_are_stored(bench: Bench, change: str) -> None:
    """Until the commit every reading shows what was; after it, what is."""
    before = shown(bench)

    _, transactions = bench.decide(*[(command, LOCAL) for command in CHANGES[change]])
    assert shown(bench) == before

    bench.store(transactions)
    assert shown(bench) != before


def test_name_means_its_stored_bearer_until_the_commit(bench: Bench) -> None:
    """A silent agent that loses its name to a newcomer is found under it until that is stored."""
    old = bench.ask(GetAgent(agent="anna")).agent_id

    [newcomer], transactions = bench.decide((RegisterAgent(name="anna"), LOCAL))
    assert newcomer.name == "anna"
    assert bench.ask(GetAgent(agent="anna")).agent_id == old
    with raises(UnknownAgent):
        bench.ask(GetAgent(agent=newcomer.agent_id))

    bench.store(transactions)
    assert bench.ask(GetAgent(agent="anna")).agent_id == newcomer.agent_id
    assert bench.ask(GetAgent(agent=old)).name == "anna-2"


def test_sign_of_life_is_shown_at_once(bench: Bench) -> None:
    """A heartbeat during a flush counts, also for an agent that the batch changes."""
    bench.decide((MergeMetadata(agent="anna", metadata={"repo": "new"}), LOCAL))
    bench.wait(limits.AGENT_SILENCE_S)
    assert not bench.ask(GetAgent(agent="anna")).active

    bench.heartbeat("anna")

    assert bench.ask(GetAgent(agent="anna")).active
