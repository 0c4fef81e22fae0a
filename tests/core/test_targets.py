"""What a reservation asks for: every spelling of paths, mode and time, reduced to one (contract.md 12, claims.md 4)."""

import pytest
from pytest import raises

from intermute.core import limits
from intermute.core.api.claims import AskedTargets
from intermute.core.errors import BadPattern, InvalidRequest
from intermute.core.lock_table import Mode
from intermute.core.targets import Lifetime, parse_lifetime, read_targets, stated_mode


def texts(globs: list[str], literals: list[str]) -> list[str]:
    """Return the texts of the targets that were read."""
    return [each.target.text for each in read_targets(AskedTargets(patterns=globs, paths=literals))]


def test_targets_keep_their_order_and_come_once() -> None:
    """The same target in two spellings is one, under the first of them."""
    assert texts(["b", "a/", "./b", "a"], []) == ["b", "a/"]


def test_targets_that_are_literal_stay_literal() -> None:
    """A path with a wildcard in it is another target than the pattern."""
    assert texts(["a*"], ["a*"]) == ["a*", "a*"]


def test_targets_of_nothing_are_refused() -> None:
    """No path is no wish, and the refusal says which fields there are."""
    with raises(InvalidRequest) as refused:
        texts([], [])

    assert "path_pattern" in refused.value.message


def test_targets_name_the_bad_one() -> None:
    """The pattern that the dialect refuses is told with the reason."""
    with raises(BadPattern) as refused:
        texts(["ok", "a["], [])

    assert refused.value.pattern == "a["
    assert refused.value.message.startswith("Correct the pattern 'a['")


@pytest.mark.parametrize("count", [limits.TARGETS_PER_REQUEST_MAX - 1, limits.TARGETS_PER_REQUEST_MAX])
def test_targets_up_to_the_limit_are_taken(count: int) -> None:
    """A hundred paths."""
    assert len(texts([f"a{number}" for number in range(count)], [])) == count


def test_targets_over_the_limit_are_refused_before_they_are_read() -> None:
    """Number 101 ends it, repetitions included: the bound is one on work."""
    with raises(InvalidRequest):
        texts(["a"] * limits.TARGETS_PER_REQUEST_MAX, ["a["])


@pytest.mark.parametrize(
    ("mode", "exclusive", "shared", "expected"),
    [
        (None, None, None, None),
        (None, True, None, Mode.X),
        (None, False, None, Mode.S),
        (None, None, True, Mode.S),
        (None, None, False, Mode.X),
        ("exclusive", None, None, Mode.X),
        (" Write ", None, None, Mode.X),
        ("x", None, None, Mode.X),
        ("shared", None, None, Mode.S),
        ("READ", None, None, Mode.S),
        ("s", False, True, Mode.S),
        ("observe", None, None, Mode.IS),
        ("IX", None, None, Mode.IX),
        ("Collaborate", None, None, Mode.IX),
        ("curate", None, None, Mode.SIX),
    ],
)
def test_mode_has_many_spellings(mode: str | None, exclusive: bool | None, shared: bool | None, expected: Mode) -> None:
    """Three fields that agree, or none: then it says nothing."""
    assert stated_mode(mode, exclusive, shared) is expected


@pytest.mark.parametrize(
    ("mode", "exclusive", "shared", "fields"),
    [
        ("maybe", None, None, {"mode"}),
        ("exclusive", False, None, {"mode", "exclusive"}),
        (None, True, True, {"exclusive", "shared"}),
        ("shared", True, False, {"mode", "exclusive", "shared"}),
    ],
)
def test_mode_that_contradicts_itself_is_refused(
    mode: str | None, exclusive: bool | None, shared: bool | None, fields: set[str]
) -> None:
    """Every field that takes part in the contradiction is named."""
    with raises(InvalidRequest) as refused:
        stated_mode(mode, exclusive, shared)

    assert {field for field, _ in refused.value.problems} == fields


@pytest.mark.parametrize(
    ("minutes", "seconds", "expected"),
    [
        (None, None, Lifetime(1800, is_clamped=False)),
        (0, None, Lifetime(1800, is_clamped=False)),
        (-(2**31), None, Lifetime(1800, is_clamped=False)),
        (1440, None, Lifetime(86_400, is_clamped=False)),
        (1441, None, Lifetime(86_400, is_clamped=True)),
        (None, 86_400, Lifetime(86_400, is_clamped=False)),
        (None, 86_401, Lifetime(86_400, is_clamped=True)),
        (5, 7, Lifetime(7, is_clamped=False)),
    ],
)
def test_lifetime_is_clamped_to_a_day(minutes: int | None, seconds: int | None, expected: Lifetime) -> None:
    """Seconds before minutes before the default; never more than a day."""
    assert parse_lifetime(minutes, seconds) == expected


@pytest.mark.parametrize("seconds", [0, -1])
def test_lifetime_of_no_seconds_is_refused(seconds: int) -> None:
    """A field of ours need not repeat the original's mistake."""
    with raises(InvalidRequest):
        parse_lifetime(None, seconds)
