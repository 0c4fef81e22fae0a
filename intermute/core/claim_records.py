"""What a claim is: who is about to touch which targets, how, and where.

A reservation is an enforced claim, an intent a declared one, a record taken over from Muse a foreign one, a step of a
forecast a hypothetical one. All four are this record; they differ only in what happens with the findings.
Source: claims.md 1, 4 and 6.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import reduce
from typing import Final

import msgspec
from msgspec.structs import replace

from intermute.core.claim_modes import supremum
from intermute.core.claim_targets import Target
from intermute.core.ids import AgentId, Micros
from intermute.core.lock_table import Mode
from intermute.core.work_operations import Operation


class Standing(StrEnum):
    """How binding a claim is; in this order claims are reported."""

    ENFORCED = "enforced"
    FOREIGN = "foreign"
    DECLARED = "declared"
    HYPOTHETICAL = "hypothetical"


NOBODY: Final = AgentId("")
"""Stands for an asker who did not say who it is; no address is empty, so it holds nothing."""


class ClaimTarget(msgspec.Struct, frozen=True):
    """One target of a claim. Equal where all of it is equal, so a destination knows its origin by value."""

    number: int
    """Its place in the request; a destination has that of its origin."""
    target: Target
    mode: Mode
    operation: Operation | None = None
    """None, where the holder did not say; it counts as an edit, or as reading under a mode that reads."""
    destination: Target | None = None
    """Where a rename, move, extract, split or merge puts what it makes."""
    origin: "ClaimTarget | None" = None
    """What this is the destination of; None for a target that was asked for."""


class Claim(msgspec.Struct, frozen=True):
    """One holder's claim. `targets` has the destinations in it, too: see `with_destinations`."""

    id: str
    sequence: int
    """Its place in the project's event log: the earlier one takes precedence."""
    holder: AgentId
    targets: tuple[ClaimTarget, ...]
    standing: Standing = Standing.ENFORCED
    branch: str | None = None
    """None, where the holder did not say; that may be any."""
    worktree: str | None = None
    expires_at_us: Micros | None = None


def with_destinations(targets: Iterable[ClaimTarget]) -> tuple[ClaimTarget, ...]:
    """Return the targets, each followed by what it creates: its `to`, held exclusively and as a creation."""
    found: list[ClaimTarget] = []
    for target in targets:
        found.append(target)
        if target.destination is not None:
            found.append(ClaimTarget(target.number, target.destination, Mode.X, Operation.CREATE, origin=target))
    return tuple(found)


def joined(targets: Sequence[ClaimTarget], own: Iterable[ClaimTarget]) -> tuple[ClaimTarget, ...]:
    """Return the targets with the modes that their holder will have: joined with what it has on the same target already.

    Wider and narrower targets stay apart, since a claim never says more than its own target.
    """
    modes: dict[Target, Mode] = {}
    for held in (*own, *targets):
        known = modes.get(held.target)
        modes[held.target] = held.mode if known is None else supremum(known, held.mode)
    return tuple(
        target if target.mode is modes[target.target] else replace(target, mode=modes[target.target])
        for target in targets
    )


def asked_for(targets: Iterable[ClaimTarget]) -> list[ClaimTarget]:
    """Return the targets without those that are destinations of others."""
    return [target for target in targets if target.origin is None]


def overall_mode(targets: Iterable[ClaimTarget]) -> Mode:
    """Return the weakest mode that says all that these targets say."""
    return reduce(supremum, (target.mode for target in targets))
