"""What a request names: all accepted spellings of its targets, modes and operations, reduced to one; and its time.

Decided here and nowhere else: which mode and operation a target has that does not say so itself. Globs and literal paths
come in different fields, because a route file such as `app/[id]/page.tsx` read as a glob does not match itself.
Source: design.md 8, claims.md 2, 4 and 6, contract.md 12.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from intermute.core import limits
from intermute.core.api.claims import AskedTargets, TargetWish
from intermute.core.claim_modes import CLASS_OF_MODE, MODE_BY_NAME
from intermute.core.claim_records import ClaimTarget, joined, with_destinations
from intermute.core.claim_targets import Target, parse_address, parse_glob, parse_path
from intermute.core.errors import BadPattern, InvalidRequest
from intermute.core.lock_table import Mode
from intermute.core.pattern_syntax import BadPattern as DialectError
from intermute.core.work_operations import CREATING, OPERATION_BY_NAME, Operation, implied_operation, mode_of

PARSERS: Final[dict[str, Callable[..., Target]]] = {"pattern": parse_glob, "path": parse_path, "address": parse_address}
"""How the text of each kind of target is read."""

_SPELLINGS: Final = (
    ("path_pattern", "pattern"), ("pattern", "pattern"), ("patterns", "pattern"), ("glob_patterns", "pattern"),
    ("path", "path"), ("paths", "path"), ("address", "address"), ("addresses", "address"),
)  # fmt: skip
"""The fields that name targets, each with the kind of what is in it."""
_VALUES: Final = attrgetter(*(field for field, _ in _SPELLINGS))
READING: Final = frozenset({Mode.S, Mode.IS})
"""The modes that change nothing; the original would call them shared."""
_WILDCARDS: Final = frozenset("*?")


class Lifetime(msgspec.Struct, frozen=True):
    """How long a lease is to run, and whether that is less than was asked for."""

    ttl_s: int
    is_clamped: bool


class _Spelled(NamedTuple):
    """One target as it was written: the field that names it, and what it says of itself."""

    field: str
    kind: str
    text: str
    wish: TargetWish | None = None


def read_targets(asked: AskedTargets, *, fold_case: bool = False) -> tuple[ClaimTarget, ...]:
    """Return what a request names, in the order given, each once and each followed by its destination.

    Raises: BadPattern for the first that the dialect refuses; InvalidRequest, where there is none or too many, or where
    modes and operations are unknown or contradict each other.
    """
    default_operation = stated_operation(asked.operation, asked.op, "operation")
    default_mode = stated_mode(asked.mode, asked.exclusive, asked.shared)
    _refuse_idle_writing(default_mode, default_operation, "operation")
    spelled = list(_spelled(asked))
    if len(spelled) > limits.TARGETS_PER_REQUEST_MAX:
        raise InvalidRequest([("targets", f"at most {limits.TARGETS_PER_REQUEST_MAX} targets in one request")])
    if not spelled:
        raise InvalidRequest(
            [
                (
                    "path_pattern",
                    "name at least one target: path_pattern or patterns (globs), paths, addresses or targets",
                )
            ]
        )
    found: list[ClaimTarget] = []
    alternatives = 0
    for number, each in enumerate(spelled):
        target = _target(number, each, default_mode, default_operation, fold_case=fold_case)
        found.append(target)
        alternatives += len(target.target.pattern.alternatives)
        if alternatives > limits.ALTERNATIVES_PER_REQUEST_MAX:
            bound = limits.ALTERNATIVES_PER_REQUEST_MAX
            raise InvalidRequest(
                [("patterns", f"the braces of one request may give {bound} paths; send several requests")]
            )
    return with_destinations(found if len(found) == 1 else _each_once(joined(found, ())))


def names_targets(asked: AskedTargets) -> bool:
    """Tell whether a request says what it is about."""
    return any(True for _ in _spelled(asked))


def _spelled(asked: AskedTargets) -> Iterator[_Spelled]:
    for (field, kind), value in zip(_SPELLINGS, _VALUES(asked), strict=True):
        if value is not None:
            for text in (value,) if isinstance(value, str) else value:
                yield _Spelled(field, kind, text)
    for place, wish in enumerate(asked.targets or ()):
        given = [(kind, text) for kind in PARSERS if (text := getattr(wish, kind)) is not None]
        if len(given) != 1:
            raise InvalidRequest([(f"targets[{place}]", "needs exactly one of path, pattern and address")])
        yield _Spelled(f"targets[{place}]", given[0][0], given[0][1], wish)


def _target(
    number: int, spelled: _Spelled, default_mode: Mode | None, default_operation: Operation | None, *, fold_case: bool
) -> ClaimTarget:
    wish = spelled.wish or TargetWish()
    own_operation = stated_operation(wish.operation, wish.op, f"{spelled.field}.op")
    operation = own_operation or default_operation
    mode = stated_mode(wish.mode, None, None, f"{spelled.field}.mode")
    if mode is None and own_operation is not None:
        mode = mode_of(own_operation)  # What it says of itself counts before what the request says of all.
    if mode is None:
        mode = default_mode or (mode_of(operation) if operation else Mode.X)
    _refuse_idle_writing(mode, operation, spelled.field)
    destination = None
    if wish.to is not None:
        destination = parse_target("address", wish.to, fold_case=fold_case)
        if implied_operation(operation, mode) not in CREATING:
            words = ", ".join(sorted(CREATING))
            raise InvalidRequest([(f"{spelled.field}.to", f"goes with an operation that creates something: {words}")])
    return ClaimTarget(
        number, parse_target(spelled.kind, spelled.text, fold_case=fold_case), mode, operation, destination
    )


def parse_target(kind: str, text: str, *, fold_case: bool = False) -> Target:
    """Read one target of a kind in `PARSERS`. Raises: BadPattern."""
    try:
        return PARSERS[kind](text, fold_case=fold_case)
    except DialectError as refused:
        raise BadPattern(refused.pattern, refused.reason) from None


def kind_of(target: Target) -> str:
    """Return the key in `PARSERS` by which the target's text is read again."""
    if not target.pattern.is_literal:
        return "pattern"
    return "path" if target.symbol is None else "address"


