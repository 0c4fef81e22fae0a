"""Agents: who one is, who else is there, and the heartbeats that say so while the client is open."""

from typing import Any

import trio

from intermute.client.calls import Calls, Identity
from intermute.client.errors import NoAnswer, NotIntermute
from intermute.core import limits
from intermute.core.api import agents as api
from intermute.core.errors import DomainError, UnknownAgent


class Agents:
    """The agents of a project, the client's own among them."""

    def __init__(self, calls: Calls, nursery: trio.Nursery) -> None:
        self._calls, self._nursery = calls, nursery
        self._beating = trio.CancelScope()
        self.heartbeat_failure: Exception | None = None
        """Why the last heartbeat was not heard; None where it was. They go on, unless the agent is unknown."""

    async def register(self, name: str | None = None, *, keeps_alive: bool = True, **fields: Any) -> api.Registered:
        """Say who the client is; from then on it calls as this agent, and a heartbeat a minute goes out while it is open.

        `fields` are those of `RegisterAgent` (Any: as it has them): with the `session_id` or the `token` of before it is the
        same agent again, and still holds what it held.
        """
        question = api.RegisterAgent(name=name or self._calls.settings.agent_name, **fields)
        registered = await self._calls.call(question, api.Registered)
        self._calls.identity = Identity(registered.agent_id, registered.token)
        self._beating.cancel()
        self._beating = trio.CancelScope()
        if keeps_alive:
            self._nursery.start_soon(self._beat, self._beating)
        return registered

    async def deregister(self) -> api.Deregistered:
        """Leave: what the agent holds is released, and its name is free."""
        gone = await self._calls.call(api.DeregisterAgent(agent=self._calls.agent), api.Deregistered)
        self._beating.cancel()
        self._calls.identity = None
        return gone

    async def heartbeat(self, focus_state: str | None = None) -> api.Beaten:
        """Say once that the agent is alive."""
        return await self._calls.call(api.Heartbeat(agent=self._calls.agent, focus_state=focus_state), api.Beaten)

    async def get(self, agent: str) -> api.AgentView:
        """Return one agent, by its id or its name."""
        return await self._calls.call(api.GetAgent(agent=agent), api.AgentView)

    async def list(self, **fields: Any) -> api.AgentList:
        """Return a page of the project's agents; `fields` are those of `ListAgents` (Any: as it has them)."""
        return await self._calls.call(api.ListAgents(**fields), api.AgentList)

    async def presence(self, **fields: Any) -> api.PresenceList:
        """Return who works on what; `fields` are those of `Presence` (Any: as it has them)."""
        return await self._calls.call(api.Presence(**fields), api.PresenceList)

    async def merge_metadata(self, **metadata: str) -> api.AgentView:
        """Set some keys of the agent's metadata, and keep the others."""
        return await self._calls.call(api.MergeMetadata(agent=self._calls.agent, metadata=metadata), api.AgentView)

    async def _beat(self, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                await trio.sleep(limits.HEARTBEAT_S)
                try:
                    await self.heartbeat()
                    self.heartbeat_failure = None
                except (DomainError, NoAnswer, NotIntermute) as error:
                    self.heartbeat_failure = error
                    if isinstance(error, UnknownAgent):
                        return
