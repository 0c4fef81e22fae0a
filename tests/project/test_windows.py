"""Windows: whose they are, how long, how many (contract.md 1.8)."""

import pytest
from handler_bench import proving
from live_bench import Live
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import DeregisterAgent
from intermute.core.api.live import ExpireWindow, ListPokes, ListWindows, RegisterWindow
from intermute.core.errors import (
    AgentIdentityMismatch,
    AgentTokenMismatch,
    InvalidTmuxTarget,
    TooManyWindows,
    WindowFieldsRequired,
)


@pytest.fixture
def bench() -> Live:
    """See `Live`."""
    return Live()


def test_window_is_changed_under_its_name(bench: Live) -> None:
    """The same name is the same window, whoever is in it now; id and age stay, and it is open again."""
    [first] = bench.ask(ListWindows()).windows
    carl = bench.register("carl")
    bench.run(ExpireWindow(window_uuid="w1"))
    assert bench.ask(ListWindows()).windows == []
    bench.wait(1)

    bench.window(carl, "w1", display_name="Carl's")
    bench.restart()

    [second] = bench.ask(ListWindows()).windows
    assert (second.id, second.created_at) == (first.id, first.created_at)
    assert (second.agent_id, second.display_name, second.tmux_target) == (carl.agent_id, "Carl's", None)
    assert second.last_active_at > first.last_active_at


def test_windows_are_listed_by_activity(bench: Live) -> None:
    """The most recently active one comes first."""
    for name in ("w2", "w3", "w1"):
        bench.wait(1)
        bench.window(bench.ben, name)

    assert [each.window_uuid for each in bench.ask(ListWindows()).windows] == ["w1", "w3", "w2"]


@pytest.mark.parametrize("token", ["", None, "wrong"])
def test_window_needs_its_agents_token(bench: Live, token: str | None) -> None:
    """Nobody takes another's messages into its own terminal."""
    with raises(AgentTokenMismatch):
        bench.window(bench.ben, "w9", registration_token=token)
    with raises(AgentTokenMismatch):
        bench.run(RegisterWindow(window_uuid="w9", agent_id="nobody", registration_token=bench.ben.token))


@pytest.mark.parametrize("target", ["a b", "a;b", "main:0.x:", "-t x", "a\nb", "$(ls)"])
def test_window_of_no_terminal_is_refused(bench: Live, target: str) -> None:
    """A target that tmux could take for something else is none."""
    with raises(InvalidTmuxTarget):
        bench.window(bench.ben, "w9", target)


@pytest.mark.parametrize("command", [RegisterWindow(), RegisterWindow(window_uuid="w"), RegisterWindow(agent_id="ben")])
def test_window_needs_name_and_agent(bench: Live, command: RegisterWindow) -> None:
    """Without them it is none."""
    with raises(WindowFieldsRequired):
        bench.run(command)


def test_window_is_closed_by_anybody_but_another_agent(bench: Live) -> None:
    """As in the original nobody has to prove anything; who proves to be somebody else does not close it."""
    with raises(AgentIdentityMismatch):
        bench.run(ExpireWindow(window_uuid="w1"), proving(bench.register("carl")))

    assert bench.run(ExpireWindow(window_uuid="w1")).status == "expired"
    assert bench.run(ExpireWindow(window_uuid="never")).status == "expired"
    assert [each.type for each in bench.events()].count("window.expired") == 1


def test_windows_are_bounded(bench: Live) -> None:
    """A project has so many; a closed one makes room for a new one."""
    for number in range(limits.WINDOWS_PER_PROJECT_MAX - 1):
        bench.window(bench.ben, f"n{number}")

    with raises(TooManyWindows):
        bench.window(bench.ben, "more")
    bench.window(bench.ben, "n0")
    bench.run(ExpireWindow(window_uuid="n5"))
    bench.window(bench.ben, "more")
    with raises(TooManyWindows):
        bench.window(bench.ben, "n5")


def test_leaving_closes_windows(bench: Live) -> None:
    """An agent that has left is in no terminal, and nothing waits for it."""
    bench.live("ben", transport="both")

    bench.run(DeregisterAgent(agent="ben"))

    assert bench.ask(ListWindows()).windows == []
    assert bench.ask(ListPokes(agent=bench.ben.agent_id)).pokes == []
