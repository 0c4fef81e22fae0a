"""The checker of histories: it accepts what can have happened one at a time, and nothing else (guarantees.md G6)."""

import math
from typing import Final

import pytest
from linearizability import Answer, Operation, check
from made_histories import made
from reservation_model import EMPTY, NOBODY, PATTERNS, Action, Check, Expire, Release, Renew, Reserve, step

from intermute.core.pattern_syntax import parse
from intermute.core.patterns import meets

A, B = "src/**", "src/api/*.py"
FREE: Final[frozenset[int]] = frozenset()
FIRST: Final = frozenset({1})


def granted(number: int, agent: str, pattern: str = A) -> Reserve:
    """A request that was granted."""
    return Reserve(number, agent, pattern, is_granted=True)


def refused(number: int, agent: str, pattern: str, *because: int) -> Reserve:
    """A request that was refused because of these grants."""
    return Reserve(number, agent, pattern, is_granted=False, conflicts=frozenset(because))


HISTORIES: Final[dict[str, tuple[bool, list[tuple[Action, float, float]]]]] = {
    "one after the other": (
        True,
        [(granted(1, "anna"), 0, 1), (Release(1, is_done=True), 2, 3), (granted(2, "ben", B), 4, 5)],
    ),
    "granted twice, one after the other": (False, [(granted(1, "anna"), 0, 1), (granted(2, "ben", B), 2, 3)]),
    "granted twice at once": (False, [(granted(1, "anna"), 0, 5), (granted(2, "ben", B), 0, 5)]),
    "granted twice to one agent": (True, [(granted(1, "anna"), 0, 1), (granted(2, "anna", B), 2, 3)]),
    "granted during the release": (
        True,
        [(granted(1, "anna"), 0, 1), (Release(1, is_done=True), 2, 9), (granted(2, "ben", B), 3, 4)],
    ),
    "granted before the release was asked": (
        False,
        [(granted(1, "anna"), 0, 1), (granted(2, "ben", B), 2, 3), (Release(1, is_done=True), 4, 5)],
    ),
    "granted after a release that nobody heard of": (
        True,
        [(granted(1, "anna"), 0, 1), (Release(1, is_done=None), 2, math.inf), (granted(2, "ben", B), 3, 4)],
    ),
    "refused because of a grant that nobody heard of": (
        True,
        [(Reserve(1, "anna", A, is_granted=None), 0, math.inf), (refused(2, "ben", B, 1), 2, 3)],
    ),
    "a grant that nobody heard of comes and goes": (
        False,
        [
            (Reserve(1, "anna", A, is_granted=None), 0, math.inf),
            (Check("ben", B, FIRST), 2, 3),
            (Check("ben", B, FREE), 4, 5),
        ],
    ),
    "an acknowledged grant is gone": (False, [(granted(1, "anna"), 0, 1), (Check("ben", B, FREE), 2, 3)]),
    "refused because of what was released": (
        False,
        [(granted(1, "anna"), 0, 1), (Release(1, is_done=True), 2, 3), (refused(2, "ben", B, 1), 4, 5)],
    ),
    "refused because of nobody": (False, [(refused(1, "ben", B, NOBODY), 0, 1)]),
    "expired in time": (
        True,
        [(granted(1, "anna"), 0, 1), (Expire(1, 1), 10, math.inf), (granted(2, "ben", B), 9, 12)],
    ),
    "expired too early": (
        False,
        [(granted(1, "anna"), 0, 1), (Expire(1, 1), 10, math.inf), (granted(2, "ben", B), 8, 9)],
    ),
    "expired in spite of a renewal": (
        False,
        [
            (granted(1, "anna"), 0, 1),
            (Expire(1, 1), 10, math.inf),
            (Renew(2, 1, is_done=True), 5, 6),
            (Expire(1, 2), 15, math.inf),
            (granted(3, "ben", B), 11, 12),
        ],
    ),
    "renewed what had ended": (
        False,
        [(granted(1, "anna"), 0, 1), (Release(1, is_done=True), 2, 3), (Renew(2, 1, is_done=True), 4, 5)],
    ),
}


@pytest.mark.parametrize("name", list(HISTORIES))
def test_history_is_judged(name: str) -> None:
    """Histories of a few operations, judged by hand."""
    is_right, history = HISTORIES[name]

    verdict = check([Operation(*each) for each in history], EMPTY, step)

    assert verdict.answer is (Answer.LINEARIZABLE if is_right else Answer.NOT_LINEARIZABLE)
    assert bool(verdict.stuck_at) != is_right


@pytest.mark.parametrize("lost", [0.0, 0.02])
def test_right_histories_are_accepted(lost: float) -> None:
    """A service that does one thing at a time is never accused, even if some answers are not heard."""
    for history, doubles in made(range(20), lost=lost):
        assert doubles == 0
        assert check(history, EMPTY, step).is_good


def test_double_grants_are_rejected() -> None:
    """Control: of the histories in which one of fifty conflicts was granted all the same, nearly all are rejected."""
    judged = [check(history, EMPTY, step).answer for history, doubles in made(range(30), wrong=0.02) if doubles]

    assert Answer.UNDECIDED not in judged
    assert judged.count(Answer.NOT_LINEARIZABLE) > 0.9 * len(judged) > 20


def test_search_is_bounded() -> None:
    """A history in which too much is open is left undecided, and counts as no proof."""
    open_ones: list[Operation[Action]] = [Operation(Reserve(n, "anna", A, is_granted=None), 0) for n in range(12)]

    verdict = check([*open_ones, Operation(Check("ben", A, FREE), 1, 2)], EMPTY, step, configurations_max=1)
    assert verdict.answer in {Answer.LINEARIZABLE, Answer.UNDECIDED}
    stuck = check(
        [*open_ones, Operation(Check("ben", A, frozenset({NOBODY})), 1, 2)], EMPTY, step, configurations_max=99
    )

    assert stuck.answer is Answer.UNDECIDED
    assert not stuck.is_good


def test_patterns_clash_as_written_down() -> None:
    """The table of files that the model rests on agrees with the service's exact overlap."""
    assert {(a, b) for a in PATTERNS for b in PATTERNS if PATTERNS[a] & PATTERNS[b]} == {
        (a, b) for a in PATTERNS for b in PATTERNS if meets(parse(a), parse(b))
    }
