"""The client without `await`, for scripts: the same methods, which return when they are done.

The client runs in a trio program of its own, in a thread, so that heartbeats and renewals go on while the script works. What
is returned by `async with` is used with `with`, what is an async iterator is an ordinary one. Types are the same, but a type
checker does not see them here.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from intermute.client.agents import Agents
from intermute.client.client import Client
from intermute.client.entities import Entities
from intermute.client.events import Events
from intermute.client.leases import Lease
from intermute.client.messages import Inbox, Messages, Threads
from intermute.client.planning import Planning
from intermute.client.reservations import Reservations

_OURS: Final = (Client, Agents, Messages, Inbox, Threads, Reservations, Planning, Entities, Events, Lease)
"""What has methods of its own that block; anything else is handed out as it is."""


@contextmanager
def open_client(*args: Any, **options: Any) -> Iterator["Blocking"]:
    """Open a client: `with open_client(project="acme", agent_name="anna") as client:`. The arguments are those of `Client`.

    A block cannot be cancelled from another thread: when a lease is lost, `lease.is_lost` says so, and `LeaseLost` is raised
    at the end of its block. Raises: BadSettings. Any: as `Client` has them.
    """
    client = Client(*args, **options)
    with start_blocking_portal("trio") as portal, portal.wrap_async_context_manager(client):
        yield Blocking(portal, client)


class Blocking:
    """Something of the client whose methods block. Any: it has whatever that has."""

    def __init__(self, portal: BlockingPortal, subject: Any) -> None:
        self._portal, self._subject = portal, subject

    def __getattr__(self, name: str) -> Any:
        return _made_blocking(self._portal, getattr(self._subject, name))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._portal.call(self._subject.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


def _made_blocking(portal: BlockingPortal, value: Any) -> Any:  # Any: whatever an attribute of the client is.
    if isinstance(value, _OURS):
        return Blocking(portal, value)
    if inspect.iscoroutinefunction(value):
        return _blocking_call(portal, value)
    if inspect.ismethod(value):
        return _blocking_result(portal, value)
    return value


def _blocking_call(portal: BlockingPortal, method: Callable[..., Any]) -> Callable[..., Any]:  # Any: as above.
    def call(*args: Any, **options: Any) -> Any:
        return portal.call(partial(method, *args, **options))

    return call


def _blocking_result(portal: BlockingPortal, method: Callable[..., Any]) -> Callable[..., Any]:  # Any: as above.
    def call(*args: Any, **options: Any) -> Any:
        made = method(*args, **options)
        if hasattr(made, "__aenter__"):
            return _block(portal, made)
        return Blocking(portal, made) if hasattr(made, "__anext__") else made

    return call


@contextmanager
def _block(portal: BlockingPortal, made: Any) -> Iterator[Blocking]:  # Any: an async context manager.
    block: AbstractContextManager[Any] = portal.wrap_async_context_manager(made)
    with block as subject:
        yield Blocking(portal, subject)
