"""Sessions: who is the same agent again, who takes one over, and who has to wait (design.md 6, contract.md 8)."""

import pytest
from handler_bench import Bench, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.agents import ListAgents, RegisterAgent
from intermute.core.errors import (
    ActiveSessionConflict,
    AgentIdentityMismatch,
    InvalidSessionId,
)
from intermute.project.project import check_identity

SESSION = "0d6a3c5e-1a8b-4a0e-8a55-0a4f8a1b2c3d"
SILENCE_S = limits.AGENT_SILENCE_S


@pytest.fixture
def bench() -> Bench:
    """An empty project."""
    return Bench()


def test_register_same_session_and_name_renews(bench: Bench) -> None:
    """An agent that crashed and starts again keeps its id and its reservations, while its old run still counts as live."""
    anna = bench.register("anna", SESSION)
    held = bench.reserve("anna", "src/**")

    again = bench.register("anna", SESSION)

    assert again.renewed
    assert again.agent_id == anna.agent_id
    assert again.token != anna.token
    assert [each.id for each in bench.state.leases.held_by(bench.state.agents.canonical("anna"))] == [held.id]


@pytest.mark.parametrize(
    "spelling", [SESSION.upper(), f"{{{SESSION}}}", f"urn:uuid:{SESSION}", SESSION.replace("-", "")]
)
def test_register_session_spellings_are_one_session(bench: Bench, spelling: str) -> None:
    """A UUID in another spelling is the same session (contract.md 8)."""
    anna = bench.register("anna", SESSION)

    assert bench.register("anna", spelling).agent_id == anna.agent_id


def test_register_without_name_under_a_known_session_renews(bench: Bench) -> None:
    """The session alone is enough where no other name is claimed."""
    anna = bench.register("anna", SESSION)

    again = bench.register(None, SESSION)

    assert (again.agent_id, again.name) == (anna.agent_id, "anna")


def test_register_other_name_on_a_live_session_is_refused(bench: Bench) -> None:
    """A live agent's session is not given to another name; the refusal says how long to wait."""
    bench.register("anna", SESSION)
    bench.wait(60)

    with raises(ActiveSessionConflict) as refused:
        bench.register("ben", SESSION)

    assert refused.value.holder == "anna"
    assert refused.value.retry_after_s == pytest.approx(SILENCE_S - 60)


def test_register_token_renames_a_live_session(bench: Bench) -> None:
    """The agent's token proves that it may be renewed at once, under a new name."""
    anna = bench.register("anna", SESSION)

    renamed = bench.run(RegisterAgent(name="ben", session_id=SESSION, token=anna.token))

    assert (renamed.agent_id, renamed.name, renamed.renewed) == (anna.agent_id, "ben", True)
    assert bench.state.agents.find("anna") is None


def test_register_token_in_the_header_counts(bench: Bench) -> None:
    """X-Agent-Token proves as much as the field `token`."""
    anna = bench.register("anna", SESSION)

    renamed = bench.register("ben", SESSION, proving(anna))

    assert renamed.agent_id == anna.agent_id


def test_register_wrong_token_proves_nothing(bench: Bench) -> None:
    """Another agent's token does not open a live session."""
    bench.register("anna", SESSION)
    carl = bench.register("carl")

    with raises(ActiveSessionConflict):
        bench.run(RegisterAgent(name="ben", session_id=SESSION, token=carl.token))


def test_register_old_token_is_void_after_renewal(bench: Bench) -> None:
    """A renewal gives a new token; the old one proves nothing any more."""
    anna = bench.register("anna", SESSION)
    bench.register("anna", SESSION)

    with raises(AgentIdentityMismatch):
        check_identity(bench.state, ListAgents(), proving(anna))


def test_register_other_name_takes_a_silent_session_over(bench: Bench) -> None:
    """After 5 silent minutes the session goes to whoever asks, exactly then."""
    anna = bench.register("anna", SESSION)
    bench.wait(SILENCE_S)

    taken = bench.register("ben", SESSION)

    assert (taken.agent_id, taken.name) == (anna.agent_id, "ben")


def test_register_take_over_comes_not_early(bench: Bench) -> None:
    """A moment before 5 minutes the session is still its holder's."""
    bench.register("anna", SESSION)
    bench.wait(SILENCE_S - 0.001)

    with raises(ActiveSessionConflict):
        bench.register("ben", SESSION)


@pytest.mark.parametrize("session_id", ["x", "123", SESSION + "0", "0d6a3c5e-1a8b-4a0e-8a55-0a4f8a1b2c3g"])
def test_register_session_id_must_be_a_uuid(bench: Bench, session_id: str) -> None:
    """Anything but a UUID is refused."""
    with raises(InvalidSessionId):
        bench.register("anna", session_id)


def test_token_alone_renews_its_agent(bench: Bench) -> None:
    """An agent that kept nothing but its token is the same agent when it registers again."""
    first = bench.register("anna")

    again = bench.run(RegisterAgent(token=first.token))

    assert (again.agent_id, again.name, again.renewed) == (first.agent_id, "anna", True)
