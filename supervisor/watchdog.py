"""Finds children that are busy with one thing for too long, pulls the application's lever, then restarts them.

Rule: a child inside a thread is never restarted, whatever it costs (guarantees.md G17: two writers on one file). It is
shown as stalled instead. Each piece of work is levered once and judged once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import trio

from supervisor.child import Child
from supervisor.error_text import error_text
from supervisor.errors import ChildStuck
from supervisor.health import ChildHealth, ChildState
from supervisor.supervisor import Supervisor


class Verdict(StrEnum):
    """What the watchdog did about a finding."""

    LEVER_PULLED = "lever_pulled"
    LEVER_FAILED = "lever_failed"
    RESTARTED = "restarted"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Finding:
    """One child over the limit, and what was done."""

    name: str
    verdict: Verdict
    busy_with: str
    busy_for_s: float
    error_text: str | None = None
    """Why the lever failed."""


@dataclass(frozen=True, slots=True)
class Levers:
    """What the application lends to the watchdog; both are called in the trio task and must not block.

    `pull` gets the child's name and tries to free it (`connection.interrupt()`, hazards.md 7). `on_finding` logs.
    """

    pull: Callable[[str], None]
    on_finding: Callable[[Finding], None]


async def watch(
    child: Child,
    *,
    supervisor: Supervisor,
    busy_limit_s: float,
    lever: Callable[[str], None],
    on_finding: Callable[[Finding], None],
    interval_s: float,
) -> None:
    """Look at all children every `interval_s`, for ever; the main of a child: `partial(watch, supervisor=…, …)`."""
    assert interval_s > 0, "a pause between rounds"
    rounds = Rounds(supervisor, busy_limit_s, Levers(lever, on_finding))
    child.started()
    while True:
        rounds.look()
        await trio.sleep(interval_s)


class Rounds:
    """What the watchdog remembers from one round to the next: which work was levered and which was judged."""

    def __init__(self, supervisor: Supervisor, busy_limit_s: float, levers: Levers) -> None:
        self._supervisor, self._busy_limit_s, self._levers = supervisor, busy_limit_s, levers
        self._levered: set[int] = set()
        self._judged: set[int] = set()

    def look(self) -> None:
        """Do one round. Synchronous, so that no child changes between the look and the act."""
        seen: set[int] = set()
        for health in self._supervisor.health():
            if health.busy_serial is None or health.busy_for_s is None or health.busy_for_s <= self._busy_limit_s:
                continue
            seen.add(health.busy_serial)
            if health.busy_serial not in self._levered:
                self._levered.add(health.busy_serial)
                self._pull(health)
            elif health.busy_serial not in self._judged:
                self._judge(health, health.busy_serial)
        self._levered &= seen
        self._judged &= seen

    def _pull(self, health: ChildHealth) -> None:
        try:
            self._levers.pull(health.name)
        except Exception as error:  # noqa: BLE001 - the application's lever may find the connection closed; it is told.
            self._tell(health, Verdict.LEVER_FAILED, error_text(error))
        else:
            self._tell(health, Verdict.LEVER_PULLED)

    def _judge(self, health: ChildHealth, serial: int) -> None:
        if health.is_in_thread:
            if not health.is_stalled:
                self._supervisor.mark_stalled(health.name, serial)
                self._tell(health, Verdict.STALLED)
            return  # Not judged for good: work that leaves its thread and is still stuck is restarted.
        self._judged.add(serial)
        if health.state in (ChildState.STARTING, ChildState.RUNNING):
            stuck = ChildStuck(health.name, health.busy_with or "", health.busy_for_s or 0.0)
            self._supervisor.request_restart(health.name, stuck)
            self._tell(health, Verdict.RESTARTED)

    def _tell(self, health: ChildHealth, verdict: Verdict, error: str | None = None) -> None:
        self._levers.on_finding(Finding(health.name, verdict, health.busy_with or "", health.busy_for_s or 0.0, error))
