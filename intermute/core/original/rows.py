"""Cells of the original's rows: text, numbers, times and JSON, each taken or told of as unreadable.

The original writes times as RFC 3339 with up to nine digits of fraction, and `0001-01-01T00:00:00Z` for one that is not set
(contract.md 0.2, 5.1); lists and objects are JSON text, in which `null` is as good as nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from intermute.core import limits
from intermute.core.api.fields import PATTERN_HINTS
from intermute.core.ids import Micros

Cell = str | int | float | None
Command = TypeVar("Command", bound=msgspec.Struct)

_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_REGEX: Final = re.compile(r"matching regex '(.*)'", re.DOTALL)
_SENTENCE_CHARS: Final = 500  # characters of a reason.
_SHOWN_CHARS: Final = 80  # characters of a foreign text that a report repeats; the rest tells nothing.


class LeftOut(Exception):
    """A row is not taken over; the text says why, for the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `broken` names the cells that are no text or longer than anything that this service takes."""

    cells: Mapping[str, Cell]
    broken: frozenset[str] = frozenset()

    def text(self, name: str) -> str:
        """Return a text; none is the empty one. Raises: LeftOut."""
        self._check(name)
        value = self.cells.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """Return a whole number; anything else is 0."""
        value = self.cells.get(name)
        return value if isinstance(value, int) else 0

    def decoded(self, name: str) -> Any:  # Any: whatever JSON holds; what it is used for checks it.
        """Return what a JSON text holds, None where there is none. Raises: LeftOut."""
        text = self.text(name)
        if not text.strip():
            return None
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise LeftOut(f"{name} is not JSON") from None

    def _check(self, name: str) -> None:
        if name in self.broken:
            raise LeftOut(f"{name} is not text in UTF-8, or longer than anything that this service takes")


@dataclass(slots=True)
class Times:
    """Reads the times of one row; what is wrong with them is noted, and they count as not set."""

    now_us: Micros
    notes: list[str] = field(default_factory=list)

    def read(self, row: Row, name: str, *, is_past: bool = True) -> Micros | None:
        """Return a time, or None where it is not set; one that should be past is at the latest now."""
        text = "" if name in row.broken else row.text(name).strip()
        if not text and name not in row.broken:
            return None
        found = instant(text)
        if found is None or found < 0:
            if not text.startswith("0001-01-01T00:00:00"):
                self.notes.append(f"{name} {shown(text)} is not a time of this age: counts as not set")
            return None
        if is_past and found > self.now_us:
            self.notes.append(f"{name} {shown(text)} is in the future: the time of the import stands")
            return self.now_us
        return found


def instant(text: str) -> Micros | None:
    """Return the time that RFC 3339 text names, cut to microseconds, or None where it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
        seconds_us = (whole - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return Micros(seconds_us + int((found[2] or "0")[:6].ljust(6, "0")))


def as_datetime(at_us: Micros) -> datetime:
    """Return an instant as the inputs of entities have it."""
    return _EPOCH + at_us * _MICROSECOND


def shown(text: str) -> str:
    """Return a foreign text as a report may show it: quoted, cut, in visible characters."""
    return ascii(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")


def visible(text: str) -> str:
    """Return a sentence that may quote foreign text as a terminal may show it: cut, in visible characters."""
    cut = text if len(text) <= _SENTENCE_CHARS else text[:_SENTENCE_CHARS] + "…"
    return "".join(each if each.isprintable() else "?" for each in cut)


def as_command(kind: type[Command], fields: Mapping[str, object]) -> Command:
    """Return the input of an operation with these fields, checked as a request's are. Raises: LeftOut."""
    try:
        return msgspec.convert({name: value for name, value in fields.items() if value is not None}, kind)
    except msgspec.ValidationError as error:
        raise LeftOut(_readable(str(error))) from None


def _readable(text: str) -> str:
    for pattern, hint in PATTERN_HINTS.items():
        text = text.replace(f"matching regex {pattern!r}", f"that is {hint}")
    text = _REGEX.sub("of the documented form", text)
    what, _, where = text.replace("`", "").partition(" - at $.")
    return f"{where}: {what[:1].lower()}{what[1:]}" if where else what


def texts(value: object, name: str, bound: int = limits.RECIPIENTS_MAX) -> list[str]:
    """Return a JSON list of texts, without empty ones; `null` is an empty list. Raises: LeftOut."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(each is None or isinstance(each, str) for each in value):
        raise LeftOut(f"{name} is not a list of texts")
    found = [each for each in value if each]
    if len(found) > bound:
        raise LeftOut(f"{name} has {len(found)} entries, at most {bound} are taken")
    return found
