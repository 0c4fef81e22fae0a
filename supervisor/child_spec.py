"""How a child is to be run: what it does, when it is restarted, how long anything may take."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from supervisor.child import Child
from supervisor.restart_budget import Backoff


class Restart(StrEnum):
    """Which ends of a run call for another one (Erlang/OTP's restart types)."""

    PERMANENT = "permanent"
    """Every end, a return as well."""
    TRANSIENT = "transient"
    """A crash only."""
    TEMPORARY = "temporary"
    """None."""


class OnExhausted(StrEnum):
    """What happens when the restart budget is spent."""

    PARK = "park"
    """The child rests, seen in health, until `revive` or `revive_after_s`."""
    ESCALATE = "escalate"
    """The supervisor ends with `ChildEscalated`."""


class RunMailbox(Protocol):
    """What the supervisor needs of a child's mailbox; `Mailbox` has it."""

    @property
    def depth(self) -> int:
        """Count the waiting requests."""

    def end_run(self, error: BaseException | None) -> bool:
        """Sort out what the ended run had taken; tell whether a request is to blame for its end."""

    def close(self, reason: str) -> None:
        """Refuse requests from now on."""

    def reopen(self) -> None:
        """Take requests again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChildSpec:
    """The plan of one child. `main` runs anew for each restart; everything else outlives the runs."""

    name: str
    main: Callable[[Child], Awaitable[object]]
    """Must call `child.started()` within `start_timeout_s`."""
    mailbox: RunMailbox | None = None
    restart: Restart = Restart.PERMANENT
    on_exhausted: OnExhausted = OnExhausted.PARK
    max_restarts: int = 3  # guarantees.md G16: 3 restarts in 30 s.
    within_s: float = 30.0
    max_blamed_restarts: int = (
        30  # restarts in `within_s` after crashes for which a request is to blame. A guess: one a second.
    )
    """A budget of its own: such a crash says little of the child, and the request is refused when it comes too often."""
    backoff: Backoff = field(default_factory=Backoff)
    revive_after_s: float | None = None
    """First rest of a parked child, doubling while it goes on failing; None: parked until `revive`."""
    revive_max_s: float = 60.0  # guarantees.md G16.
    start_timeout_s: float = 10.0  # a guess, revisit: opening a project is tens of milliseconds.
    stop_timeout_s: float = 5.0  # hazards.md 4.
    draw: Callable[[], float] = random.random
    """Chance in [0, 1) for the jitter; tests pass their own."""

    def __post_init__(self) -> None:
        assert self.name, "a child has a name"
        assert self.start_timeout_s > 0, "a start takes time"
        assert self.stop_timeout_s > 0, "a stop takes time"
        assert self.revive_after_s is None or 0 < self.revive_after_s <= self.revive_max_s, "rests grow up to the bound"
