"""Wall time as text: exactly as the original prints it (contract.md 0.3)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.ids import Micros
from intermute.core.times import SECOND_US, rfc3339, rfc3339_seconds

instants = st.integers(min_value=0, max_value=253_402_300_799 * SECOND_US).map(Micros)


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (500_000, "1970-01-01T00:00:00.5Z"),
        (1_784_714_400_123_450, "2026-07-22T10:00:00.12345Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_rfc3339_trims_the_fraction(at_us: int, text: str) -> None:
    """UTC, six digits at most, no trailing zeros, no fraction where there is none."""
    assert rfc3339(Micros(at_us)) == text


@given(instants)
def test_rfc3339_is_read_back_exactly(at_us: Micros) -> None:
    """What is printed is the instant to the microsecond, and does not depend on the machine's time zone."""
    read = datetime.fromisoformat(rfc3339(at_us))

    assert round((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * SECOND_US) - at_us in range(-32, 33)
    assert read.microsecond == at_us % SECOND_US


@given(instants)
def test_rfc3339_seconds_cuts_and_never_rounds(at_us: Micros) -> None:
    """To the second means the second that has begun."""
    assert rfc3339_seconds(at_us) == rfc3339(Micros(at_us - at_us % SECOND_US))
