"""What a decision hands to the writer: one SQL statement and its named values."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

SqlValue = str | int | float | bytes | None


class Statement(NamedTuple):
    """One statement, always a constant of a module in `store`, and its values."""

    sql: str
    values: Mapping[str, SqlValue]

    @property
    def rows(self) -> int:
        """How many rows it writes: its own bound `rows` where it has one, else few."""
        rows = self.values.get("rows", 1)
        return rows if isinstance(rows, int) else 1

    @property
    def chars(self) -> int:
        """How long its texts and bytes are together."""
        return sum([len(value) for value in self.values.values() if isinstance(value, (str, bytes))])


def to_json(value: object) -> str:
    """Return the value as JSON text, as the columns of the store hold it."""
    return msgspec.json.encode(value).decode()
