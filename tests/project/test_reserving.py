"""Granting, refusing, renewing, releasing: design.md 8, guarantees.md G6 to G8."""

import pytest
from handler_bench import LOCAL, Bench, bench_of, claiming, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.checks import CheckReservations
from intermute.core.api.reservations import ReleaseReservation, ReservationView, Reserve
from intermute.core.errors import (
    AgentIdentityMismatch,
    BadPattern,
    InvalidRequest,
    ReservationConflict,
    ReservationLimit,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def test_reserve_conflict_names_the_holder(bench: Bench) -> None:
    """A refused asker learns who holds what, in which mode, why, for how long, and where the two meet."""
    granted = bench.run(Reserve(agent_id="anna", path_pattern="src/**", reason="refactor", ttl_seconds=600))
    bench.wait(60)

    with raises(ReservationConflict) as refused:
        bench.reserve("ben", "src/api/*.py")

    [conflict] = refused.value.conflicts
    assert (conflict.reservation_id, conflict.held_by, conflict.pattern) == (granted.id, "anna", "src/**")  # type: ignore[attr-defined] # details are JSON views.
    assert (conflict.reason, conflict.mode, conflict.retry_after_s) == ("refactor", "exclusive", 540)  # type: ignore[attr-defined] # as above.
    assert conflict.example == "src/api/a.py"  # type: ignore[attr-defined] # as above.
    assert refused.value.holders == ("anna",)


def test_reserve_is_all_or_nothing(bench: Bench) -> None:
    """One conflict among many patterns refuses them all, and every conflict is listed."""
    bench.reserve("anna", "src/a.py")
    bench.reserve("anna", "docs/**")

    with raises(ReservationConflict) as refused:
        bench.run(Reserve(agent_id="ben", patterns=["free/**", "docs/x.md", "src/*.py"]))

    assert len(refused.value.conflicts) == 2
    assert bench.held("ben") == []
    assert not bench.ask(CheckReservations(pattern="free/**")).conflict


@pytest.mark.parametrize(
    ("first_shared", "second_shared", "is_refused"),
    [(False, False, True), (False, True, True), (True, False, True), (True, True, False)],
)
def test_reserve_follows_the_matrix(bench: Bench, first_shared: bool, second_shared: bool, is_refused: bool) -> None:
    """Only two shared reservations go together (contract.md 6.3)."""
    bench.reserve("anna", "src/**", shared=first_shared)

    [outcome] = bench.batch((Reserve(agent_id="ben", path_pattern="src/a.py", exclusive=not second_shared), LOCAL))

    assert isinstance(outcome, ReservationConflict) == is_refused


def test_reserve_own_reservations_never_clash(bench: Bench) -> None:
    """A holder never stands in its own way, by name or by id."""
    bench.reserve("anna", "src/**")

    bench.reserve(bench.state.agents.canonical("anna"), "src/a.py")

    assert bench.held("anna") == ["src/**", "src/a.py"]


def test_reserve_upgrade_meets_the_other_readers(bench: Bench) -> None:
    """Shared to exclusive is refused while another agent holds it shared; one's own share does not count (S06)."""
    bench.reserve("anna", "src/**", shared=True)
    bench.reserve("ben", "src/**", shared=True)

    with raises(ReservationConflict) as refused:
        bench.reserve("anna", "src/**")

    assert refused.value.holders == ("ben",)


def test_reserve_two_in_one_batch_grants_one(bench: Bench) -> None:
    """Of two that arrive together the first one gets it (S02)."""
    wish = [(Reserve(agent_id=each, path_pattern="src/**"), LOCAL) for each in ("anna", "ben")]

    first, second = bench.batch(*wish)

    assert isinstance(first, ReservationView)
    assert isinstance(second, ReservationConflict)


def test_reserve_fence_grows_over_restarts(bench: Bench) -> None:
    """Every grant carries a larger number than all before it, whatever happened in between (G7)."""
    fences = []
    for number in range(6):
        granted = bench.reserve("anna", f"src/{number}")
        fences.append(granted.fence)
        if number % 2:
            bench.run(ReleaseReservation(reservation_id=granted.id))
        bench.restart()

    assert fences == sorted(set(fences))


@pytest.mark.parametrize(("count", "is_refused"), [(199, False), (200, False), (201, True)])
def test_reserve_limit_per_agent(bench: Bench, count: int, is_refused: bool) -> None:
    """An agent holds at most 200; the next one is refused, with what it holds."""
    for number in range(count - 1):
        bench.reserve("anna", f"src/{number}")

    [outcome] = bench.batch((Reserve(agent_id="anna", path_pattern="last"), LOCAL))

    assert isinstance(outcome, ReservationLimit) == is_refused
    assert limits.RESERVATIONS_PER_AGENT_MAX == 200


def test_reserve_limit_is_freed_by_a_release(bench: Bench) -> None:
    """Room comes back with every release."""
    first = bench.reserve("anna", "first")
    for number in range(limits.RESERVATIONS_PER_AGENT_MAX - 1):
        bench.reserve("anna", f"src/{number}")
    bench.run(ReleaseReservation(reservation_id=first.id))

    bench.reserve("anna", "another")

    with raises(ReservationLimit):
        bench.reserve("anna", "one too many")


@pytest.mark.parametrize(("count", "is_refused"), [(99, False), (100, False), (101, True)])
def test_reserve_targets_are_bounded(bench: Bench, count: int, is_refused: bool) -> None:
    """At most 100 paths in one request, globs and literal paths together."""
    command = Reserve(
        agent_id="anna", patterns=[f"a{n}" for n in range(50)], paths=[f"b{n}" for n in range(count - 50)]
    )

    [outcome] = bench.batch((command, LOCAL))

    assert isinstance(outcome, InvalidRequest) == is_refused


@pytest.mark.parametrize(
    ("minutes", "seconds", "ttl_s", "is_clamped"),
    [
        (None, None, 1800, False),
        (0, None, 1800, False),
        (-5, None, 1800, False),
        (1, None, 60, False),
        (1439, None, 86340, False),
        (1440, None, 86400, False),
        (1441, None, 86400, True),
        (2**31, None, 86400, True),
        (None, 1, 1, False),
        (None, 86399, 86399, False),
        (None, 86400, 86400, False),
        (None, 86401, 86400, True),
        (10, 5, 5, False),
    ],
)
def test_reserve_lifetime_is_clamped(
    bench: Bench, minutes: int | None, seconds: int | None, ttl_s: int, is_clamped: bool
) -> None:
    """Half an hour by default, a day at most, and the answer says when it gave less than was asked for (T25)."""
    view = bench.run(Reserve(agent_id="anna", path_pattern="a", ttl_minutes=minutes, ttl_seconds=seconds))

    assert view.expires_in_ms == ttl_s * 1000
    assert view.ttl_clamped == is_clamped


@pytest.mark.parametrize("seconds", [0, -1])
def test_reserve_without_seconds_is_refused(bench: Bench, seconds: int) -> None:
    """Zero seconds are no lease (S05)."""
    with raises(InvalidRequest):
        bench.run(Reserve(agent_id="anna", path_pattern="a", ttl_seconds=seconds))


@pytest.mark.parametrize(
    "command",
    [
        Reserve(agent_id="anna", path_pattern="src/*.py"),
        Reserve(agent="anna", pattern="src/*.py"),
        Reserve(agent_id="anna", patterns=["src/*.py"]),
        Reserve(agent_id="anna", glob_patterns=["src/*.py"]),
    ],
)
def test_reserve_spellings_mean_the_same(bench: Bench, command: Reserve) -> None:
    """Every accepted field for a pattern asks for the same thing."""
    bench.run(command)

    assert bench.ask(CheckReservations(pattern="src/x.py")).conflict
    assert not bench.ask(CheckReservations(pattern="src/x.js")).conflict


def test_reserve_literal_path_is_no_pattern(bench: Bench) -> None:
    """A route file such as `[id].tsx` means itself as a path; a wildcard in a path is warned of."""
    bench.run(Reserve(agent_id="anna", path="app/[id].tsx"))
    starred = bench.run(Reserve(agent_id="anna", paths=["a*"]))

    assert bench.ask(CheckReservations(path="app/[id].tsx")).conflict
    assert not bench.ask(CheckReservations(path="app/i.tsx")).conflict
    assert not bench.ask(CheckReservations(path="ab")).conflict
    assert "literal" in starred.notes[0]


@pytest.mark.parametrize("pattern", ["", "/etc", "../x", "a[", "a\\", "a\0b", "C:/x", "x" * 1025])
def test_reserve_bad_pattern_is_refused(bench: Bench, pattern: str) -> None:
    """What the dialect refuses is told with its reason, in a check as well."""
    with raises(BadPattern):
        bench.reserve("anna", pattern)
    with raises(BadPattern):
        bench.ask(CheckReservations(pattern=pattern))


@pytest.mark.parametrize(
    "command",
    [
        Reserve(agent_id="anna"),
        Reserve(agent_id="anna", patterns=[]),
        Reserve(path_pattern="a"),
        Reserve(agent_id="anna", path_pattern="a", mode="exclusive", shared=True),
        Reserve(agent_id="anna", path_pattern="a", exclusive=True, shared=True),
        Reserve(agent_id="anna", path_pattern="a", mode="maybe"),
    ],
)
def test_reserve_incomplete_wish_is_refused(bench: Bench, command: Reserve) -> None:
    """No path, no holder, or a contradiction is a mistake that is named."""
    with raises(InvalidRequest):
        bench.run(command)


def test_reserve_in_anothers_name_with_a_token_is_refused(bench: Bench) -> None:
    """A proved caller reserves for itself alone."""
    carl = bench.register("carl")

    with raises(AgentIdentityMismatch):
        bench.run(Reserve(agent_id="anna", path_pattern="a"), proving(carl))


def test_reserve_by_the_header_alone(bench: Bench) -> None:
    """X-Agent-ID says who reserves where the body does not."""
    assert bench.run(Reserve(path_pattern="a"), claiming("anna")).held_by == "anna"


def test_partial_grant_of_many_targets_lists_few_conflicts(bench: Bench) -> None:
    """Twenty targets in trouble share one list: each names somebody, and all together a few more than a refusal."""
    for number in range(limits.CONFLICTS_SHOWN_MAX + 5):
        bench.reserve("anna", f"src/{number}.py")

    patterns = [f"src/**/{'?' * number}*.py" for number in range(20)]
    granted = bench.run(Reserve(agent_id="ben", patterns=["free.md", *patterns], partial=True))

    counts = [len(denied.conflicts) for denied in granted.denied]
    assert len(counts) == len(patterns)
    assert min(counts) > 0
    assert sum(counts) <= limits.CONFLICTS_SHOWN_MAX + 5 * len(patterns)
