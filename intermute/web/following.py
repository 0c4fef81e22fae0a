"""Who may follow which project's log, from where, and how it is told that it cannot go on. Source: design.md 4, contract.md 2.

Both kinds of sockets (`sockets.py`, `push.py`) ask here, so both open and refuse the same ones, and close with the same codes.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from intermute.core.agents import Caller, Directory, Identity
from intermute.core.api.system import EventPage, ListEvents
from intermute.core.errors import AgentIdentityMismatch, CursorExpired, DomainError, InvalidRequest, ShuttingDown
from intermute.core.events import parse_topic, parse_types
from intermute.core.ids import ProjectName
from intermute.core.operations import Operation
from intermute.project.project import Project
from intermute.web.answer import Call
from intermute.web.auth import reader_of
from intermute.web.decode import decode
from intermute.web.front import Front
from intermute.web.server import Ending

EVENTS_AT_ONCE: Final = 100  # events read at a time; a reader far behind must not hold much in memory.
_GOING_AWAY: Final = 1001
_UNSUPPORTED: Final = 1003
_INVALID: Final = 1007
_TRY_AGAIN: Final = 1013
_EXPIRED: Final = 4410  # Of the codes that are ours (RFC 6455, 7.4.2): the 410 of a socket that is open already.
_STREAM: Final = Operation(method="GET", path="/ws", input=ListEvents, output=EventPage)
"""How a socket finds its project, and what it takes: as reading the log over HTTP does."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for: the log of which project, from where, as whom."""

    project: ProjectName
    caller: Caller
    query: ListEvents
    is_of_agent: bool


@dataclass(slots=True)
class Subscription:
    """One reader of the log: where it is, and what it wants to see."""

    project: Project
    cursor: int
    asked_as: str | None
    reader: str | None
    types: frozenset[str] | None
    topic: str | None
    is_short: bool = False
    """Whether it named no place, as the original's client, which can read only so much at once."""


async def wish_of(front: Front, call: Call, agent: str | None) -> Wish:
    """Return what the call asks for. Args: agent, as the path has it; None for a project's socket. Raises: DomainError."""
    principal = front.authenticate(call)
    path = {} if agent is None else {"agent": agent.strip("/")}
    query = decode(_STREAM, path, call.query, b"")
    if agent is not None and not path["agent"]:
        raise InvalidRequest([("agent", "name the agent in the path: /ws/agents/{agent}")])
    name = await front.project_for(_STREAM, query, principal)
    return Wish(name, principal.caller, query, agent is not None)


async def subscription_to(front: Front, wish: Wish) -> Subscription:
    """Return the place from which the wish is followed, in a project that exists. Raises: DomainError."""
    project = await front.registry.project(wish.project)
    identity, directory = project.identify(wish.caller), project.known_state().agents
    check_reader(identity, wish, directory)
    query = wish.query
    reader = reader_of(identity, wish.caller, directory.canonical(query.agent or "") if wish.is_of_agent else None)
    types = parse_types(query.type)
    cursor = project.hub.head if query.since_cursor is None else query.since_cursor
    await project.check_cursor(cursor, types)
    is_short = query.since_cursor is None
    return Subscription(project, cursor, query.agent, reader, types, parse_topic(query.topic), is_short)


def check_reader(identity: Identity, wish: Wish, directory: Directory) -> None:
    """Let an agent open its own socket alone. Raises: AgentIdentityMismatch."""
    if wish.is_of_agent and identity.address not in (None, directory.canonical(wish.query.agent or "")):
        raise AgentIdentityMismatch


def told(error: DomainError, cursor: int) -> Ending:
    """Return how a reader is told that it cannot go on, and where to begin when it comes back."""
    if isinstance(error, CursorExpired):
        return Ending(_EXPIRED, f"{error.code}: the oldest is since_cursor={error.oldest_cursor}")
    code = _GOING_AWAY if isinstance(error, ShuttingDown) else _TRY_AGAIN
    return Ending(code, f"{error.code}: come back with since_cursor={cursor}")


def heard(message: str | bytes) -> Ending | None:
    """Drop what a client says, as long as it is JSON of any kind, as the original does (contract.md 2.1)."""
    if not isinstance(message, str):
        return Ending(_UNSUPPORTED, "send text only")
    try:
        msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        return Ending(_INVALID, "failed to unmarshal JSON")
    return None
