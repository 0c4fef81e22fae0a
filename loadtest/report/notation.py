"""How figures and foreign texts are written, in a terminal and on a page alike."""

from collections.abc import Mapping
from typing import Final

from loadtest.report.model import Fault, Target

ABSENT: Final = "-"
NAME_LENGTH_MAX: Final = 80
"""Of a name from outside in a table or a legend; what is longer hides its neighbours."""


def number(value: float | None) -> str:
    """Return three digits of a figure, and whole numbers from 100 on; `-` where there is none."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(share: float | None) -> str:
    """Return a change with its sign, such as `+12.5 %`."""
    return ABSENT if share is None else f"{share:+.1%}".replace("%", " %")


def printable(text: str) -> str:
    """Return a text from outside on one line, with every character that a terminal or a browser might obey spelled out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def shortened(name: str) -> str:
    """Return a name from outside as `printable` does, cut where it is too long."""
    shown = printable(name)
    return shown if len(shown) <= NAME_LENGTH_MAX else f"{shown[: NAME_LENGTH_MAX - 3]}..."


def counted(counts: Mapping[str, int]) -> str:
    """Return counts by what was counted, such as `409: 1,080, 503: 3`."""
    return ", ".join(f"{shortened(what)}: {count:,}" for what, count in counts.items())


def outcome(target: Target) -> str:
    """Return a word for whether the target is met."""
    return "not told" if target.is_met is None else "met" if target.is_met else "MISSED"


def told(fault: Fault) -> str:
    """Return what was done to the service, and when."""
    back = "" if fault.back_after_s is None else f", back after {number(fault.back_after_s)} s"
    return f"{shortened(fault.what)} at {number(fault.at_s)} s{back}"
