"""Which form of an answer a caller accepts: text where it prefers that, JSON otherwise. Source: RFC 9110, section 12.5.1."""

import re
from typing import Final

from intermute.web.answer import JSON_TYPE, PLAIN_TYPE, Call

_QUALITY: Final = re.compile(r"[01](?:\.\d{0,3})?")


def prefers_text(call: Call) -> bool:
    """Tell whether the call's Accept puts plain text above JSON; at the same quality the one that it names counts."""
    ranges = [part.strip().lower() for name, value in call.headers if name == "accept" for part in value.split(",")]
    return _rank(ranges, PLAIN_TYPE) > _rank(ranges, JSON_TYPE)


def _rank(ranges: list[str], media_type: str) -> tuple[float, int]:
    """Return the quality of a media type under the most specific range that has it, and how specific that is."""
    wanted = ["*/*", f"{media_type.partition('/')[0]}/*", media_type]
    matched = [(wanted.index(name), _quality(parameters)) for name, parameters in map(_split, ranges) if name in wanted]
    specific, quality = max(matched, default=(0, 0.0))
    return (quality, specific) if quality > 0 else (0.0, 0)


def _split(media_range: str) -> tuple[str, list[str]]:
    name, *parameters = (part.strip() for part in media_range.split(";"))
    return name, parameters


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return min(1.0, float(value)) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0
