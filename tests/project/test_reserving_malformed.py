"""Bad input to a reservation: refused with a code, and nothing is granted in part, stored or changed (issue 3)."""

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from handler_bench import LOCAL, Bench, claiming
from hypothesis import given, settings

from intermute.core import limits
from intermute.core.api.claims import TargetWish
from intermute.core.api.reservations import RenewReservation, Reserve
from intermute.core.errors import DomainError
from intermute.core.wishes import OnConflict
from intermute.project.handlers.turns import Queued


@dataclass(frozen=True)
class Memory:
    """What must be as it was after a refusal."""

    leases: dict[str, Any]  # Any: reservations.
    waiting: tuple[str, ...]
    head: int


def memory(bench: Bench) -> Memory:
    """Return what the project has in mind."""
    return Memory(
        {each.id: each for each in bench.state.leases},
        tuple(wait.wish.claim.id for wait in bench.state.waiting),
        bench.state.head,
    )


def furnished() -> Bench:
    """A project in which something is held and somebody waits."""
    bench = Bench()
    for name in ("anna", "ben"):
        bench.register(name)
    bench.reserve("anna", "src/a.py")
    bench.run(Reserve(agent_id="ben", path="src/a.py", on_conflict=OnConflict.WAIT, wait_seconds=600))
    return bench


MALFORMED = {
    "no target": Reserve(agent_id="anna"),
    "no agent": Reserve(path="a"),
    "absolute": Reserve(agent_id="anna", paths=["ok", "/etc"]),
    "drive": Reserve(agent_id="anna", paths=["C:\\x"]),
    "parent": Reserve(agent_id="anna", paths=["a/../b"]),
    "nul": Reserve(agent_id="anna", paths=["a\0b"]),
    "empty symbol": Reserve(agent_id="anna", addresses=["a.py::"]),
    "no path before the symbol": Reserve(agent_id="anna", addresses=["::f"]),
    "unclosed class": Reserve(agent_id="anna", patterns=["ok", "a[b"]),
    "dangling backslash": Reserve(agent_id="anna", patterns=["a\\"]),
    "unknown mode": Reserve(agent_id="anna", path="a", mode="Y"),
    "unknown mode of one": Reserve(agent_id="anna", targets=[TargetWish(path="a"), TargetWish(path="b", mode="Y")]),
    "unknown operation": Reserve(agent_id="anna", path="a", operation="explode"),
    "two operations": Reserve(agent_id="anna", path="a", operation="modify", op="delete"),
    "contradiction": Reserve(agent_id="anna", path="a", exclusive=True, mode="S"),
    "shared and exclusive": Reserve(agent_id="anna", path="a", exclusive=True, shared=True),
    "writing under a reader's mode": Reserve(agent_id="anna", path="a", operation="modify", mode="S"),
    "to of what creates nothing": Reserve(agent_id="anna", targets=[TargetWish(path="a", op="modify", to="b")]),
    "to without an operation": Reserve(agent_id="anna", targets=[TargetWish(path="a", to="b")]),
    "two kinds": Reserve(agent_id="anna", targets=[TargetWish(path="a", pattern="b")]),
    "no kind": Reserve(agent_id="anna", targets=[TargetWish(mode="X")]),
    "partial and wait": Reserve(agent_id="anna", path="a", partial=True, on_conflict=OnConflict.WAIT),
    "partial and grant": Reserve(agent_id="anna", path="a", partial=True, on_conflict=OnConflict.GRANT),
    "no time": Reserve(agent_id="anna", path="a", ttl_seconds=0),
}


@pytest.mark.parametrize("command", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request_is_refused_whole(command: Reserve) -> None:
    """A code, a sentence, and a project that is as it was."""
    bench = furnished()
    before = memory(bench)

    [outcome] = bench.batch((command, LOCAL))

    assert isinstance(outcome, DomainError)
    assert outcome.code in {"bad_pattern", "invalid_request"}
    assert len(outcome.message) > 20
    assert memory(bench) == before


@pytest.mark.parametrize(("over", "code"), [(0, None), (1, "invalid_request")])
def test_too_many_targets_name_the_limit(over: int, code: str | None) -> None:
    """The bound counts all spellings together."""
    count = limits.TARGETS_PER_REQUEST_MAX + over
    command = Reserve(
        agent_id="anna", path="first", targets=[TargetWish(path=f"t/{number}") for number in range(count - 1)]
    )

    [outcome] = furnished().batch((command, LOCAL))

    assert (outcome.code if isinstance(outcome, DomainError) else None) == code
    assert code is None or str(limits.TARGETS_PER_REQUEST_MAX) in str(outcome.details)


def test_foreign_ticket_is_refused() -> None:
    """Who names another one's ticket, or another one's reservation, is refused and changes nothing."""
    bench = furnished()
    before = memory(bench)
    [ticket] = before.waiting
    [held] = before.leases

    ticketed, renewed = bench.batch(
        (Reserve(agent_id="anna", path="x", ticket=ticket), LOCAL),
        (RenewReservation(reservation_id=held, agent_id="ben", mode="S"), claiming("ben")),
    )

    assert (ticketed.code, renewed.code) == ("not_yours", "not_yours")
    assert memory(bench) == before


texts = st.text(st.sampled_from("ab/*?[]{},.:\\!^ A\0é\n"), max_size=12) | st.text(max_size=6)
some = st.none() | texts
wishes = st.builds(TargetWish, path=some, pattern=some, address=some, mode=some, op=some, operation=some, to=some)
words = st.none() | st.sampled_from(["X", "S", "IX", "is", "six", "read", "curate", "modify", "rename", "create", "y"])
requests = st.builds(
    Reserve,
    agent_id=st.none() | st.sampled_from(["anna", "ben", "zoe"]),
    path=some,
    path_pattern=some,
    patterns=st.none() | st.lists(texts, max_size=3),
    addresses=st.none() | st.lists(texts, max_size=3),
    targets=st.none() | st.lists(wishes, max_size=3),
    mode=words,
    op=words,
    exclusive=st.none() | st.booleans(),
    shared=st.none() | st.booleans(),
    ttl_seconds=st.none() | st.integers(-1, 100_000),
    on_conflict=st.none() | st.sampled_from(OnConflict),
    wait_seconds=st.none() | st.floats(0, 3600),
    ticket=st.none() | st.text(max_size=5),
    partial=st.none() | st.booleans(),
    if_seq=st.none() | st.integers(0, 10),
    idempotency_key=st.none() | st.sampled_from(["k", "l"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(requests, min_size=1, max_size=4))
def test_whatever_is_asked_is_answered_or_refused_whole(asked: list[Reserve]) -> None:
    """No request raises anything but a refusal, and a refusal leaves no statement and no change of memory."""
    bench = furnished()
    for command in asked:
        before = memory(bench)
        [outcome], [_, transaction] = bench.decide((command, LOCAL))
        if isinstance(outcome, DomainError):
            assert transaction.statements == []
            assert memory(bench) == before
        elif isinstance(outcome, Queued):
            assert outcome.ticket in bench.state.waiting
        bench.store([transaction])
    assert {each.id: each for each in bench.loaded(bench.state).leases} == memory(bench).leases
