"""The client: one agent's connection to one service, with everything that an agent does there."""

import os
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from intermute.client.agents import Agents
from intermute.client.background import Background
from intermute.client.calls import Calls, new_key
from intermute.client.entities import Entities, Insights, Journeys, Specs, Tasks
from intermute.client.events import PATIENCE_S, Events, follow
from intermute.client.messages import Inbox, Messages, Threads
from intermute.client.planning import Planning
from intermute.client.reservations import Reservations
from intermute.client.settings import Retries, settings_from
from intermute.client.transport import Transport
from intermute.core.api.fields import Input
from intermute.core.entities.definition import Kind

V = TypeVar("V")


class Client:
    """One agent's client, for trio: `async with Client(project="acme", agent_name="anna") as client:`.

    What is left out comes from INTERMUTE_URL, INTERMUTE_API_KEY, INTERMUTE_PROJECT and INTERMUTE_AGENT_NAME. An error of the
    block comes out as it was raised, never in a group.

    Resources: used as a context manager it closes its connections, and ends heartbeats and renewals.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        project: str | None = None,
        agent_name: str | None = None,
        timeout_s: float | None = None,
        retries: Retries | None = None,
        environment: Mapping[str, str] = os.environ,
        make_key: Callable[[], str] = new_key,
        chance: Callable[[], float] = random.random,
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Raises: BadSettings. The last three are for tests: how keys are made, what spreads pauses, what replaces sockets."""
        self.settings = settings_from(
            environment, url=url, api_key=api_key, project=project, agent_name=agent_name, timeout_s=timeout_s,
            retries=retries,
        )  # fmt: skip
        self._make_key, self._chance, self._carrier = make_key, chance, carrier

    async def __aenter__(self) -> Self:
        self._background = Background()
        nursery = await self._background.__aenter__()
        self._transport = Transport(self.settings, self._chance, self._carrier)
        self._calls = calls = Calls(self.settings, self._transport, self._make_key, self._chance)
        self.agents = Agents(calls, nursery)
        self.messages, self.inbox, self.threads = Messages(calls), Inbox(calls), Threads(calls)
        self.reservations = Reservations(calls, nursery)
        self.planning = Planning(calls)
        self.specs, self.tasks = Specs(calls, Kind.SPEC), Tasks(calls, Kind.TASK)
        self.epics, self.stories = Entities(calls, Kind.EPIC), Entities(calls, Kind.STORY)
        self.insights, self.journeys = Insights(calls, Kind.INSIGHT), Journeys(calls, Kind.CUJ)
        self.sessions = Entities(calls, Kind.SESSION)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._background.__aexit__(kind, error, trace)
        finally:
            await self._transport.aclose()

    @property
    def agent(self) -> str:
        """The address of the agent that the client is. Raises: NobodyYet."""
        return self._calls.agent

    async def call(self, question: Input, gives: type[V], *, is_keyed: bool = True, key: str | None = None) -> V:
        """Return the answer to any operation: `await client.call(ListProjects(), ProjectList)`. See `Calls.call`."""
        return await self._calls.call(question, gives, is_keyed=is_keyed, key=key)

    async def ask(self, question: Input, *, is_keyed: bool = True, key: str | None = None) -> Any:
        """Return the answer as `call` does, of whichever type it is. Any: the operation table says which."""
        return await self._calls.ask(question, is_keyed=is_keyed, key=key)

    def follow(
        self,
        *,
        since: int | None = None,
        types: Iterable[str] = (),
        agent: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> AbstractAsyncContextManager[Events]:
        """Follow the project's events: `async with client.follow() as events:` and `async for event in events:`.

        Args:
            since: the cursor after which to begin; 0 is the beginning of the log, and without it it is now.
            types: the event types that are wanted; all, if none is named.
            agent: follow what one agent is told, instead of everything.
            patience_s: how long the service may be out of reach; `math.inf` waits for ever.

        Raises: CursorExpired, where the log no longer has what comes after the cursor; as `call`.
        """
        return follow(self._calls, since=since, types=types, agent=agent, patience_s=patience_s)
