"""Live delivery: which terminal an agent is in, whether it can take a message now, and how often somebody may try.

Decided here and nowhere else. A message is put into a terminal only where the agent said, not long ago, that it waits at
its prompt, and where a caller on this machine said which terminal that is. Source: contract.md 1.3, 1.8 and 1.10.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from intermute.core import limits
from intermute.core.agents import Agent, FocusState
from intermute.core.ids import AgentId, MessageId, Micros

_TARGET: Final = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?(\.[0-9]+)?")


class Transport(StrEnum):
    """How a message travels."""

    ASYNC = "async"
    LIVE = "live"
    BOTH = "both"


class PokeResult(StrEnum):
    """What became of a message that was to be put into a terminal."""

    INJECTED = "injected"
    DEFERRED = "deferred"
    FAILED = "failed"


def is_target(text: str) -> bool:
    """Tell whether the text can name a terminal: a session of tmux, and perhaps its window and pane."""
    return _TARGET.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Window:
    """A terminal that an agent works in. `is_local` where a caller on this machine named the target."""

    id: str
    window_uuid: str
    agent: AgentId
    display_name: str
    tmux_target: str
    is_local: bool
    created_at_us: Micros
    last_active_at_us: Micros
    expired_at_us: Micros | None


@dataclass(slots=True)
class WindowBook:
    """All windows of one project."""

    _by_uuid: dict[str, Window] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_uuid)

    def get(self, window_uuid: str) -> Window | None:
        """Return the window of this name, expired or not."""
        return self._by_uuid.get(window_uuid)

    def put(self, window: Window) -> None:
        """Take in a window, or what has become of it."""
        self._by_uuid.pop(window.window_uuid, None)  # So that the book is in the order of activity.
        self._by_uuid[window.window_uuid] = window

    def remove(self, window: Window) -> None:
        """Forget a window."""
        del self._by_uuid[window.window_uuid]

    def of(self, agent: AgentId) -> list[Window]:
        """Return the agent's windows, expired ones as well."""
        return [each for each in self._by_uuid.values() if each.agent == agent]

    def oldest_expired(self) -> Window | None:
        """Return the expired window that was active longest ago."""
        return next((each for each in self._by_uuid.values() if each.expired_at_us is not None), None)

    def terminal_of(self, agent: AgentId, window_uuid: str) -> Window | None:
        """Return where an agent is reached: the window of this name, or the one that was active last."""
        reachable = [
            each
            for each in self.of(agent)
            if each.expired_at_us is None
            and each.tmux_target
            and each.is_local
            and window_uuid in ("", each.window_uuid)
        ]
        return reachable[-1] if reachable else None


def is_at_prompt(agent: Agent, mono_s: float) -> bool:
    """Tell whether the agent has said lately that its terminal waits for a word."""
    return agent.focus_state is FocusState.AT_PROMPT and mono_s - agent.focus_heard_s <= limits.FOCUS_FRESH_S


@dataclass(slots=True)
class PokeBook:
    """What waits to be shown to each agent of one project, or is being put into its terminal."""

    _of: dict[AgentId, set[MessageId]] = field(default_factory=dict)
    _count: int = 0

    def has(self, agent: AgentId, message_id: str) -> bool:
        """Tell whether the message waits for this agent."""
        return message_id in self._of.get(agent, ())

    def of(self, agent: AgentId) -> Iterator[MessageId]:
        """Yield the messages that wait for this agent."""
        yield from list(self._of.get(agent, ()))

    def has_room(self, agent: AgentId) -> bool:
        """Tell whether one more may wait."""
        return len(self._of.get(agent, ())) < limits.POKES_PER_AGENT_MAX and self._count < limits.POKES_PER_PROJECT_MAX

    def add(self, agent: AgentId, message_id: MessageId) -> None:
        """Take in a message that waits."""
        self._count += not self.has(agent, message_id)
        self._of.setdefault(agent, set()).add(message_id)

    def remove(self, agent: AgentId, message_id: MessageId) -> None:
        """Take a message out that waits no longer."""
        mine = self._of[agent]
        mine.remove(message_id)
        self._count -= 1
        if not mine:
            del self._of[agent]


@dataclass(slots=True)
class LiveRates:
    """How often each sender has tried each recipient lately: a sliding window, in memory alone."""

    _tries: dict[tuple[AgentId, AgentId], deque[float]] = field(default_factory=dict)

    def wait_s(self, sender: AgentId, recipient: AgentId, mono_s: float) -> float | None:
        """Return after how long the sender may try this recipient again, or None where it may now."""
        tries = self._recent(sender, recipient, mono_s)
        if len(tries) < limits.LIVE_TRIES_MAX:
            return None
        return tries[0] + limits.LIVE_TRIES_WITHIN_S - mono_s

    def note(self, sender: AgentId, recipient: AgentId, mono_s: float) -> None:
        """Count a try."""
        if len(self._tries) >= limits.LIVE_PAIRS_MAX:
            since_s = mono_s - limits.LIVE_TRIES_WITHIN_S
            self._tries = {pair: tries for pair, tries in self._tries.items() if tries and tries[-1] > since_s}
        self._tries.setdefault((sender, recipient), deque(maxlen=limits.LIVE_TRIES_MAX)).append(mono_s)

    def _recent(self, sender: AgentId, recipient: AgentId, mono_s: float) -> deque[float]:
        tries = self._tries.get((sender, recipient), deque())
        while tries and tries[0] <= mono_s - limits.LIVE_TRIES_WITHIN_S:
            tries.popleft()
        return tries
