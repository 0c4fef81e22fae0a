"""Fences that a request says it works under: it is applied only while they hold.

A lock that nobody checks where it matters is advice only; a change that comes with the fence of its reservation is refused
once the reservation has ended or went to somebody else meanwhile, however late it arrives. Source: guarantees.md G7.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from intermute.core import limits
from intermute.core.errors import InvalidRequest

HEADER: Final = "If-Reservation-Token"
PATTERN: Final = "^[!-+.-9<-~-]+:[0-9]{1,15}(, *[!-+.-9<-~-]+:[0-9]{1,15})*$"
_ONE: Final = re.compile(r"([!-+.-9<-~-]+):([0-9]{1,15})")


class HeldFence(NamedTuple):
    """A reservation and the fence under which it is believed to be held."""

    reservation_id: str
    fence: int


def read_fences(values: Sequence[str]) -> tuple[HeldFence, ...]:
    """Return what the header says, which may come several times. Raises: InvalidRequest."""
    texts = [each.strip() for value in values for each in value.split(",")]
    found = tuple(_read(each) for each in texts)
    if len(found) > limits.FENCES_MAX:
        raise InvalidRequest(
            [(HEADER, f"names more than {limits.FENCES_MAX} reservations: name those of what you change")]
        )
    return found


def _read(text: str) -> HeldFence:
    match = _ONE.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            [(HEADER, "is the id of a reservation, a colon and its fence, as in abc123:42; several with commas")]
        )
    return HeldFence(match[1], int(match[2]))
