"""A worker that sends the heartbeats of some agents in turn."""

import time
from collections.abc import Sequence

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site
from loadtest.promises.last_seen import LastSeen


class Beater:
    """One connection, and the agents that beat over it, one after the other."""

    def __init__(self, site: Site, project: str, agents: Sequence[str], seen: LastSeen) -> None:
        self.operation = "heartbeat"
        """What a heartbeat is called in the report."""
        self._agents, self._seen = agents, seen
        self._wanted = [
            site.request("POST", f"/api/agents/{agent}/heartbeat", {"project": project}) for agent in agents
        ]
        self._number = -1
        self._sent_at = 0.0

    def ask(self) -> tuple[str, bytes]:
        """Let the next agent beat."""
        self._number = (self._number + 1) % len(self._agents)
        self._sent_at = time.time()  # What the service shows is of this clock, and not of the one that latencies are.
        return self.operation, self._wanted[self._number]

    def take(self, answer: Answer, _sent_s: float, answered_s: float) -> None:
        """Note that it was heard. Raises: LoadFailed."""
        agent = self._agents[self._number]
        if (
            agent.encode() not in answer.demand(200).body
        ):  # Unparsed: the clients take the time of the service's other core.
            raise LoadFailed(f"the heartbeat of {agent} was answered {answer.body[:500]!r}")
        self._seen.heard(answered_s, agent, self._sent_at)

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Take no notice: it may have been heard or not, and nothing is said of it."""
