"""A heartbeat that was acknowledged is heard: nobody is shown as last seen before its last one.

The service shows the time in whole seconds, rounded down, by its own clock. So the checker needs times of that clock: of the
same machine, since another one's may be off by more than the promise is worth. A heartbeat is heard after it was sent and
before its answer was read; only the former binds. What was heard after the list was asked for makes it later, never earlier.
"""

from collections.abc import Mapping
from math import floor
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "every acknowledged heartbeat is heard"


class LastSeen:
    """When each agent was heard at the earliest. Times are seconds of the service's clock since 1970."""

    promise = PROMISE

    def __init__(self, history: History, lag_s: float = 0.0) -> None:
        """Take how far what is shown may lag behind: after a crash heartbeats may be lost that were not written yet."""
        self._history, self._lag_s = history, lag_s
        self._sent: dict[str, float] = {}
        self.checked = 0

    def heard(self, at_s: float, agent: str, sent_at: float) -> None:
        """Note a heartbeat that was acknowledged, and when it was sent."""
        self._history.note(at_s, agent, agent, f"was heard at {sent_at:.3f} or later")
        self._sent[agent] = max(sent_at, self._sent.get(agent, sent_at))

    def demand(self, listed: Mapping[str, float], listed_at: float) -> None:
        """Hold all agents, as they are listed, against what was acknowledged; `listed_at` is the time after the list.

        Raises: Violation.
        """
        for agent, sent_at in sorted(self._sent.items()):
            self.checked += 1
            shown_at = listed.get(agent)
            if shown_at is None:
                self._fail(agent, f"{agent} was heard and is not listed")
            elif shown_at < floor(sent_at - self._lag_s):
                self._fail(
                    agent, f"{agent} is shown as last seen at {shown_at:.0f} after it was heard at {sent_at:.3f}"
                )
            elif shown_at > listed_at:
                self._fail(agent, f"{agent} is shown as last seen at {shown_at:.0f}, and it was {listed_at:.3f}")

    def _fail(self, agent: str, text: str) -> None:
        raise Violation(PROMISE, text, self._history.about(agent))
