"""Wall time as text, and the one reading of both clocks that a command carries.

Nothing here looks at a clock; `project/clock.py` does.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

import msgspec

from intermute.core.ids import Micros

SECOND_US = 1_000_000
_SECONDS_CHARS = len("2026-11-20T13:05:02")


class Now(msgspec.Struct, frozen=True):
    """One reading of both clocks: leases run on `mono_s`, `wall_us` is for display and storage (design.md 3.10)."""

    mono_s: float
    wall_us: Micros


def rfc3339(at_us: Micros) -> str:
    """Return the instant as the original prints it: UTC, up to six digits of fraction, trailing zeros trimmed."""
    whole, fraction = divmod(at_us, SECOND_US)
    text = _seconds(whole)
    return f"{text}.{fraction:06d}".rstrip("0") + "Z" if fraction else f"{text}Z"


@lru_cache(maxsize=1024)  # The same few seconds are printed again and again: those of now, and of what was just done.
def _seconds(whole_s: int) -> str:
    return datetime.fromtimestamp(whole_s, UTC).isoformat()[:_SECONDS_CHARS]  # strftime takes ten times as long.


def rfc3339_seconds(at_us: Micros) -> str:
    """Return the instant to the second, as the original prints agents and thread summaries (contract.md 0.3)."""
    return datetime.fromtimestamp(at_us // SECOND_US, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(at_us: Micros) -> str:
    """Return the instant as HTTP writes dates, in which the original has those of pokes (contract.md 0.3)."""
    return format_datetime(datetime.fromtimestamp(at_us // SECOND_US, UTC), usegmt=True)


def sortable(text: str) -> str:
    """Return an instant that we have printed in a form whose order as text is its order in time.

    With trailing zeros trimmed it is not: `…05.1Z` is before `…05.12Z` and comes after it as text (contract.md BUG-33).
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<6}"
