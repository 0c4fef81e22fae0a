"""What a reservation asks for: all accepted spellings of its paths, its mode and its time, reduced to one.

Globs and literal paths come in different fields, because a route file such as `app/[id]/page.tsx` read as a glob does not
match itself. Source: design.md 8, claims.md 2 and 4, contract.md 12.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from intermute.core import limits
from intermute.core.errors import BadPattern, InvalidRequest
from intermute.core.lock_table import Mode
from intermute.core.pattern_syntax import BadPattern as DialectError
from intermute.core.patterns import Pattern, parse

_MODES: Final = {
    "exclusive": Mode.X, "write": Mode.X, "x": Mode.X,
    "shared": Mode.S, "read": Mode.S, "s": Mode.S,
}  # fmt: skip
MODE_NAMES: Final = {Mode.X: "exclusive", Mode.S: "shared"}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a lease is to run, and whether that is less than was asked for."""

    ttl_s: int
    is_clamped: bool


def parse_targets(globs: Iterable[tuple[str, str]], literals: Iterable[tuple[str, str]]) -> tuple[Pattern, ...]:
    """Return the patterns of (field, text) pairs, each once, in the order given.

    Raises: BadPattern for the first that the dialect refuses; InvalidRequest, where there is none or too many.
    """
    found: dict[Pattern, None] = {}
    count = alternatives = 0
    for pairs, is_literal in ((globs, False), (literals, True)):
        for _field, text in pairs:
            count += 1
            if count > limits.TARGETS_PER_REQUEST_MAX:
                raise InvalidRequest([("patterns", f"at most {limits.TARGETS_PER_REQUEST_MAX} paths in one request")])
            try:
                pattern = parse(text, literal=is_literal)
            except DialectError as refused:
                raise BadPattern(refused.pattern, refused.reason) from None
            found[pattern] = None
            alternatives += len(pattern.alternatives)
            if alternatives > limits.ALTERNATIVES_PER_REQUEST_MAX:
                bound = limits.ALTERNATIVES_PER_REQUEST_MAX
                raise InvalidRequest(
                    [("patterns", f"the braces of one request may give {bound} paths; send several requests")]
                )
    if not found:
        raise InvalidRequest(
            [("path_pattern", "name at least one path: path_pattern, patterns (globs) or paths (literal)")]
        )
    return tuple(found)


def parse_mode(mode: str | None, exclusive: bool | None, shared: bool | None) -> Mode:
    """Return the mode that the three spellings agree on; with none of them it is exclusive.

    Raises: InvalidRequest, where they contradict each other or the mode is not one of ours.
    """
    said: dict[str, Mode] = {}
    if mode is not None:
        known = _MODES.get(mode.strip().lower())
        if known is None:
            raise InvalidRequest([("mode", "use exclusive (or X, write) or shared (or S, read)")])
        said["mode"] = known
    if exclusive is not None:
        said["exclusive"] = Mode.X if exclusive else Mode.S
    if shared is not None:
        said["shared"] = Mode.S if shared else Mode.X
    if len(set(said.values())) > 1:
        raise InvalidRequest([(name, "contradicts the other fields that say shared or exclusive") for name in said])
    return next(iter(said.values()), Mode.X)


def parse_lifetime(ttl_minutes: int | None, ttl_seconds: int | None) -> Lifetime:
    """Return how long the lease runs: `ttl_seconds` if given, else `ttl_minutes`, else the default.

    As in the original, zero or fewer minutes mean the default; zero or fewer seconds, a field of ours, are refused.
    Raises: InvalidRequest.
    """
    if ttl_seconds is not None:
        if ttl_seconds <= 0:
            raise InvalidRequest([("ttl_seconds", "must be at least 1; to give a reservation back, release it")])
        wished_s = ttl_seconds
    elif ttl_minutes is not None and ttl_minutes > 0:
        wished_s = ttl_minutes * 60
    else:
        wished_s = limits.TTL_DEFAULT_S
    return Lifetime(min(wished_s, limits.TTL_MAX_S), wished_s > limits.TTL_MAX_S)
