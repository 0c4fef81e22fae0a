"""One agent, or one key, cannot take every reader's place of its project (guarantees.md T10)."""

from contextlib import ExitStack

import pytest
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller, Identity
from intermute.core.errors import TooManySubscribers
from intermute.core.ids import AgentId
from intermute.project.hub import Hub
from intermute.web.auth import reader_of


def test_reader_has_so_many_places_and_no_more() -> None:
    """The last place of a reader is given, the next refused, others get theirs; what is left is free again."""
    hub = Hub()
    with ExitStack() as held:
        for _ in range(limits.SUBSCRIBERS_PER_READER_MAX - 1):
            held.enter_context(hub.subscription("agent a"))
        with hub.subscription("agent a"):
            with raises(TooManySubscribers) as refused:
                held.enter_context(hub.subscription("agent a"))
            assert str(limits.SUBSCRIBERS_PER_READER_MAX) in refused.value.message
            with hub.subscription("agent b"), hub.subscription():
                pass
        held.enter_context(hub.subscription("agent a"))

    assert hub.subscribers == 0


def test_project_has_so_many_places_and_no_more() -> None:
    """Readers without a name share the project's places; the one after the last is refused."""
    hub = Hub()
    with ExitStack() as held:
        for _ in range(limits.SUBSCRIBERS_PER_PROJECT_MAX):
            held.enter_context(hub.subscription())
        for reader in (None, "agent a"):
            with raises(TooManySubscribers):
                held.enter_context(hub.subscription(reader))


@pytest.mark.parametrize(
    ("address", "is_local", "asked_as", "reader"),
    [
        ("a1", True, None, "agent a1"), ("a1", False, "b1", "agent a1"), (None, True, "b1", "agent b1"),
        (None, False, None, "key"), (None, True, None, None),
    ],
)  # fmt: skip
def test_reader_is_counted_by_what_is_known_of_it(
    address: str | None, is_local: bool, asked_as: str | None, reader: str | None
) -> None:
    """By the agent that it says it is, else the one whose socket it is, else the key."""
    identity = Identity(AgentId(address) if address else None, is_verified=False)

    assert reader_of(identity, Caller(is_local=is_local), AgentId(asked_as) if asked_as else None) == reader