def _each_once(targets: Sequence[ClaimTarget]) -> list[ClaimTarget]:
    seen: dict[tuple[object, ...], ClaimTarget] = {}
    for each in targets:
        seen.setdefault((each.target, each.mode, each.operation, each.destination), each)
    return list(seen.values())


def _refuse_idle_writing(mode: Mode | None, operation: Operation | None, field: str) -> None:
    if operation is not None and mode in READING and mode_of(operation) is not Mode.S:
        raise InvalidRequest(
            [(field, f"{operation.value} changes what mode {CLASS_OF_MODE[mode]} only reads; leave one of them out")]
        )


def stated_operation(operation: str | None, op: str | None, field: str) -> Operation | None:
    """Return the operation that is named, or None. Raises: InvalidRequest, for an unknown one and for two."""
    if operation is not None and op is not None and operation != op:
        raise InvalidRequest([(field, "op and operation are the same field; send one of them")])
    given = operation if operation is not None else op
    if given is None:
        return None
    known = OPERATION_BY_NAME.get(given.strip().lower())
    if known is None:
        raise InvalidRequest([(field, f"use one of {', '.join(each.value for each in Operation)}")])
    return known


def stated_mode(mode: str | None, exclusive: bool | None, shared: bool | None, field: str = "mode") -> Mode | None:
    """Return the mode that the three spellings agree on, or None where there is none.

    Raises: InvalidRequest, where they contradict each other or the mode is not one of ours.
    """
    said: dict[str, Mode] = {}
    if mode is not None:
        known = MODE_BY_NAME.get(mode.strip().lower())
        if known is None:
            words = ", ".join(f"{name} ({each.value})" for each, name in CLASS_OF_MODE.items())
            raise InvalidRequest([(field, f"use one of {words}")])
        said[field] = known
    if exclusive is not None:
        said["exclusive"] = Mode.X if exclusive else Mode.S
    if shared is not None:
        said["shared"] = Mode.S if shared else Mode.X
    if len(set(said.values())) > 1:
        raise InvalidRequest([(name, "contradicts the other fields that say shared or exclusive") for name in said])
    return next(iter(said.values()), None)


def literal_wildcards(asked: AskedTargets) -> list[str]:
    """Return a note for each literal path that looks as if a pattern was meant."""
    return [
        f"{field} is literal, so {text!r} means a file of just this name; use patterns for wildcards."
        for field, kind, text, _ in _spelled(asked)
        if kind != "pattern" and _WILDCARDS.intersection(text)
    ]


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
