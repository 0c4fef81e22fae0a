"""One agent's calls: every operation of the table, with its types going in and coming out.

Whatever changes something carries an Idempotency-Key of its own, so that it can be repeated and is applied once.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from intermute.client.requests import request_of
from intermute.client.settings import ClientSettings
from intermute.client.transport import Transport
from intermute.core.api.fields import Input
from intermute.core.once import HEADER

_KEY_BYTES: Final = 16  # of chance; as many as a UUID has.
AGENT_HEADER: Final = "X-Agent-ID"
TOKEN_HEADER: Final = "X-Agent-Token"  # noqa: S105 - the name of a header.

V = TypeVar("V")


class NobodyYet(Exception):
    """The call needs to know which agent it is for, and the client has none."""

    def __str__(self) -> str:
        return "Register first (client.agents.register), or name the agent: agent_name=…, or INTERMUTE_AGENT_NAME."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the client is: an address, and the token that proves it."""

    address: str
    token: str | None = field(default=None, repr=False)


def new_key() -> str:
    """Return a key that nobody else has."""
    return secrets.token_hex(_KEY_BYTES)


class Calls:
    """Asks one service as one agent.

    Resources: the transport belongs to whoever made it.
    """

    def __init__(
        self,
        settings: ClientSettings,
        transport: Transport,
        make_key: Callable[[], str] = new_key,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings, self.make_key, self.chance = settings, make_key, chance
        self.identity = None if settings.agent_name is None else Identity(settings.agent_name)
        self._transport = transport

    @property
    def agent(self) -> str:
        """The address of the agent that the client is. Raises: NobodyYet."""
        if self.identity is None:
            raise NobodyYet
        return self.identity.address

    async def call(self, question: Input, gives: type[V], *, is_keyed: bool = True, key: str | None = None) -> V:
        """Return the answer to any operation: `await client.call(ListProjects(), ProjectList)`.

        `gives` is the type of the answer, as the operation table has it. A change gets a key, unless `is_keyed` is false;
        then it is repeated only while it is certain that nothing was done. `key` is one of your own: with it, the same
        question gets the same answer for a day, also from another process.

        Raises: DomainError, for what the service refuses; NoAnswer; NotIntermute; TypeError, where the answer is no `gives`.
        """
        view = await self.ask(question, is_keyed=is_keyed, key=key)
        if not isinstance(view, gives):
            raise TypeError(
                f"{type(question).__name__} was answered with a {type(view).__name__}, not a {gives.__name__}"
            )
        return view

    async def ask(self, question: Input, *, is_keyed: bool = True, key: str | None = None) -> Any:
        """Return the answer as `call` does, of whichever type it is. Any: the operation table says which."""
        request = request_of(question, self.settings.project)
        headers = {**self.headers(), "Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if not request.is_read and is_keyed:
            headers[HEADER] = key or self.make_key()
        return await self._transport.ask(request, headers)

    def headers(self) -> dict[str, str]:
        """Return the headers that say who calls."""
        found = {} if self.settings.api_key is None else {"Authorization": f"Bearer {self.settings.api_key}"}
        if self.identity is not None and self.identity.address.isascii():  # Another name goes in a field only.
            found[AGENT_HEADER] = self.identity.address
            if self.identity.token is not None:
                found[TOKEN_HEADER] = self.identity.token
        return found
