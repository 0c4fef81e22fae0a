"""Reservations of the real process are linearizable, whatever happens to it meanwhile (guarantees.md G6)."""

from dataclasses import replace
from pathlib import Path

import pytest
from histories import CLIENTS, OPERATIONS, take_history
from linearizability import Answer, check
from reservation_model import EMPTY, Reserve, step

SEED = 20_261_121


@pytest.mark.parametrize(
    ("failpoints", "kills", "expected"),
    [
        ("", 1, (1, 0)),
        ("kill after COMMIT 20", 0, (1, 0)),
        ("crash before COMMIT 20,crash before reply 40", 0, (0, 2)),
    ],
    ids=["killed at random", "killed after a commit", "crashed"],
)
def test_history_is_linearizable(tmp_path: Path, failpoints: str, kills: int, expected: tuple[int, int]) -> None:
    """Eight clients, eight patterns that overlap: what they were told can have happened one at a time."""
    taken = take_history(tmp_path, SEED, failpoints=failpoints, kills=kills)

    assert taken.verdict.answer is Answer.LINEARIZABLE, taken.verdict
    assert (taken.deaths, taken.crashes) == expected
    answered = [each for each in taken.history if not each.is_open]
    assert len(answered) > CLIENTS * OPERATIONS * 0.9
    assert sum(isinstance(each.action, Reserve) and each.action.is_granted is False for each in answered) > 50


def test_history_with_a_second_grant_is_rejected(tmp_path: Path) -> None:
    """Control: the history of a right service is rejected once one of its refusals is turned into a grant."""
    taken = take_history(tmp_path, SEED)
    assert taken.verdict.is_good
    history = list(taken.history)
    at, refused = next(
        (at, each.action)
        for at, each in enumerate(history)
        if isinstance(each.action, Reserve) and each.action.conflicts
    )

    history[at] = replace(history[at], action=replace(refused, is_granted=True))

    assert check(history, EMPTY, step).answer is Answer.NOT_LINEARIZABLE
