"""Which features a critical user journey is about."""

from typing import Final, NamedTuple

import apsw

from intermute.core import limits
from intermute.core.ids import Micros
from intermute.store.statements import Statement

_PUT: Final = """
INSERT INTO cuj_links (cuj_id, feature_id, linked_at_us) VALUES (:cuj_id, :feature_id, :now_us)
ON CONFLICT DO UPDATE SET linked_at_us = :now_us
"""
_DELETE: Final = "DELETE FROM cuj_links WHERE cuj_id = :cuj_id AND feature_id = :feature_id"
_DELETE_ALL: Final = "DELETE FROM cuj_links WHERE cuj_id = :cuj_id"
_OF_JOURNEY: Final = """
SELECT feature_id, linked_at_us FROM cuj_links WHERE cuj_id = :cuj_id ORDER BY feature_id LIMIT :limit
"""


class CujLink(NamedTuple):
    """One feature, and when it was linked last."""

    feature_id: str
    linked_at_us: Micros


def put(cuj_id: str, feature_id: str, now_us: Micros) -> Statement:
    """Link a feature, or note that it was linked again."""
    return Statement(_PUT, {"cuj_id": cuj_id, "feature_id": feature_id, "now_us": now_us})


def delete(cuj_id: str, feature_id: str) -> Statement:
    """Take a link out."""
    return Statement(_DELETE, {"cuj_id": cuj_id, "feature_id": feature_id})


def delete_all(cuj_id: str) -> Statement:
    """Take all links of a journey out."""
    return Statement(_DELETE_ALL, {"cuj_id": cuj_id})


def of_journey(connection: apsw.Connection, cuj_id: str) -> list[CujLink]:
    """Return the links of a journey, by feature; there are at most CUJ_LINKS_MAX."""
    found = connection.execute(_OF_JOURNEY, {"cuj_id": cuj_id, "limit": limits.CUJ_LINKS_MAX})
    return [CujLink(feature_id, Micros(linked_at_us)) for feature_id, linked_at_us in found]
