"""Identifiers: what kinds there are, and how a minted id finds its project again.

Ids that we mint are version 8 UUIDs. Their last 48 bits are a tag of the project, the rest is random, so a call that
carries nothing but an id can be routed to the one actor that may know it. A tag routes; it never grants access.
Source: design.md section 6.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NewType

ProjectName = NewType("ProjectName", str)
AgentId = NewType("AgentId", str)
"""An agent's id, or an address that nobody has registered yet, kept as it was given."""
OPERATOR = AgentId("operator")
"""Who acts where a local caller does not say which agent it is; no agent can have this name."""
ReservationId = NewType("ReservationId", str)
IntentId = NewType("IntentId", str)
MessageId = NewType("MessageId", str)
Micros = NewType("Micros", int)
"""Wall time in whole microseconds since 1970-01-01 UTC: stored and displayed, never used to order or to time out."""

TAG_DIGITS = 12
PROJECT_NAME_CHARS_MAX = 128
DEFAULT_PROJECT = ProjectName("default")

RandomBits = Callable[[int], int]
"""Returns that many random bits; an argument so that a test or a simulation can seed it."""

_MINTED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-([0-9a-f]{12})")


def project_digest(project: ProjectName) -> str:
    """Return the 32 hex digits that name the project's file; its first 12 are the project's tag."""
    return hashlib.sha256(project.encode()).hexdigest()[:32]


@lru_cache(maxsize=256)  # Asked for with every id that is minted.
def project_tag(project: ProjectName) -> str:
    """Return the 12 hex digits that end every id minted in this project."""
    return project_digest(project)[:TAG_DIGITS]


def mint_id(project: ProjectName, random_bits: RandomBits) -> str:
    """Return a new id of this project: 74 random bits and the project's tag, as a version 8 UUID."""
    bits = random_bits(74)
    high, middle, low = bits >> 26, (bits >> 14) & 0xFFF, bits & 0x3FFF
    first = f"{high:012x}"
    return f"{first[:8]}-{first[8:]}-8{middle:03x}-{0x8000 | low:04x}-{project_tag(project)}"


def tag_of(some_id: str) -> str | None:
    """Return the project tag inside a minted id, or None for any other text."""
    found = _MINTED.fullmatch(some_id)
    return found.group(1) if found else None


def normal_project_name(text: str) -> ProjectName | None:
    """Return the name in NFC, or None where it is not a project name.

    A name is 1 to 128 printable characters with no control characters and no space at either end.
    Source: design.md section 6.
    """
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= PROJECT_NAME_CHARS_MAX or name != name.strip() or not name.isprintable():
        return None
    return ProjectName(name)
