"""The project's switches in SQLite."""

from typing import Final

import apsw
import msgspec

from intermute.core.settings import Settings
from intermute.store.statements import Statement, to_json

_SAVE: Final = """
INSERT INTO settings (id, chosen) VALUES (1, :chosen) ON CONFLICT (id) DO UPDATE SET chosen = excluded.chosen
"""
_READ: Final = "SELECT chosen FROM settings WHERE id = 1"


def save(settings: Settings) -> Statement:
    """Write all switches."""
    return Statement(_SAVE, {"chosen": to_json(settings)})


def read(connection: apsw.Connection) -> Settings:
    """Return the switches, the defaults where nobody has chosen."""
    row = connection.execute(_READ).fetchone()
    return msgspec.json.decode(row[0], type=Settings) if row else Settings()
